"""Everything that this package uses of PyTorch beyond its public interface, and whether this PyTorch has it.

No other file imports a private module of torch, or reads a private attribute of it or of an object by name, but for
`Tensor._version`, which torch documents and the audit and the catalogue read. `works` tries what is used here once per
process, on a tiny function; where it fails, `fusion` keeps to the public interface: autograd instead of a program,
`torch.compile` instead of calling the compiler below it.
"""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import SymBool, SymFloat, SymInt, Tensor
from torch.autograd import forward_ad
from torch.fx import Graph, GraphModule, Node

#: a size that varies, by its name, or a size that does not
Size = int | str
Shapes = Sequence[Sequence[Size]]
#: (sizes that vary, in order of their names' first use, then the tensors) to the results
MachineCode = Callable[[list[Any]], list[Tensor]]
#: the sizes that the compiler has in mind while it decides what is worth threads; any others run as well
LIKELY = {"n": 70_001, "c": 83}
UNLIKELY = 11

# --- what goes on around a call; looked up here once, for a step asks at each call ----------------------------------

_functorch_is_active: Any = getattr(torch._C, "_are_functorch_transforms_active", None)
_number_of_modes: Any = getattr(torch._C, "_len_torch_dispatch_stack", None)
#: during a backward pass: whether there may be another one; where this PyTorch does not tell, there may
may_run_again: Callable[[], bool] = getattr(
    getattr(torch._C, "_autograd", None), "_get_current_graph_task_keep_graph", lambda: True
)
_backward_pass: Any = getattr(torch._C, "_current_graph_task_id", None)
_is_tracing: Any = getattr(torch._C, "_is_tracing", None)
_functorch: Any = getattr(torch._C, "_functorch", None)
_is_batched: Any = getattr(_functorch, "is_batchedtensor", None)  # of torch.func.vmap
_is_legacy_batched: Any = getattr(_functorch, "is_legacy_batchedtensor", None)  # of `is_grads_batched`
CAN_LOOK_AROUND = None not in (_functorch_is_active, _number_of_modes, _backward_pass, _is_tracing) and hasattr(
    forward_ad, "_current_level"
)


def _look_around(pred: Tensor, target: Tensor) -> bool:
    return _functorch_is_active() or _number_of_modes() != 0 or forward_ad._current_level >= 0 or _is_tracing()


def in_backward() -> bool:
    """Whether this thread is computing gradients; where this PyTorch does not tell, it may."""
    return _backward_pass is None or _backward_pass() != -1


def batched(upstream: Tensor) -> bool:
    """Whether an upstream gradient stands for several; where this PyTorch does not tell, it may."""
    if _is_batched is None or _is_legacy_batched is None:
        return True
    return bool(_is_batched(upstream) or _is_legacy_batched(upstream))


def version(tensor: Tensor) -> int:
    """How often the tensor has been changed in place."""
    return tensor._version


