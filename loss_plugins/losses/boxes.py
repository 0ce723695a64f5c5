"""Box algebra, written once: sides, centres, overlap, enclosing box, aspect."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..catalog.dialects import OURS, Convention


class Boxes(NamedTuple):
    """The columns of (..., 4) boxes, corners and sides. Sides are signed: negative for an inverted box."""

    x1: Tensor
    y1: Tensor
    x2: Tensor
    y2: Tensor
    w: Tensor
    h: Tensor


def corners(boxes: Tensor) -> Boxes:
    """Split (..., 4) xyxy boxes into columns."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return Boxes(x1, y1, x2, y2, x2 - x1, y2 - y1)


def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """(centre x, centre y, width, height) to (x1, y1, x2, y2), same shape and unit.

    >>> cxcywh_to_xyxy(torch.tensor([2.0, 3.0, 4.0, 2.0])).tolist()
    [0.0, 2.0, 4.0, 4.0]
    """
    x, y, w, h = boxes.unbind(-1)
    return torch.stack((x - w / 2, y - h / 2, x + w / 2, y + h / 2), dim=-1)


class Pair(NamedTuple):
    """Predictions `p` and targets `t` row by row, with what every IoU loss needs of them."""

    p: Boxes
    t: Boxes
    intersection: Tensor
    union: Tensor
    iou: Tensor
    eps: float
    geometry_eps: float
    convention: Convention


def pair_up(pred: Tensor, target: Tensor, eps: float, convention: Convention = OURS) -> Pair:
    """Overlap of (..., 4) xyxy boxes, in the convention given."""
    p, t = corners(pred), corners(target)
    if convention.union == "tall":
        p, t = p._replace(h=p.h + eps), t._replace(h=t.h + eps)
    geometry_eps = eps if convention.geometry_eps is None else convention.geometry_eps
    intersection = _overlap_area(p, t)
    union = p.w * p.h + t.w * t.h - intersection
    # an infinite box would overlap by 0, silently; 0 * inf says what it is
    iou = intersection / _kept_positive(union, geometry_eps, convention) + 0 * union.detach()
    if convention.iou_floor:
        iou = iou.clamp(min=eps)
    return Pair(p, t, intersection, union, iou, eps, geometry_eps, convention)


def _kept_positive(union: Tensor, eps: float, convention: Convention) -> Tensor:
    if convention.union == "max":
        return union.clamp(min=eps)
    return union + (2 * eps if convention.union == "twice" else eps)


def _overlap_area(p: Boxes, t: Boxes) -> Tensor:
    # relu, not clamp: its derivative at 0 (boxes that touch) is 0 in every torch release
    width = torch.minimum(p.x2, t.x2) - torch.maximum(p.x1, t.x1)
    height = torch.minimum(p.y2, t.y2) - torch.maximum(p.y1, t.y1)
    return width.relu() * height.relu()


def enclosing_sides(pair: Pair) -> tuple[Tensor, Tensor]:
    """Width and height of the smallest box that holds both."""
    p, t = pair.p, pair.t
    width = torch.maximum(p.x2, t.x2) - torch.minimum(p.x1, t.x1)
    height = torch.maximum(p.y2, t.y2) - torch.minimum(p.y1, t.y1)
    if pair.convention.clamp_enclosing:
        return width.relu(), height.relu()
    return width, height


def center_offset(pair: Pair) -> tuple[Tensor, Tensor]:
    """Target centre minus predicted centre, in x and y."""
    p, t = pair.p, pair.t
    if pair.convention.center == "sum":
        return (t.x1 + t.x2 - p.x1 - p.x2) / 2, (t.y1 + t.y2 - p.y1 - p.y2) / 2
    # differences first: exact for boxes far from the origin
    return ((t.x1 - p.x1) + (t.x2 - p.x2)) / 2, ((t.y1 - p.y1) + (t.y2 - p.y2)) / 2


def squared_norm(x: Tensor, y: Tensor) -> Tensor:
    """x^2 + y^2."""
    return x**2 + y**2


def safe_hypot(x: Tensor, y: Tensor) -> Tensor:
    """sqrt(x^2 + y^2) with derivative 0 (not NaN) at the origin."""
    square = squared_norm(x, y)
    zero = square == 0
    return torch.where(zero, square, torch.where(zero, torch.ones_like(square), square).sqrt())


def safe_power(base: Tensor, exponent: float) -> Tensor:
    """base^exponent for base >= 0, with derivative 0 (not inf) at 0 where the exponent is below 1."""
    if exponent >= 1 or exponent == 0:
        return base**exponent
    zero = base == 0
    return torch.where(zero, torch.zeros_like(base), torch.where(zero, torch.ones_like(base), base) ** exponent)


def share_of(part: Tensor, whole: Tensor, eps: float) -> Tensor:
    """part / whole, whole kept above eps; without gradient below sqrt(eps), where 1 / whole would have no bound."""
    safe = whole.clamp(min=eps)
    point = whole < math.sqrt(eps)
    return torch.where(point, part.detach(), part) / torch.where(point, safe.detach(), safe)


