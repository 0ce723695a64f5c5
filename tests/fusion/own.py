"""Losses of one's own for the tests, in the catalogue for as long as a test runs."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.fusion import by_autograd


@contextlib.contextmanager
def registered(function: Callable[..., Tensor], kind: Any = "box", name: str = "test_own") -> Iterator[str]:
    """The name of the function as a pure loss."""
    lp.register_loss(name, kind=kind, pure=True)(function)
    try:
        yield name
    finally:
        lp.unregister_loss(name)


def built(name: str, compiled: bool) -> lp.Loss | None:
    """The module; None where the loss is known not to be separable, and refuses to be compiled."""
    refused = "compile=True does not serve this loss"
    try:
        return lp.build_loss(name, reduction="none", compile=compiled)
    except ValueError as error:
        if compiled and refused in str(error):
            return None
        raise


def long(x: Tensor) -> Tensor:
    """Enough operations for a program to be worth it: a function that rises from 1 to 2 for x >= 0."""
    return 1 + (x + 1).log().sqrt().sin().exp().tanh().atan().cos().exp().log().abs().neg().exp()


def by_both(loss: lp.Loss, pred: Tensor, target: Any) -> list[tuple[Tensor, Tensor]]:
    """(value, gradient) as the module computes them, and as plain autograd does."""
    results = []
    for plainly in (False, True):
        leaf = pred.detach().requires_grad_()  # the layout stays as it is
        with by_autograd() if plainly else contextlib.nullcontext():
            value = loss(leaf, target)
            upstream = torch.linspace(0.1, 1, value.numel(), dtype=value.dtype).view(value.shape)
            (gradient,) = torch.autograd.grad(value, leaf, upstream)
        results.append((value.detach(), gradient))
    return results


def same_by_both(loss: lp.Loss, pred: Tensor, target: Any) -> None:
    """Check that value and gradient are those of plain autograd."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        ours, plain = by_both(loss, pred, target)
    torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)


def is_fused(loss: lp.Loss, pred: Tensor, target: Any) -> bool:
    """Whether a program or machine code computes the loss."""
    value = loss(pred.detach().requires_grad_(), target)
    node = value.grad_fn
    assert node is not None
    return "ValueAndGradient" in node.name()
