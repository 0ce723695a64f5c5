"""Box algebra, written once: sides, centres, overlap, enclosing box, aspect."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..catalog.conventions import OURS, Convention
from ..errors import in_our_words, refusal
from ..tensors import check_tensor

#: Our own form measures boxes by themselves: no length is added to what has a size, so that the unit of the boxes does
#: not matter. Boxes without size have nothing to be measured by, and 1 / size would have no bound: they are measured by
#: this length.
POINT = 3e-4
#: a side longer than POINT / SOLID is one; a power of two, so that nothing is left of POINT beside it
SOLID = 2.0**14
#: far below any length
LENGTH = 1e-10
#: what union and enclosing area are kept above
LEAST_AREA = LENGTH**2
#: the least epsilon of a framework that is added to an area: float32 holds the square of its inverse
LEAST_EPS = 1e-15
#: a ratio of sides that no box has: beyond it the derivative of its arctangent is 0
LINE = 1e16
#: share of the other box's squared diagonal below which a box is a point: it has no shape
SPECK = 1e-9


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


@in_our_words
def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """(centre x, centre y, width, height) to (x1, y1, x2, y2), same shape and unit.

    >>> cxcywh_to_xyxy(torch.tensor([2.0, 3.0, 4.0, 2.0])).tolist()
    [0.0, 2.0, 4.0, 4.0]
    """
    check_tensor("cxcywh_to_xyxy", "boxes", boxes, "shape (..., 4)")
    try:
        x, y, w, h = boxes.unbind(-1)
    except (ValueError, IndexError):
        came = f"boxes has shape {tuple(boxes.shape)}"
        raise refusal("cxcywh_to_xyxy", came, "(..., 4)", "pass one box per row") from None
    return torch.stack((x - w / 2, y - h / 2, x + w / 2, y + h / 2), dim=-1)


class Pair(NamedTuple):
    """Predictions `p` and targets `t` row by row, with what every IoU loss needs of them."""

    p: Boxes
    t: Boxes
    overlap: tuple[Tensor, Tensor]
    union: Tensor
    iou: Tensor
    eps: float
    geometry_eps: float
    convention: Convention


def is_ours(pair: Pair) -> bool:
    """Whether boxes are measured by themselves, or by epsilons of a framework."""
    return pair.convention.union == "exact"


def pair_up(
    pred: Tensor, target: Tensor, eps: float, convention: Convention = OURS, scale: Tensor | float | None = None
) -> Pair:
    """Overlap of (..., 4) xyxy boxes, in the convention given; with `scale` of boxes scaled about their centres."""
    p, t = corners(pred), corners(target)
    if scale is not None:
        p, t = _scaled(p, scale), _scaled(t, scale)
    if convention.union == "tall":
        p, t = p._replace(h=p.h + eps), t._replace(h=t.h + eps)
    geometry_eps = eps if convention.geometry_eps is None else convention.geometry_eps
    overlap = _overlap_sides(p, t)
    intersection = overlap[0].relu() * overlap[1].relu()
    union = p.w * p.h + t.w * t.h - intersection
    iou = intersection / _kept_positive(union, geometry_eps, convention)
    # an infinite box would overlap by 0, silently; 0 * inf says what it is
    extra = 0 * union.detach()
    if convention.union == "exact":  # boxes without area overlap fully if they are equal, else not at all
        extra = torch.where(_is_same_without_area(p, t, union), 1.0, extra)
    iou = iou + extra
    if convention.iou_floor:
        iou = iou.clamp(min=eps)
    return Pair(p, t, overlap, union, iou, eps, geometry_eps, convention)


def _kept_positive(union: Tensor, eps: float, convention: Convention) -> Tensor:
    if convention.union in ("max", "divisor"):
        return union.clamp(min=max(eps, LEAST_AREA))
    least = max(2 * eps if convention.union == "twice" else eps, LEAST_AREA)
    if convention.union == "tall":  # an inverted box of height -eps beside one without area: -eps + eps is 0
        return (union + least).masked_fill(union == -least, least)
    return union + least


def _overlap_sides(p: Boxes, t: Boxes) -> tuple[Tensor, Tensor]:
    """Width and height of the overlap; negative where the boxes are apart, or one is inverted."""
    # relu of these, not clamp: its derivative at 0 (boxes that touch) is 0 in every torch release
    width = torch.minimum(p.x2, t.x2) - torch.maximum(p.x1, t.x1)
    height = torch.minimum(p.y2, t.y2) - torch.maximum(p.y1, t.y1)
    return width, height


def _differ(p: Boxes, t: Boxes) -> Tensor:
    """0 where the boxes are equal: of differences, which the gradient needs anyway, and faster than comparisons."""
    upper_left, lower_right = corner_distance2(p, t)
    return (upper_left + lower_right).detach()


def _is_same_without_area(p: Boxes, t: Boxes, union: Tensor) -> Tensor:
    """Where two boxes are equal and have no area."""
    return _differ(p, t) + union.detach() ** 2 == 0


def enclosing_sides(pair: Pair) -> tuple[Tensor, Tensor]:
    """Width and height of the smallest box that holds both.

    In our form an inverted box never makes them smaller than its sides, so that no share of them exceeds a bound.
    """
    p, t = pair.p, pair.t
    if is_ours(pair):
        return (p.w + t.w).relu() - pair.overlap[0], (p.h + t.h).relu() - pair.overlap[1]
    width = torch.maximum(p.x2, t.x2) - torch.minimum(p.x1, t.x1)
    height = torch.maximum(p.y2, t.y2) - torch.minimum(p.y1, t.y1)
    if pair.convention.clamp_enclosing:
        return width.relu(), height.relu()
    return width, height


def center_offset(p: Boxes, t: Boxes, convention: Convention = OURS) -> tuple[Tensor, Tensor]:
    """Target centre minus predicted centre, in x and y."""
    if convention.center == "sum":
        return (t.x1 + t.x2 - p.x1 - p.x2) / 2, (t.y1 + t.y2 - p.y1 - p.y2) / 2
    # differences first: exact for boxes far from the origin
    return ((t.x1 - p.x1) + (t.x2 - p.x2)) / 2, ((t.y1 - p.y1) + (t.y2 - p.y2)) / 2


def squared_norm(x: Tensor, y: Tensor) -> Tensor:
    """x^2 + y^2."""
    return x**2 + y**2


def safe_root(square: Tensor) -> Tensor:
    """The root, with derivative 0 (not NaN) at 0."""
    zero = square == 0
    return torch.where(zero, square, torch.where(zero, torch.ones_like(square), square).sqrt())


def safe_hypot(x: Tensor, y: Tensor) -> Tensor:
    """sqrt(x^2 + y^2) with derivative 0 (not NaN) at the origin."""
    return safe_root(squared_norm(x, y))


def safe_power(base: Tensor, exponent: float) -> Tensor:
    """base^exponent for base >= 0, with derivative 0 (not inf) at 0 where the exponent is below 1.

    A probability just outside of [0, 1] makes a base below 0; it counts as 0 where its power is no real number.
    """
    if exponent == int(exponent):
        return base**exponent
    if exponent > 1:
        return base.relu() ** exponent
    zero = base <= 0
    return torch.where(zero, torch.zeros_like(base), torch.where(zero, torch.ones_like(base), base) ** exponent)


def share_of(pair: Pair, part: Tensor, whole: Tensor, sides: Tensor, least: float = 0.0) -> Tensor:
    """part / whole, where `whole` is at least as long as one of the sides that `sides` adds up.

    Frameworks keep some lengths above `least`; a length of 0 or less is no measure, and its share has no gradient.
    """
    if is_ours(pair):
        return part / (whole + beside(sides))
    none = whole < LENGTH
    part, whole = torch.where(none, part.detach(), part), torch.where(none, whole.detach(), whole)
    return part / whole.clamp(min=max(least, LENGTH))


def beside(sides: Tensor) -> Tensor:
    """What is added to a length so that it can be divided by: 0 beside sides, POINT where there are none."""
    return POINT - SOLID * sides.detach().clamp(0, POINT / SOLID)


def least_area(pair: Pair) -> float:
    """What is added to an area so that it can be divided by: a framework's epsilon, of ours what no area notices."""
    return LEAST_AREA if is_ours(pair) else max(pair.geometry_eps, LEAST_EPS)


