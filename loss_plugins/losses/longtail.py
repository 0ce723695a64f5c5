"""Losses for long-tailed classes: how much frequent classes press on rare ones follows running statistics of each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional

from ..catalog.declare import Source, State
from ..catalog.entries import register_loss
from ..catalog.ranges import Interval
from ..errors import refusal
from ..labels import along_classes, per_class
from ..tensors import class_axis, dense, fit_weight, one_hot
from .focal import Share, missed_share, picked, share
from .scores import UNEQUAL, binary_cross_entropy, scores_that_count

NumClasses = Annotated[int | None, Interval(1, 10**6)]
Factor = Annotated[float, Interval(0)]
#: what keeps the ratio of gradients finite where there are no negatives
LEAST = 1e-10
#: beyond it a probability is 0 or 1 in every precision, and its slope 0
SATURATED = 1e3
#: EQLv2's ratio of a class before it has met any gradient: its weights are 1
UNMET = 100.0


def class_count(loss: str, pred: Tensor, num_classes: int | None, background: bool = False) -> int:
    """The number of classes: as many as pred has scores, or as `num_classes` says.

    Args:
        loss: what errors call the loss.
        pred: scores.
        num_classes: the parameter of the loss; None: pred has one score for each.
        background: whether pred may have one more than there are classes.

    Raises:
        ValueError: pred has another number of scores.
    """
    columns = pred.shape[class_axis(pred)]
    if num_classes is None or columns == num_classes or (background and columns == num_classes + 1):
        return columns if num_classes is None else num_classes
    came = f"num_classes={num_classes}, and pred {tuple(pred.shape)} has {columns} scores along axis {class_axis(pred)}"
    allowed = f"{num_classes} scores" + (f", or {num_classes + 1} with that of background last" if background else "")
    raise refusal(loss, came, allowed, "set num_classes to the number of classes of the data")


# --- seesaw ----------------------------------------------------------------------------------------------------------


def label_counts(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignored: Tensor | None = None,
    *,
    num_classes: int | None = None,
    **_: Any,
) -> Tensor:
    """How many rows (of weight above 0, and not ignored) have each label, background the last."""
    classes = class_count("seesaw", pred, num_classes)
    counted = torch.ones_like(target, dtype=pred.dtype)
    if weight is not None:
        counted = counted * (fit_weight("seesaw", weight, target.shape, pred.shape) > 0)
    if ignored is not None:
        counted = counted.masked_fill(ignored.squeeze(class_axis(pred)), 0)
    return pred.new_zeros(classes + 1).scatter_add(0, target.clamp(0, classes).flatten(), counted.flatten())


def no_labels(parameters: Mapping[str, Any]) -> Tensor:
    """No row of any class, and none of background."""
    classes = parameters["num_classes"]
    return torch.zeros(0 if classes is None else classes + 1, dtype=torch.float64)


def added(value: Tensor, summary: Tensor) -> Tensor:
    """The counts and those of the batch."""
    return value + summary


def foreground_rows(
    pred: Tensor, target: Tensor, ignored: Tensor | None = None, *, num_classes: int | None = None, **_: Any
) -> Tensor:
    """How many rows are of a class: what "mean" divides by."""
    found = target < class_count("seesaw", pred, num_classes)
    if ignored is not None:
        found = found & ~ignored.squeeze(class_axis(pred))
    return found.sum().to(pred.dtype)


@register_loss(
    "seesaw",
    kind="classification",
    formula=r"\ln \left(\sum_j S_j e^{x_j}\right) - x_y,\quad S_j = m_j^p c_j^q,\quad "
    r"m_j = \min\left(1, \frac{N_j}{N_y}\right),\quad c_j = \max\left(1, \frac{s_j}{\max(s_y, \varepsilon)}\right),"
    r"\quad s = \mathrm{sg}(\mathrm{softmax}(x))",
    source=Source("Seesaw Loss for Long-Tailed Instance Segmentation", 2021, "https://arxiv.org/abs/2008.10032"),
    traits=replace(UNEQUAL, stateful=True, detached="the factors S of the other classes (2008.10032)"),
    targets=("labels",),
    denominator=foreground_rows,
    use_when="A softmax head has classes of which some are met a hundred times as often as others.",
    avoid_when="Classes are balanced: then it adds noise alone. Or a training goes on without the counts of its start.",
)
def seesaw_loss(
    pred: Tensor,
    target: Tensor,
    *,
    num_classes: NumClasses = None,
    p: Factor = 0.8,
    q: Factor = 2.0,
    eps: Annotated[float, Interval(0, 1, open_low=True)] = 0.01,
    counts: Annotated[Tensor | None, State(no_labels, no_labels, label_counts, added, sized_by="num_classes")] = None,
) -> Tensor:
    """Seesaw loss: cross-entropy of a softmax in which rows of frequent classes press less on rare ones.

    The module keeps `counts`, the number of rows of each class, which learn before use in training with gradients on.
    Rows of background cost 0, and "mean" divides by the number of the others: whether there is an object is scored
    apart, as MMDetection's heads do with two more channels.

    Args:
        target: one integer label per row, num_classes for background.
        num_classes: number of classes, without background; None: as many as pred has, from the first call on.
        p: how much less rare classes are pressed on (mitigation). The paper uses 0.8.
        q: how much more classes are pressed on that score above the true one (compensation). The paper uses 2.
        eps: a score of the true class below it counts as this much. The authors use 0.01.
        counts: (num_classes + 1,) rows met of each class and of background; None: as many of each.

    >>> seesaw_loss(torch.zeros(1, 2), torch.tensor([0]), num_classes=2, counts=torch.tensor([16.0, 1.0, 0.0]), p=0.5)
    tensor([0.2231])
    """
    classes = class_count("seesaw", pred, num_classes)
    axis, label = class_axis(pred), target.clamp(max=classes - 1)
    score = pred.detach().log_softmax(axis)
    factor = q * (score - picked(score, label).clamp(min=math.log(eps)).unsqueeze(axis)).relu()
    if counts is not None and counts.numel():
        met = counts[:-1].clamp(min=1).log().to(pred.dtype)
        rarer = per_class("seesaw", "counts", met, pred, aligned=True) - met[label].unsqueeze(axis)
        factor = factor + p * rarer.clamp(max=0)
    pressed = pred + factor.masked_fill(one_hot(label, classes, axis), 0)
    loss = functional.cross_entropy(pressed, label, reduction="none")
    return loss.masked_fill(target >= classes, 0)


# --- gradients of positives and of negatives -------------------------------------------------------------------------


def sums_by_class(pull: Tensor, target: Tensor) -> Tensor:
    """Sums over the rows of what pulls at each score: (2, C), that of positives and that of negatives.

    Args:
        pull: scores' pulls, at least 0.
        target: of that shape.
    """
    rows = [each for each in range(pull.ndim) if each != class_axis(pull)]
    sides = [pull * target, pull * (1 - target)]
    return torch.stack([side.sum(rows) if rows else side for side in sides])


def no_gradients(parameters: Mapping[str, Any]) -> Tensor:
    """No gradient of any class."""
    return torch.zeros(2, parameters["num_classes"] or 0, dtype=torch.float64)


def known_gradients(pred: Tensor, gradients: Tensor | None, classes: int) -> Tensor:
    """The sums, which may be too large for the type of pred; 0 where none are known."""
    none = gradients is None or not gradients.numel()
    return pred.new_zeros(2, classes) if none else gradients  # type: ignore[return-value]


def with_background(values: Tensor, pred: Tensor, background: float) -> Tensor:
    """Numbers per class, and one for background where pred has a score of it, the last."""
    missing = pred.shape[class_axis(pred)] - len(values)
    return torch.cat([values, values.new_full((1,), background)]) if missing == 1 else values


def ratio(gradients: Tensor, unmet: float) -> Tensor:
    """The gradients of positives over those of negatives; `unmet` for classes that have met none."""
    positive, negative = gradients.unbind()
    return torch.where(positive + negative > 0, positive / (negative + LEAST), unmet)


def added_if_finite(gradients: Tensor, summary: Tensor) -> Tensor:
    """The sums and those of the batch, unless it overflowed."""
    return torch.where(summary.isfinite().all(), gradients + summary, gradients)


# --- EQLv2 -----------------------------------------------------------------------------------------------------------


def missed_by_class(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignored: Tensor | None = None,
    *,
    num_classes: int | None = None,
    **_: Any,
) -> Tensor:
    """Sums of |p - y|, the size of cross-entropy's gradient, of scores that count (weight above 0, not ignored)."""
    classes = class_count("eqlv2", pred, num_classes, background=True)
    target, counted = dense(pred, target), scores_that_count("eqlv2", pred, weight, ignored)
    return sums_by_class((pred.sigmoid() - target).abs().masked_fill(~counted, 0), target)[:, :classes]


