"""A simplified graph as straight-line code on a few buffers, run over blocks of rows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from .tracing import SAMPLE_ROWS

#: rows (or elements) at a time and thread: enough work to share out, few enough for the buffers to stay in a cache
ROWS_PER_THREAD = 1 << 17
#: up to so many rows, reading columns where they lie costs less than copying them, and a transpose less than a stack
FEW = 2048
#: blocks hold a multiple of so many rows: what is left over by vector instructions may be rounded differently
LINE = 256
#: bytes of intermediate results that a thread keeps; what needs less or more is allocated anew
KEEP_FROM, KEEP_TO = 1 << 16, 1 << 27
#: what each function is called as a method that changes its first argument, the fastest way to call it
IN_PLACE: dict[Callable[..., Any], str] = {
    function: function.__name__ + "_"
    for function in (
        torch.add, torch.sub, torch.mul, torch.div, torch.neg, torch.abs, torch.exp, torch.exp2, torch.log, torch.log2,
        torch.log1p, torch.expm1, torch.sqrt, torch.rsqrt, torch.sigmoid, torch.tanh, torch.reciprocal, torch.sign,
        torch.relu, torch.atan, torch.sin, torch.cos, torch.floor, torch.pow, torch.clamp, torch.clamp_min,
        torch.clamp_max,
    )
}  # fmt: skip
#: functions that can write their result over an argument or into a buffer, by `out`
WRITES = {*IN_PLACE, torch.minimum, torch.maximum, torch.atan2, torch.where} - {torch.relu}
#: functions whose result is a tensor of its own
FRESH = {*WRITES, torch.relu, torch.gt, torch.ge, torch.lt, torch.le, torch.eq, torch.ne}
#: functions whose second and third argument may be a tensor without dimension for a number, which is faster
NUMBERS = {torch.add, torch.sub, torch.mul, torch.div, torch.where, torch.clamp_min, torch.clamp_max,
           torch.gt, torch.ge, torch.lt, torch.le, torch.eq, torch.ne}  # fmt: skip
COMMUTATIVE = (torch.add, torch.mul)


class Program:
    """Loss and gradient without autograd and without a compiler.

    Args:
        graph: what `simplify` made, from (*pred, *target, *arguments) to (loss, *gradient).

    Attributes:
        length: how many operations it takes.
    """

    def __init__(self, graph: Graph) -> None:
        writer = _Writer(graph)
        self._run = GraphModule(torch.nn.Module(), writer.graph).forward
        like = next(iter(graph.nodes)).meta["sample"]
        self._inputs = [value if value is None else like.new_tensor(value) for value in writer.inputs]
        self._buffers = writer.inputs.count(None)
        self.length = sum(node.op.startswith("call") for node in writer.graph.nodes)

    def __call__(self, pred: Tensor, target: Tensor, arguments: list[Tensor]) -> tuple[Tensor, Tensor]:
        """(loss, gradient) for pred and target of (n, columns), the gradient (columns, n); all (n,) for (n,)."""
        n = pred.shape[0]
        loss, gradient = pred.new_empty(n), pred.new_empty(pred.shape[::-1])
        most = rows_per_block() if pred.device.type == "cpu" else n
        blocks = -(-n // most)
        with torch.inference_mode():  # leaves out what autograd counts per operation
            if blocks == 1:
                self._compute(pred, target, arguments, loss, gradient)
            else:
                size = -(-n // (blocks * LINE)) * LINE
                for start in range(0, n, size):
                    block = slice(start, start + size)
                    self._compute(pred[block], target[block], arguments, loss[block], gradient[..., block])
        return loss, gradient

    def _compute(self, pred: Tensor, target: Tensor, arguments: list[Tensor], loss: Tensor, gradient: Tensor) -> None:
        inputs: tuple[Tensor, ...] = (pred, target)
        results: tuple[Tensor, ...] = (gradient,)
        n, columns = loss.shape[0], 0
        if pred.ndim > 1:
            inputs, results = (*pred.unbind(-1), *target.unbind(-1)), gradient.unbind(0)
            columns = len(inputs) if n > FEW else 0
        memory = scratch(pred, columns + self._buffers, n)
        buffers = memory.unbind(0)
        if columns:  # vector instructions read contiguous columns only
            torch.stack(inputs, out=memory[:columns])
            inputs = buffers[:columns]
        free = iter(buffers[columns:])
        more = [next(free) if value is None else value for value in self._inputs]
        self._run(*inputs, *arguments, loss, *results, *more)


def rows_per_block() -> int:
    """How many rows (or elements) are computed at a time on a CPU."""
    return ROWS_PER_THREAD * torch.get_num_threads()


_KEPT = threading.local()


def scratch(like: Tensor, buffers: int, size: int) -> Tensor:
    """Memory for intermediate results; on a CPU each thread keeps its own: fresh pages cost more than the work."""
    needed = buffers * size * like.element_size()
    if like.device.type != "cpu" or not KEEP_FROM <= needed <= KEEP_TO:
        return like.new_empty(buffers, size)
    kept: Tensor | None = getattr(_KEPT, "bytes", None)
    if kept is None or len(kept) < needed:
        with torch.inference_mode(False):
            kept = _KEPT.bytes = torch.empty(needed, dtype=torch.uint8, device="cpu")
    return kept[:needed].view(like.dtype).view(buffers, size)


def forget_scratch() -> None:
    """Give back what this thread keeps."""
    _KEPT.__dict__.clear()


class _Writer:
    """Rewrites calls so that results share a few buffers: that of an argument not needed again, or a free one.

    Attributes:
        graph: the calls, from (*pred, *target, *arguments, *results, *inputs) to nothing.
        inputs: a number, or None for a buffer.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = Graph()
        self.inputs: list[float | None] = []
        self._numbers: dict[str, Node] = {}
        self._free: list[Node] = []
        self._buffer: dict[Node, Node] = {}
        self._new: dict[Node, Node] = {}
        nodes = list(graph.nodes)
        self._last = {argument: node for node in nodes for argument in node.all_input_nodes}
        for node in nodes:
            if node.op == "placeholder":
                self._new[node] = self.graph.placeholder(node.name)
        results: tuple[Node, ...] = nodes[-1].args[0]
        places = [self.graph.placeholder(f"result_{i}") for i in range(len(results))]
        self._results = {node: place for node, place in zip(results, places, strict=True) if len(node.users) == 1}
        self._last_input = places[-1]
        for node in nodes:
            if node.op == "call_function":
                self._new[node] = self._written(node)
                self._release(node)
        for node, place in zip(results, places, strict=True):
            if self._new[node].kwargs.get("out") is not place:
                self.graph.call_method("copy_", (place, self._new[node]))
        self.graph.output(None)

    def _written(self, node: Node) -> Node:
        """The call of this node, told where to put its result."""
        function: Any = node.target
        kwargs = torch.fx.map_arg(dict(node.kwargs), self._new.__getitem__)
        args = self._arguments(node)
        if node in self._results and function in WRITES and _is_column(node):
            return self.graph.call_function(function, args, {**kwargs, "out": self._results[node]})
        if function not in FRESH or not _is_column(node) or not all(user.target in FRESH for user in node.users):
            return self.graph.call_function(function, args, kwargs)  # in memory of its own: others may view it
        spare = [
            i for i, a in enumerate(node.args) if isinstance(a, Node) and a in self._buffer and self._last[a] is node
        ]
        if spare:
            return self._overwriting(node, spare[0], args, kwargs)
        if function is torch.relu:
            function, args = torch.clamp_min, (*args, self._number(0.0))
        self._buffer[node] = self._free.pop() if self._free else self._input("buffer", None)
        return self.graph.call_function(function, args, {**kwargs, "out": self._buffer[node]})

    def _overwriting(self, node: Node, spare: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Node:
        function: Any = node.target
        overwritten: Any = node.args[spare]
        self._buffer[node] = self._buffer.pop(overwritten)
        if spare == 1 and function in COMMUTATIVE and not kwargs:
            args, spare = args[::-1], 0
        if spare == 0 and function in IN_PLACE:
            return self.graph.call_method(IN_PLACE[function], args, kwargs)
        return self.graph.call_function(function, args, {**kwargs, "out": args[spare]})

    def _arguments(self, node: Node) -> tuple[Any, ...]:
        args: tuple[Any, ...] = torch.fx.map_arg(node.args, self._new.__getitem__)
        first = 1 if node.target in NUMBERS else len(args)
        return (*args[:first], *(a if isinstance(a, Node) else self._number(a) for a in args[first:]))

    def _release(self, node: Node) -> None:
        for argument in node.all_input_nodes:
            if self._last[argument] is node and argument in self._buffer:
                self._free.append(self._buffer.pop(argument))

    def _number(self, value: float) -> Node:
        key = repr(float(value))
        if key not in self._numbers:
            self._numbers[key] = self._input("number", float(value))
        return self._numbers[key]

    def _input(self, name: str, value: float | None) -> Node:
        with self.graph.inserting_after(self._last_input):
            self._last_input = self.graph.placeholder(f"{name}_{len(self.inputs)}")
        self.inputs.append(value)
        return self._last_input


def _is_column(node: Node) -> bool:
    """Whether a buffer can hold it: one number per row, of the type of pred."""
    sample, pred = node.meta["sample"], next(iter(node.graph.nodes)).meta["sample"]
    return isinstance(sample, Tensor) and sample.shape == (SAMPLE_ROWS,) and sample.dtype == pred.dtype
