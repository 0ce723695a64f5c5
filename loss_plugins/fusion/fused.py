"""Value and gradient of a separable loss computed together, and only the gradient saved.

A loss is separable if each number it returns depends, through its gradient, on one row (or one element) of the
prediction. The gradient of the sum then holds the gradient of every number, so the forward pass can compute both at
once, and the backward pass only multiplies: in eager mode by a short program of PyTorch's own operations
(`fusion.program`), compiled by machine code (`fusion.native`).

Whatever that cannot serve takes the plain path through autograd, with the same results: a target that needs a
gradient; double backward; functorch transforms; a surrounding compiler; anomaly detection; losses that are not
separable, and those of a few operations, which gain nothing; and a loss that is not `pure`, for a recording would not
see what else it reads or does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..tensors import Target, raised, upcast
from . import private
from .kernels import Form, Kernel, Samples, is_separable, native_kernel, program_kernel
from .native import require_compiler
from .program import FEW
from .tracing import LossFunction

#: from so many numbers on, machine code for a GPU would have to count with 64 bits
MANY = 1 << 31
#: subclasses may mean something else by an operation
ORDINARY = (Tensor, torch.nn.Parameter)
_SEPARABLE: dict[Any, bool] = {}
_KERNELS: dict[Any, Kernel | None] = {}


class Fused:
    """One loss with its parameters; equal losses of a process share programs and machine code.

    See `fuse` for the arguments. It is not for pickling, as functions that a decorator wrapped cannot be: who keeps it
    makes it anew for a copy.

    Attributes:
        per_row: the loss is one number per row.
    """

    def __init__(
        self,
        function: LossFunction,
        samples: Samples,
        per_row: bool,
        *,
        fixed: Mapping[str, Any],
        name: str,
        pure: bool,
        labels: bool,
        compiled: bool,
    ) -> None:
        self.per_row = per_row
        self._plain, self._function = function, functools.partial(function, **fixed)
        self._samples, self._name, self._pure = samples, name, pure
        self._labels, self._compiled = labels, compiled
        self._key = (function, per_row, labels, repr(sorted(fixed.items())))
        self._kernels: dict[Any, Kernel | None] = {}
        self._suits = pure

    def require(self, arguments: Mapping[str, Any]) -> None:
        """Raise unless the loss can be compiled here.

        Args:
            arguments: keywords as calls will pass them.

        Raises:
            ValueError: the loss is not separable, or not known to depend on its arguments alone.
            RuntimeError: no compiler is found.
        """
        require_compiler()
        if not self._pure:
            raise ValueError(
                f"{self._name}: compile=True records the loss once, so it must depend on its arguments alone; "
                "if it does, say so: register_loss(..., pure=True)"
            )
        if not self._separable(_tensors_of(arguments)):
            raise ValueError(
                f"{self._name}: compile=True serves losses in which each number depends on one row or element "
                "of the prediction, and this loss is none; leave compile out"
            )

    def __call__(self, pred: Tensor, target: Target, arguments: Mapping[str, Any]) -> Tensor:
        """The loss per row or element, for tensors and keywords that are checked already."""
        if self._suits and isinstance(target, Tensor) and _differentiates(pred, target):
            tensors = _tensors_of(arguments)
            kernel = self._kernel(pred, target, tensors)
            if kernel is not None:
                call = _Call(kernel, tensors, self.per_row, self.plain, arguments)
                result: Tensor = _ValueAndGradient.apply(pred, target, call)  # type: ignore[no-untyped-call]
                return result
        return self.plain(pred, target, arguments)

    def plain(self, pred: Tensor, target: Target, arguments: Mapping[str, Any]) -> Tensor:
        """The same by autograd."""
        return self._plain(*raised(pred, target), **arguments)

    def _kernel(self, pred: Tensor, target: Tensor, tensors: dict[str, Tensor]) -> Kernel | None:
        form = self._form(pred, target, tensors)
        if form is None:
            return None
        key = (form, pred.dtype, target.dtype, pred.device.type)
        if key not in self._kernels:
            like, wanted = upcast(pred, target)  # as the kernel gets them: half precision is served by that of float32
            shared = (*self._key, self._compiled, form, like.dtype, wanted.dtype, like.device.type)
            if shared not in _KERNELS:
                _KERNELS[shared] = self._made(form, like, tensors)
            self._kernels[key] = _KERNELS[shared]
        return self._kernels[key]

    def _form(self, pred: Tensor, target: Tensor, tensors: dict[str, Tensor]) -> Form | None:
        """The layout of the tensors; None for those that only the plain path takes, as one row, or very many."""
        columns, numel = pred.shape[-1], pred.numel()
        single = not tensors or all(tensor.ndim == 0 for tensor in tensors.values())
        if not 1 < numel < MANY:
            return None
        if self.per_row:
            return "rows" if single and numel > columns else None
        alike = target.shape == pred.shape and target.is_floating_point()
        if single and alike:
            return "flat"
        per_class = all(tensor.shape in ((), (columns,)) for tensor in tensors.values())
        if not self._labels or not per_class or columns < 2 or numel == columns:
            return None
        if alike:
            return "per class"
        return "labels" if target.shape == pred.shape[:-1] and not target.is_floating_point() else None

    def _made(self, form: Form, like: Tensor, tensors: dict[str, Tensor]) -> Kernel | None:
        if not self._separable(tensors):
            return None
        if self._compiled:
            return native_kernel(self._function, form, like.shape[-1], tensors)
        return program_kernel(self._function, self._samples, form, like, tensors)

    def _separable(self, tensors: Mapping[str, Tensor]) -> bool:
        if self._key not in _SEPARABLE:
            _SEPARABLE[self._key] = is_separable(self._function, self._samples, self.per_row, tensors)
        self._suits = self._pure and _SEPARABLE[self._key]
        return _SEPARABLE[self._key]


def _tensors_of(arguments: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: value for name, value in arguments.items() if isinstance(value, Tensor)}


def _differentiates(pred: Tensor, target: Tensor) -> bool:
    """Whether a gradient of pred, and of nothing else, is wanted, by ordinary backward."""
    return (
        pred.requires_grad
        and type(pred) in ORDINARY
        and type(target) in ORDINARY
        and torch.is_grad_enabled()
        and not target.requires_grad
        and not torch.compiler.is_compiling()
        and not private.transformed(pred, target)
        and not torch.is_anomaly_enabled()
    )


class _Call(NamedTuple):
    """What a step needs beside its tensors; `plain` of `arguments` is the same loss by autograd."""

    kernel: Kernel
    tensors: dict[str, Tensor]
    per_row: bool
    plain: Callable[[Tensor, Target, Mapping[str, Any]], Tensor]
    arguments: Mapping[str, Any]


class _ValueAndGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pred: Tensor, target: Tensor, call: _Call) -> Tensor:
        wide_pred, wide_target = upcast(pred, target)
        if call.per_row and pred.ndim != 2:
            wide_pred, wide_target = (part.reshape(-1, part.shape[-1]) for part in (wide_pred, wide_target))
        loss, gradient = call.kernel(wide_pred, wide_target, call.tensors)
        ctx.save_for_backward(gradient, pred, target)
        ctx.call = call
        shape = pred.shape[:-1] if call.per_row else pred.shape
        return loss if len(shape) == 1 else loss.view(shape)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradient, pred, target = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph: the gradient itself will be differentiated
            loss = ctx.call.plain(pred, target, ctx.call.arguments)
            (connected,) = torch.autograd.grad(loss, pred, upstream, create_graph=True)
            return connected, None, None
        if upstream.ndim != 1:
            upstream = upstream.reshape(-1)
        product = gradient * upstream if private.may_run_again() else gradient.mul_(upstream)
        if ctx.call.per_row:
            few = product.shape[1] <= FEW
            product = product.t().contiguous() if few else torch.stack(product.unbind(0), -1)
        if product.shape != pred.shape:
            product = product.view(pred.shape)
        return product if product.dtype == pred.dtype else product.to(pred.dtype), None, None
