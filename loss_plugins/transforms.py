"""The IoU family, composed: overlap, penalty terms, and the transforms that wrap any member.

    metric = IoU' - sum of penalty terms        loss = 1 - metric

where a transform changes IoU (and, for `power`, each term), or weights the finished loss.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Annotated, TypedDict

from torch import Tensor

from .boxes import Pair, cxcywh_to_xyxy, pair_up
from .checks import Choice, Interval
from .dialects import convention

Terms = tuple[Tensor, ...]
Penalty = Callable[[Pair], Terms]


class IoUOptions(TypedDict, total=False):
    """Keywords that every IoU-family loss takes; `iou_family` holds their defaults, ranges and meaning."""

    eps: float | None
    dialect: str | None
    box_format: str
    power: float | None
    focal_gamma: float


def no_penalty(pair: Pair) -> Terms:
    """Plain IoU."""
    return ()


def iou_family(
    pred: Tensor,
    target: Tensor,
    name: str,
    penalty: Penalty,
    to_loss: Callable[[Tensor, float], Tensor] | None = None,
    normalize_focal: bool = False,
    *,
    eps: Annotated[float | None, Interval(0, 1e-2, open_low=True)] = None,
    dialect: str | None = None,
    box_format: Annotated[str, Choice("xyxy", "cxcywh")] = "xyxy",
    power: Annotated[float | None, Interval(0, 10, open_low=True)] = None,
    focal_gamma: Annotated[float, Interval(0, 10)] = 0.0,
) -> Tensor:
    """Any member of the IoU family, per box.

    Args:
        pred: (..., 4) predicted boxes.
        target: (..., 4) boxes to meet.
        name: catalogue name, for the dialect.
        penalty: the terms that the loss adds to 1 - IoU.
        to_loss: what makes a loss of the IoU and epsilon, where that is not 1 - IoU.
        normalize_focal: scale the focal weights to a mean of 1 over the batch.
        eps: epsilon of every denominator; None: 1e-7, or the dialect's.
        dialect: None for the paper's form, or the framework to equal.
        box_format: "xyxy" corners or "cxcywh" centre and size.
        power: Alpha-IoU's exponent, on IoU and on each term.
        focal_gamma: weight IoU^gamma, without gradient: attention to good boxes.

    Returns:
        (...) loss per box.
    """
    rule = convention(name, dialect, box_format)
    eps = rule.eps if eps is None else eps
    if box_format == "cxcywh":
        pred, target = cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target)
    pair = pair_up(pred, target, eps, rule)
    terms = penalty(pair)
    overlap = pair.iou
    if power is not None:
        overlap, terms = raised(overlap, power, eps), tuple(raised(term, power, eps) for term in terms)
    if to_loss is not None:
        loss = to_loss(overlap, eps)
    else:
        metric = overlap - functools.reduce(operator.add, terms) if terms else overlap
        loss = 1 - (metric.clamp(-1, 1) if rule.clamp_metric else metric)
    if focal_gamma:
        loss = loss * focal_weight(pair.iou, focal_gamma, normalize_focal)
    return loss


def raised(value: Tensor, power: float, eps: float) -> Tensor:
    """(value + eps)^power, with a finite slope at 0 (2110.13675).

    Terms of valid boxes are of order 1; the upper bound only keeps powers of inverted boxes from overflowing.
    """
    return (value.clamp(0, 1e3) + eps) ** power


def focal_weight(iou: Tensor, gamma: float, normalize: bool) -> Tensor:
    """IoU^gamma without gradient (2101.08158): 0 for boxes that do not overlap."""
    weight = iou.detach() ** gamma
    if not normalize:
        return weight
    mean = weight.sum() / max(weight.numel(), 1)
    return weight / mean.masked_fill(mean == 0, 1.0)
