"""PyTorch's own losses on class scores: logits in, unless a loss says that it takes probabilities.

Classes lie on axis 1 of rows (n, C) and of maps (n, C, ...). The targets of sigmoid losses are scores of pred's shape,
or integer labels in [0, C], where C means background; those of softmax losses are labels in [0, C). What else holds for
labels is written in `labels`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import Unpack

from ..catalog.conventions import Dialect
from ..catalog.declare import Effect, Source
from ..catalog.entries import register_loss
from ..catalog.ranges import Choice, Interval, PerClass
from ..labels import check_shares, per_class
from ..tensors import class_axis, dense
from .scores import SCORES, UNEQUAL, binary_cross_entropy, row_count

DOCS = "https://pytorch.org/docs/stable/generated/torch.nn."
ClassWeight = Annotated[Sequence[float] | Tensor | float | None, PerClass(Interval(0), single=True)]


def class_weights(loss: str, class_weight: Sequence[float] | Tensor | float | None, pred: Tensor) -> Tensor | None:
    """The parameter `class_weight` as torch's losses take it, one number per class."""
    if class_weight is None:
        return None
    return per_class(loss, "class_weight", class_weight, pred, aligned=False).expand(pred.shape[class_axis(pred)])


@register_loss(
    "bce",
    kind="classification",
    formula=r"-\left[y \ln p + (1 - y) \ln(1 - p)\right]",
    source=Source("Binary cross-entropy", None, DOCS + "BCELoss.html"),
    traits=replace(SCORES, scale="probabilities", proper=True),
    holds="shares",
    use_when="Scores are probabilities already, because another part of the model must see them so.",
    avoid_when="You have logits: bce_with_logits is exact where probabilities round to 0 or 1.",
)
def bce_loss(pred: Tensor, target: Tensor, bounded_slope: bool = True, **_: Unpack[Dialect]) -> Tensor:
    """Binary cross-entropy of probabilities, at most 100 per score.

    Ours has a slope of at most 5e3. That of torch reaches 1e12, and is 0 for a probability that has rounded to 0; it
    also refuses scores outside of [0, 1], which are read on the CPU in eager mode alone. Ours does not read them: give
    logits to `bce_with_logits`.

    >>> bce_loss(torch.tensor([[0.5, 0.0]]), torch.tensor([[1.0, 1.0]]))  # ln 2, and 100 for ln 0
    tensor([[  0.6931, 100.0000]])
    """
    if bounded_slope:
        return binary_cross_entropy(pred, dense(pred, target), activated=True)
    target = dense(pred, target)
    check_shares("bce", "pred", pred, "pass pred.sigmoid(), or take bce_with_logits if pred is logits")
    check_shares("bce", "target", target, "pass masks as (target > 0).float()")
    with torch.autocast(pred.device.type, enabled=False):  # which refuses it, but pred is float32 by now
        return functional.binary_cross_entropy(pred, target, reduction="none")


@register_loss(
    "bce_with_logits",
    kind="classification",
    formula=r"(1 - y) x + (1 + (w_+ - 1) y) \ln(1 + e^{-x})",
    source=Source("Binary cross-entropy on logits", None, DOCS + "BCEWithLogitsLoss.html"),
    traits=replace(UNEQUAL, proper=True),
    holds="shares",
    use_when="Several classes may be true at once, or targets are soft: the default of today's YOLO models.",
    avoid_when="Negatives outnumber positives a thousandfold and nothing balances them: see focal or quality_focal.",
)
def bce_with_logits_loss(
    pred: Tensor,
    target: Tensor,
    *,
    pos_weight: Annotated[float | Sequence[float] | Tensor | None, PerClass(Interval(0), single=True)] = None,
) -> Tensor:
    """Binary cross-entropy of logits.

    Args:
        pos_weight: factor on the part of the positives: one number, or one per class.

    >>> bce_with_logits_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([0]), pos_weight=2.0)  # 2 ln 2, ln 2
    tensor([[1.3863, 0.6931]])
    """
    factor = None
    if pos_weight is not None:
        factor = per_class("bce_with_logits", "pos_weight", pos_weight, pred, aligned=True)
    return functional.binary_cross_entropy_with_logits(pred, dense(pred, target), reduction="none", pos_weight=factor)


def class_weights_met(
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None = None,
    *,
    class_weight: Sequence[float] | Tensor | float | None = None,
    **_: Any,
) -> Tensor:
    """The sum of the class weights of the labels that count: what torch's mean divides by."""
    if target.shape == pred.shape:
        return row_count(pred, target)
    weights = class_weights("cross_entropy", class_weight, pred)
    if weights is None:
        return row_count(pred, target, ignored)
    met = weights[target]
    return met.sum() if ignored is None else met.masked_fill(ignored.view_as(met), 0).sum()


@register_loss(
    "cross_entropy",
    kind="classification",
    formula=r"-w_y \ln \mathrm{softmax}(x)_y",
    source=Source("Cross-entropy", None, DOCS + "CrossEntropyLoss.html"),
    traits=replace(UNEQUAL, proper=True),
    targets=("class_map", "dense"),
    holds="shares",
    denominator=class_weights_met,
    use_when="Exactly one class is true per row, background being one of them.",
    avoid_when="pred has been through softmax already: a second one flattens it; and not for several true classes.",
)
def cross_entropy_loss(
    pred: Tensor,
    target: Tensor,
    *,
    class_weight: ClassWeight = None,
    label_smoothing: Annotated[float, Interval(0, 1)] = 0.0,
) -> Tensor:
    """Cross-entropy of the softmax of logits. "mean" divides by the class weights of the labels met, as torch's.

    Args:
        class_weight: weight of the rows of a class: one number, or one per class.
        label_smoothing: share of the target that is spread over all classes.

    >>> cross_entropy_loss(torch.tensor([[0.0, 0.0], [0.0, 10.0]]), torch.tensor([0, 0]))  # ln 2, ln(1 + e^10)
    tensor([ 0.6931, 10.0000])
    """
    weight = class_weights("cross_entropy", class_weight, pred)
    target = dense(pred, target) if target.shape == pred.shape else target
    return functional.cross_entropy(pred, target, weight, label_smoothing=label_smoothing, reduction="none")


