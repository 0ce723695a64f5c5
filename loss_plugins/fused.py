"""`compile=True`: value and gradient of any separable loss in one compiled graph, and only the gradient saved.

A loss is separable if each number it returns depends, through its gradient, on one row (or one element) of the
prediction. The gradient of the sum then holds the gradient of every number, so the forward pass can compute both at
once and the backward pass only multiplies. Whatever that cannot serve takes the plain path, with the same results:
a target that needs a gradient, double backward, functorch transforms, a surrounding compiler, and less than two rows.
"""

from __future__ import annotations

import functools
import os
import shutil
import types
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .catalog import Entry
from .checks import Target

LossFunction = Callable[..., Tensor]
Kernel = Callable[..., tuple[Tensor, Tensor]]
CXX = ("c++", "g++", "clang++")


def require_compiler() -> None:
    """Raise unless torch can compile here.

    Raises:
        RuntimeError: no C++ compiler is found.
    """
    names = [os.environ["CXX"]] if os.environ.get("CXX") else list(CXX)
    if not any(shutil.which(name) for name in names):
        raise RuntimeError(
            f"compile=True needs a C++ compiler, and none of {', '.join(names)} is on PATH; install one "
            "(or set CXX), or leave compile out"
        )


def fuse(entry: Entry, parameters: Mapping[str, Any], states: Mapping[str, Tensor]) -> FusedLoss:
    """The fused form of a catalogued loss, after checking on a small sample that it equals the plain one.

    Args:
        entry: the loss.
        parameters: its keywords, less those that are tensors.
        states: its running statistics, passed at each call.

    Raises:
        ValueError: the loss is not separable.
        RuntimeError: no compiler is found.
    """
    require_compiler()
    fused = FusedLoss(entry, parameters)
    if not _separable(fused, entry, states):
        raise ValueError(
            f"{entry.name}: compile=True serves losses in which each number depends on one row or element of the "
            f"prediction, and this {entry.kind} loss is none; leave compile out"
        )
    return fused


def _separable(fused: FusedLoss, entry: Entry, states: Mapping[str, Tensor]) -> bool:
    columns = {"box": 4, "rotated_box": 5, "coordinate": 4}.get(entry.kind, 3)
    generator = torch.Generator().manual_seed(0)
    pred, target, upstream = (torch.rand(6, columns, generator=generator, dtype=torch.float64) for _ in range(3))
    if entry.kind in ("box", "coordinate"):
        pred, target = pred.cumsum(-1), target.cumsum(-1)  # x1 < x2, y1 < y2
    leaf = pred.requires_grad_()
    try:
        loss = fused.plain(leaf, target, states)
        if loss.shape != (pred.shape[:1] if fused.per_row else pred.shape):
            return False
        upstream = upstream[..., 0] if fused.per_row else upstream
        (expected,) = torch.autograd.grad(loss, leaf, upstream, retain_graph=True)
        (of_sum,) = torch.autograd.grad(loss.sum(), leaf)
    except (ValueError, TypeError, RuntimeError, IndexError):
        return False
    return torch.allclose((upstream[..., None] if fused.per_row else upstream) * of_sum, expected)


class FusedLoss:
    """One loss function with its parameters, compiled on first use; equal losses of a process share the result.

    Args:
        entry: the loss; it must be separable.
        parameters: keywords that do not change; tensors that do are passed to the call.
    """

    def __init__(self, entry: Entry, parameters: Mapping[str, Any]) -> None:
        self._entry = entry
        self._parameters = dict(parameters)
        self._function = functools.partial(entry.function, **parameters)
        self.per_row = entry.kind in ("box", "rotated_box")
        self._key = (entry.function, repr(sorted(self._parameters.items())))

    def __reduce__(self) -> tuple[Any, ...]:
        # the catalogue finds the function again: what a decorator wrapped cannot be pickled
        return FusedLoss, (self._entry, self._parameters)

    def __call__(self, pred: Tensor, target: Target, **arguments: Tensor) -> Tensor:
        """The loss, with one fused backward step."""
        if not (isinstance(target, Tensor) and self._fuses(pred, target)):
            return self._function(pred, target, **arguments)
        result: Tensor = _ValueAndGradient.apply(pred, target, self, arguments)  # type: ignore[no-untyped-call]
        return result

    def _fuses(self, pred: Tensor, target: Tensor) -> bool:
        # 0 and 1 rows would each be compiled anew
        outside = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
        needed = torch.is_grad_enabled() and pred.requires_grad and not target.requires_grad
        return needed and not outside and pred.shape[0] > 1 and (pred.ndim == 2 or not self.per_row)

    def plain(self, pred: Tensor, target: Tensor, arguments: Mapping[str, Tensor]) -> Tensor:
        """The loss by ordinary autograd."""
        return self._function(pred, target, **arguments)

    def compute(self, pred: Tensor, target: Tensor, arguments: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """(loss, its gradient); for losses per row the gradient lies column by column."""
        if self._key not in _KERNELS:
            _KERNELS[self._key] = _compiled(self._function, self.per_row)
        if self.per_row:
            # compiled code reads contiguous columns several times as fast as strided ones
            pred, target = torch.stack(pred.unbind(-1)), torch.stack(target.unbind(-1))
        return _KERNELS[self._key](pred, target, **arguments)

    def spread(self, upstream: Tensor, gradient: Tensor) -> Tensor:
        """The gradient of the prediction, from that of the loss."""
        product = upstream * gradient
        return product.t() if self.per_row else product


_KERNELS: dict[Any, Kernel] = {}


def _compiled(function: LossFunction, per_row: bool) -> Kernel:
    def kernel(pred: Tensor, target: Tensor, **arguments: Tensor) -> tuple[Tensor, Tensor]:
        def summed(pred: Tensor) -> tuple[Tensor, Tensor]:
            rows = (pred.t(), target.t()) if per_row else (pred, target)
            loss = function(*rows, **arguments)
            return loss.sum(), loss

        gradient, loss = torch.func.grad(summed, has_aux=True)(pred)
        return loss, gradient

    # torch counts recompilations per code object: each loss needs one of its own
    code = kernel.__code__.replace(co_name=f"kernel_{len(_KERNELS)}")
    own = types.FunctionType(code, kernel.__globals__, code.co_name, kernel.__defaults__, kernel.__closure__)
    compiled: Kernel = torch.compile(own, fullgraph=True, dynamic=True)
    return compiled


class _ValueAndGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pred: Tensor, target: Tensor, fused: FusedLoss, arguments: dict[str, Tensor]) -> Tensor:
        loss, gradient = fused.compute(pred.detach(), target, arguments)
        ctx.save_for_backward(gradient, pred, target)
        ctx.fused, ctx.arguments = fused, arguments
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradient, pred, target = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return ctx.fused.spread(upstream, gradient), None, None, None
        # create_graph: the gradient itself will be differentiated
        loss = ctx.fused.plain(pred, target, ctx.arguments)
        (connected,) = torch.autograd.grad(loss, pred, upstream, create_graph=True)
        return connected, None, None, None
