"""What computes a loss and its gradient together, for each layout of the tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph

from ..tensors import dense
from .algebra import simplify
from .axes import require_apart
from .native import Native
from .observed import require_numbers_alone
from .probe import works
from .program import Program, scratch
from .ranks import require_same_operations
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
from .trials import Form, Kernel, Layout, Samples, agrees, classes_of, labels_of, trials

#: a program no longer than this gains nothing over autograd
SHORT = 10


def kernel_for(
    function: LossFunction,
    samples: Samples,
    layout: Layout,
    tensors: dict[str, Tensor],
    compiled: bool = False,
    finite: bool = False,
) -> Kernel | None:
    """What computes the loss in this layout as autograd does, by a program or by machine code; None: autograd is best.

    Args:
        function: (pred, target, **tensors) to the loss.
        samples: makes inputs of the loss.
        layout: of the calls.
        tensors: what the function takes beside pred and target.
        compiled: by machine code.
        finite: its derivative is made of finite numbers.

    Raises:
        NotTraceable: the loss cannot be recorded, or what was recorded gives other numbers.
    """
    if works("record", "cpu"):
        if compiled:
            kernel: Kernel | None = recorded_native_kernel(function, samples, layout, tensors)
        else:
            kernel = program_kernel(function, samples, layout, tensors, finite)
    else:
        kernel = native_kernel(function, layout, tensors) if compiled else None
    if kernel is not None and not agrees(kernel, function, trials(samples, layout, tensors), tensors):
        raise NotTraceable("what was recorded gives other numbers than autograd")
    return kernel


def recorded_native_kernel(
    function: LossFunction, samples: Samples, layout: Layout, tensors: dict[str, Tensor]
) -> Kernel:
    """Machine code of what can be recorded row by row."""
    pred, target = _sample(samples, layout, tensors)
    rows, as_labels = layout.form == "rows", layout.form == "labels" and layout.axes == 2
    if as_labels:
        target = labels_of(pred)
    elif layout.form in ("flat", "labels"):  # machine code gets one axis
        pred, target = pred[:, 0].contiguous(), target[:, 0].contiguous()
    as_called = require_numbers_alone(function, layout, tensors, any_size=layout.as_called)
    recorded = trace(joint(function, only), [pred], [target], tensors)
    require_apart(recorded, 1, per_row=rows)
    if not layout.as_called:
        _require_same_at_any_rank(function, layout, tensors, recorded, as_called)
    return native_kernel(function, layout, tensors)


def _require_same_at_any_rank(
    function: LossFunction, layout: Layout, tensors: dict[str, Tensor], recorded: Graph, as_called: Graph
) -> None:
    """Raise if the loss does something else in the shape of the calls; labels are made dense before they come here."""
    if layout.form == "labels":
        as_scores = layout._replace(form="flat", target=layout.pred)
        as_called = require_numbers_alone(function, as_scores, tensors, any_size=False)
    require_same_operations(recorded, as_called)


def program_kernel(
    function: LossFunction, samples: Samples, layout: Layout, tensors: dict[str, Tensor], finite: bool = False
) -> Kernel | None:
    """By PyTorch's own operations; None where that gains nothing.

    Raises:
        NotTraceable: the loss cannot be recorded.
    """
    if any(tensor.ndim for tensor in tensors.values()):
        return None
    rows = layout.form == "rows"
    sample = _sample(samples, layout, tensors)
    pred, target = (list(part.unbind(-1)) if rows else [part[:, 0].contiguous()] for part in sample)
    graph = trace(joint(function, by_columns if rows else only), pred, target, tensors)
    program = Program(simplify(graph, [*pred, *target, *tensors.values()], finite=finite))
    if program.length <= SHORT:
        return None
    require_apart(graph, len(pred), per_row=rows)
    as_called = require_numbers_alone(function, layout, tensors, any_size=False)
    if rows and layout.axes != 2:
        graph = trace(joint(function, only), [sample[0]], [sample[1]], tensors)
    if layout.axes != (2 if rows else 1):
        _require_same_at_any_rank(function, layout, tensors, graph, as_called)

    def kernel(pred: Tensor, target: Tensor, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        if rows:
            return program(pred, target, list(tensors.values()))
        target = dense(pred, target) if layout.form == "labels" else target
        return program(pred.reshape(-1), target.reshape(-1), list(tensors.values()))

    return kernel


def native_kernel(function: LossFunction, layout: Layout, tensors: dict[str, Tensor]) -> Kernel:
    """By machine code, made here."""
    as_scores = layout.form == "labels" and layout.axes > 2  # the classes of maps do not lie in rows
    form, columns = "flat" if as_scores else layout.form, layout.columns
    parts = by_rows if form == "rows" else only
    names = list(tensors)

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
    native = Native(
        of_tensors(joint(function, parts)),
        of_tensors(joint_by_transform(function, parts)),
        [*shapes[form], *(("c",) if tensor.ndim else () for tensor in tensors.values())],
        [layout.pred, *([] if form == "rows" else [layout.pred if as_scores else layout.target]), *tensors.values()],
        layout.serial,
    )

    def kernel(pred: Tensor, target: Tensor, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        extra = list(tensors.values())
        if form == "rows":
            # compiled code reads contiguous columns several times as fast as strided ones
            columns = (*pred.unbind(-1), *target.unbind(-1))
            loss, gradient = native(torch.stack(columns, out=scratch(pred, len(columns), len(pred))), *extra)
        elif form == "flat":
            target = dense(pred, target) if as_scores else target
            loss, gradient = native(pred.reshape(-1), target.reshape(-1), *extra)
        else:
            loss, gradient = (part.reshape(-1) for part in native(pred, target, *extra))
        return loss, gradient

    return kernel


def _sample(samples: Samples, layout: Layout, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Inputs of the size that marks rows, in two axes."""
    pred, target = (part.to(layout.pred) for part in samples(SAMPLE_ROWS, classes_of(tensors)))
    return pred, target
