"""Whether each number of a loss depends on its own row (or element) alone, told by the operations that make it.

Each axis of each recorded value is followed from the inputs to the results. What PyTorch itself calls element-wise lays
axes side by side; views, stacks, sums and the like may work within a row; anything else is refused. A trial with some
numbers is no proof, for a loss may look at its other rows only where numbers are extreme.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from torch.fx import Graph, Node

from . import private
from .tracing import NotTraceable

#: axes that are none of the prediction's: positions within one row, and the same number all along
WITHIN, SAME = -1, -2
#: what an axis of a value runs along, slowest first: axes of the prediction, or these, each with its length
Axis = tuple[tuple[int, int], ...]
Axes = tuple[Axis, ...]
Rule = Callable[["Call"], "Axes | list[Axes]"]
#: operations that leave the numbers of a tensor as they are, and their order as well
KEPT = {"detach", "alias", "clone", "_to_copy", "lift_fresh", "lift_fresh_copy", "contiguous", "positive"}
#: operations that are element-wise by definition, which PyTorch (2.9) does not say of them
ELEMENTWISE = {
    "binary_cross_entropy", "binary_cross_entropy_backward", "binary_cross_entropy_with_logits", "huber_loss",
    "huber_loss_backward", "log_sigmoid_backward", "log_sigmoid_forward", "masked_fill", "mse_loss",
    "mse_loss_backward", "smooth_l1_loss", "smooth_l1_loss_backward", "soft_margin_loss", "soft_margin_loss_backward",
    "softplus_backward",
}  # fmt: skip
#: operations that make a tensor of one number
FILLED = {
    "fill", "full", "full_like", "new_full", "new_ones", "new_zeros", "ones", "ones_like", "scalar_tensor", "zeros",
    "zeros_like",
}  # fmt: skip
#: operations that work along the axes that they are given as `dim` or `dims`, and along no other
ALONG = {
    "_log_softmax", "_log_softmax_backward_data", "_softmax", "_softmax_backward_data", "all", "amax", "amin", "any",
    "argmax", "argmin", "cumprod", "cumsum", "flip", "linalg_vector_norm", "logsumexp", "max", "mean", "min", "norm",
    "prod", "roll", "sort", "std", "sum", "topk", "var",
}  # fmt: skip


class _MixedError(Exception):
    """A rule finds numbers of several rows side by side."""


class Call(NamedTuple):
    """A recorded operation.

    Attributes:
        node: the operation.
        given: its arguments by name, defaults included.
        tensors: the axes of each tensor among the arguments.
        sizes: of the result.
    """

    node: Node
    given: dict[str, Any]
    tensors: list[Axes]
    sizes: Any

    def position(self, rank: int) -> int:
        """The axis that is named by `dim`, counted from the front of a tensor of that rank."""
        return int(self.given["dim"]) % max(rank, 1)

    def positions(self, rank: int) -> list[int]:
        """All that are named; where none is, all there are."""
        named = next((self.given[name] for name in ("dim", "dims") if self.given.get(name) not in (None, [])), None)
        axes = range(rank) if named is None else named if isinstance(named, (list, tuple)) else [named]
        return [axis % max(rank, 1) for axis in axes] if rank else []


def require_apart(graph: Graph, parts: int, per_row: bool) -> None:
    """Raise unless each number of the loss, and of its gradient, is computed from its own row or element.

    Args:
        graph: from (*pred, *target, *tensors) to (loss, *gradient).
        parts: how many pred has, and target.
        per_row: the loss is one number per row; the last of several axes of a part lies within a row.

    Raises:
        NotTraceable: an operation may compute with several of them.
    """
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    pred = _axes_of_pred(private.sizes_of(inputs[0]), per_row)
    known: dict[Node, Any] = {}
    for number, node in enumerate(inputs):
        known[node] = _axes_of_input(pred, len(private.sizes_of(node)), beside=number >= 2 * parts)
    loss = pred[:-1] if per_row and len(pred) > 1 else pred
    used = _used(graph)
    for node in graph.nodes:
        if node.op == "output":
            wanted = [loss, *[pred] * parts]
            if not all(_is_laid_along(known[result], axes) for result, axes in zip(node.args[0], wanted, strict=True)):
                raise NotTraceable("its results are laid out otherwise than pred")
        elif node.op != "placeholder" and node in used and private.sizes_of(node) is not None:
            known[node] = _axes_after(node, known, pred, per_row)


def _used(graph: Graph) -> set[Node]:
    """What the results are made of."""
    nodes = list(graph.nodes)
    used = {nodes[-1]}
    for node in reversed(nodes):
        if node in used:
            used.update(node.all_input_nodes)
    return used


def _axes_of_pred(sizes: Sequence[int], per_row: bool) -> Axes:
    axes = [((number, size),) for number, size in enumerate(sizes)]
    return (*axes[:-1], ((WITHIN, sizes[-1]),)) if per_row and len(sizes) > 1 else tuple(axes)


def _axes_of_input(pred: Axes, rank: int, beside: bool) -> Axes:
    """Those of pred, of labels, which lack the class axis, or of numbers beside: one, or one for each class."""
    classes = min(1, len(pred) - 1)
    if beside:
        return (pred[classes],) * rank
    return pred if rank == len(pred) else pred[:classes] + pred[classes + 1 :]


def _is_laid_along(axes: Axes, wanted: Axes) -> bool:
    same = all(axis == other or not _varies(axis) for axis, other in zip(axes, wanted, strict=False))
    return same and len(axes) == len(wanted)


def _axes_after(node: Node, known: dict[Node, Any], pred: Axes, per_row: bool) -> Axes | list[Axes]:
    if node.target is operator.getitem:
        taken: Axes = known[node.args[0]][node.args[1]]  # type: ignore[index]
        return taken
    name = private.operation(node)
    call = Call(node, private.arguments_of(node), _tensors(node, known), private.sizes_of(node))
    try:
        if node.op == "get_attr":
            return _inside(call.sizes)
        if name == "arange":
            return _counted(call, pred)
        return _rule(node, name, call.given)(call)
    except _MixedError:
        several = "rows" if per_row else "elements"
        raise NotTraceable(f"{private.spoken(node)} may compute with several {several} at once") from None


def _tensors(node: Node, known: dict[Node, Any]) -> list[Axes]:
    found: list[Axes] = []
    torch_arguments: list[Any] = [*node.args, *node.kwargs.values()]
    for argument in torch_arguments:
        nodes = argument if isinstance(argument, (list, tuple)) else [argument]
        found += [known[each] for each in nodes if isinstance(each, Node) and each in known]
    return found


def _rule(node: Node, name: str, given: dict[str, Any]) -> Rule:
    if given.get("reduction", 0) == 0 and (private.is_elementwise(node) or name in ELEMENTWISE):
        return _laid_together
    if name in RULES:
        return RULES[name]
    return _along if name in ALONG else _filled if name in FILLED else _first if name in KEPT else _refused


# --- axes ------------------------------------------------------------------------------------------------------------


def _varies(axis: Axis) -> bool:
    """Whether numbers may differ along it."""
    return any(along != SAME for along, _ in axis)


def _is_within(axis: Axis) -> bool:
    """Whether it lies within one row, so that its numbers may be taken together."""
    return all(along == WITHIN for along, _ in axis)


def _along_length(along: int, size: int) -> Axis:
    return () if size == 1 else ((along, size),)


def _inside(sizes: Sequence[int]) -> Axes:
    """Numbers that are the same for all rows."""
    return tuple(_along_length(WITHIN, size) for size in sizes)


def _spread(tensors: Iterable[Axes]) -> Axes:
    """What broadcasting makes of them; raise where it would lay different axes side by side."""
    known = list(tensors)
    rank = max(map(len, known), default=0)
    return tuple(_united(axes) for axes in zip(*(((),) * (rank - len(each)) + each for each in known), strict=True))


def _united(axes: Sequence[Axis]) -> Axis:
    varying = {axis for axis in axes if _varies(axis)}
    if len(varying) > 1:
        raise _MixedError
    return varying.pop() if varying else max(axes, key=len)


def _with(axes: Axes, position: int, axis: Axis) -> Axes:
    return (*axes[:position], axis, *axes[position + 1 :])


def _inserted(axes: Axes, position: int, axis: Axis) -> Axes:
    return (*axes[:position], axis, *axes[position:])


def _without(axes: Axes, position: int) -> Axes:
    """One position of an axis, which is the same one for all rows."""
    if any(along >= 0 for along, _ in axes[position]):
        raise _MixedError
    return (*axes[:position], *axes[position + 1 :])


# --- rules: from the axes of the arguments to those of the result, or of each result ----------------------------------


def _refused(call: Call) -> Axes:
    raise _MixedError


def _first(call: Call) -> Axes:
    return call.tensors[0]


def _laid_together(call: Call) -> Axes | list[Axes]:
    axes = _spread(call.tensors)
    return [axes] * len(call.sizes) if isinstance(call.sizes, list) else axes


def _filled(call: Call) -> Axes:
    return tuple(_along_length(SAME, size) for size in call.sizes)


def _counted(call: Call, pred: Axes) -> Axes:
    """0, 1, 2, ...: the classes, if labels are compared with them and nothing else is done, else positions."""
    classes = pred[min(1, len(pred) - 1)]
    fits = [size for _, size in classes] == list(call.sizes)
    return (classes,) if fits and names_classes(call.node) else _inside(call.sizes)


def _along(call: Call) -> Axes | list[Axes]:
    before = _spread(call.tensors)
    positions = call.positions(len(before))
    if not all(_is_within(before[position]) for position in positions):
        raise _MixedError

    def after(sizes: Sequence[int]) -> Axes:
        if len(sizes) < len(before):
            return tuple(axis for position, axis in enumerate(before) if position not in positions)
        changed = {position: _along_length(WITHIN, sizes[position]) for position in positions}
        return tuple(changed.get(position, axis) for position, axis in enumerate(before))

    return [after(sizes) for sizes in call.sizes] if isinstance(call.sizes, list) else after(call.sizes)


def _stacked(call: Call) -> Axes:
    return _inserted(_spread(call.tensors), call.position(len(call.sizes)), _along_length(WITHIN, len(call.tensors)))


def _joined(call: Call) -> Axes:
    position = call.position(len(call.sizes))
    for axes in call.tensors:
        _without(axes, position)
    rest = _spread(_with(axes, position, ()) for axes in call.tensors)
    return _with(rest, position, _along_length(WITHIN, call.sizes[position]))


def _selected(call: Call) -> Axes:
    return _without(call.tensors[0], call.position(len(call.tensors[0])))


def _unbound(call: Call) -> list[Axes]:
    return [_selected(call)] * len(call.sizes)


def _cut(call: Call) -> Axes | list[Axes]:
    before, position = call.tensors[0], call.position(len(call.tensors[0]))

    def after(sizes: Sequence[int]) -> Axes:
        if _length(before[position]) == sizes[position]:
            return before
        _without(before, position)
        along = WITHIN if _varies(before[position]) else SAME
        return _with(before, position, _along_length(along, sizes[position]))

    return [after(sizes) for sizes in call.sizes] if isinstance(call.sizes, list) else after(call.sizes)


def _length(axis: Axis) -> int:
    length = 1
    for _, size in axis:
        length *= size
    return length


def _put_in_zeros(call: Call) -> Axes:
    """The derivative of `select` and `slice`: the gradient at its place, zeros elsewhere."""
    before, position = call.tensors[0], call.position(len(call.sizes))
    size = call.sizes[position]
    if len(before) < len(call.sizes):
        return _inserted(before, position, _along_length(WITHIN, size))
    if _length(before[position]) == size:
        return before
    _without(before, position)
    return _with(before, position, _along_length(WITHIN, size))


def _put_in(call: Call) -> Axes:
    """Some positions of an axis are another tensor's."""
    whole, part = call.tensors
    position = call.position(len(whole))
    if len(part) < len(whole):
        part = _inserted(part, position, ())
    elif _length(part[position]) == _length(whole[position]):
        return _spread([whole, part])
    for axes in (whole, part):
        _without(axes, position)
    rest = _spread([_with(whole, position, ()), _with(part, position, ())])
    return _with(rest, position, _along_length(WITHIN, call.sizes[position]))


