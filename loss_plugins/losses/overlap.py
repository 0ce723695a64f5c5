"""Overlap of whole masks in other forms: Jaccard, log-cosh Dice, generalised Dice."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from ..catalog.declare import Effect, Source
from ..catalog.entries import register_loss
from ..catalog.ranges import Choice
from ..tensors import dense
from .masks import (
    LEAST,
    MASKS,
    Eps,
    Masses,
    PooledOptions,
    RegionOptions,
    Smooth,
    activate,
    channel_weights,
    check_regions,
    in_regions_of,
    masses_of,
    regions,
    settled,
)
from .region import tversky_index
from .scores import bounded_log


@register_loss(
    "jaccard",
    kind="region",
    formula=r"1 - \frac{\sum p t + s}{\sum p + \sum t - \sum p t + s}",
    source=Source(
        "Optimizing Intersection-Over-Union in Deep Neural Networks for Image Segmentation",
        2016,
        "https://doi.org/10.1007/978-3-319-50835-1_22",
    ),
    traits=MASKS,
    holds="shares",
    denominator=regions,
    use_when="The IoU of masks is what is measured, classes are few, and each is there.",
    avoid_when="Masks are tiny or empty, or it is the only loss from the start: add cross-entropy.",
    options=in_regions_of,
)
def jaccard_loss(
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None = None,
    bound: bool = False,
    *,
    smooth: Smooth = 0.0,
    eps: Eps = 1e-7,
    log: Annotated[bool, Choice(False, True), Effect(range=(0, 100))] = False,
    **options: Unpack[RegionOptions],
) -> Tensor:
    """Jaccard loss, soft IoU of masks: 1 minus the overlap over the union.

    Args:
        smooth: added to numerator and denominator.
        eps: added to the denominator.
        log: -ln of the index instead of 1 minus it, at most 100.

    >>> pred, target = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    >>> jaccard_loss(pred, target, activation="none")  # 1 - 0.5 / (1 + 1 - 0.5)
    tensor([0.6667])
    """

    def loss(m: Masses) -> Tensor:
        index = tversky_index(m, 1.0, 1.0, smooth, eps, bound)
        return -bounded_log(index.clamp(min=eps) if bound else index) if log else 1 - index

    return in_regions_of("jaccard", pred, target, ignored, loss, **options)


@register_loss(
    "log_cosh_dice",
    kind="region",
    formula=r"\ln\left(\cosh\left(1 - \frac{2 \sum p t + s}{\sum p + \sum t + s}\right)\right)",
    source=Source("A survey of loss functions for semantic segmentation", 2020, "https://arxiv.org/abs/2006.14822"),
    traits=replace(MASKS, range=(0, math.log(math.cosh(1)))),
    holds="shares",
    denominator=regions,
    use_when="Masks are noisy, and the last percents of Dice should not rule: near 0 it is half its square.",
    avoid_when="You hope for faster training: every gradient is smaller than that of Dice.",
    options=in_regions_of,
)
def log_cosh_dice_loss(
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None = None,
    *,
    smooth: Smooth = 1.0,
    **options: Unpack[RegionOptions],
) -> Tensor:
    """Log-cosh Dice loss: the logarithm of the hyperbolic cosine of Dice loss.

    Args:
        smooth: added to numerator and denominator. The authors' code has 1.

    >>> pred, target = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    >>> log_cosh_dice_loss(pred, target, activation="none", smooth=0.0)  # ln cosh of 1 - 2 (1/2) / (1 + 1)
    tensor([0.1201])
    """

    def loss(m: Masses) -> Tensor:
        missed = 1 - (2 * m.overlap + smooth) / (m.pred + m.target + max(smooth, LEAST))
        return torch.log1p(2 * (missed / 2).sinh() ** 2)  # cosh x - 1, exact near 0

    return in_regions_of("log_cosh_dice", pred, target, ignored, loss, **options)


#: the least size of a class that its weight is made of
LEAST_SIZE = 1e-12


def class_weights_by_size(sizes: Tensor, weighting: str) -> Tensor:
    """Weights of classes by their sizes (..., C); one that is not there weighs what the smallest does (1707.03237)."""
    if weighting == "uniform" or sizes.shape[-1] == 0:
        return torch.ones_like(sizes)
    there = sizes > 0
    exponent = -2 if weighting == "square" else -1
    weight = torch.where(there, sizes.clamp(min=LEAST_SIZE) ** exponent, 0.0)
    return torch.where(there, weight, weight.amax(-1, keepdim=True))


@register_loss(
    "generalized_dice",
    kind="region",
    formula=r"1 - \frac{2 \sum_c w_c \sum p t + s}{\sum_c w_c \left(\sum p + \sum t\right) + s},\quad "
    r"w_c = \frac{1}{\left(\sum t\right)^2}",
    source=Source(
        "Generalised Dice overlap as a deep learning loss function for highly unbalanced segmentations",
        2017,
        "https://arxiv.org/abs/1707.03237",
    ),
    traits=MASKS,
    holds="shares",
    denominator=regions,
    use_when="Classes differ much in size, and small ones should count as much as large ones.",
    avoid_when="Some classes are only a few pixels of noise: they weigh most.",
    options=in_regions_of,
    without=("over",),
)
def generalized_dice_loss(
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None = None,
    *,
    weighting: Annotated[str, Choice("square", "simple", "uniform")] = "square",
    over: Annotated[str, Choice("image", "batch")] = "image",
    smooth: Smooth = 0.0,
    eps: Eps = 0.0,
    **options: Unpack[PooledOptions],
) -> Tensor:
    """Generalised Dice loss: the overlap of all classes over their masses, each class weighted by its inverse size.

    Args:
        weighting: the weight of a class: "square" for 1 over its squared size in the target, the paper's; "simple" for
            1 over its size; "uniform" for 1. A class that is not there weighs what the smallest does.
        over: the region that one loss is for: "image" for each image, (n,); "batch" for all of them, ().
        smooth: added to numerator and denominator.
        eps: added to the denominator.

    >>> pred = torch.tensor([[[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]]])
    >>> target = torch.tensor([[0, 0, 1]])
    >>> generalized_dice_loss(pred, target, activation="none")  # weights 1/4 and 1: 1 - 2 (1.5/4 + 1) / (3.5/4 + 2.5)
    tensor([0.1852])
    """
    check_regions("generalized_dice", pred, over)
    given: dict[str, Any] = {**options, "over": "channel" if over == "image" else "batch_channel"}
    p, t = activate("generalized_dice", pred, given.pop("activation", "sigmoid")), dense(pred, target)
    if pred.ndim == 2:  # rows of pixels are of one class
        p, t, ignored = p[:, None], t[:, None], None if ignored is None else ignored[:, None]
    m = masses_of("generalized_dice", p, t, ignored, activation="none", **given)
    weight, own = class_weights_by_size(m.target.detach(), weighting), channel_weights("generalized_dice", p, **given)
    weight = weight if own is None else weight * own
    hollow = m.hollow if own is None else m.hollow | (own == 0)
    inside, whole = (weight * m.overlap).sum(-1), (weight * (m.pred + m.target)).sum(-1)
    loss = 1 - (2 * inside + smooth) / (whole + max(smooth + eps, LEAST))
    return settled(loss, m._replace(hollow=hollow.all(-1)), given.get("empty", "cost"))