def of_negatives(gradients: Tensor, mu: float, gamma: float) -> Tensor:
    """The weight of negatives of each class."""
    return (gamma * (ratio(gradients, UNMET) - mu)).sigmoid()


def weighed_and_added(
    gradients: Tensor, summary: Tensor, *, mu: Factor = 0.8, gamma: Factor = 12.0, alpha: Factor = 4.0
) -> Tensor:
    """The sums after a batch, whose gradients weigh as its losses did: by the sums before it.

    Args:
        gradients: sums so far, of positives and of negatives.
        summary: sums of |p - y| of the batch.
        mu: the ratio at which negatives weigh half.
        gamma: how steep the weight rises with the ratio.
        alpha: how much more positives weigh at most.
    """
    negative = of_negatives(gradients, mu, gamma)
    return added_if_finite(gradients, torch.stack([1 + alpha * (1 - negative), negative]) * summary)


@register_loss(
    "eqlv2",
    kind="classification",
    formula=r"\left[(1 + \alpha (1 - n))\, y + n (1 - y)\right] \mathrm{BCE}(x, y),\quad "
    r"n = \frac{1}{1 + e^{-\gamma (g - \mu)}},\quad g = \frac{\sum y |p - y|}{\sum (1 - y) |p - y|}",
    source=Source(
        "Equalization Loss v2: A New Gradient Balance Approach for Long-tailed Object Detection",
        2021,
        "https://arxiv.org/abs/2012.08548",
    ),
    traits=replace(UNEQUAL, stateful=True, proper=True),
    holds="shares",
    use_when="A sigmoid head has classes of which some are met a hundred times as often as others.",
    avoid_when="Data are few: the ratio of gradients swings. For focal heads of one stage there is efl.",
)
def eqlv2_loss(
    pred: Tensor,
    target: Tensor,
    *,
    num_classes: NumClasses = None,
    mu: Factor = 0.8,
    gamma: Factor = 12.0,
    alpha: Factor = 4.0,
    gradients: Annotated[
        Tensor | None,
        State(no_gradients, no_gradients, missed_by_class, weighed_and_added, late=True, sized_by="num_classes"),
    ] = None,
) -> Tensor:
    """Equalization loss v2: cross-entropy that weighs a class by the ratio of what its positives and negatives pull.

    The module keeps `gradients`, the sums of both; they learn in training with gradients on, after use: a step is
    weighed by the steps before it. Classes that have met none weigh 1.

    Args:
        target: as of bce_with_logits. With num_classes + 1 scores per row the last one is that of background, which
            always weighs 1; the label num_classes is its positive.
        num_classes: number of classes, without background; None: as many as pred has, from the first call on.
        mu: the ratio at which negatives weigh half. The paper uses 0.8.
        gamma: how steep the weight rises with the ratio. The paper uses 12.
        alpha: how much more positives weigh at most. The paper uses 4.
        gradients: (2, num_classes) sums of positives and of negatives; None: none met.

    >>> met = torch.tensor([[0.8], [1.0]])  # a ratio of mu: negatives weigh 1/2, positives 1 + 4/2
    >>> eqlv2_loss(torch.zeros(2, 1), torch.tensor([[1.0], [0.0]]), num_classes=1, gradients=met)  # 3 ln 2, ln(2) / 2
    tensor([[2.0794],
            [0.3466]])
    """
    classes = class_count("eqlv2", pred, num_classes, background=True)
    target, known = dense(pred, target), known_gradients(pred, gradients, classes)
    negative = with_background(of_negatives(known, mu, gamma).to(pred.dtype), pred, 1.0)
    negative = per_class("eqlv2", "gradients", negative, pred, aligned=True)
    weight = (1 + alpha * (1 - negative)) * target + negative * (1 - target)
    return weight * binary_cross_entropy(pred, target, activated=False)


