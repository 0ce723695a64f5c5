"""What losses on class scores share: traits, binary cross-entropy, and a logarithm whose slope has a bound."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..catalog.declare import Traits
from ..tensors import class_axis, fit_weight, without_class_axis

#: the traits of a loss on scores: there are no boxes to scale or shift
SCORES = Traits(scale_invariant=False, translation_invariant=False)
#: likewise, for a loss whose prediction never equals its target, as logits do not equal probabilities
UNEQUAL = Traits(scale_invariant=False, translation_invariant=False, zero_at_equality=False)
#: probabilities below it do not steepen a logarithm any more: gradients stay below 5e3
SLOPE_FLOOR = 2e-4


def bounded_log(x: Tensor, offset: float = 0.0, floor: float = SLOPE_FLOOR) -> Tensor:
    """ln x, at least -100 as in torch, with a slope of at most 1 / floor."""
    small = x < floor
    inside = torch.where(small, torch.ones_like(x), x)
    at = x.detach()
    line = (at.clamp(min=0) + offset).log().clamp(min=-100) + (x - at) / floor
    return torch.where(small, line, (inside + offset).log())


def binary_cross_entropy(
    pred: Tensor, target: Tensor, activated: bool, pos_weight: Tensor | float | None = None
) -> Tensor:
    """Binary cross-entropy of probabilities if `activated`, else of logits; with a factor on the positives' part."""
    if not activated:
        factor = pred.new_full((), pos_weight) if isinstance(pos_weight, (int, float)) else pos_weight
        return functional.binary_cross_entropy_with_logits(pred, target, reduction="none", pos_weight=factor)
    positive = target if pos_weight is None else pos_weight * target
    return -(positive * bounded_log(pred) + (1 - target) * bounded_log(1 - pred))


def scores_that_count(where: str, pred: Tensor, weight: Tensor | None, ignored: Tensor | None) -> Tensor:
    """Which scores a running statistic learns from: those of weight above 0 that are not ignored, in pred's shape.

    Args:
        where: what errors call the loss.
        pred: scores.
        weight: of the scores or of the rows; None: of all 1.
        ignored: what is left out, of pred's shape or with one entry along the class axis; None: nothing.
    """
    counted = torch.ones_like(pred, dtype=torch.bool)
    if weight is not None:
        counted = fit_weight(where, weight, pred.shape, pred.shape).expand_as(pred) > 0
    return counted if ignored is None else counted & ~ignored


def row_count(pred: Tensor, target: Any, ignored: Tensor | None = None, **_: Any) -> Tensor:
    """How many rows (or pixels) are not left out as a whole: what losses that sum over classes divide by."""
    if ignored is None:
        return pred.new_full((), float(max(math.prod(without_class_axis(pred)), 1)))
    return ignored.all(class_axis(pred)).logical_not().sum().to(pred.dtype)
