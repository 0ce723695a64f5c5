"""Columns of rows that a loss reads one by one, and the gradient that goes back to them, for `algebra.Simplifier`.

A recorded loss of rows takes its columns one by one and stacks them; what it reads by `pred[:, 0]` or `pred[:, :2]` is
taken from the stack again. Autograd writes the derivative as a tensor of zeros of the whole shape with the gradient in
its place. As a stack of columns it holds for any number of rows, and the zeros are never added.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch.fx import Node

from . import private
from .tracing import SAMPLE_ROWS

STACK = torch.ops.aten.stack.default
ZERO = 0.0


class Writer(Protocol):
    """What writes the operations of a simplified program, as `algebra.Simplifier` does."""

    def emit(self, function: Any, *args: Any, **kwargs: Any) -> Node:
        """The node of a call."""

    def filled(self, value: float, meta: Any, shape: tuple[int, ...]) -> Node:
        """A tensor of one number."""

    def whole(self, recorded: Node) -> Node:
        """What a recorded node has become, in full shape."""


def stacked(node: Node | None) -> list[Node] | None:
    """The columns, one per row of each, of a value that is a stack of them; None for any other value."""
    if node is None or private.operation(node) != "stack":
        return None
    columns: Any = node.args[0]
    axis: Any = node.args[1] if len(node.args) > 1 else 0
    rank = node.meta["sample"].ndim
    return list(columns) if rank == 2 and axis % rank == 1 else None


def is_zero(column: Node) -> bool:
    """Whether nothing but zeros is in it."""
    return column.target is torch.full_like and column.args[1:] == (ZERO,)


def in_place_of_cut(simplifier: Writer, node: Node) -> Node | None:
    """The derivative of `select` or `slice` along the columns; None where it is along another axis."""
    given = private.arguments_of(node)
    sizes, rank = given["input_sizes"], len(given["input_sizes"])
    if rank != 2 or sizes[0] != SAMPLE_ROWS or given["dim"] % rank != 1:
        return None
    zero = simplifier.filled(ZERO, node.meta["val"], (SAMPLE_ROWS,))
    columns, gradient = [zero] * sizes[1], simplifier.whole(given["grad_output"])
    places = range(sizes[1])
    if "index" in given:
        columns[given["index"]] = gradient
        return simplifier.emit(STACK, columns, 1)
    for number, place in enumerate(places[given["start"] : given["end"] : given["step"]]):
        known = stacked(gradient)
        columns[place] = known[number] if known else simplifier.emit(torch.select, gradient, 1, number)
    return simplifier.emit(STACK, columns, 1)


def added(simplifier: Writer, one: Node | None, other: Node | None) -> Node | None:
    """The sum of two stacks, column by column; None where they are none."""
    ours, theirs = stacked(one), stacked(other)
    if ours is None or theirs is None or len(ours) != len(theirs):
        return None
    pairs = zip(ours, theirs, strict=True)
    sums = [b if is_zero(a) else a if is_zero(b) else simplifier.emit(torch.add, a, b) for a, b in pairs]
    return simplifier.emit(STACK, sums, 1)
