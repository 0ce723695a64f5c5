"""Value and gradient of a loss per row as a plain list of operations, for what computes them elsewhere than in torch.

The list is the simplified program itself: float64 arithmetic gives the numbers of the library from it, kinks included.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import Graph, Node

from .algebra import simplify
from .alone import alone
from .axes import require_apart
from .observed import READS
from .private import arguments_of, operation
from .probe import works
from .tracing import SAMPLE_ROWS, LossFunction, NotTraceable, by_columns, joint, trace
from .trials import Layout, Samples, agrees, trials

#: the name of an input or of an operation's result, or a number
Value = str | float
#: a value per row, or the columns of a stack
Columns = Value | list[Value]

#: operations of which each number is that of one argument
UNCHANGED = {"view", "reshape", "squeeze", "unsqueeze", "expand", "_to_copy", "contiguous"}
#: what torch calls otherwise in some places
SAME_AS = {"sgn": "sign", "true_divide": "div", "subtract": "sub", "multiply": "mul"}
#: keywords of operations that are read apart, or say how a tensor lies in memory
WITHOUT_PLACE = {"alpha", "dtype", "device", "layout", "pin_memory", "memory_format"}
#: the operation that makes a number of Python of one in a tensor
READ = "aten._local_scalar_dense"
#: arithmetic of numbers alone, which are known already
OF_NUMBERS: dict[str, Callable[[float, float], float]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
}


class Operation(NamedTuple):
    """One operation on numbers of a row.

    Attributes:
        result: what later operations call the number that it gives.
        name: as torch's function is called: "add", "where", "atan2"; comparisons give 0 or 1.
        arguments: names of inputs and earlier results, or numbers.
    """

    result: str
    name: str
    arguments: tuple[Value, ...]


class Listing(NamedTuple):
    """Value and gradient of a loss for one row.

    Attributes:
        inputs: "pred_0", ... and "target_0", ..., the columns of a row, then the numbers by their names.
        operations: in an order in which they can be done.
        loss: its name, or the number that it always is.
        gradient: likewise, of the loss by each column of pred.
    """

    inputs: tuple[str, ...]
    operations: tuple[Operation, ...]
    loss: Value
    gradient: tuple[Value, ...]

    def run(self, values: Mapping[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Loss and gradient by torch, of float64 tensors by the names of the inputs."""
        known = dict(values)

        def found(value: Value) -> Tensor:
            return known[value] if isinstance(value, str) else torch.tensor(value, dtype=torch.float64, device="cpu")

        for each in self.operations:
            known[each.result] = getattr(torch, each.name)(*map(found, each.arguments))
        return found(self.loss), [found(value) for value in self.gradient]


def listed(
    function: LossFunction, samples: Samples, numbers: Mapping[str, float], columns: int, finite: bool
) -> Listing:
    """See `fusion.program_of`, which is the door."""
    return alone(lambda: _listed(function, samples, numbers, columns, finite))


def _listed(
    function: LossFunction, samples: Samples, numbers: Mapping[str, float], columns: int, finite: bool
) -> Listing:
    if not works("record", "cpu"):
        raise NotTraceable(f"PyTorch {torch.__version__} does not record as expected")
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in numbers.items()}
    pred, target = (list(part.double().unbind(-1)) for part in samples(SAMPLE_ROWS, 1))
    try:
        recorded = trace(joint(function, by_columns), pred, target, tensors)
    except NotTraceable as error:
        if READ not in str(error):
            raise
        raise NotTraceable(f"it reads the numbers in its tensors ({READS})") from error
    require_apart(recorded, columns, per_row=True)
    graph = simplify(recorded, [*pred, *target, *tensors.values()], finite=finite)
    names = [*(f"{part}_{i}" for part in ("pred", "target") for i in range(columns)), *numbers]
    listing = Lister(names).read(graph)
    _require_agreement(listing, function, samples, tensors, columns)
    return listing


