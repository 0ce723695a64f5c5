"""What tensors a loss takes: shapes, forms of targets, precision; errors say how to fix them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Target = Tensor | tuple[Tensor, ...]


def check_boxes(where: str, pred: Tensor, target: Target, columns: int = 4) -> None:
    """Raise unless both are floating-point tensors of one shape (..., columns)."""
    for name, boxes in (("pred", pred), ("target", target)):
        if not isinstance(boxes, Tensor):
            raise TypeError(
                f"{where}: {name} must be a torch.Tensor of shape (..., {columns}), got {type(boxes).__name__}"
            )
        if boxes.ndim == 0 or boxes.shape[-1] != columns:
            raise ValueError(
                f"{where}: {name} has shape {tuple(boxes.shape)}; "
                f"the last dimension must be {columns} (one box per row)"
            )
        if not boxes.is_floating_point():
            raise TypeError(f"{where}: {name} has dtype {boxes.dtype}; pass floating-point boxes ({name}.float())")
    if isinstance(target, Tensor) and pred.shape != target.shape:
        raise ValueError(
            f"{where}: pred {tuple(pred.shape)} and target {tuple(target.shape)} differ; "
            "boxes are compared row by row, so index or expand them to one shape first"
        )


def without_class_axis(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """The shape of labels for logits of that shape, with the classes along `axis`."""
    axis = axis % len(shape)
    return (*shape[:axis], *shape[axis + 1 :])


def softmax_axis(pred: Tensor) -> int:
    """Where softmax losses have their classes, as in torch: axis 1, or the only one."""
    return min(1, pred.ndim - 1)


def _is_dense(pred: Tensor, target: Target) -> bool:
    return isinstance(target, Tensor) and target.shape == pred.shape


def _is_label(pred: Tensor, target: Target, axis: int = -1) -> bool:
    return (
        isinstance(target, Tensor)
        and not (target.is_floating_point() or target.dtype == torch.bool)
        and tuple(target.shape) == without_class_axis(tuple(pred.shape), axis)
    )


def _is_score(pred: Tensor, target: Target) -> bool:
    return isinstance(target, Tensor) and target.is_floating_point() and target.shape == pred.shape[:-1]


def _is_class_map(pred: Tensor, target: Target) -> bool:
    return _is_label(pred, target, softmax_axis(pred))


def _is_label_score(pred: Tensor, target: Target) -> bool:
    return (
        isinstance(target, tuple)
        and len(target) == 2
        and (
            (_is_label(pred, target[0]) and _is_score(pred, target[1]))
            or (_is_dense(pred, target[0]) and _is_dense(pred, target[1]))
        )
    )


def _is_input_sign(pred: Tensor, target: Target) -> bool:
    return isinstance(target, tuple) and len(target) == 2 and all(_is_dense(pred, part) for part in target)


#: The forms that a target of class or region losses may have: what tells them, and how an error describes them.
FORMS: dict[str, tuple[Callable[[Tensor, Target], bool], str]] = {
    "dense": (_is_dense, "a tensor of pred's shape"),
    "labels": (_is_label, "integer labels of pred's shape without its last axis"),
    "class_map": (_is_class_map, "integer labels of pred's shape without its class axis (axis 1)"),
    "score": (_is_score, "floats of pred's shape without its last axis"),
    "label_score": (_is_label_score, "a tuple (labels, scores), both (...) or both of pred's shape"),
    "input_sign": (_is_input_sign, "a tuple (second input, sign), both of pred's shape"),
}


def check_forms(where: str, pred: Tensor, target: Target, forms: tuple[str, ...]) -> None:
    """Raise unless pred is a floating-point tensor and target has one of the forms."""
    if not isinstance(pred, Tensor):
        raise TypeError(f"{where}: pred must be a torch.Tensor, got {type(pred).__name__}")
    if not pred.is_floating_point():
        raise TypeError(f"{where}: pred has dtype {pred.dtype}; pass floating-point values (pred.float())")
    parts = target if isinstance(target, tuple) else (target,)
    for part in parts:
        if not isinstance(part, Tensor):
            raise TypeError(f"{where}: target must be made of torch.Tensors, got {type(part).__name__}")
    if pred.ndim == 0:
        raise ValueError(f"{where}: pred has no dimension; pass one row at least (pred[None])")
    if not any(FORMS[form][0](pred, target) for form in forms):
        given = ", ".join(f"{tuple(part.shape)} {str(part.dtype).removeprefix('torch.')}" for part in parts)
        wanted = "; or ".join(FORMS[form][1] for form in forms)
        raise ValueError(f"{where}: target {given} does not go with pred {tuple(pred.shape)}; pass {wanted}")


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


def dense(pred: Tensor, target: Tensor, axis: int = -1) -> Tensor:
    """The target in pred's shape and dtype; integer labels become one-hot rows, background rows stay 0."""
    if target.shape == pred.shape:
        return target.to(pred.dtype)
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