def beside_area(pair: Pair) -> Tensor | float:
    """As `beside`, of areas: what is added to a squared length."""
    if not is_ours(pair):
        return least_area(pair)
    return POINT**2 - SOLID**2 * pair.union.detach().clamp(0, (POINT / SOLID) ** 2)


def enclosing_diagonal2(pair: Pair) -> Tensor:
    """Squared diagonal of the smallest box that holds both, kept above 0."""
    return squared_norm(*enclosing_sides(pair)) + beside_area(pair)


def inner_iou(pair: Pair, ratio: float) -> Tensor:
    """IoU of both boxes scaled by `ratio` about their own centres (2311.02877)."""
    width, height = _overlap_sides(_scaled(pair.p, ratio), _scaled(pair.t, ratio))
    intersection = width.relu() * height.relu()
    union = ratio**2 * (pair.p.w * pair.p.h + pair.t.w * pair.t.h) - intersection
    iou = intersection / _kept_positive(union, pair.geometry_eps, pair.convention)
    return torch.where(_is_same_without_area(pair.p, pair.t, union), 1.0, iou) if is_ours(pair) else iou


def interpolated_iou(pair: Pair, weight: Tensor | float) -> Tensor:
    """IoU of the target and a box between both: `weight` of the target, the rest of the prediction (2507.12420)."""
    # the difference first: equal boxes have nothing else between them
    columns = (t + (1 - weight) * (p - t) for p, t in zip(pair.p, pair.t, strict=True))
    between = Boxes(*columns)
    width, height = _overlap_sides(between, pair.t)
    intersection = width.relu() * height.relu()
    union = between.w * between.h + pair.t.w * pair.t.h - intersection
    iou = intersection / _kept_positive(union, pair.geometry_eps, pair.convention)
    return torch.where(_is_same_without_area(between, pair.t, union), 1.0, iou) if is_ours(pair) else iou


