"""CIoU that changes with the size of the target (SDIoU), or in the course of the training (UIoU)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from ..catalog.declare import Effect, Source, Told, Traits
from ..catalog.entries import register_loss
from ..catalog.ranges import Choice, Interval
from .boxes import Pair, is_ours
from .family import IoUOptions, iou_family
from .penalties import ALPHA, Terms, center_distance, ciou_penalty


def smallness(pair: Pair, delta: float, area: float) -> Tensor:
    """How much weight goes from overlap to distance: delta for a target without area, 0 from `area` on (2412.16986)."""
    return delta * (1 - (pair.t.w * pair.t.h).detach().relu() / area).relu()


@register_loss(
    "sdiou",
    formula=r"(1 - g)(1 - \mathrm{IoU} + \alpha v) + (1 + g) \frac{\rho^2}{c^2},\quad "
    r"g = \delta \max\left(0, 1 - \frac{w_g h_g}{a}\right)",
    source=Source("Pinwheel-shaped Convolution and Scale-based Dynamic Loss", 2024, "https://arxiv.org/abs/2412.16986"),
    traits=Traits(range=(0, 2.5), units="pixels", detached=ALPHA),
    use_when="Targets are smaller than some 9 pixels, as in infrared or drone images: their IoU says little.",
    avoid_when="Objects are of ordinary size: it is CIoU for them, to the last digit.",
    options=iou_family,
)
def sdiou_loss(
    pred: Tensor,
    target: Tensor,
    *,
    delta: Annotated[float, Interval(0, 1)] = 0.5,
    area: Annotated[float, Interval(0, open_low=True)] = 81.0,
    **options: Unpack[IoUOptions],
) -> Tensor:
    """Scale-based dynamic IoU loss: CIoU in which small targets weigh the distance more than the overlap.

    Args:
        delta: the weight that a target without area moves from overlap and aspect to distance. The paper uses 0.5.
        area: from this area of the target on, in pixels, it is CIoU. The paper's 81 is that of 9 x 9 pixels; the
            authors' code counts in cells of the grid, so in pixels it is 81 times the squared stride.

    >>> pred, target = torch.tensor([[0.0, 0, 3, 3]]), torch.tensor([[3.0, 0, 6, 3]])
    >>> sdiou_loss(pred, target)  # IoU 0, area 9: g = 4/9, so 5/9 + 13/9 * 9 / 45
    tensor([0.8444])
    """

    def weighted(loss: Tensor, pair: Pair) -> Tensor:
        small = smallness(pair, delta, area)
        return (1 - small) * loss + 2 * small * center_distance(pair)

    return iou_family(pred, target, ciou_penalty, weighted=weighted, **options)


#: the progress of a training that nobody has told
UNTOLD = -1.0


def untold(parameters: Mapping[str, Any]) -> Tensor:
    """Where the progress starts."""
    return torch.full((), UNTOLD)


def linear(t: Tensor) -> Tensor:
    """From 2 to 0.5 in a line."""
    return 2 - 1.5 * t


def cosine(t: Tensor) -> Tensor:
    """From 2 to 0.5, slowly at both ends."""
    return 0.75 * (math.pi * t).cos() + 1.25


def fraction(t: Tensor) -> Tensor:
    """From 2 to 0.5, most of it early."""
    return 2 / (3 * t.relu() + 1)


#: the scale of the boxes by the progress of the training, from 0 to 1 (2408.06636)
SCHEDULES = {"linear": linear, "cosine": cosine, "fraction": fraction}


def scale_of(ratio: float, schedule: str | None, progress: Tensor | float) -> Tensor | float:
    """The scale of the boxes: by the schedule, or `ratio` where there is none, or no progress has been told."""
    if schedule is None:
        return ratio
    t = progress.reshape(()) if isinstance(progress, Tensor) else torch.tensor(progress, dtype=torch.float64)
    return torch.where(t < 0, torch.full_like(t, ratio), SCHEDULES[schedule](t))


def uiou_penalty(pair: Pair) -> Terms:
    """CIoU's terms; the authors' code adds one more epsilon."""
    distance, aspect = ciou_penalty(pair)
    return distance, aspect + (0.0 if is_ours(pair) else pair.eps)


@register_loss(
    "uiou",
    formula=r"L_\mathrm{CIoU}(k B, k B_g),\quad "
    r"k = \begin{cases} 2 - \frac{3 t}{2} & \text{schedule} = \text{linear} \\"
    r" \frac{3 \cos(\pi t) + 5}{4} & \text{schedule} = \text{cosine} \\"
    r" \frac{2}{3 t + 1} & \text{schedule} = \text{fraction} \end{cases}",
    source=Source("Unified-IoU: For High-Quality Object Detection", 2024, "https://arxiv.org/abs/2408.06636"),
    traits=Traits(range=(0, 2.5), symmetric=True, scale_invariant=True, detached=ALPHA),
    use_when="Exact boxes matter more than the number found (AP75 more than AP50), and the number of epochs is known.",
    avoid_when="Training stops early or its length is not known: the schedule is then never over.",
    options=iou_family,
)
def uiou_loss(
    pred: Tensor,
    target: Tensor,
    *,
    schedule: Annotated[str | None, Choice("linear", "cosine", "fraction")] = "linear",
    ratio: Annotated[float, Interval(0.1, 10)] = 1.0,
    gamma: Annotated[
        float | None, Interval(0, 10, open_low=True), Effect(detached=f"{ALPHA} and of poor boxes")
    ] = None,
    progress: Annotated[Tensor | float, Told(untold)] = UNTOLD,
    **options: Unpack[IoUOptions],
) -> Tensor:
    """Unified IoU loss: CIoU of both boxes scaled about their centres, by less and less in the course of the training.

    Boxes of twice their size overlap sooner, and of half their size later, so training goes from coarse to fine. The
    module keeps the `progress` of the training, from 0 to 1, which the adapters of Ultralytics, MMDetection,
    transformers and LibreYOLO tell it, and a loop of one's own by `set_progress` of the loss or of its plug. The loss
    of the same boxes rises meanwhile.

    Args:
        schedule: how the scale k falls from 2 to 0.5: "linear", "cosine" or "fraction"; None: it is `ratio`.
        ratio: the scale without a schedule, and as long as nobody has told the progress.
        gamma: weight 1 - IoU^gamma of the scaled boxes, without gradient: attention to poor boxes. The paper's focal
            form has 0.5; None: no weight.
        progress: share of the training that is over; below 0 it is not known.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[2.0, 0, 4, 2]])
    >>> uiou_loss(pred, target, progress=0.0)  # as boxes of 4 x 4: 1 - 8/24 + 4 / (36 + 16)
    tensor([0.7436])
    >>> uiou_loss(pred, target, progress=1.0)  # of 1 x 1: 1 + 4 / (9 + 1)
    tensor([1.4000])
    """

    def weighted(loss: Tensor, pair: Pair) -> Tensor:
        return loss if gamma is None else loss * (1 - pair.iou.detach() ** gamma).relu()

    scale = scale_of(ratio, schedule, progress)
    scale = scale.to(pred.dtype) if isinstance(scale, Tensor) else scale
    return iou_family(pred, target, uiou_penalty, weighted=weighted, scale=scale, **options)
