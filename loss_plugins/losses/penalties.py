"""The terms by which the losses of the IoU family differ: what each adds to 1 - IoU, or multiplies it by."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .boxes import (
    LEAST_AREA,
    Pair,
    aspect_difference,
    beside_area,
    center_offset,
    corner_distance2,
    edge_distances,
    enclosing_diagonal2,
    enclosing_sides,
    is_ours,
    least_area,
    safe_hypot,
    share_of,
    squared_norm,
)

#: what a loss adds to 1 - IoU: one or more terms, each a number per box
Terms = tuple[Tensor, ...]
Penalty = Callable[[Pair], Terms]
#: what CIoU's terms leave out of the gradient
ALPHA = "the weight alpha of the aspect term (1911.08287)"


def no_penalty(pair: Pair) -> Terms:
    """IoU loss has no penalty."""
    return ()


def giou_penalty(pair: Pair) -> Terms:
    """The empty share of the enclosing box (1902.09630)."""
    width, height = enclosing_sides(pair)
    area, union = width * height, pair.union
    if pair.convention.union == "max":
        least = max(pair.geometry_eps, LEAST_AREA)
        area, union = area.clamp(min=least), union.clamp(min=least)
        return ((area - union) / area,)
    least = least_area(pair)
    empty = (area - union) / (area.clamp(min=least) if pair.convention.union == "divisor" else area + least)
    # what boxes without area enclose is empty wherever they are, and those on one line enclose nothing: the slope
    # there, a side over the area, has no bound
    return (torch.where((union if is_ours(pair) else area) == 0, empty.detach(), empty),)


def center_distance(pair: Pair) -> Tensor:
    """Squared centre distance over the squared diagonal of the enclosing box."""
    return squared_norm(*center_offset(pair.p, pair.t, pair.convention)) / enclosing_diagonal2(pair)


def diou_penalty(pair: Pair) -> Terms:
    """The centre distance (1911.08287, eq. 7)."""
    return (center_distance(pair),)


def ciou_penalty(pair: Pair) -> Terms:
    """DIoU's distance plus alpha * v, the difference in aspect (1911.08287, eq. 8 to 11)."""
    distance = center_distance(pair)
    v = aspect_difference(pair)
    return distance, v * aspect_weight(pair, v)


def aspect_weight(pair: Pair, v: Tensor) -> Tensor:
    """CIoU's alpha = v / (1 - IoU + v); it carries no gradient."""
    iou, v, gate = pair.iou.detach(), v.detach(), pair.convention.alpha_gate
    denominator = 1 - iou + v
    if pair.convention.alpha_eps and pair.eps:
        alpha = v / (denominator + pair.eps)
    else:  # 0 / 0 on an exact match counts as 0
        alpha = v / denominator.masked_fill(denominator == 0, 1.0)
    return alpha if gate is None else alpha * (iou > gate)


def eiou_penalty(pair: Pair) -> Terms:
    """DIoU's distance plus the differences of the sides, each over the enclosing side (2101.08158)."""
    width, height = enclosing_sides(pair)
    p, t = pair.p, pair.t
    return (
        center_distance(pair),
        (p.w - t.w) ** 2 / (width**2 + least_area(pair)),
        (p.h - t.h) ** 2 / (height**2 + least_area(pair)),
    )


def cdiou_penalty(pair: Pair, lam: float) -> Terms:
    """Mean distance of the four corners over the enclosing diagonal (2103.11696)."""
    p, t = pair.p, pair.t
    left, right, top, bottom = p.x1 - t.x1, p.x2 - t.x2, p.y1 - t.y1, p.y2 - t.y2
    corners = safe_hypot(left, top) + safe_hypot(right, top) + safe_hypot(left, bottom) + safe_hypot(right, bottom)
    return (lam * corners / (4 * enclosing_diagonal2(pair).sqrt()),)