def _scaled(box: Boxes, ratio: Tensor | float) -> Boxes:
    # moving the corners, not rebuilding them from the centre: exact for ratio 1
    dx, dy = (1 - ratio) / 2 * (box.x2 - box.x1), (1 - ratio) / 2 * (box.y2 - box.y1)
    return Boxes(box.x1 + dx, box.y1 + dy, box.x2 - dx, box.y2 - dy, ratio * box.w, ratio * box.h)


def corner_distance2(p: Boxes, t: Boxes) -> tuple[Tensor, Tensor]:
    """Squared distances of the upper left corners, and of the lower right ones."""
    return squared_norm(p.x1 - t.x1, p.y1 - t.y1), squared_norm(p.x2 - t.x2, p.y2 - t.y2)


def edge_distances(pair: Pair) -> tuple[Tensor, Tensor]:
    """Distances of left plus right edges, and of upper plus lower ones; corners of inverted boxes are sorted."""
    p, t = pair.p, pair.t
    left = torch.minimum(p.x1, p.x2) - torch.minimum(t.x1, t.x2)
    right = torch.maximum(p.x1, p.x2) - torch.maximum(t.x1, t.x2)
    top = torch.minimum(p.y1, p.y2) - torch.minimum(t.y1, t.y2)
    bottom = torch.maximum(p.y1, p.y2) - torch.maximum(t.y1, t.y2)
    return left.abs() + right.abs(), top.abs() + bottom.abs()


def upright(boxes: Boxes) -> Boxes:
    """An inverted box as one without size at (x1, y1), as the authors of DIoU read it."""
    x2 = torch.where(boxes.w < 0, boxes.x1, boxes.x2)
    y2 = torch.where(boxes.h < 0, boxes.y1, boxes.y2)
    return Boxes(boxes.x1, boxes.y1, x2, y2, x2 - boxes.x1, y2 - boxes.y1)


