"""The IoU family: each loss is 1 - IoU plus a penalty, or times a weight, of a few lines (see `penalties`)."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor
from typing_extensions import Unpack

from ..catalog.declare import Effect, Source, Traits
from ..catalog.entries import register_loss
from ..catalog.ranges import EPSILON, Choice, Interval, Series
from .boxes import LENGTH, Pair, cxcywh_to_xyxy, extended_iou
from .family import POOR_COSTS_LESS, IoUOptions, iou_family
from .penalties import (
    ALPHA,
    cdiou_penalty,
    ciou_penalty,
    diou_penalty,
    eiou_penalty,
    giou_penalty,
    mpdiou_penalty,
    no_penalty,
    piou_attention,
    piou_penalty,
    shape_iou_penalty,
    siou_penalty,
)

DIOU = Source("Distance-IoU Loss", 2019, "https://arxiv.org/abs/1911.08287")
EIOU = Source(
    "Focal and Efficient IOU Loss for Accurate Bounding Box Regression",
    2021,
    "https://arxiv.org/abs/2101.08158",
)


#: focal_eiou without its weight, and cdiou without its corner term
UNWEIGHTED = Effect(gradient_when_disjoint=True, detached="", not_monotone={}, when=Interval(0, 0))
NO_CORNERS = Effect(gradient_when_disjoint=False, when=Interval(0, 0))
#: the paths of the audit along which version 2 of piou falls
FAR_COSTS_LESS = dict.fromkeys(
    ("shifted right", "shifted down", "shifted diagonally", "grown"),
    "version 2 weighs boxes of medium quality most, so a far one costs less (10.1016/j.neunet.2023.11.041)",
)


def linear_loss(iou: Tensor, eps: float) -> Tensor:
    """1 - IoU."""
    return 1 - iou


def log_loss(iou: Tensor, eps: float) -> Tensor:
    """-ln IoU, at most -ln eps, and with eps=0 at most -ln 1e-20."""
    return -iou.clamp(min=max(eps, LENGTH**2)).log()


def square_loss(iou: Tensor, eps: float) -> Tensor:
    """1 - IoU^2."""
    return 1 - iou**2


MODES = {"linear": linear_loss, "log": log_loss, "square": square_loss}


@register_loss(
    "iou",
    formula=r"\begin{cases} 1 - \mathrm{IoU} & \text{mode} = \text{linear} \\"
    r" -\ln \mathrm{IoU} & \text{mode} = \text{log} \\ 1 - \mathrm{IoU}^2 & \text{mode} = \text{square} \end{cases}",
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
    mode: Annotated[str, Choice("linear", "log", "square"), Effect(range=(0, math.inf), when=Choice("log"))] = "linear",
    **options: Unpack[IoUOptions],
) -> Tensor:
    """IoU loss: 1 - IoU, -ln IoU or 1 - IoU^2.

    Args:
        mode: "linear" for 1 - IoU; "log" for -ln IoU, the paper's, at most -ln eps; "square" for 1 - IoU^2.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 4]])
    >>> iou_loss(pred, target)  # the prediction covers half of the target
    tensor([0.5000])
    """
    return iou_family(pred, target, no_penalty, MODES[mode], **options)


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

    >>> pred, target = torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[3.0, 0, 4, 1]])
    >>> giou_loss(pred, target)  # disjoint: 1 + (4 - 2) / 4
    tensor([1.5000])
    """
    return iou_family(pred, target, giou_penalty, **options)


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
    """Distance IoU loss: 1 - IoU plus the squared centre distance over the squared diagonal of the enclosing box.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[2.0, 0, 4, 2]])
    >>> diou_loss(pred, target)  # IoU 0, centres 2 apart, diagonal^2 20: 1 + 4 / 20
    tensor([1.2000])
    """
    return iou_family(pred, target, diou_penalty, **options)


