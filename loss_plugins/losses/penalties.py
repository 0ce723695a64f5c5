"""The terms by which the losses of the IoU family differ: what each adds to 1 - IoU, or multiplies it by."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .boxes import (
    Pair,
    aspect_difference,
    center_offset,
    corner_distance2,
    edge_distances,
    enclosing_sides,
    safe_hypot,
    share_of,
    squared_norm,
)

#: what a loss adds to 1 - IoU: one or more terms, each a number per box
Terms = tuple[Tensor, ...]
Penalty = Callable[[Pair], Terms]


def no_penalty(pair: Pair) -> Terms:
    """IoU loss has no penalty."""
    return ()


def giou_penalty(pair: Pair) -> Terms:
    """The empty share of the enclosing box (1902.09630)."""
    width, height = enclosing_sides(pair)
    area, union = width * height, pair.union
    if pair.convention.union == "max":
        area, union = area.clamp(min=pair.geometry_eps), union.clamp(min=pair.geometry_eps)
        return ((area - union) / area,)
    empty = (area - union) / (area + pair.geometry_eps)
    # boxes on one line enclose nothing: the slope there, a side over eps, has no meaning
    return (torch.where(area == 0, empty.detach(), empty),)


def center_distance(pair: Pair, width: Tensor, height: Tensor) -> Tensor:
    """Squared centre distance over the squared diagonal of the enclosing box."""
    diagonal2 = squared_norm(width, height) + pair.geometry_eps
    return squared_norm(*center_offset(pair)) / diagonal2


def diou_penalty(pair: Pair) -> Terms:
    """The centre distance (1911.08287, eq. 7)."""
    return (center_distance(pair, *enclosing_sides(pair)),)


def ciou_penalty(pair: Pair) -> Terms:
    """DIoU's distance plus alpha * v, the difference in aspect (1911.08287, eq. 8 to 11)."""
    distance = center_distance(pair, *enclosing_sides(pair))
    v = aspect_difference(pair)
    return distance, v * aspect_weight(pair, v)


def aspect_weight(pair: Pair, v: Tensor) -> Tensor:
    """CIoU's alpha = v / (1 - IoU + v); it carries no gradient."""
    iou, v, gate = pair.iou.detach(), v.detach(), pair.convention.alpha_gate
    denominator = 1 - iou + v
    if pair.convention.alpha_eps:
        alpha = v / (denominator + pair.eps)
    else:  # 0 / 0 on an exact match counts as 0
        alpha = v / denominator.masked_fill(denominator == 0, 1.0)
    return alpha if gate is None else alpha * (iou > gate)


def eiou_penalty(pair: Pair) -> Terms:
    """DIoU's distance plus the differences of the sides, each over the enclosing side (2101.08158)."""
    width, height = enclosing_sides(pair)
    p, t = pair.p, pair.t
    return (
        center_distance(pair, width, height),
        (p.w - t.w) ** 2 / (width**2 + pair.geometry_eps),
        (p.h - t.h) ** 2 / (height**2 + pair.geometry_eps),
    )


def cdiou_penalty(pair: Pair, lam: float) -> Terms:
    """Mean distance of the four corners over the enclosing diagonal (2103.11696)."""
    p, t = pair.p, pair.t
    left, right, top, bottom = p.x1 - t.x1, p.x2 - t.x2, p.y1 - t.y1, p.y2 - t.y2
    corners = safe_hypot(left, top) + safe_hypot(right, top) + safe_hypot(left, bottom) + safe_hypot(right, bottom)
    diagonal = (squared_norm(*enclosing_sides(pair)) + pair.geometry_eps).sqrt()
    return (lam * corners / (4 * diagonal),)


def siou_penalty(pair: Pair, theta: float) -> Terms:
    """Half the distance, by the angle of the line of centres, and half the difference of shape (2205.12740)."""
    p, t, eps = pair.p, pair.t, pair.eps
    x, y = (offset + eps for offset in center_offset(pair))
    angle = 2 * x.abs() * y.abs() / squared_norm(x, y).clamp(min=eps**2)  # the sine of twice the angle: no arcsine
    width, height = enclosing_sides(pair)
    gap_x, gap_y = share_of(x, width, eps), share_of(y, height, eps)
    distance = 2 - ((angle - 2) * gap_x**2).exp() - ((angle - 2) * gap_y**2).exp()
    extra = 0.0 if pair.convention.union == "tall" else eps  # that convention's heights have it already
    wider, taller = torch.maximum(p.w, t.w), torch.maximum(p.h, t.h) + extra
    shape = shape_cost(share_of((p.w - t.w).abs(), wider, eps), theta) + shape_cost(
        share_of((p.h - t.h).abs(), taller, eps), theta
    )
    return 0.5 * distance, 0.5 * shape


def shape_cost(difference: Tensor, exponent: float) -> Tensor:
    """(1 - e^-x)^exponent."""
    return (-torch.expm1(-difference)) ** exponent


def mpdiou_penalty(pair: Pair, image_size: tuple[float, float]) -> Terms:
    """Squared distances of two corners over the squared diagonal of the image (2307.07662)."""
    upper_left, lower_right = corner_distance2(pair)
    return ((upper_left + lower_right) / (image_size[0] ** 2 + image_size[1] ** 2),)


def shape_iou_penalty(pair: Pair, scale: float) -> Terms:
    """Distance and shape cost, weighted by the target's own shape (2312.17663)."""
    p, t, eps = pair.p, pair.t, pair.eps
    wide, tall = shape_weights(t.w, t.h, scale)
    x, y = center_offset(pair)
    diagonal2 = squared_norm(*enclosing_sides(pair)) + eps
    distance = (tall * x**2 + wide * y**2) / diagonal2
    cost_w = shape_cost(tall * share_of((p.w - t.w).abs(), torch.maximum(p.w, t.w), eps), 4)
    cost_h = shape_cost(wide * share_of((p.h - t.h).abs(), torch.maximum(p.h, t.h), eps), 4)
    return distance, 0.5 * (cost_w + cost_h)


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
    return (share_of(horizontal, pair.t.w.abs(), pair.eps) + share_of(vertical, pair.t.h.abs(), pair.eps)) / 4


def piou_penalty(pair: Pair) -> Terms:
    """1 - e^(-P^2): no enclosing box, so growing the prediction never helps."""
    return (1 - (-(piou_distance(pair) ** 2)).exp(),)


def piou_attention(pair: Pair, lam: float, detach: bool) -> Tensor:
    """PIoU v2's weight u(lam q), q = e^-P: highest for boxes of medium quality."""
    quality = lam * (-piou_distance(pair)).exp()
    weight = 3 * quality * (-(quality**2)).exp()
    return weight.detach() if detach else weight
