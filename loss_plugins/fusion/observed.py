"""What a loss does with its tensors beside computing with their numbers, observed while it runs.

A recording holds for any tensors only if nothing else of them matters. The loss is run on tensors whose sizes are
symbols, so that whatever it computes of a size is seen, for sizes that no trial has; and everything else that it asks
of a tensor is seen on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, Node
from torch.overrides import TorchFunctionMode

from . import private
from .axes import names_classes, require_apart
from .recorder import Described, computed
from .tracing import LossFunction, NotTraceable, joint, only
from .trials import Layout, brief, classes_of

#: what may be asked of a tensor: its sizes, which are symbols, and what is the same in all calls of a kernel
KNOWN = {
    "shape", "size", "numel", "nelement", "__len__", "broadcast_shapes", "ndim", "dim", "ndimension", "dtype", "type",
    "device", "get_device", "layout", "itemsize", "element_size", "requires_grad", "result_type", "can_cast",
    "is_floating_point", "is_complex", "is_signed", "is_cpu", "is_cuda", "is_meta", "is_mps", "is_xpu", "is_sparse",
    "is_quantized", "is_nested",
}  # fmt: skip
#: how Python code reads a number in a tensor
READS = "by .item(), float() or if"
#: functions whose result depends on how their argument lies in memory, which tensors without numbers cannot tell
OF_MEMORY = {
    "as_strided", "as_strided_", "as_strided_scatter", "resize_", "resize_as_", "set_", "data_ptr", "nbytes",
    "untyped_storage", "storage",
}  # fmt: skip


class Asking(TorchFunctionMode):
    """Keeps the names of what is asked of tensors beside their numbers, sizes and types.

    Attributes:
        asked: the names.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asked: list[str] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """The result of the function."""
        name = getattr(function, "__name__", "")
        is_attribute = name == "__get__"
        if is_attribute:
            name = getattr(function.__self__, "__name__", name)
        if name in OF_MEMORY:
            self.asked.append(name)
            raise NotTraceable(name)
        result = function(*args, **(kwargs or {}))
        known = name in KNOWN or name.startswith("sym_") or (result is None and not is_attribute)
        if not known and not _is_of_tensors(result):
            self.asked.append(name)
        return result


def _is_of_tensors(result: Any) -> bool:
    if isinstance(result, (tuple, list)) and not isinstance(result, torch.Size):
        return all(part is None or _is_of_tensors(part) for part in result)
    return isinstance(result, Tensor)


def require_numbers_alone(
    function: LossFunction, layout: Layout, tensors: Mapping[str, Tensor], *, any_size: bool
) -> Graph:
    """Raise unless the numbers in its tensors are all that a loss and its gradient depend on.

    Args:
        function: (pred, target, **tensors) to the loss.
        layout: of the calls.
        tensors: what the function takes beside pred and target.
        any_size: sizes are computed with anew at each call, so the loss may, as long as it does the same operations.

    Returns:
        What it does in the shape of the calls, in any size.

    Raises:
        NotTraceable: the loss depends on a size, reads the numbers in a tensor by Python code, or asks something else
            of a tensor, as where it lies in memory; an operation may compute with several rows or elements.
    """
    names, asking = list(tensors), Asking()

    def observed(pred: Tensor, target: Tensor, *more: Tensor) -> list[Tensor]:
        with asking:
            return joint(function, only)([pred], [target], dict(zip(names, more, strict=True)))

    arguments = [layout.pred, layout.target, *tensors.values()]
    try:
        graph, decided = private.recorded_for_any_size(observed, _shapes(layout, tensors), arguments)
    except Exception as error:  # whatever a loss may do that needs numbers
        _refuse(asking.asked, "it asks for more of its tensors than numbers, sizes and types")
        raise NotTraceable(f"it reads the numbers in its tensors ({brief(error)})") from error
    _refuse(asking.asked, "it asks for more of its tensors than numbers, sizes and types")
    read = any(private.operation(node) == "_local_scalar_dense" for node in graph.nodes)
    _refuse([READS] if read else [], "it reads the numbers in its tensors")
    _refuse(decided, "what it does depends on a size")
    _refuse([] if any_size else list(_made_of_sizes(graph)), "what it does depends on a size")
    require_apart(graph, 1, per_row=layout.form == "rows")
    return graph


def _refuse(found: list[str], why: str) -> None:
    if found:
        raise NotTraceable(f"{why} ({', '.join(dict.fromkeys(found))})")


def _shapes(layout: Layout, tensors: Mapping[str, Tensor]) -> list[Sequence[int | str]]:
    """The shapes of a call: all sizes vary but the columns of rows, and the classes that numbers are given for."""
    last = layout.columns if layout.form == "rows" else classes_of(tensors, 0)
    shape: list[int | str] = [f"axis {i}" for i in range(layout.axes)]
    shape[-1] = last or shape[-1]
    labels = [size for i, size in enumerate(shape) if i != min(1, layout.axes - 1)]
    return [shape, labels if layout.form == "labels" else shape, *(tensor.shape for tensor in tensors.values())]


def _made_of_sizes(graph: Graph) -> Iterator[str]:
    """The operations by which a size becomes a number of the loss, or is lost in one."""
    for node in graph.nodes:
        name = private.operation(node) or getattr(node.target, "__name__", "")
        if node.op != "call_function":
            continue
        if private.is_size(node):
            if node.target is computed:
                yield str(node.args[0])
            elif name not in ("sym_size", "sym_numel", "mul", "prod"):  # products are sizes too
                yield name
        elif private.sizes_as_numbers(node) and not names_classes(node):
            yield f"{name} with a size"
        elif _loses_a_size(node):
            yield f"{name} of all rows"


def _loses_a_size(node: Node) -> bool:
    """Whether an operation takes a tensor with an axis whose size varies, and leaves one with none."""
    after = node.meta.get("val")
    before = [argument.meta.get("val") for argument in node.all_input_nodes]
    if not isinstance(after, Described) or private.operation(node).startswith("new_"):
        return False
    return not _varies(after) and any(isinstance(value, Described) and _varies(value) for value in before)


def _varies(tensor: Described) -> bool:
    return any(isinstance(size, torch.SymInt) for size in tensor.shape)
