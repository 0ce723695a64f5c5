"""The IoU family: each loss is 1 - IoU plus a penalty of a few lines."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from ..catalog.declare import Effect, Source, State, Traits
from ..catalog.dialects import convention
from ..catalog.entries import register_loss
from ..catalog.ranges import Choice, Interval, Series
from .boxes import (
    Pair,
    aspect_difference,
    center_offset,
    corner_distance2,
    cxcywh_to_xyxy,
    edge_distances,
    enclosing_sides,
    extended_iou,
    pair_up,
    safe_hypot,
    share_of,
    squared_norm,
)
from .family import IoUOptions, Terms, iou_family, no_penalty
from .wise import no_boxes, one, sum_of_iou_losses, updated_mean, wise_weight

ALPHA_IOU = Source(
    "Alpha-IoU: A Family of Power Intersection over Union Losses", 2021, "https://arxiv.org/abs/2110.13675"
)
DIOU = Source("Distance-IoU Loss", 2019, "https://arxiv.org/abs/1911.08287")
EIOU = Source(
    "Focal and Efficient IOU Loss for Accurate Bounding Box Regression",
    2021,
    "https://arxiv.org/abs/2101.08158",
)
Alpha = Annotated[float, Interval(0, 10, open_low=True)]


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


def wiou_attention(pair: Pair) -> Tensor:
    """WIoU's R in [1, e): e to the squared centre distance over the enclosing diagonal, which has no gradient."""
    width, height = enclosing_sides(pair)
    diagonal2 = (squared_norm(width, height) + pair.eps).detach()
    # at most 1 for valid boxes; an inverted one would overflow
    return (squared_norm(*center_offset(pair)) / diagonal2).clamp(max=1).exp()


def linear_loss(iou: Tensor, eps: float) -> Tensor:
    """1 - IoU."""
    return 1 - iou


def log_loss(iou: Tensor, eps: float) -> Tensor:
    """-ln IoU, at most -ln eps."""
    return -iou.clamp(min=eps).log()


def square_loss(iou: Tensor, eps: float) -> Tensor:
    """1 - IoU^2."""
    return 1 - iou**2


MODES = {"linear": linear_loss, "log": log_loss, "square": square_loss}


@register_loss(
    "iou",
    formula=r"1 - \mathrm{IoU} \quad|\quad -\ln \mathrm{IoU} \quad|\quad 1 - \mathrm{IoU}^2",
    source=Source("UnitBox: An Advanced Object Detection Network", 2016, "https://arxiv.org/abs/1608.01471"),
    traits=Traits(range=(0, 1), symmetric=True, scale_invariant=True, gradient_when_disjoint=False),
    use_when="Predictions overlap their targets from the start, and you want the metric itself as the loss.",
    avoid_when="Boxes may be disjoint: the loss is then constant and has no gradient.",
    options=iou_family,
)
def iou_loss(
    pred: Tensor,
    target: Tensor,
    *,
    mode: Annotated[str, Choice("linear", "log", "square")] = "linear",
    **options: Unpack[IoUOptions],
) -> Tensor:
    """IoU loss, in one of three shapes.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet.
        mode: "linear" 1 - IoU in [0, 1]; "log" -ln IoU in [0, -ln eps]; "square" 1 - IoU^2 in [0, 1].
        **options: see `iou_family`.

    Returns:
        (...) loss per box, float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 4]])
    >>> iou_loss(pred, target)  # half of the target is covered
    tensor([0.5000])
    """
    return iou_family(pred, target, "iou", no_penalty, MODES[mode], **options)


@register_loss(
    "giou",
    formula=r"1 - \mathrm{IoU} + \frac{C - U}{C}",
    source=Source("Generalized Intersection over Union", 2019, "https://arxiv.org/abs/1902.09630"),
    traits=Traits(range=(0, 2), symmetric=True, scale_invariant=True),
    use_when="Boxes may be disjoint and you want the most widely used loss that still pulls them together.",
    avoid_when="One box often lies inside the other: it is then IoU loss, blind to where the inner box sits.",
    options=iou_family,
)
def giou_loss(pred: Tensor, target: Tensor, **options: Unpack[IoUOptions]) -> Tensor:
    """Generalized IoU loss: 1 - IoU plus the empty share of the enclosing box.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet.
        **options: see `iou_family`. Dialects: torchvision, mmdet, ultralytics, mmyolo.

    Returns:
        (...) loss per box in [0, 2), float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[3.0, 0, 4, 1]])
    >>> giou_loss(pred, target)  # disjoint: 1 + (4 - 2) / 4
    tensor([1.5000])
    """
    return iou_family(pred, target, "giou", giou_penalty, **options)


