"""The IoU family: each loss is 1 - IoU plus a penalty of a few lines."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from typing_extensions import Unpack

from .boxes import (
    Pair,
    aspect_difference,
    center_offset,
    enclosing_sides,
    safe_hypot,
    squared_norm,
)
from .catalog import Source, Traits, register_loss
from .checks import Choice, Interval
from .transforms import IoUOptions, Terms, iou_family, no_penalty

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


# --- penalties -------------------------------------------------------------------------------------------------


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


# --- losses ----------------------------------------------------------------------------------------------------


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
    traits=Traits(range=(0, 2.5), symmetric=True, scale_invariant=True),
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


@register_loss(
    "focal_eiou",
    formula=r"\mathrm{sg}(\mathrm{IoU})^{\gamma}\, L_\mathrm{EIoU}",
    source=EIOU,
    traits=Traits(range=(0, 4), symmetric=True, scale_invariant=True, gradient_when_disjoint=False),
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


# --- Alpha-IoU: the power transform under the names of its paper ------------------------------------------------


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
    traits=Traits(range=(0, 2.5), symmetric=True, scale_invariant=True),
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
