"""Everything that this package uses of PyTorch beyond its public interface, and whether this PyTorch has it.

No other file imports a private module of torch, or reads a private attribute of it or of an object by name, but for
`Tensor._version`, which torch documents and the audit and the catalogue read. `probe.works` tries what is used here.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import SymBool, SymFloat, SymInt, Tensor
from torch.autograd import forward_ad
from torch.fx import Graph, GraphModule, Node

from .recorder import Described, Recorder, described

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
    """The graph of ATen operations that the function does on these tensors; each value `described` in `meta["val"]`.

    Raises:
        InPlaceError: the function changes one of the tensors.
    """
    graph = noted(function, inputs)
    if without_changes(graph):
        return graph
    return _described(functional(function, inputs, tracing_mode="real").graph)


def noted(function: Callable[..., list[Tensor]], inputs: Sequence[Tensor], mode: Any = None) -> Graph:
    """The operations one by one, among them those that work in place, which `functional` takes five times as long for.

    Args:
        function: of the tensors.
        inputs: what it is recorded on.
        mode: that made them, if they have no numbers.
    """
    from torch._dispatch.python import enable_python_dispatcher
    from torch.utils._python_dispatch import TorchDispatchMode

    recorder = Recorder(inputs, numbers=mode is None)

    class Noting(TorchDispatchMode):
        def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if operation.namespace == "prim":  # on which device a tensor is
                return operation(*args, **(kwargs or {}))
            return recorder.run(operation, args, kwargs or {})

    with contextlib.ExitStack() as around:
        if mode is not None:
            around.enter_context(mode)
            around.enter_context(enable_python_dispatcher())  # which has operations for sizes that are symbols
        around.enter_context(Noting())  # type: ignore[no-untyped-call]
        results = function(*inputs)
    return recorder.end(results)


def _described(graph: Graph) -> Graph:
    for node in graph.nodes:
        node.meta["val"] = described(node.meta.get("val"))
    return graph


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
    in_place = [node for node in recorded.graph.nodes if changes_its_argument(node)]
    if without_changes(recorded.graph):
        recorded.recompile()
    else:  # the general way takes three times as long
        recorded = make_fx(torch.func.functionalize(recorded), tracing_mode=how["tracing_mode"])(*inputs)
        if any(map(changes_its_argument, recorded.graph.nodes)):
            raise InPlaceError("it changes one of its arguments in place")
    decomposed = how.get("decomposition_table", {})
    if in_place and any(node.target in decomposed for node in recorded.graph.nodes):
        recorded = make_fx(recorded, **how)(*inputs)
    return recorded


def without_changes(graph: Graph) -> bool:
    """Let operations that work in place return what they change their argument to, if nothing else sees the change.

    Returns:
        Whether that is so; the graph is as it was if not.
    """
    order = {node: number for number, node in enumerate(graph.nodes)}
    in_place = [node for node in order if changes_its_argument(node)]
    if not all(_nothing_else_sees(node, order) for node in in_place):
        return False
    for node in in_place:
        node.target = out_of_place(node)
    return True


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
    names = tuple(names_of(shapes))
    vary = _UNDECIDED.pop(names, None) or symbols(names)
    before = _decisions(vary)
    fakes = vary.tensors(shapes, arguments)
    log = logging.getLogger("torch._subclasses.fake_tensor")  # it reports at length what is raised here as well
    was_silent, log.disabled = log.disabled, True
    try:
        graph = noted(function, fakes, vary.mode)
        if not without_changes(graph):
            graph = _described(functional(function, fakes, tracing_mode="symbolic").graph)
    finally:
        log.disabled = was_silent
    if _decisions(vary) == before:
        _UNDECIDED[names] = vary
    return graph, [str(guard.expr) for guard in vary.mode.shape_env.guards]


#: symbols by the names of their sizes, of which no function has asked anything yet: what is asked once is known then
_UNDECIDED: dict[tuple[str, ...], Symbols] = {}


def _decisions(vary: Symbols) -> list[Any]:
    """What is known of the sizes."""
    known = ("guards", "var_to_range", "replacements", "divisible", "deferred_runtime_asserts")
    return [copy.copy(getattr(vary.mode.shape_env, name)) for name in known]


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
        if not isinstance(value, Described):
            return None
        return tuple(size.node.hint if isinstance(size, SymInt) else size for size in value.shape)

    value = node.meta.get("val")
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

    vary = symbols(names_of(shapes))
    sizes, fakes = list(vary.sizes.values()), vary.tensors(shapes, arguments)
    decompositions = {**select_decomp_table(), torch.ops.aten.sigmoid.default: _sigmoid}
    graph = functional(function, fakes, decomposition_table=decompositions, tracing_mode="symbolic")
    _take_sizes(graph, sizes)
    with config.patch({"cpp.threads": 1} if serial else {}):
        compiled: Any = compile_fx_inner(graph, [*sizes, *fakes])
    # around it, `compiled` looks after profiles and caches, which takes longer than a small loss
    found: MachineCode = getattr(compiled, "current_callable", None) or compiled
    return found


class Symbols(NamedTuple):
    """Sizes that vary.

    Attributes:
        mode: makes tensors of such sizes, without numbers.
        sizes: a symbol for each, by its name.
    """

    mode: Any
    sizes: dict[Size, Any]

    def tensors(self, shapes: Shapes, arguments: Sequence[Tensor]) -> list[Tensor]:
        """Tensors of these shapes, of the types and on the devices of the arguments."""
        with self.mode:
            return [
                torch.empty([self.sizes.get(size, size) for size in shape], dtype=like.dtype, device=like.device)
                for shape, like in zip(shapes, arguments, strict=True)
            ]


def symbols(names: Sequence[str]) -> Symbols:
    """A symbol for each name."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext

    mode = FakeTensorMode(shape_env=ShapeEnv())
    context: Any = StatelessSymbolicContext(dynamic_sizes=[DimDynamic.DYNAMIC])  # type: ignore[no-untyped-call]
    like = {name: torch.empty(LIKELY.get(name, UNLIKELY + i), device="cpu") for i, name in enumerate(names)}
    return Symbols(
        mode, {name: mode.from_tensor(tensor, symbolic_context=context).shape[0] for name, tensor in like.items()}
    )


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