@register_loss(
    "diou",
    formula=r"1 - \mathrm{IoU} + \frac{\rho^2}{c^2}",
    source=DIOU,
    traits=Traits(range=(0, 2), symmetric=True, scale_invariant=True),
    use_when="Centres matter more than shape, for instance with NMS by distance or crowded scenes.",
    avoid_when="Concentric boxes of wrong size are common: the distance term is then 0.",
    options=iou_family,
)
def diou_loss(pred: Tensor, target: Tensor, **options: Unpack[IoUOptions]) -> Tensor:
    """Distance IoU loss: 1 - IoU plus the squared centre distance over the enclosing diagonal squared.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet.
        **options: see `iou_family`. Dialects: torchvision, mmdet, ultralytics, yolov6.

    Returns:
        (...) loss per box in [0, 2), float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[2.0, 0, 4, 2]])
    >>> diou_loss(pred, target)  # IoU 0, distance 2, diagonal^2 20
    tensor([1.2000])
    """
    return iou_family(pred, target, "diou", diou_penalty, **options)


@register_loss(
    "ciou",
    formula=r"1 - \mathrm{IoU} + \frac{\rho^2}{c^2} + \alpha v,\quad "
    r"v = \frac{4}{\pi^2}\left(\arctan\frac{w_g}{h_g} - \arctan\frac{w}{h}\right)^2,\quad "
    r"\alpha = \mathrm{sg}\frac{v}{1 - \mathrm{IoU} + v}",
    source=DIOU,
    traits=Traits(
        range=(0, 2.5),
        symmetric=True,
        scale_invariant=True,
        detached="the weight alpha of the aspect term (1911.08287)",
    ),
    use_when="You want the default of today's YOLO models: overlap, distance and aspect in one loss.",
    avoid_when="Width and height are wrong by one factor: the aspect term is 0 and EIoU says more.",
    options=iou_family,
)
def ciou_loss(pred: Tensor, target: Tensor, **options: Unpack[IoUOptions]) -> Tensor:
    """Complete IoU loss: DIoU plus a weighted difference in aspect ratio.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet.
        **options: see `iou_family`. Dialects: torchvision, mmdet, ultralytics, mmyolo, yolov6.

    Returns:
        (...) loss per box in [0, 2.5), float32 at least. The weight alpha carries no gradient, v does.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 1, 3, 3]])
    >>> ciou_loss(pred, target)  # equal shapes: 1 - 1/7 + 2/18
    tensor([0.9683])
    """
    return iou_family(pred, target, "ciou", ciou_penalty, **options)


@register_loss(
    "eiou",
    formula=r"1 - \mathrm{IoU} + \frac{\rho^2}{c^2} + \frac{(w - w_g)^2}{c_w^2} + \frac{(h - h_g)^2}{c_h^2}",
    source=EIOU,
    traits=Traits(range=(0, 4), symmetric=True, scale_invariant=True),
    use_when="Width and height should each be corrected directly, for instance for objects of many shapes.",
    avoid_when="You compare with MMDetection's EIoULoss: that is Extended IoU, another paper.",
    options=iou_family,
)
def eiou_loss(pred: Tensor, target: Tensor, **options: Unpack[IoUOptions]) -> Tensor:
    """Efficient IoU loss: DIoU plus the differences in width and height over the enclosing sides.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet.
        **options: see `iou_family`.

    Returns:
        (...) loss per box in [0, 4), float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 4, 2]])
    >>> eiou_loss(pred, target)  # 1 - 1/2 + 1/20 + (2/4)^2 + 0
    tensor([0.8000])
    """
    return iou_family(pred, target, "eiou", eiou_penalty, **options)


#: the paths of the audit on which it falls
POOR_COSTS_LESS = dict.fromkeys(
    ("shifted right", "shifted down", "shifted diagonally", "shrunk", "grown"),
    "boxes weigh IoU^gamma, so a poor one costs less than a fair one",
)