@register_loss(
    "ciou",
    formula=r"1 - \mathrm{IoU} + \frac{\rho^2}{c^2} + \alpha v,\quad "
    r"v = \frac{4}{\pi^2}\left(\arctan\frac{w_g}{h_g} - \arctan\frac{w}{h}\right)^2,\quad "
    r"\alpha = \mathrm{sg}\left(\frac{v}{1 - \mathrm{IoU} + v}\right)",
    source=DIOU,
    traits=Traits(
        range=(0, 2.5),
        symmetric=True,
        scale_invariant=True,
        detached=ALPHA,
    ),
    use_when="You want the default of today's YOLO models: overlap, distance and aspect in one loss.",
    avoid_when="Width and height are wrong by one factor: the aspect term is 0 and EIoU says more.",
    options=iou_family,
)
def ciou_loss(pred: Tensor, target: Tensor, **options: Unpack[IoUOptions]) -> Tensor:
    """Complete IoU loss: DIoU plus a weighted difference in aspect ratio.

    The weight alpha carries no gradient, the difference v does.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 1, 3, 3]])
    >>> ciou_loss(pred, target)  # equal shapes: 1 - 1/7 + 2/18
    tensor([0.9683])
    """
    return iou_family(pred, target, ciou_penalty, **options)


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
    """Efficient IoU loss: DIoU plus the squared differences in width and height over the enclosing sides.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 4, 2]])
    >>> eiou_loss(pred, target)  # 1 - 1/2 + 1/20 + (2/4)^2 + 0
    tensor([0.8000])
    """
    return iou_family(pred, target, eiou_penalty, **options)


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
    gamma: Annotated[float, Interval(0, 10), UNWEIGHTED] = 0.5,
    normalize: Annotated[bool, Choice(False, True)] = False,
    **options: Unpack[IoUOptions],
) -> Tensor:
    """Focal EIoU loss: EIoU weighted by IoU^gamma, so that good boxes count more.

    The weight carries no gradient; a box whose IoU is 0 costs 0 and has no gradient at all.

    Args:
        gamma: exponent of the weight; 0 is EIoU. The paper uses 0.5.
        normalize: divide the weights by their mean over the batch, so that the mean of the result is
            sum(W L) / sum(W), the paper's first form; boxes then depend on each other.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 8]])
    >>> focal_eiou_loss(pred, target)  # IoU 1/4: (1/4)^0.5 (3/4 + 3^2 / 68 + 6^2 / 8^2)
    tensor([0.7224])
    """
    options["focal_gamma"] = gamma
    return iou_family(pred, target, eiou_penalty, None, normalize, **options)


@register_loss(
    "cdiou",
    formula=r"1 - \mathrm{IoU} + \lambda\,\frac{|AE| + |BF| + |CG| + |DH|}{4c}",
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
    lam: Annotated[float, Interval(0, 100), Effect(range=(0, math.inf)), NO_CORNERS] = 1.0,
    **options: Unpack[IoUOptions],
) -> Tensor:
    """Control-distance IoU loss: 1 - IoU plus the mean distance of the corners over the enclosing diagonal.

    Args:
        lam: weight of the corner term.

    >>> pred, target = torch.tensor([[0.0, 0, 3, 4]]), torch.tensor([[3.0, 4, 6, 8]])
    >>> cdiou_loss(pred, target)  # IoU 0, every corner 5 away, diagonal 10
    tensor([1.5000])
    """
    return iou_family(pred, target, lambda pair: cdiou_penalty(pair, lam), **options)


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
    """SCYLLA IoU loss: 1 - IoU plus half the distance cost, weighted by its angle, plus half the shape cost.

    Args:
        theta: exponent of the shape cost. The paper tries 2 to 6 and uses 4.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 2, 2, 4]])
    >>> siou_loss(pred, target)  # IoU 0, straight below (angle 0): 1 + (1 - e^(-2 / 4)) / 2
    tensor([1.1967])
    """
    return iou_family(pred, target, lambda pair: siou_penalty(pair, theta), **options)


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
    image_size: Annotated[tuple[float, float], Series(2, Interval(1e-6))],
    **options: Unpack[IoUOptions],
) -> Tensor:
    """Minimum-point-distance IoU loss: 1 - IoU plus the squared corner distances over the image's squared diagonal.

    Args:
        image_size: (height, width) of the network's input in the unit of the boxes: pixels, or (1, 1) if normalised.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[3.0, 4, 5, 6]])
    >>> mpdiou_loss(pred, target, image_size=(6, 8))  # IoU 0; (25 + 25) / 100
    tensor([1.5000])
    """
    return iou_family(pred, target, lambda pair: mpdiou_penalty(pair, image_size), **options)


