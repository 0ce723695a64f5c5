"""Whether a loss does the same on tensors with more axes than those that it was recorded on."""

from __future__ import annotations

from collections.abc import Iterator

from torch.fx import Graph

from . import private
from .axes import ELEMENTWISE
from .tracing import NotTraceable


def require_same_operations(recorded: Graph, as_called: Graph) -> None:
    """Raise unless two recordings compute with numbers in one way, whatever they do to bring axes into line.

    Args:
        recorded: on rows, or on elements along one axis.
        as_called: in the shape of the calls.

    Raises:
        NotTraceable: they differ, for the loss asks how many axes there are.
    """
    if list(_operations(recorded)) != list(_operations(as_called)):
        raise NotTraceable("what it does depends on the number of axes")


def _operations(graph: Graph) -> Iterator[str]:
    """What is done with numbers, element by element, each with the constants in it."""
    for node in graph.nodes:
        name = private.operation(node)
        if node.op == "call_function" and (private.is_elementwise(node) or name in ELEMENTWISE):
            given = [*node.args, *node.kwargs.values()]
            yield " ".join([name, *(repr(each) for each in given if isinstance(each, (int, float)))])