@register_loss(
    "focal_eiou",
    formula=r"\mathrm{sg}(\mathrm{IoU})^{\gamma}\, L_\mathrm{EIoU}",
    source=EIOU,
    traits=Traits(
        range=(0, 4),
        symmetric=True,
        scale_invariant=True,
        gradient_when_disjoint=False,
        detached="the weight IoU^gamma (2101.08158)",
        not_monotone=POOR_COSTS_LESS,
    ),
    use_when="Most predictions already overlap their targets and the last pixels decide.",
    avoid_when="Boxes may be disjoint or touch: their weight is 0, so they get no gradient at all.",
    options=iou_family,
    without=("focal_gamma",),
)
def focal_eiou_loss(
    pred: Tensor,
    target: Tensor,
    *,
    gamma: Annotated[float, Interval(0, 10)] = 0.5,
    normalize: Annotated[bool, Choice(False, True)] = False,
    **options: Unpack[IoUOptions],
) -> Tensor:
    """Focal EIoU loss: EIoU weighted by IoU^gamma, so that good boxes count more.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet.
        gamma: exponent of the weight, in [0, 10]; 0 is EIoU. The paper uses 0.5.
        normalize: divide the weights by their mean over the batch, so that the mean of the result is
            sum(W L) / sum(W), the paper's first form; boxes then depend on each other.
        **options: see `iou_family`.

    Returns:
        (...) loss per box in [0, 4), float32 at least; 0 without gradient where IoU is 0.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 8]])
    >>> focal_eiou_loss(pred, target) / eiou_loss(pred, target)  # (1/4)^0.5
    tensor([0.5000])
    """
    options["focal_gamma"] = gamma
    return iou_family(pred, target, "focal_eiou", eiou_penalty, None, normalize, **options)


@register_loss(
    "cdiou",
    formula=r"1 - \mathrm{IoU} + \lambda\,\frac{\overline{AE} + \overline{BF} + \overline{CG} + \overline{DH}}{4c}",
    source=Source("Control Distance IoU and Control Distance IoU Loss", 2021, "https://arxiv.org/abs/2103.11696"),
    traits=Traits(range=(0, 2), symmetric=True, scale_invariant=True),
    use_when="All four corners should be pulled at once, also for boxes inside each other.",
    avoid_when="You want the authors' numbers: their code uses a quarter of this term, without gradient.",
    options=iou_family,
)
def cdiou_loss(
    pred: Tensor,
    target: Tensor,
    *,
    lam: Annotated[float, Interval(0, 100)] = 1.0,
    **options: Unpack[IoUOptions],
) -> Tensor:
    """Control-distance IoU loss: 1 - IoU plus the mean corner distance over the enclosing diagonal.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet.
        lam: weight of the corner term, in [0, 100].
        **options: see `iou_family`.

    Returns:
        (...) loss per box in [0, 2) for lam = 1, float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 3, 4]]), torch.tensor([[3.0, 4, 6, 8]])
    >>> cdiou_loss(pred, target)  # IoU 0, every corner 5 away, diagonal 10
    tensor([1.5000])
    """
    return iou_family(pred, target, "cdiou", lambda pair: cdiou_penalty(pair, lam), **options)


@register_loss(
    "alpha_iou",
    formula=r"1 - \mathrm{IoU}^\alpha",
    source=ALPHA_IOU,
    traits=Traits(range=(0, 1), symmetric=True, scale_invariant=True, gradient_when_disjoint=False),
    use_when="Boxes overlap and localisation at high IoU matters: alpha > 1 raises the weight of good boxes.",
    avoid_when="Boxes may be disjoint: as with IoU there is then no gradient.",
    options=iou_family,
    without=("power",),
)
def alpha_iou_loss(pred: Tensor, target: Tensor, *, alpha: Alpha = 3.0, **options: Unpack[IoUOptions]) -> Tensor:
    """Alpha-IoU loss: IoU loss with every term raised to the power alpha.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet.
        alpha: exponent in (0, 10]; 1 is the IoU loss, the paper uses 3.
        **options: see `iou_family`. Dialect: alpha_iou (the authors' epsilons).

    Returns:
        (...) loss per box in [0, 1], float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 4]])
    >>> alpha_iou_loss(pred, target)  # 1 - (1/2)^3
    tensor([0.8750])
    """
    options["power"] = alpha
    return iou_family(pred, target, "alpha_iou", no_penalty, **options)


