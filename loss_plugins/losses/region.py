"""Overlap of whole masks: Dice, Tversky and kin."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor

from ..catalog.declare import Effect, Source, Traits
from ..catalog.entries import register_loss
from ..catalog.ranges import Choice, Interval
from ..errors import refusal
from ..tensors import class_axis, dense
from .scores import bounded_log

Activation = Annotated[
    str,
    Choice("sigmoid", "softmax", "none"),
    Effect(scale="probabilities", zero_at_equality=True, when=Choice("none")),
]
Over = Annotated[str, Choice("image", "batch", "channel", "batch_channel")]
Overlap = Annotated[str, Choice("product", "min")]
Empty = Annotated[str, Choice("cost", "zero", "skip")]
Smooth = Annotated[float, Interval(0)]
Eps = Annotated[float, Interval(0)]
Weight = Annotated[float, Interval(0, 10)]

#: the least that a denominator is: less than any sum, more than 0
LEAST = 1e-30

TVERSKY = Source(
    "Tversky loss function for image segmentation using 3D fully convolutional deep networks",
    2017,
    "https://arxiv.org/abs/1706.05721",
)
MASKS = Traits(range=(0, 1), translation_invariant=False, zero_at_equality=False, gradient_when_disjoint=False)


class Masses(NamedTuple):
    """Sums over a region: of the overlap, of the prediction, of the target (of their squares for V-Net's form)."""

    overlap: Tensor
    pred: Tensor
    target: Tensor
    hollow: Tensor
    rows: int


def activate(where: str, pred: Tensor, activation: str) -> Tensor:
    """Probabilities of logits; "none": they are probabilities already."""
    if activation == "softmax":
        axis = class_axis(pred)
        if pred.shape[axis] == 1:  # p is 1 whatever the logits are, so nothing would be trained
            came = f"activation='softmax' of one channel, pred {tuple(pred.shape)}"
            remedy = "pass activation='sigmoid' for a single channel of logits, 'none' for probabilities"
            raise refusal(where, came, f"two channels or more along axis {axis}", remedy)
        return pred.softmax(axis)
    return pred.sigmoid() if activation == "sigmoid" else pred


def counted(values: Tensor, ignored: Tensor | None) -> Tensor:
    """0 in pixels that are left out."""
    return values if ignored is None else values.masked_fill(ignored, 0)


def total(values: Tensor, over: str) -> Tensor:
    """Sum over a region: per image, over all, per image and channel, or per channel of the whole batch."""
    if over == "batch":
        return values.sum()
    if over == "image":
        return values.flatten(1).sum(1)
    per_channel = values.flatten(2).sum(2)
    return per_channel if over == "channel" else per_channel.sum(0)


def masses_of(
    where: str,
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None,
    activation: str,
    over: str,
    overlap: str,
    squared: bool = False,
) -> Masses:
    """Overlap and masses of prediction and target per region."""
    check_regions(where, pred, over)
    p, t = counted(activate(where, pred, activation), ignored), counted(dense(pred, target), ignored)
    shared = p * t if overlap == "product" else torch.minimum(p, t)
    exponent = 2 if squared else 1
    return Masses(
        total(shared, over), total(p**exponent, over), total(t**exponent, over), total(t, over) == 0, pred.shape[0]
    )


def check_regions(where: str, pred: Tensor, over: str) -> None:
    """Raise unless pred has the axes that the regions are made of."""
    wanted = "(n, C, ...)" if "channel" in over else "(n, ...)"
    if pred.ndim < (3 if "channel" in over else 2):
        came = f"over={over!r} needs pred of shape {wanted}, got {tuple(pred.shape)}"
        axes = (
            "pred[..., None]"
            if pred.ndim == 2
            else "pred[None]"
            if over in ("image", "batch")
            else "pred[None, ..., None]"
        )
        remedy = f"add the axes ({axes}, and to the target too), or pass another `over`"
        raise refusal(where, came, f"pred of shape {wanted}", remedy)


def settled(loss: Tensor, m: Masses, empty: str, present: bool = False) -> Tensor:
    """What regions with an empty target cost: as the formula has it, or 0; a batch without images costs 0.

    With `present`, channels that are empty in an image cost 0, but 1 each where the whole image is empty.
    """
    if m.rows == 0:
        return loss * 0
    if present and loss.ndim == 2:
        return loss.masked_fill(m.hollow, 0.0).masked_fill(m.hollow.all(1, keepdim=True), 1.0)
    return loss if empty == "cost" else loss.masked_fill(m.hollow, 0.0)


def regions(
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None = None,
    *,
    over: str = "image",
    empty: str = "cost",
    present: bool = False,
    of_mean: bool = False,
    **_: Any,
) -> Tensor:
    """How many regions the mean counts: all, or with empty="skip" those with a target.

    With `present`, a mean over the channels that are there in each image comes before that over the images: one
    divisor per image. With `of_mean` the loss is one number.
    """
    if of_mean:
        return pred.new_ones(())
    hollow = total(counted(dense(pred, target), ignored), over) == 0
    if present and over == "channel":
        there = (~hollow).sum(1, keepdim=True)
        return len(pred) * torch.where(there > 0, there, hollow.shape[1]).to(pred.dtype)
    return torch.where(hollow, float(empty != "skip"), 1.0).to(pred.dtype).sum()


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
)
def dice_loss(
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None = None,
    present: bool = False,
    halved: bool = False,
    *,
    form: Annotated[str, Choice("vnet", "naive")] = "vnet",
    activation: Activation = "sigmoid",
    over: Over = "image",
    overlap: Overlap = "product",
    smooth: Smooth = 0.0,
    eps: Eps = 1e-3,
    empty: Empty = "cost",
    jaccard: Annotated[bool, Choice(False, True)] = False,
    log: Annotated[bool, Choice(False, True), Effect(range=(0, 100))] = False,
) -> Tensor:
    """Dice loss: 1 minus twice the overlap over the sum of both masses.

    Args:
        form: "vnet" for squared masses in the denominator, as in the paper; "naive" for the masses themselves.
        activation: "sigmoid" or "softmax" (over axis 1) of pred; "none" if pred holds probabilities.
        over: the region that one loss is for: "image" for each image, (n,); "batch" for all of them, (); "channel" for
            each channel of each image, (n, C); "batch_channel" for each channel of the batch, (C,).
        overlap: "product" for p t; "min" for min(p, t), by which a perfect soft prediction costs 0.
        smooth: added to numerator and denominator; above 0, an empty prediction of an empty target costs 0.
        eps: added to the denominator.
        empty: what an empty target costs: "cost" by the formula; "zero" nothing; "skip" nothing, and "mean" leaves it
            out.
        jaccard: whether the shared mass counts once in the denominator: overlap over union.
        log: -ln of the coefficient instead of 1 minus it, at most 100.

    >>> pred, target = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    >>> dice_loss(pred, target, activation="none", form="naive", eps=1e-7)  # 1 - 2 (1/2) / (1 + 1)
    tensor([0.5000])
    """
    m = masses_of("dice", pred, target, ignored, activation, over, overlap, squared=form == "vnet")
    both = 2 * (m.pred + m.target - m.overlap) if jaccard else m.pred + m.target
    if halved:  # smooth and eps are those of half the masses, and eps is a bound
        coefficient = (m.overlap + smooth) / (both / 2 + smooth).clamp(min=max(eps, LEAST))
        at_least = coefficient.clamp(min=eps)
    else:
        at_least = coefficient = (2 * m.overlap + smooth) / (both + max(smooth + eps, LEAST))
    return settled(-bounded_log(at_least) if log else 1 - coefficient, m, empty, present)


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
)
def tversky_loss(
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None = None,
    present: bool = False,
    *,
    alpha: Weight = 0.3,
    beta: Weight = 0.7,
    activation: Activation = "sigmoid",
    over: Over = "image",
    overlap: Overlap = "product",
    smooth: Smooth = 0.0,
    eps: Eps = 1e-7,
    empty: Empty = "cost",
) -> Tensor:
    """Tversky loss: overlap against false positives and false negatives, each with its own weight.

    Args:
        alpha: weight of false positives. The paper's best is 0.3.
        beta: weight of false negatives. The paper's best is 0.7.
        activation: of pred, see `dice_loss`.
        over: the region that one loss is for, see `dice_loss`.
        overlap: "product" or "min", see `dice_loss`.
        smooth: added to numerator and denominator.
        eps: added to the denominator.
        empty: what an empty target costs, see `dice_loss`.

    >>> pred, target = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    >>> tversky_loss(pred, target, activation="none", alpha=1.0, beta=1.0)  # 1 - 0.5 / (0.5 + 0.5 + 0.5)
    tensor([0.6667])
    """
    m = masses_of("tversky", pred, target, ignored, activation, over, overlap)
    return settled(1 - tversky_index(m, alpha, beta, smooth, eps), m, empty, present)


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
    activation: Activation = "sigmoid",
    over: Over = "image",
    overlap: Overlap = "product",
    smooth: Smooth = 0.0,
    eps: Eps = 1e-7,
    empty: Empty = "cost",
) -> Tensor:
    """Focal Tversky loss: the Tversky loss to the power 1 / gamma.

    Args:
        gamma: the inverse of the exponent. The paper uses 4/3, out of 1 to 3.
        alpha: weight of false positives. The paper uses 0.3.
        beta: weight of false negatives. The paper uses 0.7.
        activation: of pred, see `dice_loss`.
        over: the region that one loss is for, see `dice_loss`.
        overlap: "product" or "min", see `dice_loss`.
        smooth: added to numerator and denominator.
        eps: added to the denominator.
        empty: what an empty target costs, see `dice_loss`.

    >>> pred, target = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    >>> focal_tversky_loss(pred, target, activation="none", alpha=0.5, beta=0.5, gamma=0.5)  # (1/2)^2
    tensor([0.2500])
    """
    m = masses_of("focal_tversky", pred, target, ignored, activation, over, overlap)
    missed = 1 - tversky_index(m, alpha, beta, smooth, eps, bound=of_mean)
    if of_mean:  # one number for the whole batch
        return gentle_power(settled(missed, m, empty).mean(), 1 / gamma)
    return settled(gentle_power(missed, 1 / gamma), m, empty)


def gentle_power(base: Tensor, exponent: float, floor: float = 1e-4) -> Tensor:
    """base^exponent for base >= 0, with the slope of `floor` below it, where exponents under 1 would have no bound."""
    if exponent >= 1:
        return base.relu() ** exponent
    small = base < floor
    at = base.detach()
    line = at.relu() ** exponent + (base - at) * exponent * floor ** (exponent - 1)
    return torch.where(small, line, torch.where(small, torch.ones_like(base), base) ** exponent)
