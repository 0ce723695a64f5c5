"""The door for programs that run without torch: the list is the loss and its gradient, or says why there is none."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import get_entry
from loss_plugins.fusion import NotTraceable, program_of
from loss_plugins.samples import sample_pairs, trial_pairs

BOXES = functools.partial(trial_pairs, "box")


def columns(*parts: Tensor) -> dict[str, Tensor]:
    names = [f"{part}_{i}" for part in ("pred", "target") for i in range(4)]
    return dict(zip(names, (column for part in parts for column in part.unbind(-1)), strict=True))


def by_autograd(function: Callable[..., Tensor], pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    leaf = pred.clone().requires_grad_()
    loss = function(leaf, target)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return loss.detach(), gradient


@pytest.mark.parametrize(
    ("name", "far"), [("iou", 0), ("giou", 0), ("diou", 0), ("extended_iou", 0), ("ciou", 1e-13), ("gcd", 1e-13)]
)
def test_a_list_is_the_program_of_the_loss(name: str, far: float) -> None:
    """Of boxes that overlap, touch, are apart or the same; bit for bit where nothing but arithmetic is done."""
    pred, target = sample_pairs(200, dtype=torch.float64)
    pred, target = torch.cat([pred, target, pred.round()]), torch.cat([target, target, target.round()])
    listing = program_of(get_entry(name).function, BOXES, finite=True)
    loss, gradient = listing.run(columns(pred, target))
    wanted, slope = by_autograd(lp.build_loss(name, reduction="none"), pred, target)
    torch.testing.assert_close(loss, wanted, rtol=far, atol=0)
    torch.testing.assert_close(torch.stack(gradient, -1), slope, rtol=far, atol=far)


def test_numbers_are_inputs() -> None:
    pred, target = sample_pairs(50, dtype=torch.float64)
    function = get_entry("ciou").function
    listing = program_of(function, BOXES, {"inner_ratio": 0.75}, finite=True)
    assert listing.inputs[8:] == ("inner_ratio",)
    for ratio in (0.5, 1.0, 1.4):
        given = {**columns(pred, target), "inner_ratio": torch.tensor(ratio, dtype=torch.float64)}
        loss, gradient = listing.run(given)
        wanted, slope = by_autograd(functools.partial(lp.ciou_loss, inner_ratio=ratio), pred, target)
        torch.testing.assert_close(loss, wanted, rtol=1e-13, atol=1e-15)
        torch.testing.assert_close(torch.stack(gradient, -1), slope, rtol=1e-11, atol=1e-16)


def test_operations_use_what_is_known_and_each_is_plain() -> None:
    listing = program_of(get_entry("siou").function, BOXES, {"theta": 4.0}, finite=True)
    known = {*listing.inputs}
    for each in listing.operations:
        assert all(isinstance(argument, float) or argument in known for argument in each.arguments)
        known.add(each.result)
    assert {listing.loss, *listing.gradient} <= known
    assert len(listing.gradient) == 4


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda pred, target: (pred - target).abs().sum(-1) * float(pred.sum()), "reads a number|numbers in its"),
        (lambda pred, target: (pred - target).abs().sum(-1) / (pred - target).abs().sum(), "several rows at once"),
        (lambda pred, target: (pred - target).abs().sum(-1) / len(pred), "other numbers than autograd"),
        (lambda pred, target: (pred - target).abs(), "laid out otherwise|RuntimeError"),
        (lambda pred, target: undefined, "NameError"),  # type: ignore[name-defined]  # noqa: F821
    ],
)
def test_what_is_no_loss_per_row_is_refused_with_the_reason(function: Callable[..., Tensor], why: str) -> None:
    with pytest.raises(NotTraceable, match=why):
        program_of(function, BOXES)


def test_a_number_times_nothing_else_keeps_its_column() -> None:
    """The slope of scale * sum(|d|) is scale in every row, though scale has no dimension."""
    pred, target = sample_pairs(9, dtype=torch.float64)
    listing = program_of(lambda pred, target, *, scale: scale * (pred - target).abs().sum(-1), BOXES, {"scale": 2.0})
    given = {**columns(pred, target), "scale": torch.tensor(3.0, dtype=torch.float64)}
    loss, gradient = listing.run(given)
    torch.testing.assert_close(loss, 3 * (pred - target).abs().sum(-1))
    torch.testing.assert_close(torch.stack(gradient, -1), 3 * (pred - target).sign())


def test_clamps_and_stacks_are_taken_apart() -> None:
    def loss(pred: Tensor, target: Tensor) -> Tensor:
        both = torch.stack([pred[..., 0] - target[..., 0], pred[..., 3] - target[..., 3]], -1)
        return both.clamp(-0.5, 0.5).square().sum(-1) + both.clamp(max=0.25)[..., 1]

    pred, target = sample_pairs(40, dtype=torch.float64)
    pred, target = pred / 100, target / 100
    listing = program_of(loss, BOXES)
    assert {each.name for each in listing.operations}.isdisjoint({"clamp", "stack", "sum", "select"})
    found, gradient = listing.run(columns(pred, target))
    wanted, slope = by_autograd(loss, pred, target)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(torch.stack([each.expand(40) for each in gradient], -1), slope)
