"""What an argument may be: ranges of hyper-parameters and shapes of boxes, with errors that say how to fix them."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from dataclasses import dataclass
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
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or math.isnan(value):
            return False
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
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


Allowed = Interval | Choice


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


def check_boxes(where: str, pred: Tensor, target: Tensor) -> None:
    """Raise unless both are floating-point tensors of one shape (..., 4)."""
    for name, boxes in (("pred", pred), ("target", target)):
        if not isinstance(boxes, Tensor):
            raise TypeError(
                f"{where}: {name} must be a torch.Tensor of shape (..., 4), got {type(boxes).__name__}"
            )
        if boxes.ndim == 0 or boxes.shape[-1] != 4:
            raise ValueError(
                f"{where}: {name} has shape {tuple(boxes.shape)}; the last dimension must be 4 (one box per row)"
            )
        if not boxes.is_floating_point():
            raise TypeError(
                f"{where}: {name} has dtype {boxes.dtype}; pass floating-point boxes ({name}.float())"
            )
    if pred.shape != target.shape:
        raise ValueError(
            f"{where}: pred {tuple(pred.shape)} and target {tuple(target.shape)} differ; "
            "boxes are compared row by row, so index or expand them to one shape first"
        )


def upcast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Bring all tensors to one dtype of at least float32; float64 stays.

    Half precision cannot hold areas above 256 x 256 px, so *all* operands are raised, not only the prediction.
    """
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return tuple(tensor.to(dtype) for tensor in tensors)
