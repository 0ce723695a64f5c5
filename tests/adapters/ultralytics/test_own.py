# SPDX-License-Identifier: AGPL-3.0-or-later
"""A function as the box loss, a trainer class of one's own, and a context that nobody keeps."""

from __future__ import annotations

import copy
import functools
import gc
import importlib
import pickle
import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from ultralytics.models.rtdetr.train import RTDETRTrainer
from ultralytics.models.yolo.classify import ClassificationTrainer
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.models.yolo.pose import PoseTrainer
from ultralytics.models.yolo.segment import SegmentationTrainer
from ultralytics.models.yolo.world import WorldTrainer
from ultralytics.nn.tasks import yaml_model_load
from ultralytics.utils.loss import BboxLoss, v8DetectionLoss

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import canary, cli, mixin, owners, trainers
from loss_plugins.adapters.ultralytics.plug import plugged
from loss_plugins.adapters.ultralytics.spec import Spec
from tests.house.wrong_values import refused

from .test_models import make_model
from .test_owners import box_of, class_attributes, fixed, same
from .ultralytics_runs import Train, batch_of, proof

pytestmark = pytest.mark.usefixtures("own_losses")


def overlap(pred: Tensor, target: Tensor) -> Tensor:
    """1 - IoU, with arguments of any names and a third one, as functions of others have them."""
    low, high = torch.maximum(pred[:, :2], target[:, :2]), torch.minimum(pred[:, 2:], target[:, 2:])
    inner = (high - low).relu().prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (pred, target)]
    return 1 - inner / (areas[0] + areas[1] - inner)


def overlap_of_others(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    return overlap(boxes1, boxes2)


def distance(pred: Tensor, target: Tensor) -> Tensor:
    return (pred - target).abs().sum(-1) / 100


def smooth(pred: Tensor, target: Tensor) -> Tensor:
    """Nearly free of the scale: 1 - IoU with 0.1 square units in the denominator."""
    return overlap(pred, target) + 1e-2 / (1 + (target[:, 2:] - target[:, :2]).prod(-1) / 100)


def heavy_if_wide(pred: Tensor, target: Tensor) -> Tensor:
    """Free of the scale up to a threshold."""
    return overlap(pred, target) * torch.where(target[:, 2] - target[:, 0] > 1e3, 2.0, 1.0)


class CIoULoss:
    """Has a name that is taken, and no function's attributes."""

    def __call__(self, pred: Tensor, target: Tensor) -> Tensor:
        return overlap(pred, target)


class Overlap(nn.Module):
    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return overlap(pred, target)


def ciou(pred: Tensor, target: Tensor) -> Tensor:
    return 2 * overlap(pred, target)


@pytest.mark.parametrize(
    ("function", "name", "units"),
    [
        (overlap, "overlap", "any"), (overlap_of_others, "overlap_of_others", "any"), (distance, "distance", "pixels"),
        (smooth, "smooth", "pixels"), (heavy_if_wide, "heavy_if_wide", "pixels"),
        (Overlap(), "overlap", "any"), (CIoULoss(), "own_ciou", "any"),
        (ciou, "own_ciou", "any"), (functools.partial(overlap_of_others, eps=1e-3), "overlap_of_others", "any"),
        (lambda p, t: distance(p, t), "lambda", "pixels"), (lp.eiou_loss, "eiou", "any"),
    ],
)  # fmt: skip
def test_the_units_of_a_function_are_measured_and_it_gets_them(function: Any, name: str, units: str) -> None:
    """By hand: the canary's boxes are in cells of strides 8 and 16; what the scale changes has to see pixels."""
    spec = lpu.make_spec(box=function)
    assert spec.box["type"] == name
    assert lp.get_entry(name).traits.units == units
    call = canary.fixed_arguments(BboxLoss(16))
    pred, target, stride = call["pred_bboxes"][0, :3], call["target_bboxes"][0, :3], call["stride"][:3]
    weights = torch.tensor([0.9, 0.4, 0.7])
    plain = function.__wrapped__ if function is lp.eiou_loss else function
    expected = (plain(pred * stride, target * stride) * weights).sum() / weights.sum()
    branch = SimpleNamespace(bbox_loss=BboxLoss(16))
    with plugged(spec) as plug:
        assert canary.check_box(branch, plug.box) == pytest.approx(float(expected), rel=1e-5)


def test_a_function_is_trained_and_the_record_names_it(train: Train) -> None:
    run = train("yolo11n.yaml", trainer=lpu.trainer("detect", box=overlap), epochs=1)
    assert proof(run)["losses"]["box"]["type"] == "overlap"
    assert proof(run)["losses"]["imports"] == [f"{__name__}:overlap"]
    assert proof(run)["report"]["box"]["gradient_calls"] == 2
    assert cli.losses_of(str(run / "weights/last.pt"))["box"]["type"] == "overlap"
    lp.unregister_loss("overlap")
    with pytest.raises(ValueError, match=r"was trained with a loss of .*; say imports=.*:overlap"):
        cli.losses_of(str(run / "weights/last.pt"))


def test_the_same_function_is_one_loss_and_two_functions_are_two() -> None:
    def made(factor: float) -> Any:
        def scaled(pred: Tensor, target: Tensor) -> Tensor:
            return factor * overlap(pred, target)

        return scaled

    two, three = made(2.0), made(3.0)
    specs = [lpu.make_spec(box=function) for function in (two, three, two, overlap, overlap)]
    assert [spec.box["type"] for spec in specs] == ["scaled", "scaled_2", "scaled", "overlap", "overlap"]
    pair = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2]])  # IoU 1/3
    assert [round(float(spec.build("box")(*pair)), 4) for spec in specs[:3]] == [1.3333, 2.0, 1.3333]


