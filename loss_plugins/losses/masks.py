"""Masks as regions: what a region is, its masses, which classes count in it, and how much."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple, TypedDict

import torch
from torch import Tensor

from ..catalog.declare import Effect, Traits
from ..catalog.ranges import Choice, Integers, Interval, PerClass
from ..errors import refusal
from ..labels import per_class
from ..tensors import class_axis, dense

Activation = Annotated[
    str,
    Choice("sigmoid", "softmax", "none"),
    Effect(scale="probabilities", zero_at_equality=True, when=Choice("none")),
]
Over = Annotated[str, Choice("image", "batch", "channel", "batch_channel")]
Overlap = Annotated[str, Choice("product", "min")]
Classes = Annotated[int | Sequence[int] | None, Integers()]
Background = Annotated[bool, Choice(True, False)]
ClassWeight = Sequence[float] | Tensor | float | None
Empty = Annotated[str, Choice("cost", "zero", "skip")]
Smooth = Annotated[float, Interval(0)]
Eps = Annotated[float, Interval(0)]

#: the least that a denominator is: less than any sum, more than 0
LEAST = 1e-30

MASKS = Traits(range=(0, 1), translation_invariant=False, zero_at_equality=False, gradient_when_disjoint=False)


class BackgroundOptions(TypedDict, total=False):
    """Keywords that all losses of regions share; `in_regions_of` holds their defaults, ranges and meaning."""

    include_background: bool
    class_weight: ClassWeight


class ClassOptions(BackgroundOptions, total=False):
    """Likewise, with the choice of several classes."""

    classes: int | Sequence[int] | None


class PooledOptions(ClassOptions, total=False):
    """Keywords of losses that are made of the masses of regions of all classes."""

    activation: str
    overlap: str
    empty: str


class RegionOptions(PooledOptions, total=False):
    """Likewise, of any regions."""

    over: str


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


def chosen(where: str, pred: Tensor, classes: int | Sequence[int] | None, include_background: bool) -> list[int] | None:
    """Which classes of pred count; None: all of them.

    Raises:
        ValueError: one that pred does not have, none at all, or a choice of classes where there is no class axis.
    """
    if classes is None and include_background:
        return None
    count = pred.shape[1] if pred.ndim > 2 else 0
    asked = range(count) if classes is None else [classes] if isinstance(classes, int) else classes
    kept = [each for each in asked if each or include_background]
    wrong = [each for each in kept if not 0 <= each < count]
    if wrong or not kept:
        said = [] if classes is None else [f"classes={classes!r}"]
        said += [] if include_background else ["include_background=False"]
        came = f"{', '.join(said)} of pred {tuple(pred.shape)}"
        allowed = f"one class at least, of [0, {count})" if count else "pred of shape (n, C, ...)"
        raise refusal(where, came, allowed, "name classes that pred has, or leave it out for all")
    return kept


def of_chosen(values: Tensor, kept: list[int] | None) -> Tensor:
    """The classes that count, of what has them on axis 1, or one entry for all of them."""
    return values if kept is None or values.shape[1] == 1 else taken(values, kept, axis=1)


def taken(values: Tensor, kept: list[int], axis: int) -> Tensor:
    """Some entries along an axis; by the list itself it would make the host wait for a GPU."""
    first = kept[0]
    if kept == list(range(first, first + len(kept))):
        return values.narrow(axis, first, len(kept))
    return torch.stack([values.select(axis, each) for each in kept], axis)


def weights_of_classes(
    where: str, pred: Tensor, class_weight: ClassWeight, kept: list[int] | None, behind: int = 0
) -> Tensor | None:
    """The weights of the classes that count, with so many axes behind that of the classes; None: none were given.

    Raises:
        ValueError: not as many as classes, or pred has no class axis.
    """
    if class_weight is None:
        return None
    if pred.ndim < 3:
        came = f"class_weight for pred of shape {tuple(pred.shape)}"
        remedy = "add the axes (pred[:, None] for one class), or leave it out"
        raise refusal(where, came, "pred of shape (n, C, ...), whose classes they weigh", remedy)
    numbers = per_class(where, "class_weight", class_weight, pred, aligned=False).expand(pred.shape[1])
    return (numbers if kept is None else taken(numbers, kept, axis=0)).reshape(-1, *(1,) * behind)


def masses_of(
    where: str,
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None,
    squared: bool = False,
    *,
    activation: str = "sigmoid",
    over: str = "image",
    overlap: str = "product",
    classes: int | Sequence[int] | None = None,
    include_background: bool = True,
    class_weight: ClassWeight = None,
    **_: Any,
) -> Masses:
    """Overlap and masses of prediction and target per region; where a region holds all classes, each has its weight."""
    check_regions(where, pred, over)
    kept = chosen(where, pred, classes, include_background)
    p = of_chosen(counted(activate(where, pred, activation), ignored), kept)
    t = of_chosen(counted(dense(pred, target), ignored), kept)
    shared = p * t if overlap == "product" else torch.minimum(p, t)
    exponent = 2 if squared else 1
    parts = [shared, p**exponent, t**exponent]
    weight = weights_of_classes(where, pred, class_weight, kept, behind=pred.ndim - 2)
    if weight is not None and "channel" not in over:
        parts, t = [weight * part for part in parts], weight * t
    overlapped, predicted, wanted = (total(part, over) for part in parts)
    return Masses(overlapped, predicted, wanted, total(t, over) == 0, pred.shape[0])


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


def in_regions_of(
    where: str,
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None,
    loss: Callable[[Masses], Tensor],
    squared: bool = False,
    present: bool = False,
    *,
    activation: Activation = "sigmoid",
    over: Over = "image",
    overlap: Overlap = "product",
    empty: Empty = "cost",
    classes: Classes = None,
    include_background: Background = True,
    class_weight: Annotated[ClassWeight, PerClass(Interval(0), single=True), Effect(range=(0, math.inf))] = None,
) -> Tensor:
    """A loss of the masses of each region.

    Args:
        where: what errors call the loss.
        pred: predictions.
        target: targets.
        ignored: what is left out.
        loss: of the masses.
        squared: of the squares of prediction and target.
        present: see `settled`.
        activation: "sigmoid" or "softmax" (over axis 1) of pred; "none" if pred holds probabilities.
        over: the region that one loss is for: "image" for each image, (n,); "batch" for all of them, (); "channel" for
            each channel of each image, (n, C); "batch_channel" for each channel of the batch, (C,).
        overlap: "product" for p t; "min" for min(p, t), by which a perfect soft prediction costs 0.
        empty: what an empty target costs: "cost" by the formula; "zero" nothing; "skip" nothing, and "mean" leaves it
            out.
        classes: the classes that count, one or several; None for all. The softmax is over all of them.
        include_background: whether class 0 counts.
        class_weight: one number, or one per class of pred: weight of the loss of a channel, where "mean" divides by the
            weights; in regions of all classes, of the pixels of a class.
    """
    options: dict[str, Any] = {"over": over, "classes": classes, "include_background": include_background}
    options["class_weight"] = class_weight
    m = masses_of(where, pred, target, ignored, squared, activation=activation, overlap=overlap, **options)
    found = settled(loss(m), m, empty, present)
    weight = channel_weights(where, pred, **options)
    return found if weight is None else found * weight


def channel_weights(
    where: str,
    pred: Tensor,
    *,
    over: str = "image",
    classes: int | Sequence[int] | None = None,
    include_background: bool = True,
    class_weight: ClassWeight = None,
    **_: Any,
) -> Tensor | None:
    """The weights of the channels that one loss each is for; None: there are none, or regions of all classes."""
    if class_weight is None or "channel" not in over:
        return None
    return weights_of_classes(where, pred, class_weight, chosen(where, pred, classes, include_background))


def regions(
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None = None,
    *,
    over: str = "image",
    empty: str = "cost",
    present: bool = False,
    of_mean: bool = False,
    classes: int | Sequence[int] | None = None,
    include_background: bool = True,
    class_weight: ClassWeight = None,
    **_: Any,
) -> Tensor:
    """How many regions the mean counts: all, or with empty="skip" those with a target; channels by their weights.

    With `present`, a mean over the channels that are there in each image comes before that over the images: one
    divisor per image. With `of_mean` the loss is one number.
    """
    if of_mean:
        return pred.new_ones(())
    options: dict[str, Any] = {"classes": classes, "include_background": include_background}
    kept = chosen("loss", pred, **options)
    wanted = of_chosen(counted(dense(pred, target), ignored), kept)
    weight = None if "channel" in over else weights_of_classes("loss", pred, class_weight, kept, behind=pred.ndim - 2)
    hollow = total(wanted if weight is None else weight * wanted, over) == 0
    each = channel_weights("loss", pred, over=over, class_weight=class_weight, **options)
    counts = torch.ones_like(hollow, dtype=pred.dtype) * (1.0 if each is None else each)
    if present and over == "channel":
        there = (counts * ~hollow).sum(1, keepdim=True)
        return len(pred) * torch.where(there > 0, there, counts.sum(1, keepdim=True))
    return (torch.where(hollow, float(empty != "skip"), 1.0) * counts).sum()