def _copied(call: Call) -> Axes:
    return _spread([_filled(call), call.tensors[-1]])


def _expanded(call: Call) -> Axes:
    before = call.tensors[0]
    before = ((),) * (len(call.sizes) - len(before)) + before
    if any(axis and _length(axis) != size for axis, size in zip(before, call.sizes, strict=True)):  # of one class
        raise _MixedError
    return tuple(axis or _along_length(SAME, size) for axis, size in zip(before, call.sizes, strict=True))


def _unsqueezed(call: Call) -> Axes:
    return _inserted(call.tensors[0], call.position(len(call.sizes)), ())


def _squeezed(call: Call) -> Axes:
    before = call.tensors[0]
    positions = call.positions(len(before))
    after = tuple(axis for position, axis in enumerate(before) if axis or position not in positions)
    if len(after) != len(call.sizes):  # of one class
        raise _MixedError
    return after


def _permuted(call: Call) -> Axes:
    before = call.tensors[0]
    order = list(range(len(before)))
    if "dims" in call.given:
        order = call.positions(len(before))
    elif len(order) > 1:
        a, b = (call.given.get(name, number) for number, name in enumerate(("dim0", "dim1")))
        order[a], order[b] = order[b], order[a]
    return tuple(before[position] for position in order)


def _viewed(call: Call) -> Axes:
    """The same numbers in the same order, so axes may only be joined and taken apart."""
    parts = [part for axis in call.tensors[0] for part in axis]
    return tuple(_taken(parts, size) for size in call.sizes)


