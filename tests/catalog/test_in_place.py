"""A function of a loss of one's own that changes a tensor of the caller in place is refused, on every way to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.declare import KINDS
from loss_plugins.errors import WrongResult
from loss_plugins.samples import trial_pairs

from . import test_results
from .test_results import CALLS, cost, learning, state

NAME = "in_place_own"
pytestmark = pytest.mark.filterwarnings("ignore:.*runs by ordinary autograd")


@pytest.fixture(autouse=True)
def _free_name() -> Iterator[None]:
    yield
    for name in {NAME, test_results.NAME}.intersection(lp.list_losses()):
        lp.unregister_loss(name)


#: how a function may change what it is given
CHANGES: dict[str, Callable[[Tensor], Any]] = {
    "clamp_": lambda x: x.clamp_(0, 1),
    "a part": lambda x: x[..., :1].zero_(),
    "items": lambda x: x.__setitem__(0, 0.5),
    "out": lambda x: torch.exp(x.detach(), out=x.detach()),
    "a view without gradient": lambda x: x.detach().view(-1).mul_(2),
}
WAYS = {**CALLS, "in a mix": lambda loss, pred, target, function: lp.build_loss("mix", losses=[NAME])(pred, target)}


def registered(kind: Any, change: Callable[[Tensor, Tensor], Any], **said: Any) -> Callable[..., Any]:
    @lp.register_loss(NAME, kind=kind, **said)
    def own(pred: Tensor, target: Tensor) -> Tensor:
        loss = cost(kind, pred, target)
        change(pred, target)
        return loss

    return own


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("of", ["pred", "target"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_argument_is_refused_on_every_way(kind: Any, change: str, of: str, pure: bool) -> None:
    function = registered(kind, lambda *pair: CHANGES[change](pair[of == "target"]), pure=pure)
    loss = lp.build_loss(NAME)
    for way, call in WAYS.items():
        pred, target = (part.clone() for part in trial_pairs(kind, 8))
        with pytest.raises(WrongResult) as caught:
            call(loss, pred * pred.clone().requires_grad_(of == "target"), target, function)
        said = str(caught.value)
        assert said.startswith(f"{NAME}: the function "), (way, said)
        assert f"changed {of} (a tensor of shape {tuple(pred.shape)}" in said, (way, said)
        assert f"clone it first: {of} = {of}.clone()" in said, (way, said)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_the_type_of_the_tensors_makes_no_difference(dtype: torch.dtype) -> None:
    registered("box", lambda pred, target: target.zero_())
    pred, target = (part.to(dtype) for part in trial_pairs("box", 8))
    with pytest.raises(WrongResult, match="changed target"):
        lp.build_loss(NAME)(pred, target)


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_copy_is_taken_on_every_way(kind: Any, pure: bool) -> None:
    function = registered(kind, lambda pred, target: target.clone().zero_(), pure=pure)
    loss = lp.build_loss(NAME)
    for call in WAYS.values():
        pred, target = trial_pairs(kind, 8)
        call(loss, pred.requires_grad_(), target, function)


def test_views_of_one_tensor_are_not_told_apart() -> None:
    registered("box", lambda pred, target: target.zero_())
    with pytest.raises(WrongResult, match=r"changed pred .* or target"):
        lp.build_loss(NAME)(*torch.rand(2, 8, 4).unbind())


def test_each_of_several_targets_counts() -> None:
    @lp.register_loss(NAME, kind="classification", targets=["label_score"])
    def own(pred: Tensor, target: Any) -> Tensor:
        target[1].zero_()
        return pred * pred

    with pytest.raises(WrongResult, match="changed target"):
        lp.build_loss(NAME)(torch.rand(5, 3), (torch.tensor([0, 1, 2, 1, 0]), torch.rand(5)))


def test_a_weight_and_what_stands_beside_a_loss_count() -> None:
    def weighty(pred: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
        if weight is not None:
            weight.zero_()
        return (pred - target).abs()

    def divisor(pred: Tensor, target: Tensor) -> Tensor:
        return target.zero_().sum() + 1

    pred, target = torch.rand(5, 4), torch.rand(5, 4)
    lp.register_loss(NAME, kind="coordinate")(weighty)
    with pytest.raises(WrongResult, match="changed weight"):
        lp.build_loss(NAME)(pred, target, torch.ones(5, 4))
    lp.unregister_loss(NAME)
    lp.register_loss(NAME, kind="box", denominator=divisor)(lambda pred, target: (pred - target).abs().sum(-1))
    with pytest.raises(WrongResult, match="divisor changed target"):
        lp.build_loss(NAME)(pred, target)


def summed(pred: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    return target.zero_().sum()


def moved(value: Tensor, summary: Tensor) -> Tensor:
    return value.add_(summary.sum())


@pytest.mark.parametrize(("part", "function", "changed"), [("summary", summed, "target"), ("update", moved, "value")])
def test_running_statistics_leave_what_they_are_given(part: str, function: Any, changed: str) -> None:
    with pytest.raises(WrongResult, match=f"changed {changed}"):
        learning(state(**{part: function}))


def test_transforms_exports_and_inference_go_on() -> None:
    registered("box", lambda pred, target: target.clone().zero_())
    loss = lp.build_loss(NAME, reduction="none")
    pred, target = torch.rand(2, 3, 5, 4).unbind()
    expected = (pred - target).pow(2).sum(-1)
    torch.testing.assert_close(torch.func.vmap(loss)(pred, target), expected)
    torch.testing.assert_close(torch.compile(loss, fullgraph=True, backend="eager")(pred, target), expected)
    torch.testing.assert_close(torch.export.export(loss, (pred, target)).module()(pred, target), expected)
    torch.testing.assert_close(torch.func.grad(lambda p: loss(p, target).sum())(pred), 2 * (pred - target))
    with torch.inference_mode():
        torch.testing.assert_close(loss(pred.clone(), target.clone()), expected)