def siou_penalty(pair: Pair, theta: float) -> Terms:
    """Half the distance, by the angle of the line of centres, and half the difference of shape (2205.12740)."""
    p, t = pair.p, pair.t
    eps = 0.0 if is_ours(pair) else pair.eps
    x, y = (offset + eps for offset in center_offset(pair.p, pair.t, pair.convention))
    width, height = enclosing_sides(pair)
    distance2 = squared_norm(x, y) + (beside_area(pair) if is_ours(pair) else 0.0)
    angle = 2 * x.abs() * y.abs() / distance2.clamp(min=LEAST_AREA)  # the sine of twice the angle: no arcsine
    gap_x, gap_y = share_of(pair, x, width, p.w + t.w, eps), share_of(pair, y, height, p.h + t.h, eps)
    distance = 2 - ((angle - 2) * gap_x**2).exp() - ((angle - 2) * gap_y**2).exp()
    extra = 0.0 if pair.convention.union == "tall" else eps  # that convention's heights have it already
    return 0.5 * distance, 0.5 * shape_costs(pair, theta, extra)


def shape_costs(
    pair: Pair, theta: float, extra: float = 0.0, wide: Tensor | float = 1.0, tall: Tensor | float = 1.0
) -> Tensor:
    """(1 - e^-x)^theta of the differences of width and of height over the larger of both."""
    p, t = pair.p, pair.t
    wider, taller = torch.maximum(p.w, t.w), torch.maximum(p.h, t.h) + extra
    if is_ours(pair):  # inverted boxes have none
        wider, taller = wider.relu(), taller.relu()
    return shape_cost(tall * share_of(pair, (p.w - t.w).abs(), wider, wider), theta) + shape_cost(
        wide * share_of(pair, (p.h - t.h).abs(), taller, taller), theta
    )


def shape_cost(difference: Tensor, exponent: float) -> Tensor:
    """(1 - e^-x)^exponent."""
    return (-torch.expm1(-difference)) ** exponent


def mpdiou_penalty(pair: Pair, image_size: tuple[float, float]) -> Terms:
    """Squared distances of two corners over the squared diagonal of the image (2307.07662)."""
    upper_left, lower_right = corner_distance2(pair.p, pair.t)
    return ((upper_left + lower_right) / (image_size[0] ** 2 + image_size[1] ** 2),)


def shape_iou_penalty(pair: Pair, scale: float) -> Terms:
    """Distance and shape cost, weighted by the target's own shape (2312.17663)."""
    wide, tall = shape_weights(pair.t.w, pair.t.h, scale)
    x, y = center_offset(pair.p, pair.t, pair.convention)
    distance = (tall * x**2 + wide * y**2) / enclosing_diagonal2(pair)
    return distance, 0.5 * shape_costs(pair, 4, wide=wide, tall=tall)


def shape_weights(width: Tensor, height: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """2 w^s / (w^s + h^s) and the same for h; both 1 for a target without size, or s = 0."""
    width, height = width.detach().relu(), height.detach().relu()
    longer = torch.maximum(width, height)
    longer = longer.masked_fill(longer == 0, 1.0)
    wide, tall = (width / longer) ** scale, (height / longer) ** scale
    total = wide + tall
    none = total == 0
    total = total.masked_fill(none, 1.0)
    return (2 * wide / total).masked_fill(none, 1.0), (2 * tall / total).masked_fill(none, 1.0)


def piou_distance(pair: Pair) -> Tensor:
    """P: mean distance of the four edges over the target's sides (Powerful-IoU, eq. 5)."""
    horizontal, vertical = edge_distances(pair)
    width, height = pair.t.w.abs(), pair.t.h.abs()
    return (share_of(pair, horizontal, width, width) + share_of(pair, vertical, height, height)) / 4


def piou_penalty(pair: Pair) -> Terms:
    """1 - e^(-P^2): no enclosing box, so growing the prediction never helps."""
    return (1 - (-(piou_distance(pair) ** 2)).exp(),)


def piou_attention(pair: Pair, lam: float, detach: bool) -> Tensor:
    """PIoU v2's weight u(lam q), q = e^-P: highest for boxes of medium quality."""
    quality = lam * (-piou_distance(pair)).exp()
    weight = 3 * quality * (-(quality**2)).exp()
    return weight.detach() if detach else weight