FUNCTIONS = """
def my_overlap(pred, target):
    return (pred - target).abs().sum(-1)
"""
CHILD = """
import sys
from loss_plugins.adapters.ultralytics.spec import Spec
print(Spec.from_json(sys.argv[1]).build("box").entry.traits.units)
"""


def test_a_function_of_a_module_reaches_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_functions.py").write_text(FUNCTIONS)
    (tmp_path / "losses.yaml").write_text("losses: {box: my_overlap, imports: ['my_functions:my_overlap']}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    try:
        spec = lpu.make_spec(config="losses.yaml")
        mixin.check_imports(spec)
        child = subprocess.run(
            [sys.executable, "-c", CHILD, spec.to_json()], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert child.stdout.strip() == "pixels"
        refused(lambda: cli.yolo(["train", "imports=my_functions:nobody"]), "", "imports", "has no nobody")
    finally:
        sys.modules.pop("my_functions", None)


@pytest.mark.parametrize(
    "function", [lambda p, t: overlap(p, t), functools.partial(overlap), Overlap(), CIoULoss(), "local", "__main__"]
)
def test_what_other_processes_cannot_import_is_refused_for_several_gpus(
    function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def local(pred: Tensor, target: Tensor) -> Tensor:
        return overlap(pred, target)

    if function == "__main__":
        local.__module__, local.__qualname__ = "__main__", "local"
        monkeypatch.setattr(sys.modules["__main__"], "local", local, raising=False)
    spec = lpu.make_spec(box=local if isinstance(function, str) else function)
    assert spec.build("box") is not None  # on one device it trains
    assert Spec.from_json(spec.to_json()).build("box") is not None
    with pytest.raises(lpu.UnsupportedUltralytics, match=r"cannot be imported by .*@register_loss\('my_loss'\)"):
        mixin.check_imports(spec)


@pytest.mark.parametrize(
    ("function", "came"),
    [
        (nn.L1Loss(), r"box=L1Loss\(\) returned shape \(\) for 3 boxes"),
        (nn.BatchNorm1d(4), r"box=BatchNorm1d.* has parameters or buffers"),
        (lambda pred: pred.sum(-1), "raised TypeError on three boxes"),
        (lambda pred, target: (pred - target).detach().sum(-1), "comes back without gradient"),
        (print, "returned None for 3 boxes"),
        (lp.EIoULoss, r"is a class; .* pass EIoULoss\(\)"),
        (lp.focal_loss, "is a loss per classification"),
    ],
)
def test_a_function_that_is_no_box_loss_is_refused_by_the_slot(function: Any, came: str) -> None:
    for call in (lambda: lpu.trainer("detect", box=function), lambda: lpu.patched(box=function)):
        with pytest.raises((ValueError, TypeError), match=came):
            call()
    with pytest.raises((ValueError, TypeError), match=r"cls=.*; allowed: "):
        lpu.make_spec(cls=function)


# --- a trainer class of one's own ------------------------------------------------------------------------------------


class Mine(DetectionTrainer):
    """A trainer as users write it: all methods go on to those above."""

    seen: list[str]

    def setup_model(self) -> Any:
        self.seen = ["setup_model"]
        return super().setup_model()

    def train(self) -> Any:
        return super().train()

    def save_model(self) -> Any:
        self.seen.append("save_model")
        return super().save_model()


class OfSegments(SegmentationTrainer):
    """Without methods of its own."""


def test_a_trainer_of_ones_own_trains_with_the_loss(train: Train) -> None:
    kept: list[Any] = []
    made = lpu.trainer(box=fixed(7.0), base=Mine)
    run = train("yolo11n.yaml", trainer=made, epochs=1, on={"on_train_end": kept.append})
    assert isinstance(kept[0], Mine)
    assert kept[0].seen == ["setup_model", "save_model"]
    assert proof(run)["losses"]["box"]["value"] == 7.0
    assert proof(run)["report"]["box"]["gradient_calls"] == 2


@pytest.mark.parametrize("base", [Mine, OfSegments, DetectionTrainer])
def test_other_processes_find_the_class_of_a_base_by_its_name(base: type, monkeypatch: pytest.MonkeyPatch) -> None:
    cls = lpu.trainer(box="eiou", base=base).func
    assert pickle.loads(pickle.dumps(cls)) is cls
    monkeypatch.setattr(trainers.bases, "_made", {})  # as another process begins
    again = getattr(importlib.import_module(cls.__module__), cls.__qualname__)
    assert again.__bases__ == cls.__bases__ == (mixin.LossPluginMixin, base)
    trainers.bases.check_importable(again)
    assert lpu.trainer(box="eiou", base=base).func is again
    with pytest.raises(AttributeError):
        trainers.NoSuchName  # noqa: B018


@pytest.mark.parametrize(
    ("base", "task"),
    [
        (DetectionTrainer, "detect"),
        (SegmentationTrainer, "segment"),
        (PoseTrainer, "pose"),
        (RTDETRTrainer, "rtdetr"),
        (WorldTrainer, "world"),
    ],
)
def test_the_task_is_that_of_the_base(base: Any, task: str) -> None:
    cls = lpu.trainer(box="eiou", base=type("Local", (base,), {})).func
    assert cls.plugged_task == task
    other = "pose" if task != "pose" else "segment"
    with pytest.raises(ValueError, match=f"task={other!r}, and base=.* is a trainer for {task!r}"):
        lpu.trainer(other, box="eiou", base=base)
    with pytest.raises(ValueError, match=f"task={task!r}, and the model is one for 'obb'"):
        mixin.check_task(cls, SimpleNamespace(yaml=yaml_model_load("yolo11n-obb.yaml")))


@pytest.mark.parametrize("base", [ClassificationTrainer])
def test_a_base_of_a_task_that_is_not_served_is_refused(base: Any) -> None:
    with pytest.raises(lpu.UnsupportedUltralytics, match="cannot be served"):
        lpu.trainer(box="eiou", base=type("Local", (base,), {}))


@pytest.mark.parametrize("base", [3, "detect", nn.Linear, lpu.trainer("detect", box="eiou"), object])
def test_what_is_no_trainer_is_refused(base: Any) -> None:
    refused(lambda: lpu.trainer(box="eiou", base=base), "trainer", "base=", "")


def silent(self: Any, *arguments: Any, **named: Any) -> None:
    """Does all by itself."""


@pytest.mark.parametrize("method", ["__init__", "train", "_do_train", "_setup_train", "setup_model"])
@pytest.mark.parametrize("depth", [0, 1])
def test_a_base_that_replaces_what_the_losses_come_in_by_is_refused_before_training(method: str, depth: int) -> None:
    base = type("Silent", (DetectionTrainer,), {method: silent})
    for _ in range(depth):
        base = type("Below", (base,), {})
    with pytest.raises(lpu.UnsupportedUltralytics, match=rf"Silent\.{method} does not call super\(\)\.{method}\(\)"):
        lpu.trainer(box="eiou", base=base)


class OwnCriterion(v8DetectionLoss):
    """Has the box loss, and computes another."""

    def __call__(self, preds: Any, batch: Any) -> Any:
        return torch.zeros(3, requires_grad=True).sum() * torch.ones(3), torch.zeros(3)


class WithOwnCriterion(DetectionTrainer):
    def setup_model(self) -> Any:
        result = super().setup_model()
        self.model.args = self.args
        self.model.criterion = OwnCriterion(self.model)
        return result


def test_a_criterion_of_a_base_that_computes_its_own_loss_is_refused_before_training(train: Train) -> None:
    batches: list[Any] = []
    with pytest.raises(lpu.UnsupportedUltralytics, match=r"OwnCriterion\.__call__ computes its losses without super"):
        train(
            "yolo11n.yaml",
            trainer=lpu.trainer(box="eiou", base=WithOwnCriterion),
            on={"on_train_batch_start": batches.append},
        )
    assert not batches


def test_a_base_that_other_processes_cannot_import_is_refused_for_several_gpus() -> None:
    local = type("Local", (DetectionTrainer,), {})
    cls = lpu.trainer(box="eiou", base=local).func
    again = lpu.trainer(box="eiou", base=type("Local", (DetectionTrainer,), {})).func
    assert again is not cls
    with pytest.raises(lpu.UnsupportedUltralytics, match=r"base=.*Local cannot be imported .*top level of a module"):
        trainers.bases.check_importable(again)
    trainers.bases.check_importable(lpu.trainer(box="eiou", base=Mine).func)
    trainers.bases.check_importable(trainers.LossPluginDetectionTrainer)


# --- a context that nobody keeps -------------------------------------------------------------------------------------


def test_a_context_that_nobody_keeps_holds_until_it_is_left() -> None:
    """Entered by hand, as in a cell of a notebook; its object is kept by nobody, or by a name that is used again."""
    before = class_attributes()
    bbox_loss = BboxLoss(16)
    stock = box_of(bbox_loss)
    context = lpu.patched(box=fixed(3.0))
    gone = weakref.ref(context)
    context.__enter__()
    del context
    gc.collect()
    assert gone() is None
    assert box_of(bbox_loss) == 3.0
    _live_plugs()[0].leaving.close()
    assert box_of(bbox_loss) == stock
    assert same(before)


def test_a_context_that_is_never_left_keeps_no_model() -> None:
    model = make_model("yolo11n.yaml")
    report = lpu.patched(box=fixed(7.0), cls="focal", model=model).__enter__()
    model.loss(batch_of(model))[0].sum().backward()
    copied = copy.deepcopy(model)
    gone = [weakref.ref(each) for each in (model, model.criterion, copied)]
    del model, copied
    gc.collect()
    assert [each() for each in gone] == [None] * 3
    assert report.box.gradient_calls == 1
    _live_plugs()[0].leaving.close()
    assert not _live_plugs()


def _live_plugs() -> list[Any]:
    return list(owners._live.values())


def test_a_context_is_entered_again_once_it_is_left_and_decorates_functions() -> None:
    model = make_model("yolo11n.yaml")
    context = lpu.patched(box=fixed(7.0), model=model)

    @context
    def step(depth: int = 0) -> None:
        assert len(_live_plugs()) == 1
        model.loss(batch_of(model))[0].sum().backward()

    for _ in range(2):
        with context as report:
            model.loss(batch_of(model))[0].sum().backward()
            with pytest.raises(ValueError, match="this context is in force; allowed: "):
                context.__enter__()
        assert report.box.gradient_calls == 1
        step()
    with pytest.raises(ValueError, match="this context is not in force; allowed: "):
        context.__exit__(None, None, None)
    assert not _live_plugs()


def test_a_context_whose_model_is_refused_leaves_nothing_behind() -> None:
    before = class_attributes()
    with pytest.raises(TypeError, match="has no criterion"):
        lpu.patched(box="eiou", model=nn.Linear(1, 1)).__enter__()
    assert not _live_plugs()
    assert same(before)
