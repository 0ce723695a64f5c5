"""Loss and gradient as machine code, made by TorchInductor once for all numbers of rows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import SymInt, Tensor
from torch.fx import GraphModule

CXX = ("c++", "g++", "clang++")
#: up to so many rows (or elements), waking the other threads costs a CPU more time than they save
SERIAL = 1 << 14
#: the sizes that the compiler has in mind while it decides what is worth threads; any others run as well
LIKELY = {"n": 70_001, "c": 83}
#: the name of a size that varies, or a size that does not
Size = int | str


def require_compiler() -> None:
    """Raise unless torch can compile here.

    Raises:
        RuntimeError: no C++ compiler is found.
    """
    names = [os.environ["CXX"]] if os.environ.get("CXX") else list(CXX)
    if not any(shutil.which(name) for name in names):
        raise RuntimeError(
            f"compile=True needs a C++ compiler, and none of {', '.join(names)} is on PATH; install one "
            "(or set CXX), or leave compile out"
        )


class Native:
    """A function of contiguous tensors, compiled at its first call.

    What `torch.compile` puts around Inductor (Dynamo's guards, AOTAutograd's wrappers) takes longer at each call than
    the loss of 10,000 boxes. Here it has nothing to do: shapes and types are known, and nothing is differentiated.

    Args:
        function: from tensors to a list of tensors, without side effects or control flow that depends on the data.
        shapes: of each argument; "n" and "c" are sizes that vary, from 2 on.

    Attributes:
        graphs: how many were compiled in this process, by all.
    """

    graphs = 0

    def __init__(self, function: Callable[..., list[Tensor]], shapes: Sequence[tuple[Size, ...]]) -> None:
        self._function, self._shapes = function, shapes
        names = dict.fromkeys(size for shape in shapes for size in shape if isinstance(size, str))
        self._names = list(names)
        self._found = [
            next((i, shape.index(name)) for i, shape in enumerate(shapes) if name in shape) for name in names
        ]
        self._compiled: dict[bool, Callable[[list[Any]], list[Tensor]]] = {}

    def __call__(self, *arguments: Tensor) -> list[Tensor]:
        """What the function returns; the arguments must be contiguous."""
        sizes = [arguments[position].shape[axis] for position, axis in self._found]
        serial = arguments[0].device.type == "cpu" and sizes[0] <= SERIAL
        if serial not in self._compiled:
            self._compiled[serial] = self._compile(arguments, serial)
        return self._compiled[serial]([*sizes, *arguments])

    def _compile(self, arguments: Sequence[Tensor], serial: bool) -> Callable[[list[Any]], list[Tensor]]:
        from torch._inductor import config
        from torch._inductor.compile_fx import compile_fx_inner
        from torch._inductor.decomposition import select_decomp_table
        from torch.fx.experimental.proxy_tensor import make_fx

        sizes, fakes = self._symbolic(arguments)
        decompositions = {**select_decomp_table(), torch.ops.aten.sigmoid.default: _sigmoid}
        graph = make_fx(self._function, decomposition_table=decompositions, tracing_mode="symbolic")(*fakes)
        _take_sizes(graph, sizes)
        with config.patch({"cpp.threads": 1} if serial else {}):
            compiled = compile_fx_inner(graph, [*sizes, *fakes])
        Native.graphs += 1
        # around it, `compiled` looks after profiles and caches, which takes longer than a small loss
        return getattr(compiled, "current_callable", None) or compiled

    def _symbolic(self, arguments: Sequence[Tensor]) -> tuple[list[SymInt], list[Tensor]]:
        """A symbol for each size that varies, and fake tensors of these shapes."""
        from torch._subclasses.fake_tensor import FakeTensorMode
        from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext

        mode = FakeTensorMode(shape_env=ShapeEnv())
        context: Any = StatelessSymbolicContext(dynamic_sizes=[DimDynamic.DYNAMIC])  # type: ignore[no-untyped-call]
        like = {name: torch.empty(LIKELY[name], device="cpu") for name in self._names}
        sizes: dict[Size, Any] = {
            name: mode.from_tensor(like[name], symbolic_context=context).shape[0] for name in self._names
        }
        with mode:
            fakes = [
                torch.empty([sizes.get(size, size) for size in shape], dtype=argument.dtype, device=argument.device)
                for shape, argument in zip(self._shapes, arguments, strict=True)
            ]
        return list(sizes.values()), fakes


def _sigmoid(x: Tensor) -> Tensor:
    # by exp(-|x|), which the cross-entropy beside it needs too
    small = torch.exp(-x.abs())
    return torch.where(x >= 0, 1.0, small) / (1 + small)


def _take_sizes(graph: GraphModule, sizes: list[SymInt]) -> None:
    """Let the graph take the sizes as its first arguments, as Inductor wants them."""
    named = {}
    with graph.graph.inserting_before(next(iter(graph.graph.nodes))):
        for i, size in enumerate(sizes):
            named[str(size)] = graph.graph.placeholder(f"size_{i}")
            named[str(size)].meta["val"] = size
    for node in list(graph.graph.nodes):
        if node.op == "call_function" and node.target is torch.ops.aten.sym_size.int:
            node.replace_all_uses_with(named[str(node.meta["val"])])
            graph.graph.erase_node(node)
    graph.recompile()