def extended_intersection(p: Boxes, t: Boxes) -> Tensor:
    """A signed intersection, which stays informative (negative) where boxes are apart (IEEE 9429909)."""
    near_x, far_x = torch.minimum(p.x1, t.x1), torch.minimum(p.x2, t.x2)
    near_y, far_y = torch.minimum(p.y1, t.y1), torch.minimum(p.y2, t.y2)
    start_x, start_y = torch.maximum(p.x1, t.x1), torch.maximum(p.y1, t.y1)
    low_x, high_x = torch.minimum(start_x, far_x) - near_x, torch.maximum(start_x, far_x) - near_x
    low_y, high_y = torch.minimum(start_y, far_y) - near_y, torch.maximum(start_y, far_y) - near_y
    return (
        (far_x - near_x) * (far_y - near_y) + low_x * low_y - (start_x - near_x) * high_y - high_x * (start_y - near_y)
    )


def extended_iou(pred: Tensor, target: Tensor, eps: float | None) -> Tensor:
    """IoU with the signed intersection; `eps` is added to the union if it is given."""
    if eps is None:
        p, t = upright(corners(pred)), upright(corners(target))
        intersection, areas = extended_intersection(p, t), p.w * p.h + t.w * t.h
        iou = intersection / (areas - intersection + LEAST_AREA)
        # of two boxes without area the value is -1 wherever they are: the slope is rounding
        iou = torch.where(areas == 0, iou.detach(), iou)
        return torch.where(_differ(p, t) == 0, 1.0, iou) + 0 * areas.detach()
    p, t = corners(pred), corners(target)
    intersection = extended_intersection(p, t)
    union = p.w * p.h + t.w * t.h - intersection
    # valid boxes with area have a union as large as either; without area, or inverted, the slope has no meaning
    hollow = union <= 0.1 * (t.w * t.h).abs()
    union = union + eps
    iou = torch.where(hollow, intersection.detach(), intersection) / torch.where(
        hollow, union.detach().abs().clamp(min=max(eps, LEAST_EPS)), union
    )
    return iou + 0 * union.detach()


def shape_of(width: Tensor, height: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height, at least 0; a point has no shape, and stands for a line without a gradient."""
    width, height = width.relu(), height.relu()
    # far below any box, and far enough above 0 for a square of their product
    return width, torch.where(width + height < 10 * LENGTH, 1.0, height)


def angle_between(width: Tensor, height: Tensor, other_width: Tensor, other_height: Tensor) -> Tensor:
    """The difference of two angles atan(w / h): one arctangent instead of two, and nothing cancels."""
    (w, h), (w_t, h_t) = shape_of(width, height), shape_of(other_width, other_height)
    return torch.atan2(w_t * h - w * h_t, h_t * h + w_t * w)


def _aspect_ratio_angle(box: Boxes, pair: Pair) -> Tensor:
    """atan(w / h) as the frameworks write it: value and gradient, but for a line, or a point beside the other box."""
    if pair.convention.union == "tall":  # the height has its epsilon already
        height = box.h
    else:
        extra = pair.convention.aspect_eps
        height = box.h + (pair.eps if extra is None else extra)
    size, larger = squared_norm(box.w, box.h), squared_norm(pair.p.w, pair.p.h) + squared_norm(pair.t.w, pair.t.h)
    shapeless = (LINE * height.abs() <= box.w.abs()) | (size <= SPECK * larger)  # else 1 / h, or 1 / size, has no bound
    width = torch.where(shapeless, box.w.detach(), box.w)
    height = torch.where(shapeless, height.detach().masked_fill(box.w == 0, 1.0), height)
    return (width / height).atan()


def aspect_difference(pair: Pair) -> Tensor:
    """CIoU's v in [0, 1]: the squared difference of the angles atan(w / h), over (pi/2)^2."""
    if pair.convention.aspect == "ratio":
        difference = _aspect_ratio_angle(pair.t, pair) - _aspect_ratio_angle(pair.p, pair)
    else:
        difference = angle_between(pair.p.w, pair.p.h, pair.t.w, pair.t.h)
    return (4 / math.pi**2) * difference**2
