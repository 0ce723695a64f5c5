"""One loss computation on every family: the plug reaches each branch, and the stock loss is reproduced to the bit."""

from __future__ import annotations

import contextlib
import copy
import random
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.spec import BOX_KINDS
from loss_plugins.catalog.entries import shipped

from .ultralytics_runs import ROTATED_TWIN, STOCK_TWIN, batch_of

#: model file -> class, number of criterion branches
MODELS = {
    "yolov8n.yaml": (tasks.DetectionModel, 1),
    "yolov9t.yaml": (tasks.DetectionModel, 1),
    "yolov10n.yaml": (tasks.DetectionModel, 2),
    "yolo11n.yaml": (tasks.DetectionModel, 1),
    "yolo12n.yaml": (tasks.DetectionModel, 1),
    "yolo26n.yaml": (tasks.DetectionModel, 2),
    "yolov8n-seg.yaml": (tasks.SegmentationModel, 1),
    "yolo26n-seg.yaml": (tasks.SegmentationModel, 2),
    "yolo11n-pose.yaml": (tasks.PoseModel, 1),
    "yolo26n-pose.yaml": (tasks.PoseModel, 2),
    "yolov8n-obb.yaml": (tasks.OBBModel, 1),
    "yolo26n-obb.yaml": (tasks.OBBModel, 2),
    "yolov8s-world.yaml": (tasks.WorldModel, 1),
}


def make_model(file: str) -> nn.Module:
    torch.manual_seed(0)
    random.seed(0)
    numpy.random.seed(0)
    cls = MODELS[file][0]
    model = cls(file, nc=3, verbose=False)
    model.args = get_cfg()
    return model.train()


def loss_and_gradients(model: nn.Module) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
    total, items = model.loss(batch_of(model))
    model.zero_grad()
    total.sum().backward()
    gradients = [p.grad.clone() if p.grad is not None else torch.zeros_like(p) for p in model.parameters()]
    return total.detach(), items, gradients


@pytest.mark.parametrize("file", MODELS)
def test_every_family(file: str) -> None:
    model = make_model(file)
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def computed(**losses: Any) -> tuple[Any, ...]:
        model.load_state_dict(state)
        model.criterion = None
        if not losses:
            return (*loss_and_gradients(model), None)
        with lpu.patched(**losses) as report:
            return (*loss_and_gradients(model), report)

    total, items, gradients, _ = computed()
    rotated = isinstance(model, tasks.OBBModel)
    twin, other = (ROTATED_TWIN, "kld") if rotated else (STOCK_TWIN, "eiou")
    twin_total, twin_items, twin_gradients, report = computed(box=twin)
    assert report.box.train_calls == report.box.gradient_calls == MODELS[file][1]
    torch.testing.assert_close(twin_total, total, rtol=1e-6 if rotated else 0, atol=0)
    assert {name: float(value) for name, value in twin_items.items()} == {
        name: pytest.approx(float(value), rel=1e-6 if rotated else 0) for name, value in items.items()
    }
    if rotated:  # ProbIoU of ours orders its operations otherwise
        for ours, theirs in zip(twin_gradients, gradients, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5 * float(theirs.abs().max()) + 1e-6)
    else:
        assert all(torch.equal(a, b) for a, b in zip(gradients, twin_gradients, strict=True))

    _, other_items, other_gradients, _ = computed(box=other)
    assert float(other_items["box_loss"]) != float(items["box_loss"])
    changed = sum(float((a - b).abs().sum()) for a, b in zip(gradients, other_gradients, strict=True))
    assert changed > 1e-3 * sum(float(a.abs().sum()) for a in gradients)
    untouched = [name for name in items if name != "box_loss"]
    assert all(float(items[name]) == float(other_items[name]) for name in untouched)

    constant = "constant_rotated" if rotated else "constant"
    seven = float(computed(box=constant)[1]["box_loss"])
    fourteen = float(computed(box={"type": constant, "value": 14.0})[1]["box_loss"])
    assert fourteen == pytest.approx(2 * seven, rel=1e-6)


# --- every loss ----------------------------------------------------------------------------------------------------


#: the stock class loss; Slide is that below mu - 0.1, and the targets of a model at its beginning are below 0.1; EQLv2
#: weighs nothing before it has learnt
AS_STOCK = ("bce_with_logits", "slide", "ema_slide", "eqlv2")


