"""Whole training runs: what is logged, saved, resumed and handed to other processes."""

from __future__ import annotations

import math
import os
import pickletools
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from ultralytics import YOLO
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.dist import generate_ddp_file

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import probe, trainers
from loss_plugins.demo.digits import DigitsSet

from .ultralytics_runs import Train, column, results

BOTH = pytest.mark.parametrize("model", ["yolo11n.yaml", "yolo26n.yaml"])
BOX_GAIN = 7.5


def constant(value: float) -> Any:
    return lpu.trainer("detect", box={"type": "constant", "value": value})


def proof(run: Path) -> dict[str, Any]:
    return yaml.safe_load((run / "loss_plugins.yaml").read_text())


@BOTH
def test_our_twin_of_the_stock_loss_trains_digit_for_digit_like_it(model: str, train: Train) -> None:
    stock = train(model, name="stock", epochs=3, imgsz=96)
    twin = train(
        model,
        name="twin",
        epochs=3,
        imgsz=96,
        trainer=lpu.trainer("detect", box={"type": "ciou", "dialect": "ultralytics"}),
    )
    other = train(model, name="other", epochs=3, imgsz=96, trainer=lpu.trainer("detect", box="eiou"))
    assert len(results(stock)) == 3
    assert results(twin) == results(stock)
    assert results(other) != results(stock)


@BOTH
def test_a_constant_loss_shows_in_train_and_validation(model: str, train: Train) -> None:
    """No gradient comes from a constant, so both runs see the same weights: the ratio is exact."""
    seven, fourteen = (train(model, name=str(value), trainer=constant(value)) for value in (7.0, 14.0))
    for name in ("train/box_loss", "val/box_loss"):
        once, twice = column(seven, name), column(fourteen, name)
        assert all(value > 0.01 for value in once)
        assert twice == pytest.approx([2 * value for value in once], rel=1e-3)
    if model == "yolo26n.yaml":  # its targets sum to more than 1, so the normaliser cancels
        assert column(seven, "train/box_loss") == pytest.approx([7 * BOX_GAIN] * 2, rel=1e-5)
        assert column(seven, "val/box_loss") == pytest.approx([7 * BOX_GAIN] * 2, rel=1e-5)


