# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two functions of one place that compute different things are two losses, whatever they are made of."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu

pytestmark = pytest.mark.usefixtures("own_losses")
PAIR = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2]])  # IoU 1/3


def power(pred: Tensor, target: Tensor, alpha: float = 1.0) -> Tensor:
    return 1 - (1 - lp.iou_loss(pred, target)) ** alpha


class Power:
    def __init__(self, alpha: float) -> None:
        self.alpha = alpha

    def __call__(self, pred: Tensor, target: Tensor) -> Tensor:
        return power(pred, target, self.alpha)

    def method(self, pred: Tensor, target: Tensor) -> Tensor:
        return self(pred, target)


class Module(nn.Module):
    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return power(pred, target, self.alpha)


def shipped(alpha: float) -> Any:
    return lp.build_loss("alpha_iou", alpha=alpha, reduction="none")


MADE: dict[str, Callable[[float], Any]] = {
    "a partial": lambda alpha: functools.partial(power, alpha=alpha),
    "an object": Power,
    "a partial of an object": lambda alpha: functools.partial(Power(alpha)),
    "a method": lambda alpha: Power(alpha).method,
    "a partial of a method": lambda alpha: functools.partial(Power(alpha).method),
    "a module": Module,
    "a function in a function": lambda alpha: lambda pred, target: power(pred, target, alpha),
    "a partial of ours": lambda alpha: functools.partial(lp.alpha_iou_loss, alpha=alpha),
    "a partial of a partial of ours": lambda alpha: functools.partial(
        functools.partial(lp.alpha_iou_loss), alpha=alpha
    ),
    "a module of ours": shipped,
    "a partial of a module of ours": lambda alpha: functools.partial(shipped(alpha)),
    "a method of ours": lambda alpha: shipped(alpha).elementwise,
}


@pytest.mark.parametrize("how", MADE)
def test_each_value_of_a_parameter_is_trained(how: str) -> None:
    specs = [lpu.make_spec(box=MADE[how](alpha)) for alpha in (1.0, 2.0, 3.0, 2.0)]
    losses = [float(spec.build("box")(*PAIR)) for spec in specs]
    assert losses == pytest.approx([1 - (1 / 3) ** alpha for alpha in (1, 2, 3, 2)], rel=1e-4)
    assert specs[1] == specs[3]  # made anew, as when a cell of a notebook runs again
    assert len({spec.to_json() for spec in specs}) == 3


def doubled(function: Any) -> Any:
    @functools.wraps(function)
    def inside(pred: Tensor, target: Tensor) -> Tensor:
        return 2 * function(pred, target)

    return inside


@pytest.mark.parametrize("inside", ["a function", "a registered one", "one of ours"])
def test_a_decorated_function_is_not_the_one_inside(inside: str) -> None:
    """`functools.wraps` gives it the name, the attributes and a reference of the function that it calls."""

    def plain(pred: Tensor, target: Tensor) -> Tensor:
        return power(pred, target, 2.0)

    registered = lp.register_loss("registered_power", kind="box")(plain)
    function, alpha = {
        "a function": (power, 1), "a registered one": (registered, 2), "one of ours": (lp.iou_loss, 1)
    }[inside]  # fmt: skip
    twice, again = doubled(function), doubled(function)
    specs = [lpu.make_spec(box=each) for each in (function, twice, doubled(twice), again, function)]
    cost = 1 - (1 / 3) ** alpha
    assert [float(spec.build("box")(*PAIR)) / cost for spec in specs] == pytest.approx([1, 2, 4, 2, 1], rel=1e-4)
    assert specs[0] == specs[4]
    assert specs[1] == specs[3]


@pytest.mark.parametrize(
    "broken",
    [
        lambda pred, target: (pred - target).abs().sum(-1) / 0,
        lambda pred, target: (pred - target).abs().sum(-1) * float("nan"),
        lambda pred, target: ((pred - target) * 0 + 1e-30).sum(-1).sqrt() + (pred - pred).sum(-1).sqrt(),
    ],
)
def test_a_loss_that_is_not_finite_is_refused_before_training(broken: Any) -> None:
    lp.register_loss("broken_loss", kind="box")(broken)
    for asked in (broken, "broken_loss"):
        with pytest.raises(ValueError, match="NaN or infinite"):
            lpu.patched(box=asked)


@pytest.mark.parametrize("name", ["module", "mix", "samples", "tensors", "eiou", "eiou_loss", "Eiou", "nn"])
def test_a_function_may_be_called_like_something_of_ours(name: str) -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return power(pred, target, 2.0)

    own.__name__ = own.__qualname__ = name
    spec = lpu.make_spec(box=own)
    assert float(spec.build("box")(*PAIR)) == pytest.approx(1 - (1 / 3) ** 2, rel=1e-4)
