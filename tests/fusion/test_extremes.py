"""Where a loss of one's own has an infinite slope, wider numbers, or another formula for another number of axes."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import loss_plugins as lp

from .own import built, by_both, is_fused, registered

Function = Callable[[Tensor, Tensor], Tensor]


def smooth(x: Tensor) -> Tensor:
    """Enough operations for a program to be worth it, near 1 for any x."""
    return 1 + 1e-3 * (x * 1e-4).sin().cos().exp().log().tanh().atan()


#: the square root of what relu, maximum or clamp has set to 0 has an infinite slope there, which their own 0 hides
HIDDEN: dict[str, Function] = {
    "relu": lambda pred, target: (pred - target + 50).relu().sqrt() + smooth(pred - target),
    "power": lambda pred, target: (pred - target + 50).relu() ** 0.3 + smooth(pred - target),
    "maximum": lambda pred, target: (pred - target).maximum(torch.zeros_like(pred)).sqrt() + smooth(pred - target),
    "minimum": lambda pred, target: (-(pred - target).minimum(torch.zeros_like(pred))).sqrt() + smooth(pred - target),
    "clamp": lambda pred, target: (pred - target).clamp(min=0).sqrt() + smooth(pred - target),
    "logarithm": lambda pred, target: (pred - target).relu().log().exp() + smooth(pred - target),
}


def same_numbers(
    function: Function, kind: str, pred: Tensor, target: Tensor, ways: tuple[bool, ...] = (False, True)
) -> list[bool]:
    """Whether it was fused, in eager mode and compiled (or in these ways), after comparing it with autograd."""
    fused = []

    def own(pred: Tensor, target: Tensor) -> Tensor:
        return function(pred, target)

    with registered(own, kind) as name, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that it is not fused
        for compiled in ways:
            module = built(name, compiled)
            assert module is not None
            ours, plain = by_both(module, pred, target)
            for found, wanted in zip(ours, plain, strict=True):
                torch.testing.assert_close(found, wanted, rtol=1e-5, atol=0, equal_nan=True)
            fused.append(is_fused(module, pred, target))
    return fused


@pytest.mark.parametrize("what", HIDDEN)
def test_an_infinite_slope_behind_a_0_is_hidden_by_it(what: str) -> None:
    difference = torch.tensor([-100.0, -50, -49, -1, 1, 2, 60, 100]).view(2, 4)
    ways = (False, True) if what == "maximum" else (False,)  # machine code takes a time to make
    fused = same_numbers(HIDDEN[what], "classification", difference, torch.zeros(2, 4), ways)
    assert all(fused)


def test_boxes_that_match_have_no_slope_behind_relu() -> None:
    target = torch.tensor([[0.0, 0, 1, 1], [0, 0, 2, 3], [5, 5, 6, 7]])
    pred = target + torch.tensor([[0.0], [0], [0.25]])
    assert same_numbers(lambda a, b: lp.iou_loss(a, b).relu().sqrt(), "box", pred, target, (False,)) == [True]


def wide(pred: Tensor, target: Tensor) -> Tensor:
    """Computed in float64, where small differences and squares of large ones are not lost."""
    distance = (pred - target).double()
    return (torch.sqrt(1 + (distance * distance) ** 2) - 1).float() + 0 * smooth(pred)


def test_what_is_computed_in_wider_numbers_stays_in_them() -> None:
    pred = torch.tensor([0.01, 1e-3, 1e10, 1.0]).view(2, 2)
    assert same_numbers(wide, "classification", pred, torch.zeros(2, 2), (False,)) == [True]


RANKS: dict[str, tuple[str, tuple[int, ...], Function]] = {
    "elements": ("classification", (4, 4), lambda x, pred: x * 2 if pred.ndim == 1 else x),
    "maps": ("classification", (2, 3, 4, 4), lambda x, pred: x * 2 if pred.dim() == 1 else x),
    "an exponent": ("classification", (4, 4), lambda x, pred: x ** float(pred.ndimension())),
    "boxes": ("box", (2, 3, 4), lambda x, pred: x * 2 if pred.ndim == 2 else x),
    "the length of its shape": ("box", (2, 3, 4), lambda x, pred: x * len(pred.shape)),
}


@pytest.mark.parametrize("what", RANKS)
def test_what_depends_on_the_number_of_axes_is_not_fused(what: str) -> None:
    """Only where numbers are large, which no trial has."""
    kind, shape, large = RANKS[what]

    def function(pred: Tensor, target: Tensor) -> Tensor:
        x = (pred - target).abs() if kind == "classification" else (pred - target).abs().sum(-1)
        return torch.where(x > 1e3, large(x, pred), x) + smooth(x)

    generator = torch.Generator().manual_seed(0)
    pred, target = torch.rand(2, *shape, generator=generator)
    assert same_numbers(function, kind, pred * 1e4, target) == [False, False]