def slots() -> list[Any]:
    """Every shipped box loss, and every class loss that fits the class slot."""
    found = []
    for entry in shipped():
        example = {key: value for key, value in entry.example.items() if key != "image_size"}  # it is the batch's
        spec = {"type": entry.name, **example}
        if entry.kind in BOX_KINDS:
            found.append(pytest.param({"box": spec}, id=f"box-{entry.name}"))
        elif entry.name in CLASS_LOSSES:
            found.append(pytest.param({"cls": spec}, id=f"cls-{entry.name}"))
    return found


CLASS_LOSSES = {
    "asymmetric", "bce_with_logits", "efl", "ema_slide", "eqlv2", "focal", "ghm_c", "ia_bce", "matchability",
    "poly_focal", "quality_focal", "slide", "varifocal",
}  # fmt: skip


def test_these_class_losses_fit_and_no_others() -> None:
    for entry in shipped():
        if entry.kind == "classification":
            try:
                lpu.make_spec(cls={"type": entry.name, **entry.example})
                fits = True
            except ValueError:
                fits = False
            assert fits == (entry.name in CLASS_LOSSES), entry.name


@pytest.fixture(scope="module")
def small_model() -> nn.Module:
    return hesitant("yolo11n.yaml")


@pytest.fixture(scope="module")
def small_rotated_model() -> nn.Module:
    return hesitant("yolov8n-obb.yaml")


def hesitant(file: str) -> nn.Module:
    model = make_model(file)
    for level in model.model[-1].cv3:  # a new head says 'no' everywhere: here it hesitates, as a trained one does
        torch.nn.init.normal_(level[-1].bias, std=2.0)
    return model


@pytest.fixture(scope="module")
def stock(small_model: nn.Module, small_rotated_model: nn.Module) -> dict[str, tuple[float, list[Tensor]]]:
    """By kind: box loss and gradients of the first batch with the stock loss, for boxes by its twin."""
    found = {}
    twins = {"box": {"box": STOCK_TWIN}, "rotated_box": {"box": ROTATED_TWIN}, "classification": None}
    for slot, losses in twins.items():
        model = copy.deepcopy(small_rotated_model if slot == "rotated_box" else small_model)
        model.criterion = None
        with lpu.patched(**losses) if losses else contextlib.nullcontext():
            _, items, gradients = loss_and_gradients(model)
        found[slot] = (float(items["box_loss"]), gradients)
    return found


@pytest.mark.parametrize("losses", slots())
def test_every_loss_trains_a_few_batches(
    losses: dict[str, Any],
    small_model: nn.Module,
    small_rotated_model: nn.Module,
    stock: dict[str, tuple[float, list[Tensor]]],
) -> None:
    (slot,) = losses
    kind = lp.get_entry(losses[slot]["type"]).kind
    box_loss, stock_gradients = stock[kind]
    model = copy.deepcopy(small_rotated_model if kind == "rotated_box" else small_model)
    model.criterion = None
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with lpu.patched(**losses) as report:
        for step in range(3):
            total, new_items, gradients = loss_and_gradients(model)
            assert total.isfinite().all()
            assert all(gradient.isfinite().all() for gradient in gradients)
            if step == 0:
                changed = sum(float((a - b).abs().sum()) for a, b in zip(gradients, stock_gradients, strict=True))
            optimizer.step()
    assert getattr(report, slot).gradient_calls == 3
    same = losses[slot]["type"] in AS_STOCK
    assert (changed == 0) == same, "a loss of ours must pull otherwise than the stock loss"
    assert same or float(new_items["box_loss"]) != box_loss


def test_compiled_losses_train_as_the_others_do(small_model: nn.Module) -> None:
    """Box and class loss by machine code: the same loss and gradients, and the proof that they run."""
    results = []
    for compiled in (False, True):
        box, cls = ({"type": name, **({"compile": True} if compiled else {})} for name in ("eiou", "quality_focal"))
        model = copy.deepcopy(small_model)
        model.criterion = None
        with lpu.patched(box=box, cls=cls) as report:
            results.append(loss_and_gradients(model))
        assert report.box.train_calls == report.cls.train_calls == 1
    (plain, _, gradients), (machine, _, others) = results
    torch.testing.assert_close(machine, plain, rtol=1e-5, atol=1e-6)
    largest = max(float(gradient.abs().max()) for gradient in gradients)
    for ours, theirs in zip(others, gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5 * largest)


def test_a_trainer_that_compiles_without_a_compiler_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RuntimeError, match="compile=True needs a C"):
        lpu.trainer("detect", box={"type": "ciou", "compile": True})
