"""What an argument may be: ranges of hyper-parameters and shapes of tensors, with errors that say how to fix them."""

from __future__ import annotations

import difflib
import itertools
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Interval:
    """Allowed values of a number, from `low` to `high`; an `open_` end is excluded.

    >>> print(Interval(0, 1, open_low=True))
    (0, 1]
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            return False
        number = float(value)  # NaN fails both comparisons
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        return above and below

    def __str__(self) -> str:
        left = "(" if self.open_low or math.isinf(self.low) else "["
        right = ")" if self.open_high or math.isinf(self.high) else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"


@dataclass(frozen=True)
class Choice:
    """Allowed values listed one by one.

    >>> print(Choice("exp", "log"))
    'exp' or 'log'
    """

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        object.__setattr__(self, "values", values)

    def __contains__(self, value: object) -> bool:
        return any(type(value) is type(choice) and value == choice for choice in self.values)

    def __str__(self) -> str:
        return " or ".join(repr(choice) for choice in self.values) or "nothing (leave it out)"


@dataclass(frozen=True)
class Series:
    """Allowed lists of `length` numbers, each in `each`; `rising`: every number above the one before.

    >>> print(Series(2, Interval(0, 1), rising=True))
    2 rising numbers in [0, 1]
    """

    length: int
    each: Interval = field(default_factory=Interval)
    rising: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, (list, tuple)) or len(value) != self.length:
            return False
        inside = all(number in self.each for number in value)
        return inside and (not self.rising or all(low < high for low, high in itertools.pairwise(value)))

    def __str__(self) -> str:
        return f"{self.length} {'rising ' if self.rising else ''}numbers in {self.each}"


@dataclass(frozen=True)
class PerClass:
    """Allowed: one number per class (list or 1-dim tensor), or a single one where `single`. Tensors are not read.

    >>> print(PerClass(Interval(0), single=True))
    a number in [0, inf), or one per class
    """

    each: Interval = field(default_factory=Interval)
    single: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, Tensor):  # reading it would wait for the device
            return value.is_floating_point() and value.ndim in ((0, 1) if self.single else (1,))
        if isinstance(value, (list, tuple)):
            return len(value) > 0 and all(number in self.each for number in value)
        return self.single and value in self.each

    def __str__(self) -> str:
        return f"a number in {self.each}, or one per class" if self.single else f"one number in {self.each} per class"


@dataclass(frozen=True)
class Specs:
    """Allowed: a list of loss specs, each a name or a dict with `type`.

    >>> print(Specs())
    a list of losses, each a name or a dict with 'type'
    """

    def __contains__(self, value: object) -> bool:
        return (
            isinstance(value, (list, tuple))
            and len(value) > 0
            and all(isinstance(spec, str) or (isinstance(spec, Mapping) and "type" in spec) for spec in value)
        )

    def __str__(self) -> str:
        return "a list of losses, each a name or a dict with 'type'"


Allowed = Interval | Choice | Series | PerClass | Specs


def check_value(where: str, name: str, value: Any, allowed: Allowed) -> None:
    """Raise a ValueError that names argument, value and range unless `value` is allowed."""
    if value not in allowed:
        raise ValueError(f"{where}: {name}={value!r} is out of range; allowed: {allowed}")


def closest(word: str, words: Iterable[str]) -> str:
    """A sentence with the names most like `word`, or all of them.

    >>> closest("coiu", ["ciou", "l1"])
    "did you mean 'ciou'?"
    """
    known = sorted(words)
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(name) for name in near) + "?"
    return "known: " + ", ".join(known)


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
