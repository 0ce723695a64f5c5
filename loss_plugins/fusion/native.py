"""Loss and gradient as machine code, made by TorchInductor once for all numbers of rows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from . import private
from .private import MachineCode, Shapes
from .probe import works

CXX = ("c++", "g++", "clang++")
#: up to so many rows (or elements), waking the other threads costs a CPU more time than they save
SERIAL = 1 << 14


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
    """A function of tensors as machine code.

    What `torch.compile` puts around Inductor (Dynamo's guards, AOTAutograd's wrappers) takes longer at each call than
    the loss of 10,000 boxes. Here it has nothing to do: shapes and types are known, and nothing is differentiated. It
    is used only where Inductor cannot be called alone, see `probe.works`.

    Args:
        function: from tensors to a list of tensors, without side effects or control flow that depends on the data; its
            derivatives by autograd.
        transform: the same, its derivatives by `torch.func`, which `torch.compile` can read.
        shapes: of each argument; "n" and "c" are sizes that vary, from 2 on.
        arguments: types and devices.
        serial: in one thread.

    Attributes:
        graphs: how many were compiled in this process, by all.
    """

    graphs = 0

    def __init__(
        self,
        function: Callable[..., list[Tensor]],
        transform: Callable[..., list[Tensor]],
        shapes: Shapes,
        arguments: Sequence[Tensor],
        serial: bool,
    ) -> None:
        self._found = [
            next((i, shape.index(name)) for i, shape in enumerate(shapes) if name in shape)
            for name in private.names_of(shapes)
        ]
        if works("compile", arguments[0].device.type):
            self._code = private.machine_code(function, shapes, arguments, serial)
        else:
            self._code = publicly_compiled(transform, len(self._found), serial)
        self._run: MachineCode = self._first_run
        Native.graphs += 1

    def __call__(self, *arguments: Tensor) -> list[Tensor]:
        """What the function returns, for tensors in any layout; each result has memory of its own."""
        in_order = [argument.contiguous() for argument in arguments]
        return self._run([*(in_order[position].shape[axis] for position, axis in self._found), *in_order])

    def _first_run(self, arguments: list[Any]) -> list[Tensor]:
        """What the code returns; from here on by itself, or copied where a result is not for the caller to change."""
        results = self._code(arguments)
        self._run = self._code if _are_own(results, arguments[len(self._found) :]) else self._copied
        return [result.clone(memory_format=torch.contiguous_format) for result in results]

    def _copied(self, arguments: list[Any]) -> list[Tensor]:
        return [result.clone(memory_format=torch.contiguous_format) for result in self._code(arguments)]


def _are_own(results: Sequence[Tensor], arguments: Sequence[Tensor]) -> bool:
    """Whether no two elements of the results lie in one place, nor one where an argument lies."""
    places = {tensor.untyped_storage().data_ptr() for tensor in (*results, *arguments)}
    alone = len(places) == len(results) + len({each.untyped_storage().data_ptr() for each in arguments})
    return alone and all(_is_dense(result) for result in results)


def _is_dense(tensor: Tensor) -> bool:
    """Whether its elements lie side by side, each in a place of its own, in any order of the axes."""
    order = sorted(range(tensor.ndim), key=tensor.stride, reverse=True)
    return tensor.permute(order).is_contiguous()


def publicly_compiled(function: Callable[..., list[Tensor]], sizes: int, serial: bool) -> MachineCode:
    """The function by `torch.compile`, which finds the sizes by itself.

    Args:
        function: from tensors to a list of tensors.
        sizes: how many of them the result gets before the tensors.
        serial: in one thread.
    """
    # with code of its own: for all functions of one code, torch.compile keeps eight compilations
    code: Any = function.__code__.replace()  # type: ignore[attr-defined]
    own = FunctionType(code, function.__globals__, None, None, function.__closure__)  # type: ignore[attr-defined]
    options: dict[str, Any] | None = {"cpp.threads": 1} if serial else None
    compiled: Callable[..., list[Tensor]] = torch.compile(own, fullgraph=True, dynamic=True, options=options)

    def run(arguments: list[Any]) -> list[Tensor]:
        return compiled(*(tensor.detach() for tensor in arguments[sizes:]))

    return run
