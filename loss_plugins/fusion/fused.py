"""Value and gradient of a separable loss computed together, and only the gradient saved.

A loss is separable if each number it returns depends, through its gradient, on one row (or one element) of the
prediction. The gradient of the sum then holds the gradient of every number, so the forward pass can compute both at
once, and the backward pass only multiplies. The modules of the catalogue do so by themselves: in eager mode by a short
program of PyTorch's own operations (`fusion.program`), with `compile=True` by machine code (`fusion.native`).

Whatever that cannot serve takes the plain path through autograd, with the same results: dialects, which are to round
as their frameworks do; a target that needs a gradient; double backward; functorch transforms; a surrounding compiler;
anomaly detection; losses that are not separable, and those of a few operations, which gain nothing; and a loss of
one's own that is not registered as `pure`, for a recording would not see what else it reads or does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ..catalog.entries import Entry, check_tensors
from ..tensors import Target, raised, upcast
from .kernels import Form, Kernel, is_separable, native_kernel, program_kernel
from .native import require_compiler
from .program import FEW

#: from so many numbers on, machine code for a GPU would have to count with 64 bits
MANY = 1 << 31
#: subclasses may mean something else by an operation
ORDINARY = (Tensor, torch.nn.Parameter)
_SEPARABLE: dict[Any, bool] = {}
_KERNELS: dict[Any, Kernel | None] = {}
#: during a backward pass: whether there may be another one; where this PyTorch does not tell, there may
_may_run_again = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)


class FusedLoss:
    """One loss with its parameters; equal losses of a process share programs and machine code.

    Args:
        entry: the loss.
        parameters: keywords that do not change; tensors are passed to the call.
        compiled: by machine code instead of a program.
    """

    def __init__(self, entry: Entry, parameters: Mapping[str, Any], compiled: bool) -> None:
        self._entry, self._parameters, self._compiled = entry, dict(parameters), compiled
        self._function = functools.partial(entry.function, **parameters)
        self.per_row = entry.kind in ("box", "rotated_box")
        self._key = (entry.function, repr(sorted(self._parameters.items())))
        self._kernels: dict[Any, Kernel | None] = {}
        self._suits = entry.pure

    def __reduce__(self) -> tuple[Any, ...]:
        # the catalogue finds the function again: what a decorator wrapped cannot be pickled
        return FusedLoss, (self._entry, self._parameters, self._compiled)

    def require(self, tensors: Mapping[str, Tensor]) -> None:
        """Raise unless the loss can be compiled here.

        Args:
            tensors: those that calls will pass.

        Raises:
            ValueError: the loss is not separable, or not known to depend on its arguments alone.
            RuntimeError: no compiler is found.
        """
        require_compiler()
        if not self._entry.pure:
            raise ValueError(
                f"{self._entry.name}: compile=True records the loss once, so it must depend on its arguments alone; "
                "if it does, say so: register_loss(..., pure=True)"
            )
        if not self._separable(tensors):
            raise ValueError(
                f"{self._entry.name}: compile=True serves losses in which each number depends on one row or element "
                f"of the prediction, and this {self._entry.kind} loss is none; leave compile out"
            )

    def __call__(self, pred: Tensor, target: Target, arguments: Mapping[str, Any]) -> Tensor:
        """The loss per row or element, for keywords that are checked already."""
        check_tensors(self._entry, pred, target)
        if self._suits and isinstance(target, Tensor) and _differentiates(pred, target):
            tensors = {name: value for name, value in arguments.items() if isinstance(value, Tensor)}
            kernel = self._kernel(pred, target, tensors)
            if kernel is not None:
                call = _Call(kernel, tensors, self.per_row, self.plain, arguments)
                result: Tensor = _ValueAndGradient.apply(pred, target, call)  # type: ignore[no-untyped-call]
                return result
        return self.plain(pred, target, arguments)

    def plain(self, pred: Tensor, target: Target, arguments: Mapping[str, Any]) -> Tensor:
        """The same by autograd."""
        return self._entry.function(*raised(pred, target), **arguments)

    def _kernel(self, pred: Tensor, target: Tensor, tensors: dict[str, Tensor]) -> Kernel | None:
        form = self._form(pred, target, tensors)
        if form is None:
            return None
        key = (form, pred.dtype, target.dtype, pred.device.type)
        if key not in self._kernels:
            shared = (*self._key, self._compiled, *key)
            if shared not in _KERNELS:
                _KERNELS[shared] = self._made(form, upcast(pred, target)[0], tensors)
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
        if self._entry.kind != "classification" or not per_class or columns < 2 or numel == columns:
            return None
        if alike:
            return "per class"
        return "labels" if target.shape == pred.shape[:-1] and not target.is_floating_point() else None

    def _made(self, form: Form, like: Tensor, tensors: dict[str, Tensor]) -> Kernel | None:
        if not self._separable(tensors):
            return None
        if self._compiled:
            return native_kernel(self._function, form, like.shape[-1], tensors)
        return program_kernel(self._function, self._entry, form, like, tensors)

    def _separable(self, tensors: Mapping[str, Tensor]) -> bool:
        if self._key not in _SEPARABLE:
            _SEPARABLE[self._key] = is_separable(self._function, self._entry, self.per_row, tensors)
        self._suits = self._entry.pure and _SEPARABLE[self._key]
        return _SEPARABLE[self._key]


def _differentiates(pred: Tensor, target: Tensor) -> bool:
    """Whether a gradient of pred, and of nothing else, is wanted, by ordinary backward."""
    return (
        pred.requires_grad
        and type(pred) in ORDINARY
        and type(target) in ORDINARY
        and torch.is_grad_enabled()
        and not target.requires_grad
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
        and torch._C._len_torch_dispatch_stack() == 0
        and forward_ad._current_level < 0
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
        ours, theirs = upcast(pred, target)
        if call.per_row and pred.ndim != 2:
            ours, theirs = (part.reshape(-1, part.shape[-1]) for part in (ours, theirs))
        loss, gradient = call.kernel(ours, theirs, call.tensors)
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
        product = gradient * upstream if _may_run_again() else gradient.mul_(upstream)
        if ctx.call.per_row:
            few = product.shape[1] <= FEW
            product = product.t().contiguous() if few else torch.stack(product.unbind(0), -1)
        if product.shape != pred.shape:
            product = product.view(pred.shape)
        return product if product.dtype == pred.dtype else product.to(pred.dtype), None, None
