"""Losses of a user's own that train nothing are refused before training, and one that raises is told where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_plugins import Traits, iou_loss, register_loss, unregister_loss
from loss_plugins.adapters.mmdet.configs import _slot_checks
from loss_plugins.adapters.mmdet.inspection import inspect

from .unheard import Unheard

TRAITS = Traits(range=(0, 1), symmetric=True, scale_invariant=True, gradient_when_disjoint=False)


@pytest.fixture
def own() -> Iterator[Callable[[Callable[..., Tensor]], list[str]]]:
    """What is found wrong with a loss of boxes in a slot that gets them."""

    def messages(function: Callable[..., Tensor]) -> list[str]:
        register_loss("test_own", kind="box", traits=TRAITS)(function)
        model = Unheard({"loss_box": {"type": "loss_plugins.TestOwnLoss"}})
        return [each.message for each in inspect(model).findings]

    yield messages
    unregister_loss("test_own")


def detached(pred: Tensor, target: Tensor) -> Tensor:
    return iou_loss(pred, target).detach()


def zero(pred: Tensor, target: Tensor) -> Tensor:
    return iou_loss(pred, target) * 0


def constant(pred: Tensor, target: Tensor) -> Tensor:
    return torch.ones(len(pred))


@pytest.mark.parametrize("function", [detached, zero, constant])
def test_a_loss_without_gradient_is_refused(own: Any, function: Callable[..., Tensor]) -> None:
    (message,) = own(function)
    assert "gives its predictions no gradient, so it would train nothing" in message


def test_a_loss_of_nan_is_refused(own: Any) -> None:
    (message,) = own(lambda pred, target: iou_loss(pred, target) * float("nan"))
    assert "gives infinite numbers or NaN for finite predictions and targets" in message


def test_a_loss_that_raises_is_told_where(own: Any) -> None:
    def raises(pred: Tensor, target: Tensor) -> Tensor:
        raise KeyError(3)

    (message,) = own(raises)
    assert f"this loss raises on what the slot gets (KeyError: 3, test_gradients.py:{line_of(raises) + 1})" in message


def line_of(function: Any) -> int:
    return int(function.__code__.co_firstlineno)


def test_boxes_that_lie_apart_may_have_no_gradient() -> None:
    """IoU has none there, and has one beside its targets."""
    model = Unheard({"loss_box": {"type": "loss_plugins.IoULoss", "loss_weight": 2.0}}, far=True)
    assert inspect(model).findings == []


def test_a_slot_that_gets_no_row_with_a_weight_is_named() -> None:
    model = Unheard({"loss_box": {"type": "loss_plugins.CIoULoss"}}, boxes="offsets", ending="all empty")
    found = inspect(model)
    assert found.findings == []
    (warning,) = found.warnings
    assert "model.odd_head.loss_box: on two images with objects the head handed it no row that counts" in warning
    (check,) = _slot_checks(found, set())
    assert check["ok"]
    assert check["detail"].startswith("loss_plugins.CIoULoss in OddHead; on two images with objects")
