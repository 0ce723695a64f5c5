"""Rows in which a built-in is broken, or ours is better on purpose: a comparison leaves them out, and counts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..losses.scores import SLOPE_FLOOR
from ..peers import Compared
from ..tensors import Target


@dataclass(frozen=True)
class Rule:
    """Rows that a comparison leaves out, and counts.

    Attributes:
        rows: which rows, from prediction and target. Ours must be finite in them all the same.
        until: the last version known to need it; "": the installed one does.
        gradient_only: values are still compared. Else only rows are left out in which theirs is not finite.
    """

    name: str
    framework: str
    losses: tuple[str, ...]
    why: str
    rows: Callable[[Tensor, Target], Tensor]
    gradient_only: bool = False
    until: str = ""

    def applies(self, row: Compared) -> bool:
        """Whether it speaks of this built-in."""
        return row.framework == self.framework and row.name in self.losses


def _exact_match(pred: Tensor, target: Target) -> Tensor:
    assert isinstance(target, Tensor)
    return (pred == target).all(-1)


def _steep(pred: Tensor, target: Target) -> Tensor:
    return ((pred < SLOPE_FLOOR) | (pred > 1 - SLOPE_FLOOR)).any(-1)


RULES: tuple[Rule, ...] = (
    Rule(
        "nan-on-match",
        "mmdet",
        ("ciou",),
        "its alpha is 0 / 0 = NaN, in value and gradient, where boxes are equal and eps vanishes in their union "
        "(float32, from an area of about 32 px on); ours is 0 there",
        _exact_match,
    ),
    Rule(
        "nan-on-match-in-centres",
        "ultralytics",
        ("ciou (cxcywh)",),
        "up to 8.4.120 at least, its alpha is v / (v - IoU + (1 + eps)), which is 0 / 0 = NaN for many equal boxes "
        "given as centres; 8.4.190 writes 1 - IoU + v + eps",
        _exact_match,
        until="8.4.120",
    ),
    Rule(
        "bounded-slope",
        "mmdet",
        ("focal (probabilities)", "quality_focal (probabilities)", "gaussian_focal"),
        f"probabilities within {SLOPE_FLOOR:g} of 0 or 1: its logarithm's slope grows to 1e12 there, ours stops at "
        f"{1 / SLOPE_FLOOR:g}; the values are equal",
        _steep,
        gradient_only=True,
    ),
)