@register_loss(
    "alpha_giou",
    formula=r"1 - \mathrm{IoU}^\alpha + \left(\frac{C - U}{C}\right)^\alpha",
    source=ALPHA_IOU,
    traits=Traits(range=(0, 2), symmetric=True, scale_invariant=True),
    use_when="As alpha_iou, where boxes may be disjoint.",
    avoid_when="Many boxes are far off: the powered penalty is small in the middle of its range, so they move slowly.",
    options=iou_family,
    without=("power",),
)
def alpha_giou_loss(pred: Tensor, target: Tensor, *, alpha: Alpha = 3.0, **options: Unpack[IoUOptions]) -> Tensor:
    """Alpha-GIoU loss: GIoU loss with every term raised to the power alpha.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet.
        alpha: exponent in (0, 10]; 1 is the GIoU loss, the paper uses 3.
        **options: see `iou_family`. Dialect: alpha_iou (the authors' epsilons).

    Returns:
        (...) loss per box in [0, 2), float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[3.0, 0, 4, 1]])
    >>> alpha_giou_loss(pred, target)  # 1 + (2/4)^3
    tensor([1.1250])
    """
    options["power"] = alpha
    return iou_family(pred, target, "alpha_giou", giou_penalty, **options)


@register_loss(
    "alpha_diou",
    formula=r"1 - \mathrm{IoU}^\alpha + \frac{\rho^{2\alpha}}{c^{2\alpha}}",
    source=ALPHA_IOU,
    traits=Traits(range=(0, 2), symmetric=True, scale_invariant=True),
    use_when="As alpha_iou, with a pull of the centres for disjoint boxes.",
    avoid_when="Centres are nearly right already: the powered distance has almost no gradient there.",
    options=iou_family,
    without=("power",),
)
def alpha_diou_loss(pred: Tensor, target: Tensor, *, alpha: Alpha = 3.0, **options: Unpack[IoUOptions]) -> Tensor:
    """Alpha-DIoU loss: DIoU loss with every term raised to the power alpha.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet.
        alpha: exponent in (0, 10]; 1 is the DIoU loss, the paper uses 3.
        **options: see `iou_family`. Dialect: alpha_iou (the authors' epsilons).

    Returns:
        (...) loss per box in [0, 2), float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[2.0, 0, 4, 2]])
    >>> alpha_diou_loss(pred, target)  # 1 + (4/20)^3
    tensor([1.0080])
    """
    options["power"] = alpha
    return iou_family(pred, target, "alpha_diou", diou_penalty, **options)


@register_loss(
    "alpha_ciou",
    formula=r"1 - \mathrm{IoU}^\alpha + \frac{\rho^{2\alpha}}{c^{2\alpha}} + (\beta v)^\alpha",
    source=ALPHA_IOU,
    traits=Traits(
        range=(0, 2.5), symmetric=True, scale_invariant=True, detached="the weight beta of the aspect term (2110.13675)"
    ),
    use_when="You train with CIoU and care for AP at high IoU.",
    avoid_when="Labels are noisy or training is short: gradients of poor boxes are smaller than under CIoU.",
    options=iou_family,
    without=("power",),
)
def alpha_ciou_loss(pred: Tensor, target: Tensor, *, alpha: Alpha = 3.0, **options: Unpack[IoUOptions]) -> Tensor:
    """Alpha-CIoU loss: CIoU loss with every term raised to the power alpha.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet.
        alpha: exponent in (0, 10]; 1 is the CIoU loss, the paper uses 3.
        **options: see `iou_family`. Dialect: alpha_iou (the authors' epsilons).

    Returns:
        (...) loss per box in [0, 2.5), float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[2.0, 0, 4, 2]])
    >>> alpha_ciou_loss(pred, target)  # equal shapes: as alpha_diou
    tensor([1.0080])
    """
    options["power"] = alpha
    return iou_family(pred, target, "alpha_ciou", ciou_penalty, **options)