def _taken(parts: list[tuple[int, int]], size: int) -> Axis:
    """The next of the parts, as many as make an axis of that size; one within a row may be divided."""
    axis: list[tuple[int, int]] = []
    left = size
    while left > 1 or (parts and parts[0][1] == 1):
        if not parts:
            raise _MixedError
        along, length = parts.pop(0)
        if left % length and along < 0 and length % left == 0:
            parts.insert(0, (along, length // left))
            length = left
        if left % length:
            raise _MixedError
        left //= length
        if axis and along < 0 and axis[-1][0] == along:
            length *= axis.pop()[1]
        axis.append((along, length))
    return tuple(axis)


RULES: dict[str, Rule] = {
    "stack": _stacked,
    "cat": _joined,
    "select": _selected,
    "unbind": _unbound,
    "slice": _cut,
    "split": _cut,
    "split_with_sizes": _cut,
    "select_backward": _put_in_zeros,
    "slice_backward": _put_in_zeros,
    "select_scatter": _put_in,
    "slice_scatter": _put_in,
    "copy": _copied,
    "expand": _expanded,
    "unsqueeze": _unsqueezed,
    "squeeze": _squeezed,
    "permute": _permuted,
    "transpose": _permuted,
    "t": _permuted,
    "view": _viewed,
    "_unsafe_view": _viewed,
}


# --- labels ----------------------------------------------------------------------------------------------------------

#: operations by which a tensor is brought into the shape of another one
RESHAPED = {"view", "_unsafe_view", "unsqueeze", "squeeze", "expand", "permute", "transpose", *KEPT}


def names_classes(node: Node) -> bool:
    """Whether a tensor counts 0, 1, 2, ..., and nothing is done but to compare labels with it."""
    return private.operation(node) == "arange" and all(_compares(user, node) for user in node.users)


def _compares(node: Node, counted: Node) -> bool:
    name = private.operation(node)
    if name in RESHAPED:
        return all(_compares(user, node) for user in node.users)
    others = [argument for argument in node.args if argument is not counted]
    return name in ("eq", "ne") and len(others) == 1 and _are_labels(others[0])


def _are_labels(value: Any) -> bool:
    """Whether a value is a target without class axis: another one has numbers of its own for each class."""
    kept = {*RESHAPED, "slice"}  # target[:, None] is recorded as one of all rows
    while isinstance(value, Node) and value.op != "placeholder" and private.operation(value) in kept:
        value = value.args[0]
    if not isinstance(value, Node) or value.op != "placeholder":
        return False
    pred, *inputs = (node for node in value.graph.nodes if node.op == "placeholder")
    return value in inputs[:1] and len(private.sizes_of(value)) < len(private.sizes_of(pred))