@register_loss(
    "shape_iou",
    formula=r"1 - \mathrm{IoU} + \frac{hh\, d_x^2 + ww\, d_y^2}{c^2} + \frac{1}{2} \sum_{t=w,h} (1 - e^{-\omega_t})^4,"
    r"\quad ww = \frac{2 w_g^s}{w_g^s + h_g^s},\quad hh = \frac{2 h_g^s}{w_g^s + h_g^s},"
    r"\quad \omega_w = hh \frac{|w - w_g|}{\max(w, w_g)},"
    r"\quad \omega_h = ww \frac{|h - h_g|}{\max(h, h_g)}",
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
    """Shape-IoU loss: 1 - IoU plus distance and shape costs, weighted by the shape of the target.

    The shape weights carry no gradient.

    Args:
        scale: exponent of the target's sides in the weights; 0 weighs both axes alike. The paper sets it by the
            sizes of a data set's objects.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[2.0, 0, 4, 2]])
    >>> shape_iou_loss(pred, target)  # equal shapes: 1 + 4 / 20
    tensor([1.2000])
    """
    return iou_family(pred, target, lambda pair: shape_iou_penalty(pair, scale), **options)


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
    version: Annotated[int, Choice(1, 2), Effect(range=(0, 2.6), not_monotone=FAR_COSTS_LESS)] = 1,
    lam: Annotated[float, Interval(0, 10, open_low=True)] = 1.3,
    detach_weight: Annotated[bool, Choice(False, True)] = False,
    **options: Unpack[IoUOptions],
) -> Tensor:
    """Powerful-IoU loss: 1 - IoU plus a penalty on the distances of the edges over the sides of the target.

    Args:
        version: 1, or 2 with a weight that prefers boxes of medium quality.
        lam: lambda of version 2's weight. The paper uses 1.3.
        detach_weight: compute version 2's weight without gradient, so that far boxes stay attracted; the authors'
            weight has one.

    >>> pred, target = torch.tensor([[2.0, 0, 4, 2]]), torch.tensor([[0.0, 0, 2, 2]])
    >>> piou_loss(pred, target)  # IoU 0, P = (2 + 2) / 2 / 4 = 1/2: 2 - e^(-1/4)
    tensor([1.2212])
    """
    if version == 1:
        return iou_family(pred, target, piou_penalty, **options)

    def weighted(loss: Tensor, pair: Pair) -> Tensor:
        return piou_attention(pair, lam, detach_weight) * loss

    return iou_family(pred, target, piou_penalty, weighted=weighted, **options)


@register_loss(
    "extended_iou",
    formula=r"\begin{cases} \frac{x^2}{2s} & x < s \\ x - \frac{s}{2} & \text{else} \end{cases},"
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
    smooth_point: Annotated[float, Interval(1e-6, 1)] = 0.1,
    eps: Annotated[float | None, EPSILON, Effect(scale_invariant=False)] = None,
    box_format: Annotated[str, Choice("xyxy", "cxcywh")] = "xyxy",
) -> Tensor:
    """Extended IoU loss: 1 - IoU with an intersection that turns negative for disjoint boxes, smooth near 0.

    Args:
        smooth_point: where the parabola near 0 meets the line; past it the loss is smaller than 1 - IoU by half of it.
        eps: added to the union, in the unit of the boxes squared, as MMDetection does; None: nothing is added.
        box_format: "xyxy" for corners or "cxcywh" for centre and size, of both boxes.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[0.0, 0, 2, 4]])
    >>> extended_iou_loss(pred, target)  # 1 - 1/2 - 0.1 / 2
    tensor([0.4500])
    """
    if box_format == "cxcywh":
        pred, target = cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target)
    x = 1 - extended_iou(pred, target, eps)
    return torch.where(x < smooth_point, 0.5 * x**2 / smooth_point, x - 0.5 * smooth_point)