class Kept:
    """A callback that keeps the checkpoint of the first epoch, which the end of training strips."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.file = folder / "first-epoch.pt"

    def __call__(self, trainer: BaseTrainer) -> None:
        if not self.file.exists():
            shutil.copy(trainer.last, self.file)


@BOTH
def test_resume_continues_with_the_same_loss(model: str, train: Train, tmp_path: Path) -> None:
    """Resumed epochs log the plugged loss too, in training and validation: twice the constant, twice the number."""
    logged = {}
    for value in (7.0, 14.0):
        keep = Kept(tmp_path / str(value))
        run = train(model, name=str(value), trainer=constant(value), on={"on_model_save": keep})
        train(str(keep.file), resume=True, trainer=constant(value))
        assert [row["epoch"] for row in results(run)] == [1, 2, 2]
        logged[value] = run
    for name in ("train/box_loss", "val/box_loss"):
        once, twice = column(logged[7.0], name), column(logged[14.0], name)
        assert all(number > 0.01 for number in once)
        assert twice == pytest.approx([2 * number for number in once], rel=1e-3)
    if model == "yolo26n.yaml":
        assert column(logged[7.0], "train/box_loss") == pytest.approx([7 * BOX_GAIN] * 3, rel=1e-5)


def test_resume_refuses_another_loss(train: Train, tmp_path: Path) -> None:
    keep = Kept(tmp_path)
    run = train("yolo11n.yaml", trainer=constant(7.0), on={"on_model_save": keep})
    before = results(run)
    with pytest.raises(
        ValueError, match=r"resume: the checkpoint was trained with losses=.*'value': 7\.0.*pass the same"
    ):
        train(str(keep.file), resume=True, trainer=constant(8.0))
    assert results(run) == before
    # the run's own record is a config: it resumes with what it says
    resumed = train(str(keep.file), resume=True, trainer=lpu.trainer("detect", config=run / "loss_plugins.yaml"))
    assert len(results(resumed)) == 3


def test_resume_refuses_a_stock_checkpoint(train: Train, tmp_path: Path) -> None:
    keep = Kept(tmp_path)
    train("yolo11n.yaml", on={"on_model_save": keep})
    with pytest.raises(ValueError, match="resume: the checkpoint was trained with the stock loss"):
        train(str(keep.file), resume=True, trainer=constant(7.0))


def pickled_modules(checkpoint: Path) -> set[str]:
    """Top-level modules that loading the file imports."""
    with zipfile.ZipFile(checkpoint) as archive:
        (member,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
        data = archive.read(member)
    strings: list[str] = []
    found = set()
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "GLOBAL":
            found.add(str(argument).split()[0])
        elif opcode.name == "STACK_GLOBAL":
            found.add(strings[-2])
        elif isinstance(argument, str):
            strings.append(argument)
    return {module.partition(".")[0] for module in found}


def test_checkpoints_know_their_loss_and_need_nothing_of_ours(train: Train, tmp_path: Path) -> None:
    keep = Kept(tmp_path)
    run = train("yolo26n.yaml", trainer=lpu.trainer("detect", box="eiou"), on={"on_model_save": keep})
    files = [run / "weights/best.pt", run / "weights/last.pt", keep.file]
    for file in files:
        assert pickled_modules(file) <= {"torch", "ultralytics", "numpy", "collections", "builtins", "__builtin__"}
    stamp = YOLO(files[0]).model.loss_plugins
    assert stamp["losses"]["box"]["type"] == "eiou"
    assert stamp["losses"] == proof(run)["losses"]
    # an interpreter that cannot import loss_plugins loads and predicts
    code = (
        "import sys; sys.modules['loss_plugins'] = None\n"
        "import numpy; from ultralytics import YOLO\n"
        f"model = YOLO({str(files[0])!r}); print(model.model.loss_plugins['losses']['box']['type'])\n"
        "print(len(model.predict(numpy.zeros((64, 64, 3), dtype='uint8'), imgsz=64, verbose=False)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2:] == ["eiou", "1"]


def test_the_run_folder_holds_the_proof(train: Train, caplog: pytest.LogCaptureFixture) -> None:
    run = train("yolo26n.yaml", trainer=lpu.trainer("detect", box={"type": "alpha_iou", "alpha": 2.0}, gain="match"))
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
    assert "box gain matched" in lines[1]
    assert "was trained: 8 training calls" in lines[-1]
    assert len(lines) == 3


# --- class losses and running statistics ---------------------------------------------------------------------------


@BOTH
def test_our_bce_trains_digit_for_digit_like_the_stock_class_loss(model: str, train: Train) -> None:
    stock = train(model, name="stock", imgsz=96)
    twin = train(model, name="twin", imgsz=96, trainer=lpu.trainer("detect", cls="bce_with_logits"))
    other = train(model, name="other", imgsz=96, trainer=lpu.trainer("detect", cls="quality_focal"))
    assert results(twin) == results(stock)
    for name in ("train/cls_loss", "val/cls_loss"):
        assert all(abs(a / b - 1) > 0.05 for a, b in zip(column(other, name), column(stock, name), strict=True))
    assert column(other, "train/box_loss")[0] == column(stock, "train/box_loss")[0]


def test_the_class_loss_resumes_and_its_checkpoint_is_free_of_us(train: Train, tmp_path: Path) -> None:
    keep = Kept(tmp_path)
    both = lpu.trainer("detect", box="eiou", cls="varifocal", gain="match")
    run = train("yolo26n.yaml", trainer=both, on={"on_model_save": keep})
    first = proof(run)["report"]
    assert set(first) == {"box", "cls", "canary"}
    assert first["cls"]["gradient_calls"] == first["cls"]["train_calls"] == 8
    assert first["cls"]["gain"] > 1, "varifocal is a scaled-down BCE, so its gain must rise"
    assert pickled_modules(keep.file) <= {"torch", "ultralytics", "numpy", "collections", "builtins", "__builtin__"}
    train(str(keep.file), resume=True, trainer=lpu.trainer("detect", config=run / "loss_plugins.yaml"))
    assert proof(run)["report"]["cls"]["gain"] == first["cls"]["gain"]
    assert proof(run)["report"]["box"]["gain"] == first["box"]["gain"]


@pytest.mark.parametrize(
    ("cls", "error"),
    [
        ("cross_entropy", r"gives shape \(2, 4\) for scores \(2, 3, 4\)"),
        ("bce", "wants probabilities"),
        ("gaussian_focal", "wants probabilities"),
        ("nll", "does not take soft targets"),
        ("ciou", "is a loss of kind box"),
        ({"type": "focal", "gamma": -1.0}, "gamma=-1.0 is out of range"),
    ],
)
def test_class_losses_that_do_not_fit_are_refused(cls: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        lpu.trainer("detect", cls=cls)


@pytest.mark.parametrize("cls", ["asymmetric", "focal", "ghm_c", "poly_focal"])
def test_other_class_losses_train(cls: str, train: Train) -> None:
    run = train("yolo26n.yaml", epochs=1, trainer=lpu.trainer("detect", cls=cls))
    assert proof(run)["report"]["cls"]["gradient_calls"] == 4
    assert all(math.isfinite(value) for row in results(run) for value in row.values())


def test_the_running_mean_learns_in_training_only_and_resumes(train: Train, tmp_path: Path) -> None:
    """WIoU's mean: one per branch, shared with the EMA copy, untouched by validation, in the checkpoint, restored."""
    keep = Kept(tmp_path)
    seen: dict[str, list[Any]] = {"before validation": [], "after": [], "resumed": []}

    def note(key: str) -> Any:
        return lambda trainer: seen[key].append(trainer.loss_plug.state()["box"])

    wiou = lpu.trainer("detect", box={"type": "wiou", "version": 3, "momentum": 0.1})
    train(
        "yolo26n.yaml",
        trainer=wiou,
        on={"on_model_save": keep, "on_train_epoch_end": note("before validation"), "on_fit_epoch_end": note("after")},
    )
    assert seen["before validation"] == seen["after"][: len(seen["before validation"])]
    first = seen["after"][0]
    assert set(first) == {"0", "1"}
    assert first["0"]["mean.value"] != first["1"]["mean.value"], "one2many and one2one see other boxes"
    assert all(0 < state["mean.value"][0] < 1 for state in first.values())
    stamp = torch.load(keep.file, weights_only=False)["ema"].loss_plugins
    assert stamp["state"]["box"] == first
    train(str(keep.file), resume=True, trainer=wiou, on={"on_train_start": note("resumed")})
    assert seen["resumed"] == [first]


