"""The IoU family, composed: overlap, penalty terms, and the transforms that wrap any member.

    metric = IoU' - sum of penalty terms        loss = 1 - metric

where a transform changes IoU (`inner_ratio`, `focaler`, `power`, the last each term as well), weights the finished
loss (`focal_gamma`, `wise`), or adds to it (`interp`, `d_interp`). Each is a function here, for losses of your own.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Annotated

from torch import Tensor
from typing_extensions import Unpack

from ..catalog.conventions import OURS, Convention, Dialect
from ..catalog.declare import Effect, State
from ..catalog.ranges import EPSILON, Choice, Interval, Series
from .boxes import LENGTH, Pair, cxcywh_to_xyxy, inner_iou, interpolated_iou, pair_up
from .focusing import no_boxes, one, paper_mean, sum_of_iou_losses, wise_weight
from .penalties import Penalty


class IoUOptions(Dialect, total=False):
    """Keywords that every IoU-family loss takes; `iou_family` holds their defaults, ranges and meaning."""

    eps: float | None
    box_format: str
    power: float | None
    inner_ratio: float | None
    focaler: tuple[float, float] | None
    interp: float | None
    d_interp: tuple[float, float] | None
    focal_gamma: float
    wise: int | None
    wise_mean: Tensor | float


#: what the two weights of the family leave out of the gradient
BETWEEN = "where the box lies between prediction and target (2507.12420)"
FOCAL, FOCUS = "the weight IoU^gamma (2101.08158)", "the focusing weight (2301.10051)"
#: the paths of the audit along which the loss falls while a box gets worse, and why
POOR_COSTS_LESS = dict.fromkeys(
    ("shifted right", "shifted down", "shifted diagonally", "shrunk", "grown"),
    "boxes weigh IoU^gamma, so a poor one costs less than a fair one",
)
#: what the weight changes
FocalGamma = Annotated[
    float,
    Interval(0, 10),
    Effect(gradient_when_disjoint=False, detached=FOCAL, not_monotone=POOR_COSTS_LESS),
]

#: a second IoU beside that of the boxes: at most 1 more, and the target is not the prediction
Interp = Annotated[
    float | None,
    Interval(0, 1, open_high=True),
    Effect(range=(0, math.inf), symmetric=False, gradient_when_disjoint=True),
]
#: likewise, by a weight that rises as the IoU falls
DynamicInterp = Annotated[
    tuple[float, float] | None,
    Series(2, Interval(0, 1), rising=True),
    Effect(
        range=(0, math.inf),
        symmetric=False,
        gradient_when_disjoint=True,
        detached=BETWEEN,
        not_monotone=dict.fromkeys(
            POOR_COSTS_LESS, "the weight of the target rises as the IoU falls, so a poor box may cost less"
        ),
    ),
]


def iou_family(
    pred: Tensor,
    target: Tensor,
    penalty: Penalty,
    to_loss: Callable[[Tensor, float], Tensor] | None = None,
    normalize_focal: bool = False,
    weighted: Callable[[Tensor, Pair], Tensor] | None = None,
    convention: Convention = OURS,
    scale: Tensor | float | None = None,
    *,
    eps: Annotated[float | None, EPSILON] = None,
    box_format: Annotated[str, Choice("xyxy", "cxcywh")] = "xyxy",
    power: Annotated[float | None, Interval(0, 10, open_low=True)] = None,
    inner_ratio: Annotated[float | None, Interval(0, 3, open_low=True)] = None,
    focaler: Annotated[tuple[float, float] | None, Series(2, Interval(0, 1), rising=True, gap=1e-3)] = None,
    interp: Interp = None,
    d_interp: DynamicInterp = None,
    focal_gamma: FocalGamma = 0.0,
    wise: Annotated[int | None, Choice(2, 3), Effect(stateful=True, range=(0, math.inf), detached=FOCUS)] = None,
    wise_mean: Annotated[Tensor | float, State(one, no_boxes, sum_of_iou_losses, paper_mean, when="wise")] = 1.0,
    **_: Unpack[Dialect],
) -> Tensor:
    """Any member of the IoU family, per box. Its keywords are those that every member takes.

    Args:
        pred: (..., 4) predicted boxes.
        target: (..., 4) boxes to meet.
        penalty: the terms that the loss adds to 1 - IoU.
        to_loss: makes the loss of the IoU and epsilon, where it is not 1 - IoU.
        normalize_focal: scale the focal weights to a mean of 1 over the batch.
        weighted: multiplies the finished sum by the loss's own weight.
        convention: where the epsilons go and what is clamped; the catalogue sets it, by the loss's `dialect`.
        scale: by which both boxes are scaled about their centres, before anything else; None: they are not.
        eps: epsilon of numbers without unit, as alpha of CIoU, the power and the logarithm; with a dialect of every
            denominator. None: 1e-7, or that of the dialect.
        box_format: "xyxy" for corners or "cxcywh" for centre and size, of both boxes.
        power: Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio: Inner-IoU: the IoU of both boxes scaled by this ratio about their centres; the penalty keeps the
            boxes as they are. The paper uses 0.5 to 1.5, below 1 for boxes that are nearly right.
        focaler: Focaler-IoU's (d, u): the IoU stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
        interp: InterpIoU's weight of the target: 1 minus the IoU of the target and a box between it and the prediction
            is added to the finished loss, which pulls boxes that are apart. The paper's code has 0.98.
        d_interp: D-InterpIoU's (low, high): likewise, by the weight 1 - IoU within these bounds, without gradient. The
            paper's code has (0.6, 0.99). Boxes that just touch then cost less than some that overlap.
        focal_gamma: weight IoU^gamma, without gradient: attention to good boxes, none to disjoint ones.
        wise: 2 or 3 for WIoU's focusing weight of that version, with the paper's constants.
        wise_mean: running mean of 1 - IoU for `wise`; the module keeps it.

    Returns:
        (...) loss per box.
    """
    eps = convention.eps if eps is None else eps
    if box_format == "cxcywh":
        pred, target = cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target)
    pair = pair_up(pred, target, eps, convention, scale)
    terms = penalty(pair)
    overlap = pair.iou if inner_ratio is None else inner_iou(pair, inner_ratio)
    if focaler is not None:
        overlap = stretched(overlap, *focaler)
    if power is not None:
        overlap, terms = to_power(overlap, power, eps), tuple(to_power(term, power, eps) for term in terms)
    if to_loss is not None:
        loss = to_loss(overlap, eps)
    else:
        metric = overlap - functools.reduce(operator.add, terms) if terms else overlap
        loss = 1 - (metric.clamp(-1, 1) if convention.clamp_metric else metric)
    if weighted is not None:
        loss = weighted(loss, pair)
    if focal_gamma:
        loss = loss * focal_weight(pair.iou, focal_gamma, normalize_focal)
    if wise is not None:
        loss = loss * wise_weight(1 - pair.iou, wise_mean, wise)
    if interp is not None:
        loss = loss + (1 - interpolated_iou(pair, interp))
    if d_interp is not None:
        loss = loss + (1 - interpolated_iou(pair, (1 - pair.iou.detach()).clamp(*d_interp)))
    return loss


def stretched(iou: Tensor, low: float, high: float) -> Tensor:
    """Focaler-IoU (2401.10525): 0 up to `low`, 1 from `high`, a line in between."""
    # two relus, not clamp: their derivative at the ends is 0 in every torch release
    return 1 - (1 - ((iou - low) / (high - low)).relu()).relu()


def to_power(value: Tensor, power: float, eps: float) -> Tensor:
    """(value + eps)^power, with a finite slope at 0 (2110.13675).

    Terms of valid boxes are at most 1; the upper bound only keeps powers of inverted boxes from exploding.
    """
    return (value.clamp(0, 4) + max(eps, LENGTH**2)) ** power


def focal_weight(iou: Tensor, gamma: float, normalize: bool) -> Tensor:
    """IoU^gamma without gradient (2101.08158): 0 for boxes that do not overlap."""
    weight = iou.detach() ** gamma
    if not normalize:
        return weight
    mean = weight.sum() / max(weight.numel(), 1)
    return weight / mean.masked_fill(mean == 0, 1.0)
