"""Boxes that are none: inverted, without area, two points next to each other. Values and gradients are bounded."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.declare import COLUMNS
from loss_plugins.catalog.dialects import dialects_of
from loss_plugins.catalog.entries import get_entry, shipped
from loss_plugins.corners import in_form
from loss_plugins.fusion import by_autograd

from .test_scales import OTHER_FORMS, TRANSFORMS

Loss = Callable[[Tensor, Tensor], Tensor]
BOX = [entry.name for entry in shipped() if entry.kind == "box"]
EVERY = [entry.name for entry in shipped() if entry.kind in COLUMNS]
#: what CONTRIBUTING promises of gradients
BOUND = 1e4
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def build(name: str, **parameters: Any) -> lp.Loss:
    return lp.build_loss(name, **{"reduction": "none", **get_entry(name).example, **parameters}).eval()


def plain(name: str, **parameters: Any) -> Loss:
    """The function, by autograd: as the module, but for the program that it records."""
    return functools.partial(getattr(lp, f"{name}_loss"), **{**get_entry(name).example, **parameters})


def value_and_gradient(module: Loss, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    leaf = pred.clone().requires_grad_()
    loss = module(leaf, target)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return loss.detach(), gradient


def forms(name: str) -> list[dict[str, Any]]:
    known = get_entry(name).parameters.keys()
    return [{}, *OTHER_FORMS.get(name, []), *(extra for extra in TRANSFORMS if extra.keys() <= known)]


VARIANTS = [(name, form) for name in BOX for form in forms(name)]


def inverted(count: int, which: str) -> tuple[Tensor, Tensor]:
    """Whole pixels, so that sides and areas of both signs often cancel exactly, and fractions."""
    generator = torch.Generator().manual_seed(7)
    low = torch.randint(0, 60, (2, count, 2), generator=generator).double()
    side = torch.randint(1, 60, (2, count, 2), generator=generator).double()
    half = count // 2
    low[:, half:] += torch.rand(2, count - half, 2, generator=generator, dtype=torch.float64)
    side[:, half:] *= torch.rand(2, count - half, 2, generator=generator, dtype=torch.float64) + 0.5
    sign = torch.tensor([[-1.0, 1], [1, -1], [-1, -1]])[torch.randint(0, 3, (2, count), generator=generator)]
    for index, box in enumerate(("pred", "target")):
        if which in (box, "both"):
            side[index] *= sign[index]
    pred, target = torch.cat((low, low + side), -1)
    return pred, target


INVERTED = {which: inverted(7000, which) for which in ("pred", "target", "both")}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", BOX)
def test_inverted_boxes_have_bounded_value_and_gradient(name: str, dtype: torch.dtype) -> None:
    pred, target = (torch.cat(boxes).to(dtype) for boxes in zip(*map(INVERTED.get, INVERTED), strict=True))
    loss, gradient = value_and_gradient(build(name), pred, target)
    # a term of valid boxes is at most 1, of inverted ones 4, and Alpha-IoU raises it to the third power
    assert loss.abs().max() <= (65 if name.startswith("alpha") else 13)
    assert gradient.abs().max() < BOUND


@pytest.mark.parametrize(("name", "parameters"), [v for v in VARIANTS if v[1]], ids=str)
def test_transforms_of_inverted_boxes_stay_bounded(name: str, parameters: dict[str, Any]) -> None:
    pred, target = (torch.cat(boxes).float() for boxes in zip(*map(INVERTED.get, INVERTED), strict=True))
    loss, gradient = value_and_gradient(plain(name, **parameters), pred, target)
    assert loss.abs().max() <= 65
    assert gradient.abs().max() < BOUND


def test_boxes_given_as_centre_and_size_where_corners_are_wanted() -> None:
    pred, target = torch.tensor([[60.0, 50, 40, 40]]), torch.tensor([[10.0, 40, 20, 20]])
    loss, gradient = value_and_gradient(build("eiou"), pred, target)
    assert 1 <= float(loss) <= 13
    assert 0 < gradient.abs().max() < 1


@pytest.mark.parametrize("name", [n for n in BOX if get_entry(n).traits.gradient_when_disjoint and n != "wiou"])
def test_an_inverted_prediction_is_pulled(name: str) -> None:
    pred = torch.tensor([[30.0, 5, 12, 25], [14, 22, 28, 8], [60, 60, 50, 50]])
    target = torch.tensor([[12.0, 8, 28, 22]]).expand(3, 4)
    _, gradient = value_and_gradient(build(name), pred, target)
    assert (gradient.abs().amax(-1) > 0).all()


# --- boxes without area -------------------------------------------------------------------------------------------

#: width, height
EMPTY = [(0.0, 0.0), (0.0, 6.0), (6.0, 0.0)]


def empty_boxes(kind: str, x: float = 7.0, y: float = 3.0) -> Tensor:
    if kind == "rotated_box":
        return torch.tensor([(x, y, w, h, 0.3) for w, h in EMPTY])
    return in_form(kind, torch.tensor([(x, y, x + w, y + h) for w, h in EMPTY]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", [name for name in EVERY if get_entry(name).traits.zero_at_equality])
def test_two_equal_boxes_without_area_cost_nothing(name: str, dtype: torch.dtype) -> None:
    for parameters in forms(name):
        module = plain(name, **parameters)
        for corner in ((7.0, 3.0), (0.0, 0.0), (639.3, 411.7)):
            boxes = empty_boxes(get_entry(name).kind, *corner).to(dtype)
            loss, gradient = value_and_gradient(module, boxes, boxes)
            assert loss.abs().max() < 1e-3, parameters
            assert gradient.abs().max() < BOUND, parameters


@pytest.mark.parametrize("name", [name for name in BOX if name not in ("mix", "nwd", "focal_eiou")])
def test_two_different_boxes_without_area_do_not_overlap(name: str) -> None:
    boxes = empty_boxes("box")
    loss = plain(name)(boxes + 0.5, boxes)
    assert loss.min() > 0.5


def test_kfiou_of_two_equal_boxes_without_area_is_its_least() -> None:
    boxes = empty_boxes("rotated_box")
    torch.testing.assert_close(lp.kfiou_loss(boxes, boxes), torch.full((3,), 2 / 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", EVERY)
def test_boxes_without_area_next_to_each_other_have_bounded_gradients(name: str, dtype: torch.dtype) -> None:
    kind = get_entry(name).kind
    offsets = itertools.product((0.0, 1e-38, 1e-10, 6e-8, 1.2e-7, 1e-5, 3e-4, 1e-2, 1.0), (0.0, 6e-8, 1e-4, 2.0))
    moved = torch.cat([empty_boxes(kind, x, y) for x, y in offsets]).to(dtype)
    pred = moved.repeat(3, 1)
    target = empty_boxes(kind, 0.0, 0.0).to(dtype).repeat_interleave(len(moved), 0)
    for parameters in forms(name):
        loss, gradient = value_and_gradient(plain(name, **parameters), pred, target)
        assert loss.isfinite().all(), parameters
        assert gradient.abs().max() < BOUND, (parameters, pred[gradient.abs().amax(-1).argmax()])


#: what the installed built-ins answer for two equal boxes without area; NaN where they are broken
INSTALLED = {
    ("iou", "ultralytics"): 1.0,
    ("giou", "ultralytics"): 1.0,
    ("diou", "ultralytics"): 1.0,
    ("ciou", "ultralytics"): 1.0,
    ("giou", "torchvision"): 1.0,
    ("diou", "torchvision"): 1.0,
    ("ciou", "torchvision"): float("nan"),
}


@pytest.mark.parametrize(("name", "dialect"), list(INSTALLED), ids=str)
def test_dialects_answer_as_installed_and_are_finite_where_that_is_not(name: str, dialect: str) -> None:
    boxes = torch.tensor([[7.0, 7, 7, 7]])
    loss, gradient = value_and_gradient(plain(name, dialect=dialect), boxes, boxes)
    theirs = installed_loss(name, dialect, boxes)
    torch.testing.assert_close(theirs, torch.tensor([INSTALLED[name, dialect]]), equal_nan=True)
    assert loss.isfinite().all()
    assert gradient.isfinite().all()
    if theirs.isfinite().all():
        torch.testing.assert_close(loss, theirs)


def installed_loss(name: str, dialect: str, boxes: Tensor) -> Tensor:
    if dialect == "ultralytics":
        from ultralytics.utils.metrics import bbox_iou

        flags = {} if name == "iou" else {f"{name[0].upper()}IoU": True}
        return 1 - bbox_iou(boxes, boxes, xywh=False, **flags).flatten()
    from torchvision import ops

    long = {"giou": "generalized", "diou": "distance", "ciou": "complete"}[name]
    found: Tensor = getattr(ops, f"{long}_box_iou_loss")(boxes, boxes)
    return found


# --- every epsilon -------------------------------------------------------------------------------------------------

HOSTILE = [
    [0.0, 0, 4, 4], [4, 4, 0, 0], [0, 0, 2, 2], [2, 0, 4, 2], [1, 1, 2, 3], [3, 1, 1, 5], [1, 5, 3, 1], [2, 2, 2, 2],
    [0, 3, 5, 3], [3, 0, 3, 5], [5, 3, 0, 3], [0, 0, 0, 4], [0, 4, 0, 0], [1, 4, 0, 4], [2, 1, 2, 2],
]  # fmt: skip
SPOKEN = [(name, dialect) for name in BOX for dialect in (None, *dialects_of(name))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("name", "dialect"), SPOKEN, ids=str)
def test_every_epsilon_keeps_value_and_gradient_finite(name: str, dialect: str | None, dtype: torch.dtype) -> None:
    """Sound, inverted, flat and point boxes, each with each, whatever a framework would divide by.

    In single precision by a program, in double by autograd: a program is of the same operations in both.
    """
    pred, target = (torch.tensor(side, dtype=dtype) for side in zip(*itertools.product(HOSTILE, HOSTILE), strict=True))
    spoken = {} if dialect is None else {"dialect": dialect}
    for eps in ({}, {"eps": 0.0}, {"eps": 1e-20}, {"eps": 1e-7}, {"eps": 0.1}):
        if eps and not takes(name, **spoken, **eps):
            continue
        with by_autograd() if dtype == torch.float64 else contextlib.nullcontext():
            found = value_and_gradient(build(name, **spoken, **eps), pred, target)
        for part in found:
            assert part.isfinite().all(), (eps, pred[~part.reshape(len(pred), -1).isfinite().all(-1)][:3])


def takes(name: str, **parameters: Any) -> bool:
    """Whether a loss has such an epsilon: where a framework has none, or ours a range, it is refused by name."""
    try:
        build(name, **parameters)
    except (TypeError, ValueError) as error:
        if "eps" not in str(error):
            raise
        return False
    return True
