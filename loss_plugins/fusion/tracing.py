"""Loss and gradient as one function, and as a graph of operations recorded on a few sample rows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.fx import Graph, Node

from . import private
from .plain import NotTraceable as NotTraceable

LossFunction = Callable[..., Tensor]
Layout = Callable[[list[Tensor]], Tensor]
#: (parts of pred, parts of target, other tensors) to [loss, gradient of its sum for each part of pred]
Joint = Callable[[list[Tensor], list[Tensor], dict[str, Tensor]], list[Tensor]]
#: rows of the sample: a number that no formula contains, so that a size which is baked into a graph shows
SAMPLE_ROWS = 23


def joint(function: LossFunction, layout: Layout) -> Joint:
    """Value and gradient of a separable loss, its derivatives being PyTorch's own.

    Args:
        function: (pred, target, **arguments) to the loss.
        layout: makes pred, and target, of the parts that they are given in.
    """

    def value_and_gradient(pred: list[Tensor], target: list[Tensor], arguments: dict[str, Tensor]) -> list[Tensor]:
        leaves = [part.detach().requires_grad_() for part in pred]
        with torch.enable_grad():  # type: ignore[no-untyped-call]
            loss = function(layout(leaves), layout(target), **arguments)
            gradient = torch.autograd.grad(loss, leaves, torch.ones_like(loss))
        return [loss.detach(), *gradient]

    return value_and_gradient


def joint_by_transform(function: LossFunction, layout: Layout) -> Joint:
    """The same by `torch.func`, which `torch.compile` reads as one graph."""

    def value_and_gradient(pred: list[Tensor], target: list[Tensor], arguments: dict[str, Tensor]) -> list[Tensor]:
        def of_sum(parts: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
            loss = function(layout(list(parts)), layout(target), **arguments)
            return loss.sum(), loss

        gradient, loss = torch.func.grad(of_sum, has_aux=True)(tuple(pred))
        return [loss, *gradient]

    return value_and_gradient


def only(parts: list[Tensor]) -> Tensor:
    """One part: the tensor itself."""
    return parts[0]


def by_columns(parts: list[Tensor]) -> Tensor:
    """One part for each column."""
    return torch.stack(parts, -1)


def by_rows(parts: list[Tensor]) -> Tensor:
    """One part, its columns lying one after the other."""
    return parts[0].t()


def trace(function: Joint, pred: list[Tensor], target: list[Tensor], arguments: dict[str, Tensor]) -> Graph:
    """Record value and gradient on sample parts of `SAMPLE_ROWS` rows.

    Returns:
        The graph of ATen operations from (*pred, *target, *arguments) to [loss, *gradient].

    Raises:
        NotTraceable: the operations depend on the data, or change an argument.
    """

    def flat(*inputs: Tensor) -> list[Tensor]:
        targets, extra = inputs[len(pred) :][: len(target)], inputs[len(pred) + len(target) :]
        return function(list(inputs[: len(pred)]), list(targets), dict(zip(arguments, extra, strict=True)))

    try:
        with pred[0].device:  # where the loss makes tensors of its own
            graph = private.record(flat, (*pred, *target, *arguments.values()))
    except private.InPlaceError as error:
        raise NotTraceable(str(error)) from error
    except Exception as error:  # anything that a user's own loss may do; it runs, but cannot be recorded
        raise NotTraceable(f"{type(error).__name__}: {error}") from error
    for node in graph.nodes:
        if node.target is torch.ops.aten.expand.default:
            node.args = (node.args[0], _kept_sizes(*node.args))
    return graph


def _kept_sizes(expanded: Node, sizes: list[int]) -> list[int]:
    """The sizes, -1 for the axes that are as they were."""
    before = expanded.meta["val"].shape
    new = len(sizes) - len(before)
    return [-1 if i >= new and before[i - new] == size else size for i, size in enumerate(sizes)]
