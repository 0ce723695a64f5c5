"""Whether this PyTorch has what `private` uses: tried once per process, on a tiny function.

Where it fails, `fusion` keeps to the public interface: autograd instead of a program, `torch.compile` instead of
calling the compiler below it.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.fx import GraphModule

from .private import (
    CAN_LOOK_AROUND,
    arguments_of,
    changes_its_argument,
    is_elementwise,
    machine_code,
    noted,
    operation,
    record,
    recorded_for_any_size,
    sizes_as_numbers,
)
from .recorder import Described


@functools.cache
def works(what: Literal["record", "compile"], device: str) -> bool:
    """Whether `record`, or `machine_code`, does what it should in this PyTorch: tried once, on a tiny function.

    A warning says what went wrong where it does not.

    Args:
        what: "record": for programs; "compile": for machine code.
        device: type of the device to compile for; what is recorded is the same on all, so it is tried on the "cpu".
    """
    try:
        with torch.autocast(device, enabled=False), torch.device("cpu"):
            _try_recording() if what == "record" else _try_compiling(device)
    except Exception as error:  # whatever another version of PyTorch may do
        instead = "autograd" if what == "record" else "torch.compile"
        warnings.warn(
            f"loss_plugins: PyTorch {torch.__version__} does not {what} as expected ({type(error).__name__}: {error}); "
            f"losses use {instead} instead, which is slower and gives the same results",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


def _tiny(times: Callable[[Tensor, int], Tensor]) -> Callable[[Tensor, Tensor], list[Tensor]]:
    """(x, y) to value and gradient of exp(2 x y)."""

    def value_and_gradient(x: Tensor, y: Tensor) -> list[Tensor]:
        leaf = x.detach().requires_grad_()
        with torch.enable_grad():  # type: ignore[no-untyped-call]
            loss = times(leaf * y, 2).exp()
            (gradient,) = torch.autograd.grad(loss, leaf, torch.ones_like(loss))
        return [loss.detach(), gradient]

    return value_and_gradient


def _changing(x: Tensor) -> list[Tensor]:
    return [x.view(-1).mul_(2).sin()]


def _no_size(x: Tensor) -> list[Tensor]:
    return [x.sin() + x.new_zeros(x.shape)]


def _size_asked_for(x: Tensor) -> list[Tensor]:
    return [x.sin() if len(x) > 5 else x.cos()]


def _size_as_number(x: Tensor) -> list[Tensor]:
    return [x.sin() * (x.shape[0] // 5)]


def _try_recording() -> None:
    if not CAN_LOOK_AROUND:
        raise RuntimeError("it does not tell whether functorch, a dispatch mode, forward mode or a trace is active")
    x, y = torch.linspace(-1, 1, 10, dtype=torch.float64).view(2, 5).unbind()
    function = _tiny(Tensor.mul_)
    graph = record(function, (x, y))
    calls = {operation(node): node for node in graph.nodes if node.op == "call_function"}
    if not {"mul", "exp"} <= set(calls):
        raise RuntimeError(f"recorded operations are called {sorted(calls)}")
    if calls["exp"].meta["val"] != Described(tuple(x.shape), x.dtype):
        raise RuntimeError("recorded operations have another type or shape")
    if not is_elementwise(calls["mul"]) or arguments_of(calls["mul"])["other"] is None:
        raise RuntimeError("operations do not tell what they work on")
    _expect(GraphModule(torch.nn.Module(), graph)(y, x), function(y, x))
    if not any(map(changes_its_argument, noted(_changing, (x.clone(),)).nodes)):
        raise RuntimeError("operations do not tell whether they work in place")
    asked = [recorded_for_any_size(asks, [("n",)], [x])[1] for asks in (_no_size, _size_asked_for)]
    if [bool(each) for each in asked] != [False, True]:
        raise RuntimeError("it does not tell what a function asks of sizes")
    used, _ = recorded_for_any_size(_size_as_number, [("n",)], [x])
    if not any(sizes_as_numbers(node) for node in used.nodes):
        raise RuntimeError("it does not tell where a function computes with sizes")


def _try_compiling(device: str) -> None:
    function, shapes = _tiny(torch.mul), [("n",), ("n",)]
    for rows in (5, 8):
        x, y = torch.linspace(-1, 1, 2 * rows, dtype=torch.float32).to(device).view(2, rows).unbind()
        if rows == 5:
            run = machine_code(function, shapes, (x, y), serial=True)
        _expect(run([rows, x, y]), function(x, y))


def _expect(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    if not all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(found, expected, strict=True)):
        raise RuntimeError("the result is wrong")
