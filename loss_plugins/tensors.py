"""What tensors a loss takes: shapes, forms of targets, precision; errors say how to fix them."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .errors import refusal, shown

Target = Tensor | tuple[Tensor, ...]
#: subclasses may mean something else by an operation
ORDINARY = (Tensor, torch.nn.Parameter)
#: types of a target of no floating point that stay as they are: labels, and masks
LABELS = (torch.int64, torch.bool)


#: types of tensors that losses compute with
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
#: types of tensors of numbers that stand beside, such as weights
NUMBERS = (*FLOATS, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def check_tensor(where: str, name: str, value: Any, wanted: str) -> None:
    """Raise a TypeError unless this is an ordinary (dense) torch.Tensor."""
    if not isinstance(value, Tensor):
        came, remedy = f"{name} must be a torch.Tensor, got {_kind(value)}", f"pass torch.as_tensor({name})"
        raise refusal(where, came, f"a tensor of {wanted}", remedy, TypeError)
    if value.layout is not torch.strided or value.is_nested:
        layout = "nested" if value.is_nested else value.layout
        came, remedy = f"{name} has layout {layout}", f"pass a dense tensor ({name}.to_dense())"
        raise refusal(where, came, "torch.strided", remedy, TypeError)


def check_float(where: str, name: str, value: Tensor, what: str) -> None:
    """Raise a TypeError unless the tensor is of floating point."""
    if value.dtype not in FLOATS:
        part = ".real" if value.is_complex() else ".dequantize()" if value.is_quantized else ""
        came, remedy = f"{name} has dtype {value.dtype}", f"pass floating-point {what} ({name}{part}.float())"
        raise refusal(where, came, "float16, bfloat16, float32 or float64", remedy, TypeError)


def holds_numbers(value: Tensor) -> bool:
    """Whether this is a dense tensor of real numbers."""
    return value.layout is torch.strided and not value.is_nested and value.dtype in NUMBERS


def check_device(where: str, name: str, value: Tensor, pred: Tensor) -> None:
    """Raise a ValueError unless the tensor is where pred is."""
    if value.device != pred.device:
        came = f"{name} is on {value.device}, pred on {pred.device}"
        raise refusal(where, came, "one device for all tensors", f"pass {name}.to(pred.device)")


def check_boxes(where: str, pred: Tensor, target: Target, columns: int = 4) -> None:
    """Raise unless both are floating-point tensors of one shape (..., columns), on one device."""
    for name, boxes in (("pred", pred), ("target", target)):
        check_tensor(where, name, boxes, f"shape (..., {columns})")
        check_float(where, name, boxes, "boxes")  # type: ignore[arg-type]
        if boxes.ndim == 0 or boxes.shape[-1] != columns:  # type: ignore[union-attr]
            came = f"{name} has shape {tuple(boxes.shape)}"  # type: ignore[union-attr]
            allowed = f"(..., {columns}), so the last dimension must be {columns} (one box per row)"
            raise refusal(where, came, allowed, _to_columns(name, boxes, columns))  # type: ignore[arg-type]
    check_device(where, "target", target, pred)  # type: ignore[arg-type]
    if pred.shape != target.shape:  # type: ignore[union-attr]
        came = f"target of shape {tuple(target.shape)} and pred of shape {tuple(pred.shape)} differ"  # type: ignore[union-attr]
        remedy = "boxes are compared row by row, so index or expand them to one shape first"
        raise refusal(where, came, "one shape for both", remedy)


def _to_columns(name: str, boxes: Tensor, columns: int) -> str:
    """What makes rows of so many numbers of these."""
    shape = tuple(boxes.shape)
    if len(shape) > 1 and shape[-1] * shape[-2] == columns and min(shape[-2:]) > 1:  # of corners, (..., columns / 2, 2)
        return f"pass {name}.flatten(-2), which has shape {(*shape[:-2], columns)}"
    return f"pass {columns} columns, for instance {name}[..., :{columns}]"


def class_axis(pred: Tensor) -> int:
    """Where the classes are, as in torch: on axis 1 of rows (n, C) and of maps (n, C, ...), or on the only axis."""
    return min(1, pred.ndim - 1)


def without_class_axis(pred: Tensor) -> tuple[int, ...]:
    """The shape of labels for pred."""
    return without(pred.shape, class_axis(pred))


def without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    """The shape without one of its axes, which may be counted from the end."""
    axis %= len(shape)
    return (*shape[:axis], *shape[axis + 1 :])


def _is_dense(pred: Tensor, target: Target) -> bool:
    return isinstance(target, Tensor) and target.shape == pred.shape


def is_label(pred: Tensor, target: Target) -> bool:
    """Whether the target is integer labels of the rows or pixels of pred."""
    return (
        isinstance(target, Tensor)
        and not (target.is_floating_point() or target.dtype == torch.bool)
        and tuple(target.shape) == without_class_axis(pred)
    )


def is_mask(pred: Tensor, target: Target) -> bool:
    """Whether the target may be the mask of the one class of pred, without class axis."""
    one = pred.ndim > 0 and pred.shape[class_axis(pred)] == 1
    return one and isinstance(target, Tensor) and tuple(target.shape) == without_class_axis(pred)


def _is_score(pred: Tensor, target: Target) -> bool:
    return isinstance(target, Tensor) and target.is_floating_point() and target.shape == pred.shape[:-1]


def _is_quality(pred: Tensor, target: Target) -> bool:
    return isinstance(target, Tensor) and target.is_floating_point() and tuple(target.shape) == without_class_axis(pred)


def _is_label_score(pred: Tensor, target: Target) -> bool:
    return (
        isinstance(target, tuple)
        and len(target) == 2
        and (
            (is_label(pred, target[0]) and _is_quality(pred, target[1]))
            or (_is_dense(pred, target[0]) and _is_dense(pred, target[1]))
        )
    )


def _is_label_score_rank(pred: Tensor, target: Target) -> bool:
    return (
        isinstance(target, tuple)
        and len(target) == 3
        and is_label(pred, target[0])
        and _is_quality(pred, target[1])
        and tuple(target[2].shape) == without_class_axis(pred)
    )


def _is_target_iou(pred: Tensor, target: Target) -> bool:
    return (
        isinstance(target, tuple) and len(target) == 2 and _is_dense(pred, target[0]) and _is_quality(pred, target[1])
    )


def _is_input_sign(pred: Tensor, target: Target) -> bool:
    return isinstance(target, tuple) and len(target) == 2 and all(_is_dense(pred, part) for part in target)


def _is_teacher(pred: Tensor, target: Target) -> bool:
    if not (isinstance(target, tuple) and len(target) == 2):
        return False
    teacher, matched = target
    fits = _is_dense(pred, teacher) and teacher.is_floating_point()
    return fits and not matched.is_floating_point() and matched.shape == pred.shape[:-1]


#: what the tuples are made of that losses of points take, and how many of pred's last axes each part lacks
POINTS: dict[str, dict[str, int]] = {
    "points_visible": {"points": 0, "visible": 1},
    "points_visible_area": {"points": 0, "visible": 1, "area": 2},
    "points_visible_flow": {"points": 0, "visible": 1, "sigma": 0, "log density": 1},
}


def _point_shapes(pred: Tensor, form: str) -> dict[str, tuple[int, ...]]:
    """The shape of each part of a target of that form."""
    return {name: tuple(pred.shape[: pred.ndim - lacks]) for name, lacks in POINTS[form].items()}


def _is_points(form: str, pred: Tensor, target: Target) -> bool:
    """Whether the target is a tuple of points like pred, which of them are visible, and what else the form has."""
    shapes = list(_point_shapes(pred, form).values())
    return isinstance(target, tuple) and [tuple(part.shape) for part in target] == shapes


def _misfit_of_points(pred: Tensor, target: Target, form: str) -> tuple[str, str, str]:
    """For an error: which part of the target has another shape, which shapes are right, and what to do."""
    shapes = _point_shapes(pred, form)
    allowed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    if not isinstance(target, tuple) or len(target) != len(shapes):
        count = len(target) if isinstance(target, tuple) else 1
        came = f", {count} tensor{'s' * (count != 1)} where {len(shapes)} are wanted"
        return came, allowed, f"pass target=({', '.join(name.replace(' ', '_') for name in shapes)})"
    name, part, shape = next(
        (name, part, shape)
        for (name, shape), part in zip(shapes.items(), target, strict=True)
        if tuple(part.shape) != shape
    )
    remedy = f"reshape or index {name} to {shape}, or pred to go with it"
    return f", {name} of shape {tuple(part.shape)} where {shape} is wanted", allowed, remedy


#: The forms that a target of class, region or point losses may have: what tells them, and how an error describes them.
FORMS: dict[str, tuple[Callable[[Tensor, Target], bool], str]] = {
    "dense": (_is_dense, "a tensor of pred's shape"),
    "labels": (is_label, "integer labels of pred's shape without its class axis (axis 1)"),
    "class_map": (is_label, "integer labels of pred's shape without its class axis (axis 1)"),
    "score": (_is_score, "floats of pred's shape without its last axis"),
    "offset": (_is_score, "floats of pred's shape without its last axis, around 0"),
    "teacher": (
        _is_teacher,
        "a tuple (teacher's logits, matched), of pred's shape and a boolean of pred's shape without its last axis",
    ),
    "label_score": (
        _is_label_score,
        "a tuple (labels, scores), both of pred's shape without its class axis, or both of pred's shape",
    ),
    "label_score_rank": (
        _is_label_score_rank,
        "a tuple (labels, scores, ranks), each of pred's shape without its class axis",
    ),
    "target_iou": (
        _is_target_iou,
        "a tuple (targets, IoUs), of pred's shape and of pred's shape without its class axis",
    ),
    "input_sign": (_is_input_sign, "a tuple (second input, sign), both of pred's shape"),
    "points_visible": (
        functools.partial(_is_points, "points_visible"),
        "a tuple (points, visible), of pred's shape and of pred's shape without its last axis",
    ),
    "points_visible_area": (
        functools.partial(_is_points, "points_visible_area"),
        "a tuple (points, visible, area), of pred's shape, without its last axis, and without its last two axes",
    ),
    "points_visible_flow": (
        functools.partial(_is_points, "points_visible_flow"),
        "a tuple (points, visible, sigma, log density), the first and third of pred's shape, the others without its "
        "last axis",
    ),
}
#: those of them that lie between bins, which are on the last axis of pred
BETWEEN_BINS = frozenset({"score", "offset"})
#: and the one that region losses take beside, where there is one class
ALL_FORMS = {"mask": (is_mask, "the mask of the one class of pred, without class axis"), **FORMS}


def check_forms(where: str, pred: Tensor, target: Target, forms: tuple[str, ...]) -> str:
    """The form that the target has; raise unless it is one of these, and pred of floating point, on one device."""
    check_tensor(where, "pred", pred, "class scores or masks")
    check_float(where, "pred", pred, "values")
    if pred.ndim == 0:
        remedy = "pass one row at least (pred[None])"
        raise refusal(where, "pred has no dimension, its shape is ()", "one axis at least", remedy)
    wanted = "; or ".join(ALL_FORMS[form][1] for form in forms)
    parts = target if isinstance(target, tuple) else (target,)
    for part in parts:
        if not isinstance(part, Tensor):
            came = f"target {shown(target)} must be made of torch.Tensors, got {_kind(part)}"
            raise refusal(where, came, wanted, "pass that", TypeError)
        check_tensor(where, "target", part, wanted)
        check_device(where, "target", part, pred)
        if part.is_floating_point() or part.is_complex() or part.is_quantized:
            check_float(where, "target", part, "values")
    for form in forms:
        if ALL_FORMS[form][0](pred, target):
            return form
    given = ", ".join(f"{tuple(part.shape)} {str(part.dtype).removeprefix('torch.')}" for part in parts)
    given = f"({given})" if isinstance(target, tuple) else given
    came, remedy = f"target {given} does not go with pred {tuple(pred.shape)}", "pass that"
    of_points = [form for form in forms if form in POINTS]
    if of_points and not isinstance(target, tuple) and "dense" in forms:
        remedy = f"pass points of shape {tuple(pred.shape)}, or ({', '.join(POINTS[of_points[0]])})"
    elif of_points:
        meant = next((form for form in of_points if len(POINTS[form]) == len(parts)), of_points[0])
        more, shapes, remedy = _misfit_of_points(pred, target, meant)
        came, wanted = came + more, f"{wanted}, which is {shapes}"
    raise refusal(where, came, wanted, remedy)


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def readable(*tensors: Tensor) -> bool:
    """Whether values may be looked at: in eager mode on the CPU, where it neither waits nor breaks a graph."""
    ordinary = all(type(tensor) in ORDINARY and tensor.device.type == "cpu" for tensor in tensors)
    tracing = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return ordinary and not tracing


def warn_of_inverted(where: str, boxes: Tensor, sides: Tensor) -> bool:
    """Name the first inverted target in a warning, where values may be looked at; whether there was one.

    Args:
        where: the loss.
        boxes: (n, k) targets.
        sides: (n, 2) width and height of each.
    """
    if not readable(boxes, sides):
        return False
    remedy = "Sort the corners of the annotation; it is trained as it came"
    return warn_of_first(where, boxes, (sides < 0).any(-1), "is inverted", "a negative width or height", remedy)


def warn_of_first(where: str, boxes: Tensor, odd: Tensor, what: str, has: str, remedy: str) -> bool:
    """Name the first odd target in a warning; whether there was one. The values are looked at.

    Args:
        where: the loss.
        boxes: (n, k) targets.
        odd: (n,) which of them are.
        what: what they are, "is flat".
        has: what they have.
        remedy: what to do, in sentences.
    """
    if not odd.any():
        return False
    index = int(odd.long().argmax())
    warnings.warn(
        f"{where}: target {index} of {len(boxes)} {what}: {boxes[index].tolist()} has {has}; "
        f"so have {int(odd.sum())} in this batch. {remedy}",
        stacklevel=3,
    )
    return True


def number_in(tensor: Tensor) -> float | None:
    """The number in a tensor of one element; None where a transform (vmap) holds it, which cannot be looked into."""
    try:
        return tensor.item()
    except RuntimeError:
        return None


def fit_weight(
    where: str, weight: Tensor, shape: torch.Size, scores: torch.Size | None = None, columns: int = 1
) -> Tensor:
    """The weight for a loss of that shape: one per row or pixel is repeated, several per element become their mean.

    Args:
        where: what errors call the loss.
        weight: the weight as it came.
        shape: of the loss.
        scores: the shape of class scores, whose class axis a weight per row or pixel lacks; None: rows are (n, ...).
        columns: how many numbers a row has, of which there may be one weight each; 1: one weight per row only.
    """
    axis = -1 if scores is None else min(1, len(scores) - 1)
    if weight.shape == shape:
        return weight
    given = weight.shape
    if scores is None:
        averaged = given[:-1] == shape and given[-1:] in ((1,), (columns,))
    else:
        averaged = shape != scores and spreads(given, scores)
    if shape and averaged:
        numbers = weight if weight.dtype in FLOATS else weight.float()
        weight = numbers.sum(axis) / max(weight.shape[axis], 1)  # the mean; of no classes 0
    if shape and shape == scores and weight.shape == without(shape, axis):
        return weight.unsqueeze(axis)
    if not shape and given == (1,):  # one row without its axis
        return weight.reshape(())
    if weight.shape == shape or (weight.ndim > 1 and spreads(weight.shape, shape)):
        return weight.expand(shape)
    if given == (*shape[:1], 1):  # one per row, with an axis, of a loss with several
        return weight.reshape(-1, *(1 for _ in shape[1:]))
    if weight.ndim > 0 and weight.shape == shape[: weight.ndim]:
        return weight.reshape(*weight.shape, *(1 for _ in range(len(shape) - weight.ndim)))
    came = f"weight has shape {tuple(given)}, the loss {tuple(shape)}"
    remedy = "pass one weight per row, or set loss_weight, one factor for all"
    raise refusal(where, came, "one per row, (n,) or (n, 1), one per pixel, or one per element", remedy)


def spreads(shape: Sequence[int], whole: Sequence[int]) -> bool:
    """Whether each axis of the shape is as long as that of the whole, or has length 1."""
    return len(shape) == len(whole) and all(size in (1, each) for size, each in zip(shape, whole, strict=True))


def check_weight(where: str, weight: Any, pred: Tensor) -> None:
    """Raise unless the weight is a tensor of real numbers on the device of pred.

    Its values are looked at only where that neither waits for a device nor breaks a graph: in eager mode on the CPU.
    """
    check_tensor(where, "weight", weight, "one weight per row, (n,) or (n, 1), or one per element")
    check_device(where, "weight", weight, pred)
    if weight.dtype != torch.bool and not holds_numbers(weight):
        remedy = "pass real numbers (weight.real, or weight.abs())" if weight.is_complex() else "pass weight.float()"
        raise refusal(where, f"weight has dtype {weight.dtype}", "numbers from 0 on", remedy, TypeError)
    if not weight.numel() or weight.dtype == torch.bool or not readable(weight):
        return
    wrong = [end for end in map(number_in, weight.detach().aminmax()) if end is not None and not 0 <= end < math.inf]
    if wrong:
        remedy = "pass weights that say how much a row counts, 0 for not at all"
        raise refusal(where, f"weight holds {wrong[0]}", "finite numbers from 0 on", remedy)


def whole_labels(target: Target) -> Target:
    """Labels of any integer type as int64, the only one that all of torch's functions take."""
    return on_target(lambda part: part if part.is_floating_point() or part.dtype in LABELS else part.long(), target)