@register_loss(
    "siou",
    formula=r"1 - \mathrm{IoU} + \frac{\Delta + \Omega}{2},\quad "
    r"\Delta = \sum_{t=x,y} \left(1 - e^{-(2 - \Lambda) (d_t / c_t)^2}\right),\quad "
    r"\Lambda = \frac{2 |d_x d_y|}{\rho^2},\quad "
    r"\Omega = \sum_{t=w,h} \left(1 - e^{-|t - t_g| / \max(t, t_g)}\right)^\theta",
    source=Source(
        "SIoU Loss: More Powerful Learning for Bounding Box Regression", 2022, "https://arxiv.org/abs/2205.12740"
    ),
    traits=Traits(range=(0, 3), symmetric=True, scale_invariant=True),
    use_when="Boxes should first slide onto an axis of the target and then in; YOLOv6 trains with it.",
    avoid_when="You compare with MMDetection's SIoULoss as it comes: its distance has the wrong sign.",
    options=iou_family,
)
def siou_loss(
    pred: Tensor,
    target: Tensor,
    *,
    theta: Annotated[float, Interval(1, 10)] = 4.0,
    **options: Unpack[IoUOptions],
) -> Tensor:
    """SCYLLA IoU loss: 1 - IoU plus distance, weighted by its angle, plus shape.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet.
        theta: exponent of the shape cost, in [1, 10]; the paper tries 2 to 6 and uses 4.
        **options: see `iou_family`. Dialects: mmdet (with neg_gamma=True), mmyolo, yolov6.

    Returns:
        (...) loss per box in [0, 3), float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 2, 2, 4]])
    >>> siou_loss(pred, target)  # IoU 0, straight below (angle 0): 1 + (1 - e^(-2 / 4)) / 2
    tensor([1.1967])
    """
    return iou_family(pred, target, "siou", lambda pair: siou_penalty(pair, theta), **options)


@register_loss(
    "mpdiou",
    formula=r"1 - \mathrm{IoU} + \frac{d_1^2 + d_2^2}{W^2 + H^2}",
    source=Source(
        "MPDIoU: A Loss for Efficient and Accurate Bounding Box Regression", 2023, "https://arxiv.org/abs/2307.07662"
    ),
    traits=Traits(range=(0, 3), symmetric=True, units="image"),
    use_when="You want one penalty that vanishes only when both corners agree, and you know the image size.",
    avoid_when="Boxes are not in pixels of that image: other units change the penalty by the square of their scale.",
    options=iou_family,
    example={"image_size": [640, 640]},
)
def mpdiou_loss(
    pred: Tensor,
    target: Tensor,
    *,
    image_size: Annotated[tuple[float, float], Series(2, Interval(0, open_low=True))],
    **options: Unpack[IoUOptions],
) -> Tensor:
    """Minimum-point-distance IoU loss: 1 - IoU plus the corner distances over the image's diagonal.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), in pixels of the network's input.
        target: (..., 4) boxes to meet.
        image_size: (height, width) of the network's input in the boxes' unit: pixels, or (1, 1) if normalised.
        **options: see `iou_family`. Dialect: mpdiou_port (the YOLO port's epsilons).

    Returns:
        (...) loss per box in [0, 3) for boxes inside the image, float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter; no image_size.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[3.0, 4, 5, 6]])
    >>> mpdiou_loss(pred, target, image_size=(6, 8))  # IoU 0; (25 + 25) / 100
    tensor([1.5000])
    """
    return iou_family(pred, target, "mpdiou", lambda pair: mpdiou_penalty(pair, image_size), **options)


@register_loss(
    "shape_iou",
    formula=r"1 - \mathrm{IoU} + \frac{hh\, d_x^2 + ww\, d_y^2}{c^2} + \frac{1}{2} \sum_{t=w,h} (1 - e^{-\omega_t})^4,"
    r"\quad ww = \frac{2 w_g^s}{w_g^s + h_g^s},\quad \omega_w = hh \frac{|w - w_g|}{\max(w, w_g)}",
    source=Source(
        "Shape-IoU: More Accurate Metric considering Bounding Box Shape and Scale",
        2023,
        "https://arxiv.org/abs/2312.17663",
    ),
    traits=Traits(range=(0, 4), symmetric=True, scale_invariant=True),
    use_when="Targets are long and thin, and an error across them should cost more than one along them.",
    avoid_when="scale is left at 0: both shape weights are then 1, and it is DIoU plus SIoU's shape cost.",
    options=iou_family,
)
def shape_iou_loss(
    pred: Tensor,
    target: Tensor,
    *,
    scale: Annotated[float, Interval(0, 10), Effect(symmetric=False)] = 0.0,
    **options: Unpack[IoUOptions],
) -> Tensor:
    """Shape-IoU loss: distance and shape costs, weighted by the target's shape.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet; its shape weights carry no gradient.
        scale: exponent of the target's sides in the weights, in [0, 10]; 0 weighs both axes alike.
        **options: see `iou_family`.

    Returns:
        (...) loss per box in [0, 4), float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[2.0, 0, 4, 2]])
    >>> shape_iou_loss(pred, target)  # equal shapes: 1 + 4 / 20
    tensor([1.2000])
    """
    return iou_family(pred, target, "shape_iou", lambda pair: shape_iou_penalty(pair, scale), **options)


