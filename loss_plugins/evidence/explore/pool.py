"""All programs of the page as one list of operations, in which what several losses compute stands once."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...fusion import Listing

#: the operations that the page's script knows, by torch's names; `page/compute.js` has each
OPERATIONS = (
    "add", "sub", "mul", "div", "neg", "reciprocal", "abs", "sign", "relu", "maximum", "minimum", "where",
    "masked_fill", "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_not", "bitwise_and",
    "bitwise_or", "bitwise_not", "pow", "sqrt", "rsqrt", "square", "exp", "exp2", "expm1", "log", "log2", "log10",
    "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "sigmoid", "floor", "ceil",
    "isfinite", "isnan",
)  # fmt: skip
COMMUTATIVE = {"add", "mul", "maximum", "minimum", "eq", "logical_and", "logical_or", "bitwise_and", "bitwise_or"}
LETTERS = string.ascii_letters


class Unknown(Exception):
    """A program does an operation that the page cannot compute."""


class Pool:
    """Collects programs.

    Attributes:
        nodes: inputs by name ("@power"), numbers ("#0.5") and operations ("a3,5": the first one known, of nodes 3 and
            5), each after those that it uses.
    """

    def __init__(self) -> None:
        self.nodes: list[str] = []
        self._known: dict[str, int] = {}

    def add(self, program: Listing) -> list[int]:
        """Which nodes are the loss and its gradient; an operation that the page does not know raises `Unknown`."""
        unknown = sorted({each.name for each in program.operations} - {*OPERATIONS})
        if unknown:
            raise Unknown(f"the page does not know {', '.join(unknown)}")
        places = {name: self._place(f"@{name}") for name in program.inputs}

        def place(value: str | float) -> int:
            return places[value] if isinstance(value, str) else self._place(f"#{value!r}")

        for each in program.operations:
            arguments = [place(value) for value in each.arguments]
            ordered = sorted(arguments) if each.name in COMMUTATIVE else arguments
            places[each.result] = self._place(f"{letter_of(each.name)}{','.join(map(str, ordered))}")
        return [place(value) for value in (program.loss, *program.gradient)]

    def _place(self, node: str) -> int:
        if node not in self._known:
            self._known[node] = len(self.nodes)
            self.nodes.append(node)
        return self._known[node]


def letter_of(name: str) -> str:
    """The letter that stands for an operation.

    >>> letter_of("add"), letter_of("sub")
    ('a', 'b')
    """
    return LETTERS[OPERATIONS.index(name)]


def used(nodes: Sequence[str], results: Sequence[int]) -> int:
    """How many operations these results take."""
    seen, todo = set[int](), [*results]
    while todo:
        place = todo.pop()
        if place not in seen:
            seen.add(place)
            if nodes[place][0] not in "@#":
                todo += map(int, nodes[place][1:].split(","))
    return sum(nodes[place][0] not in "@#" for place in seen)