class _NotForFunctorch(torch.autograd.Function):
    """A function without `setup_context`, which functorch refuses."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return tensor.new_empty(0)


def look_around_publicly(pred: Tensor, target: Tensor) -> bool:
    """The same by public means, which take longer and see no `TorchDispatchMode`."""
    if torch.jit.is_tracing():  # type: ignore[attr-defined,no-untyped-call]
        return True
    try:
        _NotForFunctorch.apply(pred)  # type: ignore[no-untyped-call]
    except RuntimeError:
        return True
    return any(forward_ad.unpack_dual(each).tangent is not None for each in (pred, target))  # type: ignore[no-untyped-call]


#: (pred, target) to whether a functorch transform, a dispatch mode, forward-mode differentiation or a trace is active
transformed: Callable[[Tensor, Tensor], bool] = _look_around if CAN_LOOK_AROUND else look_around_publicly


# --- recording -------------------------------------------------------------------------------------------------------


class InPlaceError(Exception):
    """A function changes one of its arguments."""


def record(function: Callable[..., list[Tensor]], inputs: Sequence[Tensor]) -> Graph:
    """The graph of ATen operations that the function does on these tensors; shapes and types in `meta`.

    Raises:
        InPlaceError: the function changes one of the tensors.
    """
    from torch._guards import TracingContext, tracing
    from torch._subclasses.fake_tensor import FakeTensorMode

    # `make_fx` describes each value by a tensor without numbers: all of one mode, as a new one for each takes longer
    # than the recording
    with tracing(TracingContext(FakeTensorMode())):
        return functional(function, inputs, tracing_mode="real").graph


def functional(function: Callable[..., list[Tensor]], inputs: Sequence[Tensor], **how: Any) -> GraphModule:
    """The function recorded by `make_fx`, without operations that work in place or into a tensor that exists.

    What such an operation changes may be known by other names too, as a view, which a reader of the graph does not see.

    Args:
        function: of the tensors.
        inputs: what it is recorded on.
        **how: keywords of `make_fx`.

    Raises:
        InPlaceError: the function changes one of the tensors.
    """
    from torch.fx.experimental.proxy_tensor import make_fx  # half a second, which only who trains should pay

    recorded: GraphModule = make_fx(function, **how)(*inputs)
    order = {node: number for number, node in enumerate(recorded.graph.nodes)}
    in_place = [node for node in order if changes_its_argument(node)]
    if not all(_nothing_else_sees(node, order) for node in in_place):  # the general way takes three times as long
        recorded = make_fx(torch.func.functionalize(recorded), tracing_mode=how["tracing_mode"])(*inputs)
        if any(map(changes_its_argument, recorded.graph.nodes)):
            raise InPlaceError("it changes one of its arguments in place")
    else:
        for node in in_place:
            node.target = out_of_place(node)
        recorded.recompile()
    decomposed = how.get("decomposition_table", {})
    if in_place and any(node.target in decomposed for node in recorded.graph.nodes):
        recorded = make_fx(recorded, **how)(*inputs)
    return recorded


def _nothing_else_sees(node: Node, order: Mapping[Node, int]) -> bool:
    """Whether an operation works in place on the result of an element-wise one, which is used up by then."""
    changed = node.args[0] if node.args and "out" not in node.kwargs else None
    if not isinstance(changed, Node) or not _is_fresh(changed) or out_of_place(node) is None:
        return False
    return all(user is node or (order[user] < order[node] and _is_fresh(user)) for user in changed.users)


def _is_fresh(node: Node) -> bool:
    """Whether a recorded value lies in memory of its own."""
    return is_elementwise(node) and not changes_its_argument(node)


def operation(node: Node) -> str:
    """The name of the ATen operation of a recorded node, without its overload; "" for anything else."""
    return str(getattr(node.target, "_opname", ""))


def spoken(node: Node) -> str:
    """A recorded operation in words: "select", or "the derivative of select"."""
    name = operation(node).lstrip("_") or getattr(node.target, "__name__", str(node.target))
    forward = name.removesuffix("_data").removesuffix("_backward")
    return f"the derivative of {forward}" if "_backward" in name else name


def changes_its_argument(node: Node) -> bool:
    """Whether the operation of a recorded node works in place."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)


def is_elementwise(node: Node) -> bool:
    """Whether PyTorch says of the operation that each number it makes depends on those in the same place alone."""
    return torch.Tag.pointwise in getattr(node.target, "tags", ())


def out_of_place(node: Node) -> Any:
    """The operation that returns what this one, which works in place, changes its first argument to; None: unknown."""
    packet = getattr(torch.ops.aten, operation(node).removesuffix("_"), None)
    return None if packet is None else getattr(packet, node.target._overloadname)  # type: ignore[union-attr]


def recorded_for_any_size(
    function: Callable[..., list[Tensor]], shapes: Shapes, arguments: Sequence[Tensor]
) -> tuple[Graph, list[str]]:
    """The graph of ATen operations on tensors whose sizes are symbols, and what Python code has asked of these sizes.

    The tensors hold no numbers, so a function whose Python code reads some raises.

    Args:
        function: of the tensors.
        shapes: of each argument.
        arguments: types and devices.

    Returns:
        The graph, each value in `meta["val"]`, and inequalities of symbols that were decided for these sizes.
    """
    _, fakes = _symbolic(shapes, arguments)
    environment: Any = fakes[0].fake_mode.shape_env  # type: ignore[attr-defined]
    log = logging.getLogger("torch._subclasses.fake_tensor")  # it reports at length what is raised here as well
    was_silent, log.disabled = log.disabled, True
    try:
        graph = functional(function, fakes, tracing_mode="symbolic").graph
    finally:
        log.disabled = was_silent
    return graph, [str(guard.expr) for guard in environment.guards]


def is_size(value: Any) -> bool:
    """Whether a recorded value is made of sizes alone: no tensor, and not known before the sizes are."""
    return isinstance(value, Node) and isinstance(value.meta.get("val"), (SymInt, SymFloat, SymBool))