@register_loss(
    "nll",
    kind="classification",
    formula=r"-w_y\, \ell_y",
    source=Source("Negative log-likelihood", None, DOCS + "NLLLoss.html"),
    traits=replace(SCORES, scale="log_probabilities", proper=True),
    targets=("class_map",),
    denominator=class_weights_met,
    use_when="pred is log-probabilities already, for instance an average over models.",
    avoid_when="pred is logits or probabilities: nothing is normalised here.",
)
def nll_loss(pred: Tensor, target: Tensor, *, class_weight: ClassWeight = None) -> Tensor:
    """Negative log-likelihood of log-probabilities. "mean" divides by the class weights of the labels met, as torch's.

    Args:
        class_weight: weight of the rows of a class: one number, or one per class.

    >>> nll_loss(torch.tensor([[0.25, 0.75]]).log(), torch.tensor([0]))  # ln 4
    tensor([1.3863])
    """
    return functional.nll_loss(pred, target, class_weights("nll", class_weight, pred), reduction="none")


@register_loss(
    "kl_div",
    kind="classification",
    formula=r"p (\ln p - \ell)",
    source=Source("On Information and Sufficiency", 1951, DOCS + "KLDivLoss.html"),
    traits=replace(SCORES, range=(-math.inf, math.inf), scale="log_probabilities", proper=True),
    targets=("dense",),
    holds="shares",
    denominator=row_count,
    use_when="A teacher's distribution should be matched, as in distillation.",
    avoid_when="You need torch's 'mean': that divides by all elements, ours by rows, which is the divergence itself.",
)
def kl_div_loss(
    pred: Tensor, target: Tensor, *, log_target: Annotated[bool, Choice(False, True), Effect(holds=None)] = False
) -> Tensor:
    """Terms of the Kullback-Leibler divergence of pred from target. Of rows, "mean" is torch's "batchmean".

    The sum of the terms over the classes is the divergence of the row; a term alone may be negative.

    Args:
        target: probabilities of the shape of pred, or log-probabilities if `log_target`.
        log_target: whether the target holds log-probabilities.

    >>> kl_div_loss(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[1.0, 0.0]]))  # ln 2
    tensor([[0.6931, 0.0000]])
    """
    target = dense(pred, target)
    if log_target:
        return target.exp() * (target - pred)
    return torch.xlogy(target, target) - target * pred


@register_loss(
    "margin_ranking",
    kind="classification",
    formula=r"\max(0, -y (x_1 - x_2) + m)",
    source=Source("Margin ranking", None, DOCS + "MarginRankingLoss.html"),
    traits=replace(SCORES, scale="ranks"),
    targets=("input_sign",),
    holds="signs",
    use_when="Only the order of two scores matters, for instance of a good and a poor box of one object.",
    avoid_when="Scores are read as probabilities: nothing fixes their level.",
)
def margin_ranking_loss(
    pred: Tensor, target: tuple[Tensor, Tensor], *, margin: Annotated[float, Interval()] = 0.0
) -> Tensor:
    """Cost of two scores in the wrong order: by how much, plus the margin.

    Args:
        pred: (...) first scores.
        target: a tuple (second scores, y), both of the shape of pred; y is 1 where the first score should be the
            larger one, else -1.
        margin: by how much it should be larger.

    Returns:
        (...) one loss per pair of scores, from 0 on, in float32 at least.

    >>> margin_ranking_loss(torch.tensor([1.0]), (torch.tensor([3.0]), torch.tensor([1.0])))  # 3 - 1
    tensor([2.])
    """
    second, sign = target
    return (margin - sign.to(pred.dtype) * (pred - second)).relu()


@register_loss(
    "hinge_embedding",
    kind="classification",
    formula=r"\begin{cases} x & y = 1 \\ \max(0, m - x) & y = -1 \end{cases}",
    source=Source("Hinge embedding", None, DOCS + "HingeEmbeddingLoss.html"),
    traits=replace(UNEQUAL, range=(-math.inf, math.inf), scale="distances"),
    targets=("dense",),
    holds="signs",
    use_when="x is a distance between two embeddings that are alike (y = 1) or not (y = -1).",
    avoid_when="x is a score: more of it is punished where y is 1.",
)
def hinge_embedding_loss(pred: Tensor, target: Tensor, *, margin: Annotated[float, Interval()] = 1.0) -> Tensor:
    """Distance of pairs that are alike, and what pairs that are not lack to the margin.

    Args:
        pred: (...) distances.
        target: (...) 1 for pairs that are alike, -1 for pairs that are not.
        margin: distance from which pairs that are not alike cost nothing.

    Returns:
        (...) one loss per pair, in float32 at least.

    >>> hinge_embedding_loss(torch.tensor([0.25, 0.25]), torch.tensor([1.0, -1.0]))  # 0.25, 1 - 0.25
    tensor([0.2500, 0.7500])
    """
    return torch.where(target == 1, pred, (margin - pred).relu())