# --- EFL -------------------------------------------------------------------------------------------------------------


def gradients_by_class(
    pred: Tensor, target: Tensor, weight: Tensor | None, *, num_classes: int | None = None, **_: Any
) -> Tensor:
    """Sums of the gradient that has reached the logits of classes, which comes in place of pred."""
    classes = class_count("efl", pred, num_classes, background=True)
    return sums_by_class(pred.abs(), dense(pred, target))[:, :classes]


@register_loss(
    "efl",
    kind="classification",
    formula=r"-\alpha_t \frac{f}{\gamma} (1 - p_t)^f \ln p_t,\quad f = \gamma + s \left(1 - \min(1, g)\right),\quad "
    r"g = \frac{\sum y |L'|}{\sum (1 - y) |L'|}",
    source=Source(
        "Equalized Focal Loss for Dense Long-Tailed Object Detection", 2022, "https://arxiv.org/abs/2201.02593"
    ),
    traits=replace(UNEQUAL, stateful=True, proper=False),
    holds="shares",
    use_when="A dense head with focal loss has classes of which some are met a hundred times as often as others.",
    avoid_when="No gradient reaches the logits by autograd, or its scale changes from step to step: take eqlv2.",
)
def efl_loss(
    pred: Tensor,
    target: Tensor,
    *,
    num_classes: NumClasses = None,
    gamma: Annotated[float, Interval(0, open_low=True)] = 2.0,
    alpha: Share = 0.25,
    scale: Factor = 8.0,
    gradients: Annotated[
        Tensor | None,
        State(
            no_gradients, no_gradients, gradients_by_class, added_if_finite, of_gradient=True, sized_by="num_classes"
        ),
    ] = None,
) -> Tensor:
    """Equalized focal loss: focal loss whose exponent is larger for classes that negatives pull at more than positives.

    The module keeps `gradients`, the sums of both pulls, and learns them in the backward pass of training, from the
    gradient that reaches its prediction: with weights, reduction and gradient scaling in it.

    Args:
        target: as of bce_with_logits. With num_classes + 1 scores per row the last one is that of background, whose
            exponent is always gamma; the label num_classes is its positive.
        num_classes: number of classes, without background; None: as many as pred has, from the first call on, which
            `torch.compile(fullgraph=True)` cannot trace.
        gamma: exponent of balanced classes. The paper uses 2.
        alpha: weight of positives, 1 - alpha for negatives, one number or one per class; None for no weight. The paper
            uses 0.25.
        scale: how much larger the exponent of a class is that has no positives. The paper uses 8.
        gradients: (2, num_classes) sums of positives and of negatives; None: none met, the focal loss.

    >>> met = torch.tensor([[1.0], [2.0]])  # a ratio of 1/2: with scale=4 the exponent is 4
    >>> efl_loss(torch.zeros(1, 1), torch.ones(1, 1), num_classes=1, scale=4.0, gradients=met)  # ln(2) / 4 * 2 / 2^4
    tensor([[0.0217]])
    """
    classes = class_count("efl", pred, num_classes, background=True)
    known, target = known_gradients(pred, gradients, classes), dense(pred, target)
    missed = missed_share(pred.clamp(-SATURATED, SATURATED).sigmoid(), target)
    lacking = with_background(1 - ratio(known, 1.0).clamp(max=1).to(pred.dtype), pred, 0.0)
    focus = gamma + scale * per_class("efl", "gradients", lacking, pred, aligned=True)
    none = missed <= 0
    power = torch.where(none, torch.zeros_like(missed), torch.where(none, torch.ones_like(missed), missed) ** focus)
    (balance,) = along_classes("efl", pred, alpha=alpha)
    return share(target, balance) * focus / gamma * power * binary_cross_entropy(pred, target, activated=False)
