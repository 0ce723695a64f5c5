# SPDX-License-Identifier: AGPL-3.0-or-later
"""The table of docs/ultralytics.md, cell by cell: a slot is trained, or refused before the first batch, as it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import yaml
from torch import Tensor, nn
from ultralytics import RTDETR, YOLO
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.slot_table import SLOTS
from loss_plugins.demo.digits import DigitsSet

from .prompted import polygon
from .ultralytics_runs import SETTINGS, batch_of, column, octagon, proof, relabelled, results

PAGE = Path(__file__).parents[3] / "docs" / "ultralytics.md"
#: by slot: constant losses, of which one fits, and the column of results.csv
MARKS = {
    "box": (["constant", "constant_rotated"], "box_loss"),
    "cls": (["constant_class"], "cls_loss"),
    "dfl": (["constant_bins", "constant_side"], "dfl_loss"),
    "mask": (["constant_mask"], "seg_loss"),
    "sem": (["constant_map"], "sem_loss"),
    "keypoint": (["constant_points"], "pose_loss"),
}
#: what else a slot's loss is called in the log
CALLED = {"yolo26n": {"dfl": "l1_loss"}, "rtdetr": {"box": "giou_loss"}}
GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5, "mask": 7.5, "sem": 7.5, "keypoint": 12.0}
#: and those of criteria that have their own
OWN_GAINS = {"rtdetr": {"box": 2.0, "cls": 1.0}, "yolo26n-sem": {"sem": 1.0}}

#: layers of RT-DETR's decoder, of six: the last one, whose loss is logged, and one before it
DECODERS = 2


class Row(NamedTuple):
    """A model: its task, the class of it, and the labels that it wants."""

    task: str
    cls: type[nn.Module]
    labels: str = "boxes"


ROWS = {
    "yolo11n.yaml": Row("detect", tasks.DetectionModel),
    "yolo26n.yaml": Row("detect", tasks.DetectionModel),
    "yolo11n-seg.yaml": Row("segment", tasks.SegmentationModel, "outlines"),
    "yolo26n-seg.yaml": Row("segment", tasks.SegmentationModel, "outlines"),
    "yolo11n-pose.yaml": Row("pose", tasks.PoseModel, "keypoints"),
    "yolo26n-pose.yaml": Row("pose", tasks.PoseModel, "keypoints"),
    "yolo11n-obb.yaml": Row("obb", tasks.OBBModel, "corners"),
    "yolo26n-obb.yaml": Row("obb", tasks.OBBModel, "corners"),
    "rtdetr-resnet50.yaml": Row("rtdetr", tasks.RTDETRDetectionModel),
    "yolo26n-sem.yaml": Row("semantic", tasks.SemanticSegmentationModel, "outlines"),
}


def table() -> dict[tuple[str, str], str]:
    """The cells of the page's table by model and slot."""
    lines = PAGE.read_text(encoding="utf-8").partition("## What is served")[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    head, body = rows[0], [row for row in rows[1:] if re.search("`.*[.]yaml`", row[0])]
    return {
        (re.findall(r"`(\S+[.]yaml)`", row[0])[0], slot.strip("`")): cell
        for row in body
        for slot, cell in zip(head[1:], row[1:], strict=True)
    }


CELLS = table()
SERVED = [cell for cell, says in CELLS.items() if says == "yes"]
REFUSED = [cell for cell, says in CELLS.items() if says != "yes"]


def test_the_table_is_whole() -> None:
    assert {model for model, _ in CELLS} == {*ROWS}
    assert {slot for _, slot in CELLS} == {*SLOTS} == {*MARKS}
    assert len(CELLS) == len(ROWS) * len(SLOTS)


def mark_of(model: str, slot: str) -> str:
    """The constant loss that fits a model."""
    marks, _ = MARKS[slot]
    other = "obb" in model if slot == "box" else "26" in model
    return marks[other and len(marks) > 1]


def called(model: str, slot: str) -> str:
    """The name of a slot's loss in the log."""
    return of_model(CALLED, model).get(slot, MARKS[slot][1])


def of_model(table: dict[str, dict[str, Any]], model: str) -> dict[str, Any]:
    """The entry of a model's family, if it has one."""
    return next((entry for family, entry in table.items() if model.startswith(family)), {})


# --- in a loop of one's own ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smaller(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The file of a model; of RT-DETR one of the same name and parts, with fewer layers of each."""
    folder = tmp_path_factory.mktemp("models")

    def file_of(file: str) -> str:
        if "rtdetr" not in file:
            return file
        described = tasks.yaml_model_load(file)
        for layer in (*described["backbone"], *described["head"]):
            _, repeats, kind, arguments = layer
            layer[1] = min(repeats, 1)
            if kind == "ResNetLayer":
                arguments[-1] = 1
            if kind == "RTDETRDecoder":
                arguments[1:] = [256, 300, 4, 8, DECODERS]
        (folder / file).write_text(yaml.safe_dump(described), encoding="utf-8")
        return str(folder / file)

    return file_of


@pytest.fixture(scope="module")
def made(smaller: Callable[[str], str]) -> Callable[[str], nn.Module]:
    """A random model of a file, made once."""
    models: dict[str, nn.Module] = {}

    def make(file: str) -> nn.Module:
        if file not in models:
            torch.manual_seed(0)
            models[file] = ROWS[file].cls(smaller(file), nc=3, verbose=False)
            models[file].args, models[file].nc = get_cfg(), 3
        return models[file].train()

    return make


def computed(model: nn.Module, gains: dict[str, float] | None = None) -> tuple[dict[str, float], Tensor]:
    """The items of one batch's loss, and the gradient of all parameters.

    Args:
        model: made anew is only its criterion.
        gains: of the criterion, changed.
    """
    model.criterion = None
    model.criterion = model.init_criterion()
    for name, value in (gains or {}).items():
        if isinstance(getattr(model.criterion, "loss_gain", None), dict):
            model.criterion.loss_gain[{"box": "giou", "cls": "class"}[name]] = value
        else:
            setattr(model.args, name, value)
    batch = batch_of(model)
    batch["semantic_mask"] = torch.arange(2 * 64 * 64).view(2, 64, 64) % 3
    torch.manual_seed(1)  # RT-DETR adds noise
    model.zero_grad()
    loss, items = model.loss(batch)
    loss.sum().backward()
    model.criterion, model.args = None, get_cfg()
    gradients = [part.grad.flatten() for part in model.parameters() if part.grad is not None]
    return {name: float(value) for name, value in items.items()}, torch.cat(gradients)


@pytest.mark.parametrize(("file", "slot"), SERVED)
def test_patched_replaces_the_loss_and_its_gradient(file: str, slot: str, made: Callable[[str], nn.Module]) -> None:
    """A constant twice as large is logged twice as large; the gradient is the stock one's at a gain of 0."""
    model, name = made(file), called(file, slot)
    stock, _ = computed(model)
    marks = [{"type": mark_of(file, slot), "value": value} for value in (7.0, 14.0)]
    # masks and boxes are multiplied by one gain: the others of it are constant beside them
    shared = [each for model, each in SERVED if model == file and SLOTS[each].gain == SLOTS[slot].gain]
    beside = {each: mark_of(file, each) for each in shared if each != slot}
    found = []
    for mark in marks:
        with lpu.patched(model=model, **{slot: mark}, **beside) as report:
            found.append(computed(model))
        calls = getattr(report, slot)
        # one of the two branches of YOLO26-seg trains the semantic maps, both log them
        assert calls.train_calls == calls.expected_calls >= calls.gradient_calls > 0
    (seven, gradient), (fourteen, _) = found
    assert fourteen[name] == pytest.approx(2 * seven[name], rel=1e-3)
    others = {*stock} & {*seven} - {name} - {called(file, each) for each in beside}
    assert {item: seven[item] for item in others} == {item: stock[item] for item in others}
    if "sem" not in of_model(OWN_GAINS, file):  # of which the gradient is compared in test_semantic
        _, without = computed(model, {SLOTS[slot].gain: 0.0})
        assert float((gradient - without).norm()) < 1e-2 * float(without.norm())


@pytest.mark.parametrize(("file", "slot"), REFUSED)
def test_the_reason_is_that_of_the_table(file: str, slot: str, made: Callable[[str], nn.Module]) -> None:
    """Refused by trainer() where the task says enough, else with the model, before any batch."""
    for mark in MARKS[slot][0]:
        with pytest.raises((lpu.UnsupportedUltralytics, ValueError), match=CELLS[file, slot]):
            begin(made(file), ROWS[file].task, {slot: mark})


def begin(model: nn.Module, task: str, losses: dict[str, str]) -> None:
    """All that comes before the first batch."""
    lpu.trainer(task, **losses)
    with lpu.patched(model=model, **losses):
        model.init_criterion()


# --- in a training of Ultralytics ------------------------------------------------------------------------------------


def keypoints(line: str) -> str:
    """A box, and its centre as a visible keypoint."""
    x, y = line.split()[1:3]
    return f"{line} {x} {y} 2\n"


@pytest.fixture(scope="module")
def data(digits: DigitsSet, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The yaml of the digits with labels of a kind."""
    written = {"boxes": str(digits.yaml)}
    anew = {"outlines": octagon, "corners": polygon, "keypoints": keypoints}

    def of(labels: str) -> str:
        if labels not in written:
            root = tmp_path_factory.mktemp(labels)
            file = relabelled(digits, root, anew[labels])
            if labels == "keypoints":
                told = {**yaml.safe_load(file.read_text(encoding="utf-8")), "kpt_shape": [1, 3], "flip_idx": [0]}
                file.write_text(yaml.safe_dump(told), encoding="utf-8")
            written[labels] = str(file)
        return written[labels]

    return of


@pytest.fixture(scope="module")
def trained(
    data: Callable[[str], str], smaller: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The run of a model, with a constant in each of its slots; each is trained once."""
    runs: dict[str, Path] = {}

    def run(file: str) -> Path:
        if file not in runs:
            losses = {slot: mark_of(file, slot) for model, slot in SERVED if model == file}
            project = tmp_path_factory.mktemp("cells")
            yolo = (RTDETR if "rtdetr" in file else YOLO)(smaller(file))
            whole = {"mosaic": 0.0, "scale": 0.0, "translate": 0.0}  # no digit is cut to less than a pixel of the masks
            yolo.train(
                trainer=lpu.trainer(**losses),
                data=data(ROWS[file].labels),
                **{**SETTINGS, **whole, "project": str(project), "name": "run"},
            )
            assert yolo.trainer.plugged_task == ROWS[file].task
            runs[file] = Path(yolo.trainer.save_dir)
        return runs[file]

    return run


def logged(run: Path, part: str, file: str, slot: str) -> float:
    """The one row of a slot's column, over the gain."""
    return column(run, f"{part}/{called(file, slot)}")[0] / of_model(OWN_GAINS, file).get(slot, GAINS[slot])


@pytest.mark.parametrize(("file", "slot"), SERVED)
def test_a_training_logs_the_constant(file: str, slot: str, trained: Callable[[str], Path]) -> None:
    """7 times the gain, in training and validation.

    A random YOLO11 has scores that sum to less than 1, where Ultralytics divides by 1: all losses that are weighted by
    them are smaller by one factor. RT-DETR's scores are the overlaps of matched boxes, 0 to 1 for each object. A
    validation of YOLO26-seg computes no semantic maps.
    """
    run = trained(file)
    validated = (file, slot) != ("yolo26n-seg.yaml", "sem")
    for part in ("train", "val") if validated else ("train",):
        factor = logged(run, part, file, "box") / 7 if slot in ("box", "cls", "dfl") and "yolo11" in file else 1.0
        assert 0 < factor < 1 + 2e-3
        if (file, slot) == ("rtdetr-resnet50.yaml", "cls"):
            assert 0 < logged(run, part, file, slot) < 7
            continue
        assert logged(run, part, file, slot) == pytest.approx(7 * factor, rel=2e-3), part
    told = proof(run)
    assert told["losses"][slot]["type"] == mark_of(file, slot)
    assert told["report"]["canary"][slot]
    calls = told["report"][slot]
    assert calls["train_calls"] == calls["expected_calls"] >= calls["gradient_calls"] > 0
    assert ("gradient_rows" in calls) == (slot != "cls")  # of a class loss, whose rows are not all looked at
    assert calls.get("gradient_rows", 1) > 0
    assert calls["val_calls"] > 0 or not validated
    assert all(row[f"plug/{slot}_gradient_ratio"] > 0 for row in results(run))