@register_loss(
    "piou",
    formula=r"L_1 = 2 - \mathrm{IoU} - e^{-P^2},\quad "
    r"P = \frac{1}{4}\left(\frac{d_l + d_r}{w_g} + \frac{d_t + d_b}{h_g}\right),\quad "
    r"L_2 = 3 \lambda q\, e^{-(\lambda q)^2} L_1,\quad q = e^{-P}",
    source=Source("Powerful-IoU (Neural Networks 170)", 2024, "https://doi.org/10.1016/j.neunet.2023.11.041"),
    traits=Traits(range=(0, 2), scale_invariant=True),
    use_when="Predictions tend to grow to meet targets: no enclosing box, so a larger prediction is never cheaper.",
    avoid_when="Boxes may be far off and version is 2: past P = 0.94 its gradient flips, unless detach_weight is set.",
    options=iou_family,
)
def piou_loss(
    pred: Tensor,
    target: Tensor,
    *,
    version: Annotated[int, Choice(1, 2), Effect(range=(0, 2.6))] = 1,
    lam: Annotated[float, Interval(0, 10, open_low=True)] = 1.3,
    detach_weight: Annotated[bool, Choice(False, True)] = False,
    **options: Unpack[IoUOptions],
) -> Tensor:
    """Powerful-IoU loss: 1 - IoU plus the edge distances over the target's sides.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet; its sides are the unit of the penalty.
        version: 1, or 2 with a weight that prefers boxes of medium quality.
        lam: version 2's lambda, in (0, 10]; the paper uses 1.3.
        detach_weight: version 2's weight without gradient, which keeps far boxes attracted. The authors' has one.
        **options: see `iou_family`. Dialect: powerful_iou (the authors' epsilons).

    Returns:
        (...) loss per box in [0, 2), in [0, 2.6) for version 2, float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[2.0, 0, 4, 2]]), torch.tensor([[0.0, 0, 2, 2]])
    >>> piou_loss(pred, target)  # IoU 0, P = (2 + 2) / 2 / 4 = 1/2: 2 - e^(-1/4)
    tensor([1.2212])
    """
    if version == 1:
        return iou_family(pred, target, "piou", piou_penalty, **options)
    return iou_family(
        pred,
        target,
        "piou",
        piou_penalty,
        weighted=lambda loss, pair: piou_attention(pair, lam, detach_weight) * loss,
        **options,
    )


def wiou_sum(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None,
    *,
    eps: float | None = None,
    dialect: str | None = None,
    box_format: str = "xyxy",
    **_: Any,
) -> Tensor:
    """What WIoU's mean learns from, with the dialect's epsilon."""
    eps = convention("wiou", dialect).eps if eps is None else eps
    return sum_of_iou_losses(pred, target, weight, eps=eps, box_format=box_format)


