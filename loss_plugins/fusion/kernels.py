"""What computes a loss and its gradient together, for each layout of the tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from ..tensors import dense
from . import private
from .algebra import simplify
from .native import Native
from .program import Program, scratch
from .tracing import (
    SAMPLE_ROWS,
    Joint,
    LossFunction,
    NotTraceable,
    by_columns,
    by_rows,
    joint,
    joint_by_transform,
    only,
    trace,
)

#: "rows": (n, columns) to a loss per row; "flat": any shape to a loss per element, targets alike; "labels": targets
#: are labels, one axis shorter; "per class": targets alike, and numbers per class beside them
Form = Literal["rows", "flat", "labels", "per class"]
#: (pred, target, other tensors) to (loss, gradient), flattened; the gradient of a loss per row by columns
Kernel = Callable[[Tensor, Tensor, dict[str, Tensor]], tuple[Tensor, Tensor]]
#: (rows, classes) to pred and target of the loss on the CPU, ordinary ones
Samples = Callable[[int, int], tuple[Tensor, Tensor]]
#: classes of a sample, where nothing says how many the loss wants
CLASSES = 3
#: a program no longer than this gains nothing over autograd
SHORT = 10


def program_kernel(
    function: LossFunction, samples: Samples, form: Form, like: Tensor, arguments: dict[str, Tensor]
) -> Kernel | None:
    """By PyTorch's own operations; None where a loss cannot be recorded, or is too short to gain from it.

    Args:
        function: (pred, target, **arguments) to the loss.
        samples: makes inputs of the loss.
        form: layout of the tensors.
        like: type and device of pred.
        arguments: tensors that the function takes.
    """
    if form == "per class" or not private.works("record", "cpu"):
        return None
    rows = form == "rows"
    pred, target = (part.to(like) for part in samples(SAMPLE_ROWS, CLASSES))
    pred_columns, target_columns = (
        list(part.unbind(-1)) if rows else [part[:, 0].contiguous()] for part in (pred, target)
    )
    try:
        graph = trace(joint(function, by_columns if rows else only), pred_columns, target_columns, arguments)
        program = Program(simplify(graph, [*pred_columns, *target_columns, *arguments.values()]))
    except NotTraceable:
        return None

    def kernel(pred: Tensor, target: Tensor, arguments: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        if rows:
            return program(pred, target, list(arguments.values()))
        target = dense(pred, target) if form == "labels" else target
        return program(pred.reshape(-1), target.reshape(-1), list(arguments.values()))

    return kernel if program.length > SHORT and _agrees(kernel, function, samples, form, like, arguments) else None


def _agrees(
    kernel: Kernel, function: LossFunction, samples: Samples, form: Form, like: Tensor, arguments: dict[str, Tensor]
) -> bool:
    """Whether the program gives what autograd gives, on other rows than it was recorded on."""
    pred, target = (part.to(like) for part in samples(SAMPLE_ROWS // 2, CLASSES))
    if form == "labels":
        target = torch.arange(-1, len(pred) - 1, device=like.device) % (pred.shape[-1] + 2) - 1
    leaf = pred.detach().requires_grad_()
    with torch.enable_grad():  # type: ignore[no-untyped-call]
        expected = function(leaf, target, **arguments)
        (gradient,) = torch.autograd.grad(expected.sum(), leaf)
    found = kernel(pred, target, arguments)
    wanted = (expected.detach().reshape(-1), gradient.t() if form == "rows" else gradient.reshape(-1))
    return all(torch.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in zip(found, wanted, strict=True))


def native_kernel(function: LossFunction, form: Form, columns: int, arguments: dict[str, Tensor]) -> Kernel:
    """By machine code, made at the first call."""
    layout = by_rows if form == "rows" else only
    names = list(arguments)

    def of_tensors(both: Joint) -> Callable[..., list[Tensor]]:
        def flat(pred: Tensor, target: Tensor, *extra: Tensor) -> list[Tensor]:
            return both([pred], [target], dict(zip(names, extra, strict=True)))

        def of_rows(rows: Tensor, *extra: Tensor) -> list[Tensor]:
            return flat(rows[:columns], rows[columns:], *extra)

        return of_rows if form == "rows" else flat

    shapes: dict[Form, list[tuple[Any, ...]]] = {
        "rows": [(2 * columns, "n")],
        "flat": [("n",), ("n",)],
        "labels": [("n", "c"), ("n",)],
        "per class": [("n", "c"), ("n", "c")],
    }
    more = [("c",) if argument.ndim else () for argument in arguments.values()]
    native = Native(
        of_tensors(joint(function, layout)),
        of_tensors(joint_by_transform(function, layout)),
        [*shapes[form], *more],
    )

    def kernel(pred: Tensor, target: Tensor, arguments: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        extra = list(arguments.values())
        if form == "rows":
            # compiled code reads contiguous columns several times as fast as strided ones
            parts = (*pred.unbind(-1), *target.unbind(-1))
            loss, gradient = native(torch.stack(parts, out=scratch(pred, len(parts), len(pred))), *extra)
        elif form == "flat":
            loss, gradient = native(pred.reshape(-1), target.reshape(-1), *extra)
        else:
            rows = (-1, pred.shape[-1])
            target = target.reshape(-1) if form == "labels" else target.reshape(rows)
            loss, gradient = (part.reshape(-1) for part in native(pred.reshape(rows), target, *extra))
        return loss, gradient

    return kernel


def is_separable(function: LossFunction, samples: Samples, per_row: bool, arguments: Mapping[str, Tensor]) -> bool:
    """Whether the gradient of the sum holds that of every number: tried on a few rows."""
    classes = next((len(argument) for argument in arguments.values() if argument.ndim), CLASSES)
    pred, target = (part.double() for part in samples(8, classes))
    upstream = torch.linspace(0.1, 1, pred.numel(), dtype=pred.dtype, device="cpu").view(pred.shape)
    upstream = upstream[:, 0] if per_row else upstream
    on_cpu = {name: argument.detach().cpu() for name, argument in arguments.items()}
    leaf = pred.requires_grad_()
    try:
        with torch.enable_grad():  # type: ignore[no-untyped-call]
            loss = function(leaf, target, **on_cpu)
        if loss.shape != upstream.shape:
            return False
        (weighted,) = torch.autograd.grad(loss, leaf, upstream, retain_graph=True)
        (of_sum,) = torch.autograd.grad(loss.sum(), leaf)
    except (ValueError, TypeError, RuntimeError, IndexError):
        return False
    return torch.allclose((upstream[:, None] if per_row else upstream) * of_sum, weighted)
