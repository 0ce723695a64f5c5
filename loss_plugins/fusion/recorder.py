"""What a function does with tensors, written down as a graph while it runs."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import SymBool, SymFloat, SymInt, Tensor
from torch.fx import Graph, Node
from torch.fx.node import map_aggregate

SIZES = (SymInt, SymFloat, SymBool)
#: a tensor that a list of numbers became is not to be changed in place, as it is the same one in all calls
COPIES = {torch.ops.aten.lift_fresh.default: torch.ops.aten.lift_fresh_copy.default}


@dataclass(frozen=True)
class Described:
    """A recorded tensor as it was then, for an operation may change its shape in place.

    Attributes:
        shape: numbers, or symbols.
        dtype: of its numbers.
    """

    shape: tuple[Any, ...]
    dtype: torch.dtype


def described(value: Any) -> Any:
    """A recorded value without the numbers in its tensors."""
    if isinstance(value, Tensor):
        return Described(tuple(value.shape), value.dtype)
    return [described(part) for part in value] if isinstance(value, (list, tuple)) else value


def computed(how: str) -> None:
    """What stands in a graph for a size that is neither one of an input nor a product of such; it is never called."""
    raise NotImplementedError(how)


class Recorder:
    """Writes operations into a graph, with what each value is, `described`, in `meta["val"]`.

    A size among the arguments of an operation stands there as what it is by its mathematics, however it was computed.

    Attributes:
        graph: from the inputs to the results.
    """

    def __init__(self, inputs: Sequence[Tensor], numbers: bool) -> None:
        """Begin with the inputs.

        Args:
            inputs: of the function.
            numbers: they have numbers, which a function must not read.
        """
        self.graph = Graph()
        self._numbers = numbers
        self._tensors: dict[int, tuple[Tensor, Node]] = {}  # by identity, which is theirs as long as they are kept
        self._sizes: dict[Any, Node] = {}
        self._constants: set[Node] = set()  # what is made of no input
        for node, tensor in [(self.graph.placeholder(f"input_{i}"), tensor) for i, tensor in enumerate(inputs)]:
            self._note(node, tensor)
            for axis, size in enumerate(tensor.shape):
                if isinstance(size, SymInt) and size.node.expr not in self._sizes:
                    self._note(self.graph.call_function(torch.ops.aten.sym_size.int, (node, axis)), size)

    def run(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The result of an operation, which is written down.

        Raises:
            RuntimeError: it makes a number of Python of one that a tensor happens to have.
        """
        nodes: Any = map_aggregate((tuple(args), dict(kwargs)), self._of)
        node = self.graph.call_function(COPIES.get(function, function), *nodes)
        if node.all_input_nodes and self._constants.issuperset(node.all_input_nodes):
            self._constants.add(node)
        reads = torch.Tag.data_dependent_output in getattr(function, "tags", ())
        if reads and node not in self._constants and self._numbers:
            raise RuntimeError(f"{function} reads a number in a tensor")
        result = function(*args, **kwargs)
        if reads and node in self._constants and not isinstance(result, SIZES):  # the same number in all calls
            self.graph.erase_node(node)
        else:
            self._note(node, result)
        return result

    def end(self, results: Sequence[Tensor]) -> Graph:
        """The graph, which returns these tensors."""
        self.graph.output([self._of(result) for result in results])
        return self.graph

    def _note(self, node: Node, value: Any) -> None:
        node.meta["val"] = described(value)
        if isinstance(value, Tensor):
            self._tensors[id(value)] = value, node
        elif isinstance(value, SIZES):
            self._sizes[value.node.expr] = node
        elif isinstance(value, (list, tuple)):
            for number, part in enumerate(value):
                self._note(self.graph.call_function(operator.getitem, (node, number)), part)

    def _of(self, value: Any) -> Any:
        """What stands in the graph for an argument."""
        if isinstance(value, Tensor):
            if id(value) not in self._tensors:
                constant = self.graph.get_attr(f"constant_{len(self._constants)}")
                self._constants.add(constant)
                self._note(constant, value)
            return self._tensors[id(value)][1]
        return self._size(value) if isinstance(value, SIZES) else value

    def _size(self, size: Any) -> Any:
        expression = size.node.expr
        if expression not in self._sizes:
            parts = [int(part) if part.is_Integer else self._sizes.get(part) for part in expression.args]
            if expression.is_Integer:
                return int(expression)
            if expression.is_Mul and None not in parts:
                self._note(self.graph.call_function(math.prod, (parts,)), size)
            else:
                self._note(self.graph.call_function(computed, (type(expression).__name__.lower(),)), size)
        return self._sizes[expression]