def _require_agreement(
    listing: Listing, function: LossFunction, samples: Samples, tensors: dict[str, Tensor], columns: int
) -> None:
    """Raise unless other numbers of rows give what autograd gives."""

    def kernel(pred: Tensor, target: Tensor, extra: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        given = (*pred.unbind(-1), *target.unbind(-1), *extra.values())
        loss, gradient = listing.run(dict(zip(listing.inputs, given, strict=True)))
        return loss.expand(len(pred)), torch.stack([part.expand(len(pred)) for part in gradient])

    unknown = sorted({each.name for each in listing.operations if not hasattr(torch, each.name)})
    if unknown:
        raise NotTraceable(f"it does {', '.join(unknown)}, which torch has for itself")
    empty = torch.empty(0, dtype=torch.float64, device="cpu")
    layout = Layout("rows", 2, columns, empty, empty, serial=True)
    if not agrees(kernel, function, trials(samples, layout, tensors), tensors):
        raise NotTraceable("what was recorded gives other numbers than autograd")


class Lister:
    """Reads a simplified graph, node by node, as operations on the numbers of one row."""

    def __init__(self, inputs: Sequence[str]) -> None:
        """Begin with the names of the graph's inputs, in order."""
        self._inputs = tuple(inputs)
        self._operations: list[Operation] = []
        self._values: dict[Node, Columns] = {}

    def read(self, graph: Graph) -> Listing:
        """The list of a graph that returns the loss and its gradient by each column."""
        names = iter(self._inputs)
        results: Sequence[Node] = ()
        for node in graph.nodes:
            if node.op == "placeholder":
                self._values[node] = next(names)
            elif node.op == "output":
                results = node.args[0]
            else:
                self._values[node] = self._of(node)
        loss, *gradient = (self._one(self._values[node]) for node in results)
        return Listing(self._inputs, tuple(self._operations), loss, tuple(gradient))

    def _of(self, node: Node) -> Columns:
        name = operation(node) or getattr(node.target, "__name__", "")
        name = SAME_AS.get(name, name)
        if name in ("full", "full_like"):
            return float(node.args[1])  # type: ignore[arg-type]
        first: Columns = self._argument(node.args[0])
        if name == "stack":
            return self._stacked(node)
        if name == "sum":
            return self._sum(node)
        if name in ("select", "getitem", "unbind"):
            return self._taken(name, node, first)
        _require_columns(node)
        if name in UNCHANGED:
            return first
        return self._each(name, node)

    def _each(self, name: str, node: Node) -> Columns:
        """An operation on the numbers of a row, or on those of each column of a stack."""
        given = [self._argument(argument) for argument in _in_order(node)]
        alpha = node.kwargs.get("alpha", 1)
        widths = {len(argument) for argument in given if isinstance(argument, list)}
        if not widths:
            return self._emit(name, [self._one(argument) for argument in given], alpha)
        width = max(widths)
        if widths - {1, width}:
            raise NotTraceable(f"it puts {' and '.join(map(str, sorted(widths)))} columns together")
        parts = [argument if isinstance(argument, list) else [argument] for argument in given]
        spread = [part if len(part) == width else part * width for part in parts]
        return [self._emit(name, list(row), alpha) for row in zip(*spread, strict=True)]

    def _emit(self, name: str, arguments: list[Any], alpha: Any = 1) -> Value:
        if alpha != 1:
            arguments = [arguments[0], self._emit("mul", [arguments[1], float(alpha)])]
        if name in ("clamp", "clamp_min", "clamp_max"):
            return self._clamped(name, arguments)
        if name in OF_NUMBERS and not any(isinstance(argument, str) for argument in arguments):
            return OF_NUMBERS[name](*arguments)
        if name == "mul" and 1.0 in arguments:
            return arguments[1 - arguments.index(1.0)]  # type: ignore[no-any-return]
        result = f"v{len(self._operations)}"
        self._operations.append(Operation(result, name, tuple(arguments)))
        return result

    def _clamped(self, name: str, arguments: list[Any]) -> Value:
        """Bounds one by one: the larger of it and the lower, then the smaller of that and the upper."""
        value, *bounds = arguments
        low, high = {"clamp_min": (*bounds, None), "clamp_max": (None, *bounds)}.get(name, (*bounds, None))[:2]
        if low is not None:
            value = self._emit("maximum", [value, low])
        return value if high is None else self._emit("minimum", [value, high])

    # --- stacks of columns -------------------------------------------------------------------------------------------

    def _stacked(self, node: Node) -> Columns:
        """The columns of a stack along the last axis."""
        given = arguments_of(node)
        if given["dim"] % node.meta["sample"].ndim != 1:
            raise NotTraceable("it stacks what are no columns of rows")
        return [self._one(self._values[column]) for column in given["tensors"]]

    def _sum(self, node: Node) -> Columns:
        """The sum of the columns of a stack."""
        given = arguments_of(node)
        columns, over = self._argument(given["self"]), [axis % 2 for axis in given.get("dim") or ()]
        if not isinstance(columns, list) or over != [1] or given.get("keepdim"):
            raise NotTraceable("it sums what are no columns of rows")
        total: Value = columns[0]
        for column in columns[1:]:
            total = self._emit("add", [total, column])
        return total

    def _taken(self, name: str, node: Node, first: Columns) -> Columns:
        """One column of a stack."""
        if isinstance(first, list) and name == "unbind":
            return first
        index = node.args[2] if name == "select" else node.args[1]
        if not isinstance(first, list) or not isinstance(index, int) or (name == "select" and node.args[1] in (0, -2)):
            raise NotTraceable(f"{name} takes what is no column of rows")
        return first[index]

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, Node):
            return self._values[argument]
        return float(argument) if isinstance(argument, (bool, int, float)) else argument

    def _one(self, value: Any) -> Value:
        if isinstance(value, (str, float)) or value is None:
            return value  # type: ignore[return-value]
        raise NotTraceable("an operation takes something else than columns of rows and numbers")


def _in_order(node: Node) -> list[Any]:
    """The arguments by position; the factor of `add` apart."""
    unknown = set(node.kwargs) - WITHOUT_PLACE
    if unknown:
        raise NotTraceable(f"{operation(node)} is given {', '.join(sorted(unknown))}")
    return list(node.args)


def _require_columns(node: Node) -> None:
    """Raise where an operation gives something else than a number per row, or per row and column."""
    sample = node.meta["sample"]
    if not isinstance(sample, Tensor) or sample.ndim > 2 or (sample.ndim and sample.shape[0] not in (1, SAMPLE_ROWS)):
        raise NotTraceable(f"{operation(node) or node.target} gives something else than columns of rows")
