"""A dialect has the framework's own value and gradient: at every length of boxes, and with every epsilon it takes."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.samples import SAMPLES

Loss = Callable[[Tensor, Tensor], Tensor]
LENGTHS = [1e-5, 1e-4, 1e-3, 1e-2, 1.0, 1e2, 1e4]
EPSILONS = [1e-9, 1e-7, 1e-6, 1e-3, 0.1]
LONG = {"giou": "generalized", "diou": "distance", "ciou": "complete"}
FLAGS = {"iou": {}, "giou": {"GIoU": True}, "diou": {"DIoU": True}, "ciou": {"CIoU": True}}


def torchvision(name: str, eps: float) -> Loss:
    from torchvision import ops

    loss = getattr(ops, f"{LONG[name]}_box_iou_loss")
    return lambda pred, target: loss(pred, target, eps=eps)


def ultralytics(name: str, eps: float) -> Loss:
    from ultralytics.utils.metrics import bbox_iou

    return lambda pred, target: 1 - bbox_iou(pred, target, xywh=False, eps=eps, **FLAGS[name]).flatten()


def mmdet(name: str, eps: float) -> Loss:
    # the package has a function of the module's name
    losses = importlib.import_module("mmdet.models.losses.iou_loss")
    loss = getattr(losses, "eiou_loss" if name == "extended_iou" else f"{name}_loss")
    further = {"iou": {"mode": "log"}, "siou": {"neg_gamma": True}}.get(name, {})
    return lambda pred, target: loss(pred, target, eps=eps, reduction="none", **further)


THEIRS: dict[str, tuple[Callable[[str, float], Loss], tuple[str, ...]]] = {
    "torchvision": (torchvision, ("giou", "diou", "ciou")),
    "ultralytics": (ultralytics, ("iou", "giou", "diou", "ciou")),
    "mmdet": (mmdet, ("iou", "giou", "diou", "ciou", "siou", "extended_iou")),
}


def subjects() -> Iterator[tuple[str, str]]:
    for framework, (_, names) in THEIRS.items():
        yield from ((framework, name) for name in names)


def ours(framework: str, name: str, eps: float) -> Loss:
    loss: Any = getattr(lp, f"{name}_loss")
    return lambda pred, target: loss(pred, target, eps=eps, dialect=framework)


def boxes(length: float) -> tuple[Tensor, Tensor]:
    """Jittered boxes of which the longest is of that length."""
    pred, target = SAMPLES["jittered boxes"](200, 3, torch.float64)
    assert isinstance(target, Tensor)
    factor = length / float((target[:, 2:] - target[:, :2]).amax())
    return pred * factor, target * factor


def value_and_gradient(loss: Loss, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    leaf = pred.clone().requires_grad_()
    value = loss(leaf, target)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), gradient


@pytest.mark.parametrize(("framework", "name"), list(subjects()))
@pytest.mark.parametrize("length", LENGTHS)
def test_dialects_have_the_framework_s_gradient_at_every_length_and_epsilon(
    framework: str, name: str, length: float
) -> None:
    pred, target = boxes(length)
    for eps in EPSILONS:
        value, gradient = value_and_gradient(ours(framework, name, eps), pred, target)
        theirs, slope = value_and_gradient(THEIRS[framework][0](name, eps), pred, target)
        torch.testing.assert_close(value, theirs, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(gradient * length, slope * length, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("framework", "name"), list(subjects()))
def test_dialects_take_an_epsilon_of_0_and_are_finite_on_flat_boxes(framework: str, name: str) -> None:
    pred, target = boxes(100.0)
    value, gradient = value_and_gradient(ours(framework, name, 0.0), pred, target)
    theirs, slope = value_and_gradient(THEIRS[framework][0](name, 0.0), pred, target)
    kept = theirs.isfinite() & slope.isfinite().all(-1)  # -ln 0 of boxes apart
    assert kept.sum() > 100
    torch.testing.assert_close(value[kept], theirs[kept], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradient[kept], slope[kept], rtol=1e-6, atol=1e-8)
    flat = torch.tensor([[1.0, 1, 1, 1], [1, 1, 1, 4], [1, 1, 4, 1], [2, 2, 2, 2], [1, 1, 4, 4]])
    pairs = flat.repeat(5, 1), flat.repeat_interleave(5, 0)
    for part in value_and_gradient(ours(framework, name, 0.0), *pairs):
        assert part.isfinite().all()


TOUCHING = ([0.0, 0, 2, 2], [2.0, 0, 4, 2])
CONCENTRIC = ([1.0, 2, 3, 2], [0.0, 0, 4, 4])
#: what the derivative of their clamp, 1 at 0, adds to that of our relu, 0 at 0: on record, the values are equal
AT_ZERO = [
    (framework, name, pair, extra)
    for framework in ("ultralytics", "mmdet")
    for name in ("diou", "ciou")
    for pair, extra in ((TOUCHING, [0, 0, -0.25, 0]), (CONCENTRIC, [0, 0.125, 0, -0.125]))
]
#: torchvision writes the overlap of boxes with area only, and no clamp: equal to ours
EQUAL_AT_ZERO = [("torchvision", "diou", pair, [0, 0, 0, 0]) for pair in (TOUCHING, CONCENTRIC)]


@pytest.mark.parametrize(("framework", "name", "pair", "extra"), [*AT_ZERO, *EQUAL_AT_ZERO])
def test_how_gradients_differ_for_boxes_that_touch_or_are_flat(
    framework: str, name: str, pair: tuple[list[float], list[float]], extra: list[float]
) -> None:
    pred, target = (torch.tensor([box], dtype=torch.float64) for box in pair)
    value, gradient = value_and_gradient(ours(framework, name, 1e-7), pred, target)
    theirs, slope = value_and_gradient(THEIRS[framework][0](name, 1e-7), pred, target)
    torch.testing.assert_close(value, theirs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(slope - gradient, torch.tensor([extra], dtype=torch.float64), rtol=1e-5, atol=1e-6)