def inner_iou(pair: Pair, ratio: float) -> Tensor:
    """IoU of both boxes scaled by `ratio` about their own centres (2311.02877)."""
    p, t = _scaled(pair.p, ratio), _scaled(pair.t, ratio)
    intersection = _overlap_area(p, t)
    union = ratio**2 * (pair.p.w * pair.p.h + pair.t.w * pair.t.h) - intersection
    return intersection / _kept_positive(union, pair.geometry_eps, pair.convention)


def _scaled(box: Boxes, ratio: float) -> Boxes:
    # moving the corners, not rebuilding them from the centre: exact for ratio 1
    dx, dy = (1 - ratio) / 2 * (box.x2 - box.x1), (1 - ratio) / 2 * (box.y2 - box.y1)
    return Boxes(box.x1 + dx, box.y1 + dy, box.x2 - dx, box.y2 - dy, ratio * box.w, ratio * box.h)


def corner_distance2(pair: Pair) -> tuple[Tensor, Tensor]:
    """Squared distances of the upper left corners, and of the lower right ones."""
    p, t = pair.p, pair.t
    return squared_norm(p.x1 - t.x1, p.y1 - t.y1), squared_norm(p.x2 - t.x2, p.y2 - t.y2)


def edge_distances(pair: Pair) -> tuple[Tensor, Tensor]:
    """Distances of left plus right edges, and of upper plus lower ones; corners of inverted boxes are sorted."""
    p, t = pair.p, pair.t
    left = torch.minimum(p.x1, p.x2) - torch.minimum(t.x1, t.x2)
    right = torch.maximum(p.x1, p.x2) - torch.maximum(t.x1, t.x2)
    top = torch.minimum(p.y1, p.y2) - torch.minimum(t.y1, t.y2)
    bottom = torch.maximum(p.y1, p.y2) - torch.maximum(t.y1, t.y2)
    return left.abs() + right.abs(), top.abs() + bottom.abs()


def extended_iou(pair: Pair) -> Tensor:
    """IoU with a signed intersection, which stays informative (negative) where boxes are apart (IEEE 9429909)."""
    p, t = pair.p, pair.t
    near_x, far_x = torch.minimum(p.x1, t.x1), torch.minimum(p.x2, t.x2)
    near_y, far_y = torch.minimum(p.y1, t.y1), torch.minimum(p.y2, t.y2)
    start_x, start_y = torch.maximum(p.x1, t.x1), torch.maximum(p.y1, t.y1)
    low_x, high_x = torch.minimum(start_x, far_x) - near_x, torch.maximum(start_x, far_x) - near_x
    low_y, high_y = torch.minimum(start_y, far_y) - near_y, torch.maximum(start_y, far_y) - near_y
    intersection = (
        (far_x - near_x) * (far_y - near_y) + low_x * low_y - (start_x - near_x) * high_y - high_x * (start_y - near_y)
    )
    union = p.w * p.h + t.w * t.h - intersection + pair.eps
    # valid boxes with area have a union as large as either; without area, or inverted, the slope has no meaning
    hollow = union < 0.1 * (t.w * t.h).abs() + 10 * pair.eps
    return torch.where(hollow, intersection.detach(), intersection) / torch.where(
        hollow, union.detach().abs().clamp(min=pair.eps), union
    )


def _shape(box: Boxes, eps: float) -> tuple[Tensor, Tensor]:
    """Width and height, at least 0.

    A box whose diagonal is below sqrt(eps) is a point: it has no shape, and stands for a line without a gradient
    (1 / size would have no bound).
    """
    width, height = box.w.relu(), box.h.relu()
    point = squared_norm(width, height) < eps
    return torch.where(point, torch.zeros_like(width), width), torch.where(point, 1.0, height)


def _aspect_ratio_angle(box: Boxes, pair: Pair) -> Tensor:
    """atan(w / h) as the frameworks write it: the same value, but no gradient where that would be NaN or 1 / eps."""
    if pair.convention.union == "tall":  # the height has its epsilon already
        height = box.h
    else:
        extra = pair.convention.aspect_eps
        height = box.h + (pair.eps if extra is None else extra)
    shapeless = (squared_norm(box.w, box.h) < pair.eps) | (height == 0)
    width = torch.where(shapeless, box.w.detach(), box.w)
    height = torch.where(shapeless, height.detach().masked_fill(box.w == 0, 1.0), height)
    return (width / height).atan()


def aspect_difference(pair: Pair) -> Tensor:
    """CIoU's v in [0, 1]: the squared difference of the angles atan(w / h), over (pi/2)^2."""
    if pair.convention.aspect == "ratio":
        difference = _aspect_ratio_angle(pair.t, pair) - _aspect_ratio_angle(pair.p, pair)
    else:
        (w, h), (w_t, h_t) = _shape(pair.p, pair.eps), _shape(pair.t, pair.eps)
        # the angle between the vectors (w, h): one arctangent instead of two, and nothing cancels
        difference = torch.atan2(w_t * h - w * h_t, h_t * h + w_t * w)
    return (4 / math.pi**2) * difference**2