def upcast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Bring all floating-point tensors to one dtype of at least float32; float64 stays, integers stay integers.

    Half precision cannot hold areas above 256 x 256 px, so *all* operands are raised, not only the prediction.
    """
    if all(tensor.dtype == torch.float32 for tensor in tensors):  # as nearly always
        return tensors
    dtype = torch.float32
    for tensor in tensors:
        if tensor.is_floating_point():
            dtype = torch.promote_types(dtype, tensor.dtype)
    return tuple(tensor.to(dtype) if tensor.is_floating_point() else tensor for tensor in tensors)


def dense(pred: Tensor, target: Tensor) -> Tensor:
    """The target in pred's shape and dtype; integer labels become one-hot rows, background rows stay 0."""
    if target.ndim == pred.ndim:
        return target.to(pred.dtype)
    axis = class_axis(pred)
    return one_hot(target, pred.shape[axis], axis).to(pred.dtype)


def one_hot(labels: Tensor, classes: int, axis: int = -1) -> Tensor:
    """Labels to booleans with a class axis; unlike torch's, any label that is no class gives False throughout."""
    axis = axis % (labels.ndim + 1)
    shape = [1] * (labels.ndim + 1)
    shape[axis] = classes
    return labels.unsqueeze(axis) == torch.arange(classes, device=labels.device).view(shape)


def raised(pred: Tensor, target: Target) -> tuple[Tensor, Target]:
    """Half precision raised to float32, both in one type."""
    if isinstance(target, tuple):
        pred, *parts = upcast(pred, *target)
        return pred, tuple(parts)
    pred, target = upcast(pred, target)
    return pred, target


def on_target(change: Callable[[Tensor], Tensor], target: Target) -> Target:
    """Apply a change to a target of one or several tensors."""
    return tuple(change(part) for part in target) if isinstance(target, tuple) else change(target)


def cast(target: Target, dtype: torch.dtype) -> Target:
    """Floating-point parts in that dtype; labels stay integers."""
    return on_target(lambda part: part.to(dtype) if part.is_floating_point() else part, target)