def sizes_as_numbers(node: Node) -> list[Node]:
    """The sizes among the arguments of an operation that it computes with, other than as sizes or positions."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return [argument for argument in node.all_input_nodes if is_size(argument)]
    types = {argument.name: str(argument.real_type) for argument in schema.arguments}
    return [value for name, value in arguments_of(node).items() if is_size(value) and "SymInt" not in types[name]]


def arguments_of(node: Node) -> dict[str, Any]:
    """The arguments of a recorded operation by name, defaults included; of anything else none."""
    arguments = getattr(getattr(node.target, "_schema", None), "arguments", ())
    defaults = {each.name: each.default_value for each in arguments if each.has_default_value()}
    given = zip((each.name for each in arguments), node.args, strict=False)
    return {**defaults, **dict(given), **(node.kwargs if arguments else {})}


def sizes_of(node: Node) -> Any:
    """The shape of a recorded tensor as numbers, a list of shapes for several; None for what is no tensor.

    Where sizes are symbols, the numbers are those of the tensors that the graph was recorded on.
    """

    def sizes(value: Any) -> tuple[int, ...] | None:
        if not isinstance(value, Tensor):
            return None
        return tuple(size.node.hint if isinstance(size, SymInt) else size for size in value.shape)

    value = node.meta.get("val")
    if node.op == "get_attr":
        value = getattr(node.graph.owning_module, str(node.target), None)
    return [sizes(each) for each in value] if isinstance(value, (list, tuple)) else sizes(value)


# --- machine code ----------------------------------------------------------------------------------------------------


def machine_code(
    function: Callable[..., list[Tensor]], shapes: Shapes, arguments: Sequence[Tensor], serial: bool
) -> MachineCode:
    """The function compiled by TorchInductor alone, without what `torch.compile` puts around it.

    Args:
        function: from tensors to a list of tensors, without side effects or control flow that depends on the data.
        shapes: of each argument.
        arguments: types and devices.
        serial: in one thread.
    """
    from torch._inductor import config
    from torch._inductor.compile_fx import compile_fx_inner
    from torch._inductor.decomposition import select_decomp_table

    sizes, fakes = _symbolic(shapes, arguments)
    decompositions = {**select_decomp_table(), torch.ops.aten.sigmoid.default: _sigmoid}
    graph = functional(function, fakes, decomposition_table=decompositions, tracing_mode="symbolic")
    _take_sizes(graph, sizes)
    with config.patch({"cpp.threads": 1} if serial else {}):
        compiled: Any = compile_fx_inner(graph, [*sizes, *fakes])
    # around it, `compiled` looks after profiles and caches, which takes longer than a small loss
    found: MachineCode = getattr(compiled, "current_callable", None) or compiled
    return found


def _symbolic(shapes: Shapes, arguments: Sequence[Tensor]) -> tuple[list[SymInt], list[Tensor]]:
    """A symbol for each size that varies, and fake tensors of these shapes."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext

    mode = FakeTensorMode(shape_env=ShapeEnv())
    context: Any = StatelessSymbolicContext(dynamic_sizes=[DimDynamic.DYNAMIC])  # type: ignore[no-untyped-call]
    names = names_of(shapes)
    like = {name: torch.empty(LIKELY.get(name, UNLIKELY + i), device="cpu") for i, name in enumerate(names)}
    sizes: dict[Size, Any] = {
        name: mode.from_tensor(tensor, symbolic_context=context).shape[0] for name, tensor in like.items()
    }
    with mode:
        fakes = [
            torch.empty([sizes.get(size, size) for size in shape], dtype=argument.dtype, device=argument.device)
            for shape, argument in zip(shapes, arguments, strict=True)
        ]
    return list(sizes.values()), fakes


def names_of(shapes: Shapes) -> list[str]:
    """The sizes that vary, in order of their first use."""
    return list(dict.fromkeys(size for shape in shapes for size in shape if isinstance(size, str)))


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


# --- the probe -------------------------------------------------------------------------------------------------------


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
    if calls["exp"].meta["tensor_meta"].dtype != x.dtype or calls["exp"].meta["tensor_meta"].shape != x.shape:
        raise RuntimeError("recorded operations have another type or shape")
    if not is_elementwise(calls["mul"]) or arguments_of(calls["mul"])["other"] is None:
        raise RuntimeError("operations do not tell what they work on")
    _expect(GraphModule(torch.nn.Module(), graph)(y, x), function(y, x))
    try:
        record(_changing, (x.clone(),))
    except InPlaceError:
        pass
    else:
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
