"""Value and gradient of a separable loss computed together, and only the gradient saved.

A loss is separable if each number it returns depends on one row (or one element) of prediction and target. The gradient
of the sum then holds the gradient of every number, so the forward pass can compute both at once, and the backward pass
only multiplies: in eager mode by a short program of PyTorch's own operations (`fusion.program`), compiled by machine
code (`fusion.native`). Either is used only after it gave the value and the gradient of autograd (`fusion.trials`).

Whatever that cannot serve takes the plain path through autograd, with the same results: a target that needs a
gradient; double backward; functorch transforms; a surrounding compiler or trace; anomaly detection; losses that are not
separable, and those of a few operations, which gain nothing; a loss that is not `pure`, for a recording would not see
what else it reads or does; and one that cannot be recorded, of which a warning says why.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..tensors import ORDINARY, Target, raised, upcast, without_class_axis
from . import private
from .alone import alone, possible
from .kernels import kernel_for
from .keys import NoKeyError, key_of_parameters
from .native import SERIAL, require_compiler
from .observed import READS
from .plain import autograd_wanted
from .program import FEW
from .tracing import LossFunction, NotTraceable
from .trials import Form, Kernel, Layout, Samples, brief, is_separable

#: from so many numbers on, machine code for a GPU would have to count with 64 bits
MANY = 1 << 31
#: what compile=True takes
PURE = "a loss that depends on its arguments alone"
_SEPARABLE: dict[Any, tuple[bool, str]] = {}
#: with each kernel, why there is none; no reason where autograd is best
_KERNELS: dict[Any, tuple[Kernel | None, str]] = {}


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
        plain: LossFunction,
        fixed: Mapping[str, Any],
        name: str,
        pure: bool,
        labels: bool,
        compiled: bool,
        tell: bool,
        finite: bool,
    ) -> None:
        self.per_row = per_row
        self._plain, self._function, self._fixed = plain, functools.partial(function, **fixed), dict(fixed)
        self._samples, self._name, self._pure = samples, name, pure
        self._labels, self._compiled, self._tell, self._finite = labels, compiled, tell or compiled, finite
        self._kernels: dict[Any, Kernel | None] = {}
        self._key: Hashable = None
        self._no_key = ""
        try:
            self._key = (function, per_row, labels, key_of_parameters(fixed))
        except NoKeyError as error:
            self._no_key = str(error)
        self._suits = pure
        self._why_not = "" if pure else "it is not declared pure"

    def why_not(self, pred: Tensor, target: Target, arguments: Mapping[str, Any]) -> str | None:
        """Why such a call runs by autograd; "": it gains nothing otherwise; None: value and gradient come in one go."""
        if not self._suits:
            return self._why_not
        if not isinstance(target, Tensor):
            return "its target is not one tensor"
        if not _differentiates(pred, target):
            return "pred wants no gradient, or something else wants one"
        tensors = self._varying(arguments)
        if tensors is None:
            return "a parameter wants a gradient, or is not what it was built with"
        if self._kernel(pred, target, tensors) is not None:
            return None
        return self._why_not

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
            came = "compile=True records the loss once, so it must depend on its arguments alone"
            raise ValueError(f"{self._name}: {came}; allowed: {PURE}; if it is one, say register_loss(..., pure=True)")
        if self._no_key:
            came = f"compile=True records the loss once, but {self._no_key}"
            raise ValueError(f"{self._name}: {came}; allowed: {PURE}; leave compile out")
        tensors = {name: value for name, value in arguments.items() if isinstance(value, Tensor)}
        separable, why_not = alone(lambda: self._separable(tensors))
        if not separable:
            allowed = "losses in which each number depends on one row of boxes, or on one element of pred and target"
            came = f"compile=True does not serve this loss: {why_not or 'each of its numbers depends on several'}"
            raise ValueError(f"{self._name}: {came}; allowed: {allowed}; leave compile out")

    def __call__(self, pred: Tensor, target: Target, arguments: Mapping[str, Any]) -> Tensor:
        """The loss per row or element, for tensors and keywords that are checked already."""
        if self._suits and isinstance(target, Tensor) and _differentiates(pred, target):
            tensors = self._varying(arguments)
            kernel = None if tensors is None else self._kernel(pred, target, tensors)
            if kernel is not None and tensors is not None:
                call = _Call(kernel, tensors, self.per_row, self.plain, arguments)
                result: Tensor = _ValueAndGradient.apply(pred, target, call)  # type: ignore[no-untyped-call]
                return result
        return self.plain(pred, target, arguments)

    def value_and_gradient(self, pred: Tensor, target: Tensor, arguments: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """The loss of (n, columns), and the gradient of its sum by columns, (columns, n); neither is differentiable.

        Where both are not computed together, by autograd.
        """
        tensors = self._varying(arguments) if self._suits else None
        kernel = None if tensors is None else self._kernel(pred, target, tensors)
        if kernel is None or tensors is None:
            leaf = pred.detach().requires_grad_()
            with torch.enable_grad():  # type: ignore[no-untyped-call]
                value = self.plain(leaf, target, arguments)
            (slope,) = torch.autograd.grad(value.sum(), leaf)
            return value.detach(), slope.t()
        value, slope = kernel(pred, target, tensors)
        return (value, slope) if self.per_row else (value.view(pred.shape), slope.view(pred.shape).t())

    def plain(self, pred: Tensor, target: Target, arguments: Mapping[str, Any]) -> Tensor:
        """The same by autograd."""
        return self._plain(*raised(pred, target), **arguments)

    def _varying(self, arguments: Mapping[str, Any]) -> dict[str, Tensor] | None:
        """The tensors among the arguments; None where one wants a gradient, or another argument is not as recorded."""
        tensors: dict[str, Tensor] = {}
        for name, value in arguments.items():
            if isinstance(value, Tensor):
                if value.requires_grad or type(value) not in ORDINARY:
                    return None
                tensors[name] = value
            elif self._fixed.get(name, arguments) is not value:
                return None
        return tensors

    def _kernel(self, pred: Tensor, target: Tensor, tensors: dict[str, Tensor]) -> Kernel | None:
        form = self._form(pred, target, tensors)
        if form is None:
            return None
        serial = self._compiled and pred.device.type == "cpu" and pred.numel() // _width(form, pred) <= SERIAL
        kinds = tuple((name, tensor.ndim, tensor.dtype) for name, tensor in tensors.items()) if tensors else ()
        key = (form, pred.ndim, serial, pred.dtype, target.dtype, pred.device, kinds)
        if key not in self._kernels:
            if not possible():
                return None
            like, wanted = upcast(pred.new_empty(0), target.new_empty(0))  # half precision is served by that of float32
            layout = Layout(form, pred.ndim, pred.shape[-1], like, wanted, serial)
            self._kernels[key] = self._shared(layout, tensors, kinds)
        return self._kernels[key]

    def _form(self, pred: Tensor, target: Tensor, tensors: dict[str, Tensor]) -> Form | None:
        """How the tensors go together; None for what only the plain path takes, as one row, or very many."""
        numel = pred.numel()
        if not 1 < numel < MANY:
            return None
        columns, alike = pred.shape[-1], target.shape == pred.shape and target.is_floating_point()
        single = not tensors or all(tensor.ndim == 0 for tensor in tensors.values())
        if self.per_row:
            return "rows" if single and alike and numel > columns else None
        if single and alike:
            return "flat"
        if not self._labels or columns < 2 or numel == columns:
            return None
        labels = not target.is_floating_point() and target.shape == without_class_axis(pred)
        per_class = pred.ndim == 2 and all(tensor.shape in ((), (columns,)) for tensor in tensors.values())
        if per_class or single:
            return "labels" if labels else "per class" if alike else None
        return None

    def _shared(self, layout: Layout, tensors: dict[str, Tensor], kinds: Hashable) -> Kernel | None:
        """The kernel that all losses with this function and these parameters use, made at first use."""
        if layout.pred.device.type == "meta":
            return None
        columns = layout.columns if layout.form == "rows" else 0
        types = (layout.pred.dtype, layout.target.dtype, layout.pred.device)
        key = (self._key, self._compiled, layout.form, layout.axes, columns, layout.serial, *types, kinds)

        def made() -> tuple[Kernel | None, str, bool]:
            known = key in _KERNELS
            if not known:
                _KERNELS[key] = self._made(layout, tensors)
            return *_KERNELS[key], known

        kernel, why_not, known = (None, self._no_key, False) if self._no_key else alone(made)
        self._why_not = why_not
        if why_not and self._tell and not known:
            warnings.warn(
                f"loss_plugins: {self._name} runs by ordinary autograd, slower and with the same results: {why_not}",
                RuntimeWarning,
                stacklevel=2,
            )
        self._suits = self._suits and not self._no_key
        return kernel

    def _made(self, layout: Layout, tensors: dict[str, Tensor]) -> tuple[Kernel | None, str]:
        """A kernel, or None and why not; no reason where autograd is best."""
        tensors = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        separable, why_not = self._separable(tensors)
        if not separable:
            self._suits = False
            return None, why_not
        try:
            parts = (self._function, self._samples, layout, tensors)
            return kernel_for(*parts, compiled=self._compiled, finite=self._finite), ""
        except Exception as error:  # anything that a loss of one's own, or a compiler, may do
            return None, _why(error)

    def _separable(self, tensors: Mapping[str, Tensor]) -> tuple[bool, str]:
        """Whether the loss is separable, and what it raised when it was tried."""
        key = (self._key, tuple(tensors))
        if key not in _SEPARABLE:
            try:
                _SEPARABLE[key] = is_separable(self._function, self._samples, self.per_row, tensors), ""
            except Exception as error:  # a loss of one's own may want other input
                _SEPARABLE[key] = False, f"on ordinary input it raised {brief(error)}"
        return _SEPARABLE[key]


def _width(form: Form, pred: Tensor) -> int:
    """How many numbers of pred make one of what machine code counts: a row, or a number."""
    return 1 if form == "flat" or (form == "labels" and pred.ndim > 2) else pred.shape[-1]


def _differentiates(pred: Tensor, target: Tensor) -> bool:
    """Whether a gradient of pred, and of nothing else, is wanted, by ordinary backward."""
    return (
        pred.requires_grad
        and type(pred) in ORDINARY
        and type(target) in ORDINARY
        and torch.is_grad_enabled()
        and not target.requires_grad
        and not torch.compiler.is_compiling()
        and not target.is_inference()
        and not private.transformed(pred, target)
        and not torch.is_anomaly_enabled()
        and not autograd_wanted()
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
        ctx.save_for_backward(gradient)
        # not saved: who changes them in place changes nothing that a first derivative needs
        ctx.inputs, ctx.versions, ctx.call = (pred, target), (private.version(pred), private.version(target)), call
        shape = pred.shape[:-1] if call.per_row else pred.shape
        return loss if len(shape) == 1 else loss.view(shape)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        pred, target = ctx.inputs
        if torch.is_grad_enabled():  # create_graph: the gradient itself will be differentiated
            if ctx.versions != (private.version(pred), private.version(target)):
                raise RuntimeError(
                    "loss_plugins: pred or target has been modified by an inplace operation since the loss was "
                    "computed, and a second derivative needs them as they were; pass pred.clone() to the loss"
                )
            loss = ctx.call.plain(pred, target, ctx.call.arguments)
            (connected,) = torch.autograd.grad(loss, pred, upstream, create_graph=True)
            return connected, None, None
        if upstream.ndim != 1:
            upstream = upstream.reshape(-1)
        if private.may_run_again() or private.batched(upstream):
            product = gradient * upstream
        else:
            product, ctx.inputs = gradient.mul_(upstream), None
        if ctx.call.per_row:
            few = product.shape[1] <= FEW
            product = product.t().contiguous() if few else torch.stack(product.unbind(0), -1)
        if product.shape != pred.shape:
            product = product.view(pred.shape)
        return product if product.dtype == pred.dtype else product.to(pred.dtype), None, None


def _why(error: Exception) -> str:
    """Why a loss could not be recorded, in words."""
    said = str(error) if isinstance(error, NotTraceable) else brief(error)
    reads = "aten._local_scalar_dense" in said  # a tensor that became a number of Python
    return f"it reads the numbers in its tensors ({READS})" if reads else said
