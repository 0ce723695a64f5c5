"""Overlap of whole masks: Dice, Tversky and kin."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from typing_extensions import Unpack

from ..catalog.declare import Effect, Source
from ..catalog.entries import register_loss
from ..catalog.ranges import Choice, Interval
from .masks import LEAST, MASKS, Eps, Masses, RegionOptions, Smooth, in_regions_of, regions
from .scores import bounded_log

Weight = Annotated[float, Interval(0, 10)]

TVERSKY = Source(
    "Tversky loss function for image segmentation using 3D fully convolutional deep networks",
    2017,
    "https://arxiv.org/abs/1706.05721",
)


@register_loss(
    "dice",
    kind="region",
    formula=r"\begin{cases} 1 - \frac{2 \sum p t + s}{\sum p^2 + \sum t^2 + s} & \text{form} = \text{vnet} \\"
    r" 1 - \frac{2 \sum p t + s}{\sum p + \sum t + s} & \text{form} = \text{naive} \end{cases}",
    source=Source("V-Net: Fully Convolutional Neural Networks", 2016, "https://arxiv.org/abs/1606.04797"),
    traits=MASKS,
    holds="shares",
    denominator=regions,
    use_when="Objects cover a small part of the mask, so that pixel-wise losses are ruled by background.",
    avoid_when="Masks may be empty and `empty` is left at 'cost': without smooth, any prediction then costs 1.",
    options=in_regions_of,
)
def dice_loss(
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None = None,
    present: bool = False,
    halved: bool = False,
    *,
    form: Annotated[str, Choice("vnet", "naive")] = "vnet",
    smooth: Smooth = 0.0,
    eps: Eps = 1e-3,
    jaccard: Annotated[bool, Choice(False, True)] = False,
    log: Annotated[bool, Choice(False, True), Effect(range=(0, 100))] = False,
    **options: Unpack[RegionOptions],
) -> Tensor:
    """Dice loss: 1 minus twice the overlap over the sum of both masses.

    Args:
        form: "vnet" for squared masses in the denominator, as in the paper; "naive" for the masses themselves.
        smooth: added to numerator and denominator; above 0, an empty prediction of an empty target costs 0.
        eps: added to the denominator.
        jaccard: whether the shared mass counts once in the denominator: overlap over union.
        log: -ln of the coefficient instead of 1 minus it, at most 100.

    >>> pred, target = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    >>> dice_loss(pred, target, activation="none", form="naive", eps=1e-7)  # 1 - 2 (1/2) / (1 + 1)
    tensor([0.5000])
    """

    def loss(m: Masses) -> Tensor:
        both = 2 * (m.pred + m.target - m.overlap) if jaccard else m.pred + m.target
        if halved:  # smooth and eps are those of half the masses, and eps is a bound
            coefficient = (m.overlap + smooth) / (both / 2 + smooth).clamp(min=max(eps, LEAST))
            at_least = coefficient.clamp(min=eps)
        else:
            at_least = coefficient = (2 * m.overlap + smooth) / (both + max(smooth + eps, LEAST))
        return -bounded_log(at_least) if log else 1 - coefficient

    return in_regions_of("dice", pred, target, ignored, loss, form == "vnet", present, **options)


def tversky_index(m: Masses, alpha: float, beta: float, smooth: float, eps: float, bound: bool = False) -> Tensor:
    """TP / (TP + alpha FP + beta FN) (1706.05721, eq. 4); with `bound`, the denominator is at least eps."""
    false_positives, false_negatives = m.pred - m.overlap, m.target - m.overlap
    whole = m.overlap + alpha * false_positives + beta * false_negatives
    least = max(eps if bound else smooth + eps, LEAST)
    return (m.overlap + smooth) / ((whole + smooth).clamp(min=least) if bound else whole + least)


@register_loss(
    "tversky",
    kind="region",
    formula=r"1 - \frac{TP}{TP + \alpha FP + \beta FN}",
    source=TVERSKY,
    traits=MASKS,
    holds="shares",
    denominator=regions,
    use_when="Misses should cost more than false alarms (beta above alpha), or the other way round.",
    avoid_when="alpha and beta are both 0.5: it is then Dice; both 1: Jaccard.",
    options=in_regions_of,
)
def tversky_loss(
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None = None,
    present: bool = False,
    *,
    alpha: Weight = 0.3,
    beta: Weight = 0.7,
    smooth: Smooth = 0.0,
    eps: Eps = 1e-7,
    **options: Unpack[RegionOptions],
) -> Tensor:
    """Tversky loss: overlap against false positives and false negatives, each with its own weight.

    Args:
        alpha: weight of false positives. The paper's best is 0.3.
        beta: weight of false negatives. The paper's best is 0.7.
        smooth: added to numerator and denominator.
        eps: added to the denominator.

    >>> pred, target = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    >>> tversky_loss(pred, target, activation="none", alpha=1.0, beta=1.0)  # 1 - 0.5 / (0.5 + 0.5 + 0.5)
    tensor([0.6667])
    """

    def loss(m: Masses) -> Tensor:
        return 1 - tversky_index(m, alpha, beta, smooth, eps)

    return in_regions_of("tversky", pred, target, ignored, loss, present=present, **options)


@register_loss(
    "focal_tversky",
    kind="region",
    formula=r"\left(1 - \frac{TP}{TP + \alpha FP + \beta FN}\right)^{1 / \gamma}",
    source=Source(
        "A Novel Focal Tversky Loss Function with Improved Attention U-Net", 2018, "https://arxiv.org/abs/1810.07842"
    ),
    traits=MASKS,
    holds="shares",
    denominator=regions,
    use_when="Regions that are nearly right should keep a strong gradient: gamma above 1 raises it near the optimum.",
    avoid_when="You took gamma from a framework where it is the exponent: here, as in the paper, that is 1 / gamma.",
    options=in_regions_of,
)
def focal_tversky_loss(
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None = None,
    of_mean: bool = False,
    *,
    gamma: Annotated[float, Interval(0.1, 10)] = 4 / 3,
    alpha: Weight = 0.3,
    beta: Weight = 0.7,
    smooth: Smooth = 0.0,
    eps: Eps = 1e-7,
    **options: Unpack[RegionOptions],
) -> Tensor:
    """Focal Tversky loss: the Tversky loss to the power 1 / gamma.

    Args:
        gamma: the inverse of the exponent. The paper uses 4/3, out of 1 to 3.
        alpha: weight of false positives. The paper uses 0.3.
        beta: weight of false negatives. The paper uses 0.7.
        smooth: added to numerator and denominator.
        eps: added to the denominator.

    >>> pred, target = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    >>> focal_tversky_loss(pred, target, activation="none", alpha=0.5, beta=0.5, gamma=0.5)  # (1/2)^2
    tensor([0.2500])
    """

    def loss(m: Masses) -> Tensor:
        missed = 1 - tversky_index(m, alpha, beta, smooth, eps, bound=of_mean)
        return missed if of_mean else gentle_power(missed, 1 / gamma)

    losses = in_regions_of("focal_tversky", pred, target, ignored, loss, **options)
    if of_mean:  # one number for the whole batch
        return gentle_power(losses.sum() / regions(pred, target, ignored, **options).clamp(min=LEAST), 1 / gamma)
    return losses


def gentle_power(base: Tensor, exponent: float, floor: float = 1e-4) -> Tensor:
    """base^exponent for base >= 0, with the slope of `floor` below it, where exponents under 1 would have no bound."""
    if exponent >= 1:
        return base.relu() ** exponent
    small = base < floor
    at = base.detach()
    line = at.relu() ** exponent + (base - at) * exponent * floor ** (exponent - 1)
    return torch.where(small, line, torch.where(small, torch.ones_like(base), base) ** exponent)