def test_validation_uses_what_training_has_learnt(train: Train) -> None:
    """The EMA copy has a criterion of its own; its WIoU must not start from 1 again."""
    shared: list[bool] = []
    prepared: list[int] = []

    def count(trainer: Any) -> None:
        prepared.append(len(trainer.loss_plug.box.losses))

    def compare(trainer: Any) -> None:
        slot = trainer.loss_plug.box
        live, copied = ([b.bbox_loss for b in probe.find_branches(c)] for c in trainer._criteria())
        device = torch.device("cpu")
        shared.extend(slot.loss_of(a, device) is slot.loss_of(b, device) for a, b in zip(live, copied, strict=True))
        shared.append(slot.loss_of(live[0], device) is not slot.loss_of(live[1], device))

    on = {"on_train_start": count, "on_fit_epoch_end": compare}
    train("yolo26n.yaml", epochs=1, trainer=lpu.trainer("detect", box="wiou"), on=on)
    assert shared[:3] == [True, True, True]
    assert prepared == [2], "ranks agree on what they sync before the first of them sees an object"


# --- other processes ---------------------------------------------------------------------------------------------


def launched(
    model: str, digits: DigitsSet, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the file that Ultralytics writes for its worker processes, in a fresh interpreter."""
    overrides = {
        "model": model, "data": str(digits.yaml), "epochs": 1, "imgsz": 64, "batch": 8, "workers": 0, "amp": False,
        "plots": False, "device": "cpu", "project": str(folder), "name": "child", "exist_ok": True,
    }  # fmt: skip
    parent = constant(7.0)(overrides=overrides)
    parent.model = YOLO(model).model
    file = generate_ddp_file(parent)
    run = subprocess.run(
        [sys.executable, file], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    Path(file).unlink()
    return run


def test_a_worker_process_trains_with_the_loss(digits: DigitsSet, tmp_path: Path) -> None:
    spec = lpu.make_spec({"type": "constant", "value": 7.0})
    done = launched("yolo26n.yaml", digits, tmp_path, {trainers.ENVIRONMENT: spec.to_json()})
    assert done.returncode == 0, done.stderr
    assert column(tmp_path / "child", "train/box_loss") == pytest.approx([7 * BOX_GAIN], rel=1e-5)


def test_a_worker_process_without_the_spec_raises(digits: DigitsSet, tmp_path: Path) -> None:
    done = launched("yolo26n.yaml", digits, tmp_path, {})
    assert done.returncode != 0
    assert "LossNotUsed" in done.stderr
    assert not (tmp_path / "child" / "results.csv").exists()


def test_the_spec_is_in_the_environment_only_while_training(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.delenv(trainers.ENVIRONMENT, raising=False)
    train(
        "yolo11n.yaml",
        epochs=1,
        trainer=constant(7.0),
        on={"on_train_start": lambda trainer: seen.append(os.environ[trainers.ENVIRONMENT])},
    )
    assert len(seen) == 1
    assert lpu.Spec.from_json(seen[0]).box["type"] == "constant"
    assert trainers.ENVIRONMENT not in os.environ


def test_a_class_that_other_processes_cannot_import_is_refused() -> None:
    class Hidden(trainers.LossPluginMixin, DetectionTrainer):
        pass

    with pytest.raises(lpu.UnsupportedUltralytics, match="cannot be imported by other processes"):
        trainers.check_trainer(Hidden)


def test_several_data_sets_train_with_the_loss(train: Train, digits: DigitsSet, tmp_path: Path) -> None:
    second = tmp_path / "second.yaml"
    second.write_text(digits.yaml.read_text())
    yolo = YOLO("yolo26n.yaml")
    settings = {"epochs": 1, "imgsz": 64, "batch": 8, "workers": 0, "amp": False, "plots": False, "device": "cpu"}
    yolo.train(data=[str(digits.yaml), str(second)], trainer=constant(7.0), project=str(tmp_path / "multi"), **settings)
    runs = sorted((tmp_path / "multi").rglob("results.csv"))
    assert len(runs) == 2
    for run in runs:
        assert column(run.parent, "train/box_loss") == pytest.approx([7 * BOX_GAIN], rel=1e-5)


def test_ways_that_would_train_the_stock_loss_elsewhere_raise(digits: DigitsSet, tmp_path: Path) -> None:
    yolo = YOLO("yolo11n.yaml")
    with (
        pytest.raises(lpu.UnsupportedUltralytics, match=r"tune\(\) trains in other processes"),
        lpu.patched(box="eiou"),
    ):
        yolo.tune(data=str(digits.yaml), iterations=1, epochs=1, project=str(tmp_path))
    with pytest.raises(lpu.UnsupportedUltralytics, match="one process per data set"), lpu.patched(box="eiou"):
        yolo.train(data=[str(digits.yaml)] * 2, epochs=1, project=str(tmp_path))
    # upstream itself refuses a trainer here, before anything runs
    with pytest.raises(SyntaxError, match="trainer"):
        yolo.tune(data=str(digits.yaml), iterations=1, trainer=constant(7.0), project=str(tmp_path))


def test_several_gpus_without_our_trainer_raise(digits: DigitsSet, tmp_path: Path) -> None:
    plain = DetectionTrainer(
        overrides={"model": "yolo11n.yaml", "data": str(digits.yaml), "device": "cpu", "project": str(tmp_path)}
    )
    plain.ddp = True  # as with device=0,1
    with pytest.raises(lpu.UnsupportedUltralytics, match="one process per GPU"), lpu.patched(box="eiou"):
        plain.train()


# --- fail closed -------------------------------------------------------------------------------------------------


class RenamedLoopTrainer(trainers.LossPluginMixin, DetectionTrainer):
    """A trainer whose loop goes by another name, as a later release might."""

    def train(self) -> None:
        self.run_callbacks("on_train_epoch_end")


def test_a_renamed_training_loop_raises(digits: DigitsSet, tmp_path: Path) -> None:
    trainer = RenamedLoopTrainer(
        overrides={"model": "yolo11n.yaml", "data": str(digits.yaml), "device": "cpu", "project": str(tmp_path)},
        loss_spec=lpu.make_spec("eiou"),
    )
    with pytest.raises(lpu.LossNotUsed, match="were never plugged in"):
        trainer.train()


def test_training_that_never_calls_the_loss_raises(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the plug after the canary: the first epoch must not pass."""
    from ultralytics.utils.loss import BboxLoss

    from loss_plugins.adapters.ultralytics import probe

    stock = probe.stock_forward()
    with pytest.raises(lpu.LossNotUsed, match="never called during training"):
        train(
            "yolo11n.yaml",
            trainer=constant(7.0),
            on={"on_train_start": lambda trainer: setattr(BboxLoss, "forward", stock)},
        )


def test_a_loss_without_gradient_raises(train: Train) -> None:
    with pytest.raises((RuntimeError, lpu.LossNotUsed), match=r"require.* grad|no gradient"):
        train("yolo11n.yaml", trainer=lpu.trainer("detect", box="detached"))


def test_a_box_gain_of_zero_raises(train: Train) -> None:
    with pytest.raises(lpu.LossNotUsed, match="logged, not trained"):
        train("yolo11n.yaml", trainer=lpu.trainer("detect", box="eiou"), box=0.0)


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


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"box": "eoiu"}, "unknown loss 'eoiu'; did you mean"),
        ({"box": {"type": "eiou", "gamma": 1}}, "unknown parameter 'gamma'"),
        ({"box": {"type": "alpha_iou", "alpha": -1.0}}, r"alpha=-1.0 is out of range; allowed: \(0, 10\]"),
        ({"box": {"alpha": 1.0}}, "has no 'type'"),
        ({"box": 3}, "spec must be a name or a dict with 'type', got int"),
        ({"box": "l1"}, "a loss per coordinate"),
        ({"box": {"type": "eiou", "reduction": "sum"}}, "reduction is the trainer's"),
        ({}, "no loss was asked for"),
        ({"box": "eiou", "gain": "auto"}, "gain='auto' is out of range; allowed: 'keep' or 'match'"),
        ({"box": "eiou", "assigner": "stock"}, "assigner='stock' is out of range"),
        ({"config": "nowhere.yaml"}, "is not a file; ready-made ones lie in configs/ultralytics/"),
        ({"task": "detection", "box": "eiou"}, "task='detection' is unknown; allowed: detect, segment, pose, world"),
    ],
)
def test_bad_input_is_refused_before_training(arguments: dict[str, Any], error: str) -> None:
    with pytest.raises((ValueError, TypeError), match=error):
        lpu.trainer(**{"task": "detect", **arguments})


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("box: eiou", "has no section 'losses:'"),
        ("losses: {bax: eiou}", "unknown key losses.bax; did you mean 'box'"),
        ("losses: {gain: match}", "no loss was asked for"),
    ],
)
def test_bad_config_files_are_refused(text: str, error: str, tmp_path: Path) -> None:
    file = tmp_path / "losses.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=error):
        lpu.trainer("detect", config=file)


