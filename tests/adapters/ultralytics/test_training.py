"""Whole training runs: what is logged, and the proof in the run folder."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.demo.digits import DigitsSet
from tools.wheel import ROOT

from .ultralytics_runs import BOTH, BOX_GAIN, STOCK_TWIN, Shared, Train, proof, results

LONG = {"epochs": 3, "imgsz": 96}


@BOTH
def test_twins_of_the_stock_losses_train_digit_for_digit_like_them(model: str, shared: Shared) -> None:
    stock, twin = shared(model, **LONG), shared(model, box=STOCK_TWIN, cls="bce_with_logits", **LONG)
    assert len(stock.rows) == 3
    ours = [{name: value for name, value in row.items() if not name.startswith("plug/")} for row in twin.rows]
    assert ours == stock.rows
    ratios = [row[name] for row in twin.rows for name in ("plug/box_gradient_ratio", "plug/cls_gradient_ratio")]
    assert ratios == pytest.approx([1.0] * 6, rel=1e-5)
    assert twin.proof["report"]["box"]["gradient_calls"] == twin.proof["report"]["cls"]["gradient_calls"] > 0


@BOTH
def test_another_box_loss_trains_another_way(model: str, shared: Shared) -> None:
    assert shared(model, box="eiou", **LONG).rows != shared(model, **LONG).rows


@BOTH
def test_another_class_loss_shows_in_train_and_validation(model: str, shared: Shared) -> None:
    stock, other = shared(model, **LONG), shared(model, cls="quality_focal", **LONG)
    for name in ("train/cls_loss", "val/cls_loss"):
        assert all(abs(a / b - 1) > 0.05 for a, b in zip(other.column(name), stock.column(name), strict=True))
    assert other.column("train/box_loss")[0] == stock.column("train/box_loss")[0]


@BOTH
def test_a_constant_loss_shows_in_train_and_validation(model: str, shared: Shared) -> None:
    """No gradient comes from a constant, so both runs see the same weights: the ratio is exact."""
    seven, fourteen = (shared(model, box={"type": "constant", "value": value}) for value in (7.0, 14.0))
    for name in ("train/box_loss", "val/box_loss"):
        once, twice = seven.column(name), fourteen.column(name)
        assert all(value > 0.01 for value in once)
        assert twice == pytest.approx([2 * value for value in once], rel=1e-3)
    if model == "yolo26n.yaml":  # its targets sum to more than 1, so the normaliser cancels
        assert seven.column("train/box_loss") == pytest.approx([7 * BOX_GAIN] * 2, rel=1e-5)
        assert seven.column("val/box_loss") == pytest.approx([7 * BOX_GAIN] * 2, rel=1e-5)


def test_the_run_folder_holds_the_proof(train: Train, caplog: pytest.LogCaptureFixture) -> None:
    trainer = lpu.trainer("detect", box={"type": "alpha_iou", "alpha": 2.0}, gain="match")
    plots: list[Path] = []
    run = train("yolo26n.yaml", trainer=trainer, plots=True, on={"on_train_end": lambda it: plots.extend(it.plots)})
    assert (run / "loss_plugins.png").is_file()
    assert run / "loss_plugins.png" in plots, "loggers take those"
    written = proof(run)
    assert written["losses"]["box"]["alpha"] == 2.0
    assert written["losses"]["gain"] == "match"
    report = written["report"]["box"]
    # 2 epochs x 2 batches x 2 branches, and 2 epochs x 1 batch x 2 branches (the last validation scores only)
    assert report["train_calls"] == report["gradient_calls"] == 8
    assert report["val_calls"] >= 4
    assert report["rows"] > 50
    assert report["gain"] == pytest.approx(report["norms"][0] / report["norms"][1])
    assert len(written["report"]["canary"]["box"]) == 2
    assert set(written["versions"]) == {"loss_plugins", "ultralytics", "torch"}
    lines = [record.getMessage() for record in caplog.records if "loss_plugins:" in record.getMessage()]
    assert "verified on a fixed batch" in lines[0]
    assert f"gain 7.5 x {report['gain']:.3g}, matched" in lines[0]
    told = [float(re.search(r"is ([0-9.]+) times the stock loss's", line)[1]) for line in lines if "epoch" in line][:2]
    assert lines[1].endswith(f"plotting the losses to {run / 'loss_plugins.png'}")
    assert any("was trained: 8 training calls" in line for line in lines[-2:]), "a warning of the ratio may follow"
    ratios = [row["plug/box_gradient_ratio"] for row in results(run)]
    assert ratios == pytest.approx(told, rel=1e-2)


def test_the_losses_know_how_much_of_the_training_is_over(train: Train) -> None:
    told: list[list[float]] = []

    def note(trainer: Any) -> None:
        told.extend(loss.progress.value.tolist() for slot in trainer.loss_plug.slots for loss in slot.losses)

    train("yolo11n.yaml", val=False, trainer=lpu.trainer("detect", box="uiou"), on={"on_train_batch_end": note})
    assert told == [[0.0]] * 2 + [[0.5]] * 2  # two epochs of two batches


def test_every_row_of_the_results_has_the_ratio_also_without_validation(train: Train) -> None:
    run = train("yolo11n.yaml", val=False, trainer=lpu.trainer("detect", box="eiou", cls="focal"))
    assert not (run / "loss_plugins.png").exists(), "plots=False"
    header, *rows = (run / "results.csv").read_text().split()
    assert [len(row.split(",")) for row in rows] == [len(header.split(","))] * 2
    assert header.endswith("plug/box_gradient_ratio,plug/cls_gradient_ratio")
    assert all(row["plug/cls_gradient_ratio"] < 0.3 for row in results(run))


def test_many_empty_images_stay_finite(train: Train, digits: DigitsSet, tmp_path: Path) -> None:
    """15 of 16 training images have no object: most foregrounds are empty."""
    root = tmp_path / "sparse"
    shutil.copytree(digits.root, root)
    for label in sorted((root / "labels/train").glob("*.txt"))[1:]:
        label.write_text("")
    data = yaml.safe_load(digits.yaml.read_text())
    (root / "sparse.yaml").write_text(yaml.safe_dump({**data, "path": str(root)}))
    for cache in root.rglob("*.cache"):
        cache.unlink()
    run = train(
        "yolo11n.yaml",
        data=str(root / "sparse.yaml"),
        batch=2,
        mosaic=0.0,
        trainer=lpu.trainer("detect", box={"type": "focal_eiou", "normalize": True}, gain="match"),
    )
    assert all(math.isfinite(value) for row in results(run) for value in row.values())
    assert proof(run)["report"]["box"]["gain"] > 0


CONFIGS = sorted((ROOT / "configs/ultralytics").glob("*.yaml"))
CLASS_LOSSES = (None, "asymmetric", "focal", "ghm_c", "poly_focal")


#: those of another slot: task, model, slot
OTHERS = {"oks_wing_pose": ("pose", "yolo11n-pose.yaml", "keypoint"), "slide": ("detect", "yolo26n.yaml", "cls")}
BOXES = [file for file in CONFIGS if file.stem not in OTHERS]


def test_there_are_ready_made_configs() -> None:
    assert len(BOXES) == len(CLASS_LOSSES)
    assert len(CONFIGS) == len(BOXES) + len(OTHERS)


@pytest.mark.parametrize("name", OTHERS)
def test_every_ready_made_config_of_another_slot_trains(
    name: str, digits: DigitsSet, train: Train, tmp_path: Path
) -> None:
    task, model, slot = OTHERS[name]
    (config,) = (file for file in CONFIGS if file.stem == name)
    assert config.read_text(encoding="utf-8").startswith("# "), "say for whom it is"
    data = {"data": str(told_anew(task, digits, tmp_path))} if task == "pose" else {}
    written = proof(train(model, epochs=1, trainer=lpu.trainer(task, config=name), **data))
    asked = yaml.safe_load(config.read_text(encoding="utf-8"))["losses"]
    assert asked.keys() == {slot}
    assert written["losses"][slot]["type"] == asked[slot]["type"]
    assert written["report"][slot]["gradient_calls"] > 0


@pytest.mark.parametrize(
    ("config", "cls"), list(zip(BOXES, CLASS_LOSSES, strict=True)), ids=lambda value: Path(str(value)).stem
)
def test_every_ready_made_config_trains_also_with_a_class_loss(config: Path, cls: str | None, train: Train) -> None:
    assert config.read_text(encoding="utf-8").startswith("# "), "say for whom it is"
    run = train("yolo26n.yaml", epochs=1, trainer=lpu.trainer("detect", config=config, cls=cls))
    written = proof(run)
    assert (
        written["losses"]["box"]["type"] == yaml.safe_load(config.read_text(encoding="utf-8"))["losses"]["box"]["type"]
    )
    assert all(math.isfinite(value) for row in results(run) for value in row.values())
    if cls is not None:
        assert written["losses"]["cls"]["type"] == cls
        assert written["report"]["cls"]["gradient_calls"] == 4


@pytest.mark.parametrize(("task", "model"), [("segment", "yolo11n-seg.yaml"), ("pose", "yolo11n-pose.yaml")])
def test_segment_and_pose_train(task: str, model: str, digits: DigitsSet, train: Train, tmp_path: Path) -> None:
    run = train(model, data=str(told_anew(task, digits, tmp_path)), epochs=1, trainer=lpu.trainer(task, box="eiou"))
    report = proof(run)["report"]["box"]
    assert report["train_calls"] == report["gradient_calls"] == 2
    assert torch.isfinite(torch.tensor([list(row.values()) for row in results(run)])).all()


def told_anew(task: str, digits: DigitsSet, tmp_path: Path) -> Path:
    """The digits, their boxes told as polygons or with keypoints in the corners."""
    root = tmp_path / task
    shutil.copytree(digits.root, root)
    for label in (root / "labels").rglob("*.txt"):
        lines = [line.split() for line in label.read_text().splitlines()]
        label.write_text("\n".join(_told_as(task, line) for line in lines))
    for cache in root.rglob("*.cache"):
        cache.unlink()
    data = {**yaml.safe_load(digits.yaml.read_text()), "path": str(root)}
    if task == "pose":
        data["kpt_shape"] = [2, 3]
    (root / "data.yaml").write_text(yaml.safe_dump(data))
    return root / "data.yaml"


def _told_as(task: str, line: list[str]) -> str:
    x, y, w, h = map(float, line[1:5])
    corners = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    if task == "pose":
        return " ".join([*line[:5], f"{corners[0]} {corners[1]} 2 {corners[2]} {corners[3]} 2"])
    x1, y1, x2, y2 = corners
    return f"{line[0]} {x1} {y1} {x2} {y1} {x2} {y2} {x1} {y2}"
