"""Lovasz losses (1705.08790): the Jaccard loss of whole masks, extended from decisions to errors of pixels."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor
from typing_extensions import Unpack

from ..catalog.declare import Effect, Source
from ..catalog.entries import register_loss
from ..catalog.ranges import Choice
from ..errors import refusal
from ..tensors import dense
from .masks import (
    MASKS,
    BackgroundOptions,
    ClassOptions,
    Over,
    activate,
    channel_weights,
    check_regions,
    chosen,
    counted,
    in_regions_of,
    of_chosen,
    regions,
    weights_of_classes,
)

LOVASZ = Source(
    "The Lovasz-Softmax loss: A tractable surrogate for the optimization of the intersection-over-union measure",
    2017,
    "https://arxiv.org/abs/1705.08790",
)
FORMULA = (
    r"\sum_k \max(m_k, 0) (J_k - J_{k-1}),\quad J_k = 1 - \frac{G - \sum_{i \le k} t_i}{G + \sum_{i \le k} (1 - t_i)}"
)


def in_regions(values: Tensor, over: str) -> Tensor:
    """The pixels of each region along the last axis."""
    if over == "batch":
        return values.flatten()
    if over == "batch_channel":
        return values.transpose(0, 1).flatten(1)
    return values.flatten(1 if over == "image" else 2)


def jaccard_steps(truth: Tensor) -> Tensor:
    """By how much the Jaccard loss grows with each pixel of (..., pixels) that is wrong, beside those before it."""
    # as one fraction, not as a difference, in which small steps would be lost
    rest = truth.sum(-1, keepdim=True) - truth.cumsum(-1)
    union = truth.sum(-1, keepdim=True) + (1 - truth).cumsum(-1)
    before = union - (1 - truth)
    step = (truth * union + rest * (1 - truth)) / (union * before).masked_fill(before == 0, 1.0)
    return step.masked_fill(before == 0, 1.0)


def extension(errors: Tensor, truth: Tensor) -> Tensor:
    """The sum over (..., pixels) of errors above 0, the largest first, times what each adds to the Jaccard loss."""
    order = torch.argsort(errors.detach(), dim=-1, descending=True, stable=True)
    return (errors.gather(-1, order).relu() * jaccard_steps(truth.gather(-1, order))).sum(-1)


@register_loss(
    "lovasz_hinge",
    kind="region",
    formula=FORMULA + r",\quad m_k = 1 - x_k (2 t_k - 1)",
    source=LOVASZ,
    traits=replace(MASKS, range=(0, math.inf)),
    holds="shares",
    use_when="You fine-tune one mask per object or class towards its IoU, after cross-entropy.",
    avoid_when="It is the only loss from the start, or pred holds probabilities: it wants logits.",
    denominator=regions,
    options=in_regions_of,
    without=("activation", "over", "overlap", "empty"),
)
def lovasz_hinge_loss(
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None = None,
    *,
    over: Over = "image",
    **options: Unpack[ClassOptions],
) -> Tensor:
    """Lovasz hinge loss: the hinge errors of logits, weighted by what each pixel adds to the Jaccard loss.

    Right pixels cost 0 from a margin of 1 on. Where the target is empty only the worst pixel counts.

    Args:
        over: the region that one loss is for, see `dice_loss`. Weights of classes are for regions of one channel.

    >>> pred, target = torch.tensor([[2.0, -0.5, 0.5]]), torch.tensor([[1.0, 1.0, 0.0]])
    >>> lovasz_hinge_loss(pred, target)  # errors 1.5, 1.5 and -1: 1.5 * 1/2 + 1.5 * (2/3 - 1/2)
    tensor([1.])
    """
    check_regions("lovasz_hinge", pred, over)
    kept = chosen("lovasz_hinge", pred, options.get("classes"), options.get("include_background", True))
    weight = channel_weights("lovasz_hinge", pred, over=over, **options)
    if weight is None and options.get("class_weight") is not None:
        came = f"class_weight with over={over!r}, whose regions hold all classes"
        raise refusal("lovasz_hinge", came, "over='channel' or 'batch_channel'", "pass that, or leave it out")
    truth = dense(pred, target)
    errors = of_chosen(counted(1 - pred * (2 * truth - 1), ignored), kept)
    loss = extension(in_regions(errors, over), in_regions(of_chosen(counted(truth, ignored), kept), over))
    return loss if weight is None else loss * weight


def of_classes(values: Tensor, over: str) -> Tensor:
    """The pixels of each class, of each image or of all, along the last axis."""
    maps = values[..., None] if values.ndim == 2 else values
    return in_regions(maps, "channel" if over == "image" else "batch_channel")


@register_loss(
    "lovasz_softmax",
    kind="region",
    formula=r"\frac{1}{C} \sum_c " + FORMULA + r",\quad m_k = |t_{kc} - p_{kc}|",
    source=LOVASZ,
    traits=replace(MASKS, range=(0, 1)),
    holds="shares",
    use_when="You fine-tune a segmentation of classes towards its mean IoU, after cross-entropy.",
    avoid_when="It is the only loss from the start, or a batch holds few of the classes.",
    options=in_regions_of,
    without=("activation", "over", "overlap", "empty", "classes"),
)
def lovasz_softmax_loss(
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None = None,
    by_count: bool = False,
    *,
    classes: Annotated[str, Choice("present", "all")] = "present",
    activation: Annotated[
        str,
        Choice("softmax", "sigmoid", "none"),
        Effect(scale="probabilities", zero_at_equality=True, when=Choice("none")),
    ] = "softmax",
    over: Annotated[str, Choice("image", "batch")] = "image",
    **options: Unpack[BackgroundOptions],
) -> Tensor:
    """Lovasz softmax loss: per class the errors of its probability, weighted by what each adds to the Jaccard loss.

    Args:
        classes: the classes of which the mean is taken: "present" in the region, or "all", where one that is not there
            costs its largest probability.
        activation: of pred, see `dice_loss`.
        over: the region that one loss is for: "image" for each image, (n,); "batch" for all of them, ().

    >>> pred, target = torch.tensor([[[0.5, 0.5], [0.5, 0.5]]]), torch.tensor([[0, 1]])
    >>> lovasz_softmax_loss(pred, target, activation="none")  # each class: errors 1/2 and 1/2, which add up to 1
    tensor([0.5000])
    """
    check_regions("lovasz_softmax", pred, over)
    kept = chosen("lovasz_softmax", pred, None, options.get("include_background", True))
    p, truth = activate("lovasz_softmax", pred, activation), counted(dense(pred, target), ignored)
    errors = of_chosen(counted((dense(pred, target) - p).abs(), ignored), kept)
    truth = of_chosen(truth, kept)
    losses = extension(of_classes(errors, over), of_classes(truth, over))
    there = torch.ones_like(losses) if classes == "all" else (of_classes(truth, over) > 0).any(-1).to(losses.dtype)
    weight = weights_of_classes("lovasz_softmax", pred, options.get("class_weight"), kept)
    count = there.sum(-1).clamp(min=1)
    if weight is None:
        return (losses * there).sum(-1) / count
    there = weight * there
    total = count if by_count else there.sum(-1)
    return (losses * there).sum(-1) / total.masked_fill(total == 0, 1)