@register_loss(
    "wiou",
    formula=r"L_1 = e^{\rho^2 / \mathrm{sg}(c^2)} (1 - \mathrm{IoU}),\quad L_2 = \sqrt\beta\, L_1,\quad "
    r"L_3 = \frac{\beta}{\delta \alpha^{\beta - \delta}} L_1,\quad "
    r"\beta = \mathrm{sg}\frac{1 - \mathrm{IoU}}{\overline{1 - \mathrm{IoU}}}",
    source=Source(
        "Wise-IoU: Bounding Box Regression Loss with Dynamic Focusing Mechanism",
        2023,
        "https://arxiv.org/abs/2301.10051",
    ),
    traits=Traits(
        range=(0, math.inf),
        symmetric=True,
        scale_invariant=True,
        stateful=True,
        detached="the enclosing diagonal and the focusing weight (2301.10051)",
    ),
    use_when="Labels are of mixed quality: version 3 takes gradient away from outliers and from good boxes.",
    avoid_when="Runs are short: the running mean starts at 1 and, as in the paper, needs 10000 steps to settle.",
    options=iou_family,
    without=("wise", "wise_mean"),
)
def wiou_loss(
    pred: Tensor,
    target: Tensor,
    *,
    version: Annotated[int, Choice(1, 2, 3)] = 1,
    alpha: Annotated[float, Interval(1, 10)] = 1.9,
    delta: Annotated[float, Interval(0, 100, open_low=True)] = 3.0,
    mean: Annotated[Tensor | float, State(one, no_boxes, wiou_sum, updated_mean)] = 1.0,
    **options: Unpack[IoUOptions],
) -> Tensor:
    """Wise-IoU loss: 1 - IoU times a distance factor, and from version 2 times a weight by how unusual the box is.

    The module keeps `mean`, starting at 1, and updates it before use: once per call (or per `begin_step`), in training
    with gradients on, by m := (1 - momentum) m + momentum * mean(1 - IoU). Empty and non-finite batches leave it alone.
    Processes each keep their own without `Loss.sync`. Its `momentum` is by default that of the paper's code; see
    `transforms.wise_momentum` for other lengths of training.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet.
        version: 1 without weight, 2 with sqrt(beta), 3 with beta / (delta alpha^(beta - delta)).
        alpha: version 3, in [1, 10]: how fast outliers lose weight. The paper uses 1.9.
        delta: version 3, in (0, 100]: the beta whose weight is 1. The paper uses 3.
        mean: running mean of 1 - IoU.
        **options: see `iou_family`. Dialect: wise_iou (no epsilon to speak of).

    Returns:
        (...) loss per box, at least 0 (below e for version 1), float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 4]])
    >>> wiou_loss(pred, target)  # e^(1 / 20) / 2
    tensor([0.5256])
    >>> wiou_loss(pred, target, version=2, mean=0.125)  # beta = 4
    tensor([1.0513])
    """

    def weighted(loss: Tensor, pair: Pair) -> Tensor:
        loss = wiou_attention(pair) * loss
        return loss if version == 1 else loss * wise_weight(1 - pair.iou, mean, version, alpha, delta)

    return iou_family(pred, target, "wiou", no_penalty, weighted=weighted, **options)


@register_loss(
    "extended_iou",
    formula=r"\begin{cases} x^2 / 2s & x < s \\ x - s/2 & \text{else} \end{cases},"
    r"\quad x = 1 - \frac{I'}{A + A_g - I'}",
    source=Source("Extended-IoU (IEEE 9429909)", 2021, "https://ieeexplore.ieee.org/document/9429909"),
    traits=Traits(
        range=(0, 2),
        symmetric=True,
        scale_invariant=True,
        not_mirrored="its signed intersection is measured from the upper left corner (IEEE 9429909)",
    ),
    use_when="You want MMDetection's EIoULoss under a name that does not collide with Efficient IoU.",
    avoid_when="The value must be comparable with 1 - IoU: past smooth_point it is smaller by half of that.",
)
def extended_iou_loss(
    pred: Tensor,
    target: Tensor,
    *,
    smooth_point: Annotated[float, Interval(0, 1, open_low=True)] = 0.1,
    eps: Annotated[float, Interval(0, 1e-2, open_low=True)] = 1e-7,
    box_format: Annotated[str, Choice("xyxy", "cxcywh")] = "xyxy",
) -> Tensor:
    """Extended IoU loss: 1 - IoU with an intersection that turns negative for boxes apart, smooth near 0.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2), any unit.
        target: (..., 4) boxes to meet.
        smooth_point: below it the loss is a parabola, in (0, 1].
        eps: epsilon of the union.
        box_format: "xyxy" corners or "cxcywh" centre and size.

    Returns:
        (...) loss per box in [0, 2), float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer boxes; an unknown parameter.

    >>> import torch
    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 4]])
    >>> extended_iou_loss(pred, target)  # 1 - 1/2 - 0.1 / 2
    tensor([0.4500])
    """
    if box_format == "cxcywh":
        pred, target = cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target)
    pair = pair_up(pred, target, eps)
    x = 1 - extended_iou(pair) + 0 * pair.iou.detach()
    return torch.where(x < smooth_point, 0.5 * x**2 / smooth_point, x - 0.5 * smooth_point)