CONFIGS = sorted((Path(__file__).parents[3] / "configs/ultralytics").glob("*.yaml"))


def test_there_are_ready_made_configs() -> None:
    assert len(CONFIGS) >= 5


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_every_ready_made_config_trains(config: Path, train: Train) -> None:
    assert config.read_text().startswith("# "), "say for whom it is"
    run = train("yolo26n.yaml", epochs=1, trainer=lpu.trainer("detect", config=config))
    assert proof(run)["losses"]["box"]["type"] == yaml.safe_load(config.read_text())["losses"]["box"]["type"]
    assert all(math.isfinite(value) for row in results(run) for value in row.values())


@pytest.mark.parametrize(("task", "model"), [("segment", "yolo11n-seg.yaml"), ("pose", "yolo11n-pose.yaml")])
def test_segment_and_pose_train(task: str, model: str, digits: DigitsSet, train: Train, tmp_path: Path) -> None:
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
    run = train(model, data=str(root / "data.yaml"), epochs=1, trainer=lpu.trainer(task, box="eiou"))
    report = proof(run)["report"]["box"]
    assert report["train_calls"] == report["gradient_calls"] == 2
    assert torch.isfinite(torch.tensor([list(row.values()) for row in results(run)])).all()


def _told_as(task: str, line: list[str]) -> str:
    x, y, w, h = map(float, line[1:5])
    corners = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
    if task == "pose":
        return " ".join([*line[:5], f"{corners[0]} {corners[1]} 2 {corners[2]} {corners[3]} 2"])
    x1, y1, x2, y2 = corners
    return f"{line[0]} {x1} {y1} {x2} {y1} {x2} {y2} {x1} {y2}"
