"""What a loss is tried on before its value and gradient are computed otherwise than by autograd."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..tensors import class_axis, without_class_axis
from .tracing import LossFunction

#: "rows": (n, columns) to a loss per row; "flat": any shape to a loss per element, targets alike; "labels": targets
#: are labels, without the class axis; "per class": (n, C), targets alike, and numbers per class beside them
Form = Literal["rows", "flat", "labels", "per class"]
#: (pred, target, other tensors) to (loss, gradient), flattened; the gradient of a loss per row by columns
Kernel = Callable[[Tensor, Tensor, dict[str, Tensor]], tuple[Tensor, Tensor]]
#: (rows, classes) to pred and target of the loss on the CPU, ordinary ones
Samples = Callable[[int, int], tuple[Tensor, Tensor]]
#: classes of a sample, where nothing says how many the loss wants
CLASSES = 3
#: two sizes of a trial, each times 2 for every axis of pred: leading axes of length 2 use up the rest
ROWS = (3, 8)


class Layout(NamedTuple):
    """What a kernel is made for.

    Attributes:
        form: how pred and target go together.
        axes: of pred.
        columns: size of pred's last axis.
        pred: an empty tensor of pred's type, on its device.
        target: the same of the target.
        serial: few rows, for which one thread is best.
    """

    form: Form
    axes: int
    columns: int
    pred: Tensor
    target: Tensor
    serial: bool

    @property
    def as_called(self) -> bool:
        """Whether machine code gets tensors in the shape in which the loss is called."""
        return self.axes == (1 if self.form == "flat" else 2)


#: how far machine code, which is rounded in another order, may be from autograd
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-9}


def brief(error: Exception) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def classes_of(tensors: Mapping[str, Tensor], otherwise: int = CLASSES) -> int:
    """How many classes the numbers per class are for."""
    return next((len(tensor) for tensor in tensors.values() if tensor.ndim), otherwise)


def trials(samples: Samples, layout: Layout, tensors: Mapping[str, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs of several sizes: pred and target as the layout says, with as many classes as there are numbers for."""
    axes, leading = layout.axes, (2,) * (layout.axes - 2)
    for size in ROWS:
        pred, target = samples(size * 2**axes, classes_of(tensors, CLASSES + size % 2))
        pred, target = pred.to(layout.pred), target.to(layout.pred.device)
        if axes == 1:
            pred, target = pred[:, 0].contiguous(), target[:, 0].contiguous()
        else:
            pred, target = (part.view(*leading, -1, part.shape[-1]) for part in (pred, target))
        yield pred, (labels_of(pred) if layout.form == "labels" else target).to(layout.target.dtype)


def labels_of(pred: Tensor) -> Tensor:
    """Every class and the background, over and over."""
    shape, classes = without_class_axis(pred), pred.shape[class_axis(pred)]
    return (torch.arange(pred.numel() // classes, device=pred.device) % (classes + 1)).view(shape)


def agrees(
    kernel: Kernel, function: LossFunction, tried: Iterator[tuple[Tensor, Tensor]], tensors: dict[str, Tensor]
) -> bool:
    """Whether a kernel gives the value and the gradient that autograd gives, and leaves its arguments as they are."""
    for pred, target in tried:
        before = [part.clone() for part in (pred, target, *tensors.values())]
        value, gradient = _by_autograd(function, pred, target, tensors)
        per_row = value.ndim < pred.ndim
        rows = [part.reshape(-1, part.shape[-1]) if per_row else part for part in (pred, target)]
        with torch.no_grad():
            found = kernel(rows[0], rows[1], tensors)
        columns = gradient.reshape(-1, pred.shape[-1]).t() if per_row else gradient.reshape(-1)
        for ours, theirs in zip(found, (value.reshape(-1), columns), strict=True):
            if not torch.allclose(ours, theirs, rtol=TOLERANCE[pred.dtype], atol=1e-7):
                return False
        if not all(map(torch.equal, before, (pred, target, *tensors.values()))):
            return False
    return True


def _by_autograd(
    function: LossFunction, pred: Tensor, target: Tensor, tensors: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """The loss per row or element, and the gradient of its sum."""
    leaf = pred.detach().clone().requires_grad_()
    loss = function(leaf, target, **tensors)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return loss.detach(), gradient


def is_separable(function: LossFunction, samples: Samples, per_row: bool, tensors: Mapping[str, Tensor]) -> bool:
    """Whether each number depends on its own row of prediction and target only, and its gradient as well.

    The gradient of the sum then holds that of every number, and rows may be computed block by block. Tried on a few.
    """
    pair = samples(8, classes_of(tensors))
    pred, target = (part.double() if part.is_floating_point() else part for part in pair)
    on_cpu = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
    leaf = pred.clone().requires_grad_()
    loss = function(leaf, target, **on_cpu)
    if loss.shape != (pred.shape[:1] if per_row else pred.shape) or not loss.requires_grad:
        return False
    upstream = torch.linspace(0.1, 1, loss.numel(), dtype=loss.dtype).view(loss.shape)
    (weighted,) = torch.autograd.grad(loss, leaf, upstream, retain_graph=True)
    (of_sum,) = torch.autograd.grad(loss.sum(), leaf)
    if not torch.allclose((upstream[:, None] if per_row else upstream) * of_sum, weighted):
        return False
    blocks = [_by_autograd(function, pred[rows], target[rows], on_cpu) for rows in (slice(3), slice(3, 8))]
    return all(
        torch.allclose(torch.cat(parts), whole)
        for parts, whole in zip(zip(*blocks, strict=True), (loss.detach(), of_sum), strict=True)
    )
