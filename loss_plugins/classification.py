"""Losses on class scores: logits in, unless a loss says that it takes probabilities.

Sigmoid losses have their classes on the last axis, any number of axes before it. Their targets are scores of the same
shape, or integer labels one axis shorter, where a label that is no class (C, or negative) means background.
Softmax losses follow torch: classes on axis 1, or on the only axis.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional

from .boxes import safe_power
from .catalog import Source, State, Traits, register_loss
from .checks import Choice, Interval, PerClass, softmax_axis
from .targets import dense, one_hot

Exponent = Annotated[float, Interval(0, 10)]
Share = Annotated[float | None, Interval(0, 1)]
ClassWeight = Annotated[Sequence[float] | Tensor | None, PerClass(Interval(0))]
Activated = Annotated[bool, Choice(False, True)]
LabelScore = Tensor | tuple[Tensor, Tensor]

FOCAL = Source("Focal Loss for Dense Object Detection", 2017, "https://arxiv.org/abs/1708.02002")
GENERALIZED_FOCAL = Source(
    "Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes for Dense Object Detection",
    2020,
    "https://arxiv.org/abs/2006.04388",
)
POLY = Source(
    "PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions",
    2022,
    "https://arxiv.org/abs/2204.12511",
)
ASYMMETRIC = Source("Asymmetric Loss For Multi-Label Classification", 2020, "https://arxiv.org/abs/2009.14119")
DOCS = "https://pytorch.org/docs/stable/generated/torch.nn."
#: probabilities below it do not steepen a logarithm any more: gradients stay below 5e3
SLOPE_FLOOR = 2e-4
#: the traits of a loss on scores: there are no boxes to scale or shift
SCORES = Traits(scale_invariant=False, translation_invariant=False)
UNEQUAL = Traits(scale_invariant=False, translation_invariant=False, zero_at_equality=False)


# --- shared parts -----------------------------------------------------------------------------------------------


def label_and_score(pred: Tensor, target: LabelScore) -> tuple[Tensor, Tensor]:
    """Which classes are positive, and with what quality, both in pred's shape."""
    if isinstance(target, Tensor):
        score = dense(pred, target)
        return (score > 0).to(pred.dtype), score
    label = dense(pred, target[0])
    score = target[1] if target[1].shape == pred.shape else target[1].unsqueeze(-1)
    return label, label * score if target[1].shape != pred.shape else score.to(pred.dtype)


def bounded_log(x: Tensor, offset: float = 0.0, floor: float = SLOPE_FLOOR) -> Tensor:
    """ln x, at least -100 as in torch, with a slope of at most 1 / floor."""
    small = x < floor
    inside = torch.where(small, torch.ones_like(x), x)
    at = x.detach()
    line = (at.clamp(min=0) + offset).log().clamp(min=-100) + (x - at) / floor
    return torch.where(small, line, (inside + offset).log())


def binary_cross_entropy(pred: Tensor, target: Tensor, activated: bool) -> Tensor:
    """Of logits, or of probabilities."""
    if not activated:
        return functional.binary_cross_entropy_with_logits(pred, target, reduction="none")
    return -(target * bounded_log(pred) + (1 - target) * bounded_log(1 - pred))


def per_class(values: Sequence[float] | Tensor | float, pred: Tensor) -> Tensor:
    """Numbers per class on pred's device, in its dtype."""
    if isinstance(values, Tensor):
        return values.to(pred)
    return torch.tensor(values, dtype=pred.dtype, device=pred.device)


def share(target: Tensor, alpha: float | None) -> Tensor | float:
    """alpha for positives, 1 - alpha for negatives, in between for soft targets."""
    return 1.0 if alpha is None else alpha * target + (1 - alpha) * (1 - target)


def picked(values: Tensor, labels: Tensor) -> Tensor:
    """The value of each row's label; rows with a label that is no class take some class's, for others to mask."""
    axis = softmax_axis(values)
    index = labels.clamp(0, values.shape[axis] - 1).unsqueeze(axis)
    return values.gather(axis, index).squeeze(axis)


def samples(pred: Tensor, target: Any, **_: Any) -> Tensor:
    """How many rows there are: what losses that sum over classes divide by."""
    return torch.tensor(float(max(pred.shape[:-1].numel(), 1)), dtype=pred.dtype, device=pred.device)


# --- torch's own ------------------------------------------------------------------------------------------------


@register_loss(
    "bce",
    kind="classification",
    formula=r"-\left[y \ln p + (1 - y) \ln(1 - p)\right]",
    source=Source("Binary cross-entropy", None, DOCS + "BCELoss.html"),
    traits=SCORES,
    use_when="Scores are probabilities already, because another part of the model must see them so.",
    avoid_when="You have logits: bce_with_logits is exact where probabilities round to 0 or 1.",
)
def bce_loss(pred: Tensor, target: Tensor, *, dialect: str | None = None) -> Tensor:
    """Binary cross-entropy of probabilities.

    Args:
        pred: (..., C) probabilities in [0, 1].
        target: (..., C) scores in [0, 1], or (...) integer labels, C or negative for background.
        dialect: None: the slope is at most 5e3; "torch": at most 1e12, and 0 where it should be 1.

    Returns:
        (..., C) loss per score, at most 100, float32 at least.

    Raises:
        ValueError: shapes that do not go together; an unknown dialect.
        TypeError: integer predictions; an unknown parameter.

    >>> bce_loss(torch.tensor([[0.5, 0.0]]), torch.tensor([[1.0, 1.0]]))
    tensor([[  0.6931, 100.0000]])
    """
    if dialect is None:
        return binary_cross_entropy(pred, dense(pred, target), activated=True)
    with torch.autocast(pred.device.type, enabled=False):  # which refuses it, but pred is float32 by now
        return functional.binary_cross_entropy(pred, dense(pred, target), reduction="none")


@register_loss(
    "bce_with_logits",
    kind="classification",
    formula=r"(1 - y) x + (1 + (w_+ - 1) y) \ln(1 + e^{-x})",
    source=Source("Binary cross-entropy on logits", None, DOCS + "BCEWithLogitsLoss.html"),
    traits=UNEQUAL,
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
        pred: (..., C) logits.
        target: (..., C) scores in [0, 1], or (...) integer labels, C or negative for background.
        pos_weight: factor on the positive part, at least 0: one number, or one per class.

    Returns:
        (..., C) loss per logit, float32 at least.

    Raises:
        ValueError: shapes that do not go together; a negative pos_weight.
        TypeError: integer predictions; an unknown parameter.

    >>> bce_with_logits_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([0]), pos_weight=2.0)
    tensor([[1.3863, 0.6931]])
    """
    factor = None if pos_weight is None else per_class(pos_weight, pred)
    return functional.binary_cross_entropy_with_logits(pred, dense(pred, target), reduction="none", pos_weight=factor)


def class_weights_met(
    pred: Tensor,
    target: Tensor,
    *,
    class_weight: Sequence[float] | Tensor | None = None,
    ignore_index: int = -100,
    **_: Any,
) -> Tensor:
    """The sum of the class weights of the labels that count: what torch's mean divides by."""
    if target.shape == pred.shape:
        return torch.tensor(float(max(pred.numel() // pred.shape[softmax_axis(pred)], 1)), device=pred.device)
    counted = (target != ignore_index).to(pred.dtype)
    if class_weight is None:
        return counted.sum()
    weights = per_class(class_weight, pred)
    return (counted * weights[target.clamp(0, len(weights) - 1)]).sum()


@register_loss(
    "cross_entropy",
    kind="classification",
    formula=r"-w_y \ln \mathrm{softmax}(x)_y",
    source=Source("Cross-entropy", None, DOCS + "CrossEntropyLoss.html"),
    traits=UNEQUAL,
    targets=("class_map", "dense"),
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
    ignore_index: int = -100,
) -> Tensor:
    """Cross-entropy of the softmax of logits. "mean" divides by the class weights of the labels met, as torch's.

    Args:
        pred: (n, C) or (n, C, ...) logits.
        target: (n) or (n, ...) integer labels, or probabilities of pred's shape.
        class_weight: one weight per class, at least 0.
        label_smoothing: share of the target spread over all classes, in [0, 1].
        ignore_index: rows with this label cost 0 and do not count.

    Returns:
        (n) or (n, ...) loss per row, float32 at least.

    Raises:
        ValueError: shapes that do not go together; a parameter out of range.
        TypeError: integer predictions; an unknown parameter.

    >>> cross_entropy_loss(torch.tensor([[0.0, 0.0], [0.0, 10.0]]), torch.tensor([0, 0]))
    tensor([ 0.6931, 10.0000])
    """
    weight = None if class_weight is None else per_class(class_weight, pred)
    return functional.cross_entropy(
        pred,
        target,
        weight=weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction="none",
    )


@register_loss(
    "nll",
    kind="classification",
    formula=r"-w_y\, \ell_y",
    source=Source("Negative log-likelihood", None, DOCS + "NLLLoss.html"),
    traits=SCORES,
    targets=("class_map",),
    denominator=class_weights_met,
    use_when="pred is log-probabilities already, for instance an average over models.",
    avoid_when="pred is logits or probabilities: nothing is normalised here.",
)
def nll_loss(pred: Tensor, target: Tensor, *, class_weight: ClassWeight = None, ignore_index: int = -100) -> Tensor:
    """Negative log-likelihood of log-probabilities. "mean" divides by the class weights of the labels met.

    Args:
        pred: (n, C) or (n, C, ...) log-probabilities.
        target: (n) or (n, ...) integer labels.
        class_weight: one weight per class, at least 0.
        ignore_index: rows with this label cost 0 and do not count.

    Returns:
        (n) or (n, ...) loss per row, float32 at least.

    Raises:
        ValueError: shapes that do not go together; a parameter out of range.
        TypeError: integer predictions; an unknown parameter.

    >>> nll_loss(torch.tensor([[0.25, 0.75]]).log(), torch.tensor([0]))
    tensor([1.3863])
    """
    weight = None if class_weight is None else per_class(class_weight, pred)
    return functional.nll_loss(pred, target, weight=weight, ignore_index=ignore_index, reduction="none")


@register_loss(
    "kl_div",
    kind="classification",
    formula=r"p (\ln p - \ell)",
    source=Source("On Information and Sufficiency", 1951, DOCS + "KLDivLoss.html"),
    traits=Traits(range=(-math.inf, math.inf), translation_invariant=False),
    targets=("dense",),
    denominator=samples,
    use_when="A teacher's distribution should be matched, as in distillation.",
    avoid_when="You need torch's 'mean': that divides by all elements, ours by rows, which is the divergence itself.",
)
def kl_div_loss(pred: Tensor, target: Tensor, *, log_target: Annotated[bool, Choice(False, True)] = False) -> Tensor:
    """Terms of the Kullback-Leibler divergence of pred from target; "mean" is torch's "batchmean".

    Args:
        pred: (..., C) log-probabilities.
        target: (..., C) probabilities, or log-probabilities if `log_target`.
        log_target: what target holds.

    Returns:
        (..., C) terms, of either sign, float32 at least; their sum over C is the divergence of the row.

    Raises:
        ValueError: shapes that differ.
        TypeError: integer predictions; an unknown parameter.

    >>> kl_div_loss(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[1.0, 0.0]]))  # ln 2
    tensor([[0.6931, 0.0000]])
    """
    if log_target:
        return target.exp() * (target - pred)
    return torch.xlogy(target, target) - target * pred


@register_loss(
    "margin_ranking",
    kind="classification",
    formula=r"\max(0, -y (x_1 - x_2) + m)",
    source=Source("Margin ranking", None, DOCS + "MarginRankingLoss.html"),
    traits=SCORES,
    targets=("input_sign",),
    use_when="Only the order of two scores matters, for instance of a good and a poor box of one object.",
    avoid_when="Scores are read as probabilities: nothing fixes their level.",
)
def margin_ranking_loss(
    pred: Tensor, target: tuple[Tensor, Tensor], *, margin: Annotated[float, Interval()] = 0.0
) -> Tensor:
    """Cost of two scores in the wrong order.

    Args:
        pred: (...) first scores.
        target: (second scores, y), both of pred's shape; y is 1 where the first should be larger, else -1.
        margin: by how much it should be larger.

    Returns:
        (...) loss per pair, float32 at least.

    Raises:
        ValueError: shapes that differ, or a target that is no tuple of two.
        TypeError: integer predictions; an unknown parameter.

    >>> margin_ranking_loss(torch.tensor([1.0]), (torch.tensor([3.0]), torch.tensor([1.0])))
    tensor([2.])
    """
    second, sign = target
    return (margin - sign.to(pred.dtype) * (pred - second)).relu()


@register_loss(
    "hinge_embedding",
    kind="classification",
    formula=r"\begin{cases} x & y = 1 \\ \max(0, m - x) & y = -1 \end{cases}",
    source=Source("Hinge embedding", None, DOCS + "HingeEmbeddingLoss.html"),
    traits=Traits(range=(-math.inf, math.inf), translation_invariant=False, zero_at_equality=False),
    targets=("dense",),
    use_when="x is a distance between two embeddings that are alike (y = 1) or not (y = -1).",
    avoid_when="x is a score: more of it is punished where y is 1.",
)
def hinge_embedding_loss(pred: Tensor, target: Tensor, *, margin: Annotated[float, Interval()] = 1.0) -> Tensor:
    """Distances of like pairs, and what distances of unlike pairs lack to the margin.

    Args:
        pred: (...) distances.
        target: (...) 1 for like, -1 for unlike.
        margin: distance from which unlike pairs cost nothing.

    Returns:
        (...) loss per pair, float32 at least.

    Raises:
        ValueError: shapes that differ.
        TypeError: integer predictions; an unknown parameter.

    >>> hinge_embedding_loss(torch.tensor([0.25, 0.25]), torch.tensor([1.0, -1.0]))
    tensor([0.2500, 0.7500])
    """
    return torch.where(target == 1, pred, (margin - pred).relu())


# --- focal and kin ----------------------------------------------------------------------------------------------


def focal_terms(pred: Tensor, target: Tensor, alpha: float | None, gamma: float, activated: bool) -> Tensor:
    """alpha_t (1 - p_t)^gamma BCE (1708.02002, eq. 5)."""
    p = pred if activated else pred.sigmoid()
    missed = p * (1 - target) + (1 - p) * target
    return share(target, alpha) * safe_power(missed, gamma) * binary_cross_entropy(pred, target, activated)


@register_loss(
    "focal",
    kind="classification",
    formula=r"-\alpha_t (1 - p_t)^\gamma \ln p_t",
    source=FOCAL,
    traits=UNEQUAL,
    use_when="Dense heads with hard labels, in which easy background outnumbers objects a thousandfold.",
    avoid_when="Targets are soft: it is not proper there (for a target of 0.8 the best score is 0.95), and scores lose "
    "calibration; take quality_focal or varifocal.",
)
def focal_loss(
    pred: Tensor, target: Tensor, *, alpha: Share = 0.25, gamma: Exponent = 2.0, activated: Activated = False
) -> Tensor:
    """Sigmoid focal loss: binary cross-entropy with easy scores weighed down.

    Args:
        pred: (..., C) logits.
        target: (..., C) scores in [0, 1], or (...) integer labels, C or negative for background.
        alpha: weight of positives, in [0, 1], 1 - alpha for negatives; None: none. The paper uses 0.25.
        gamma: how fast easy scores lose weight, in [0, 10]; 0: not. The paper uses 2.
        activated: pred holds probabilities.

    Returns:
        (..., C) loss per score, float32 at least.

    Raises:
        ValueError: shapes that do not go together; a parameter out of range.
        TypeError: integer predictions; an unknown parameter.

    >>> focal_loss(torch.tensor([[0.0]]), torch.tensor([[1.0]]))  # 0.25 (1/2)^2 ln 2
    tensor([[0.0433]])
    """
    return focal_terms(pred, dense(pred, target), alpha, gamma, activated)


@register_loss(
    "softmax_focal",
    kind="classification",
    formula=r"-\alpha_y (1 - p_y)^\gamma \ln p_y,\quad p = \mathrm{softmax}(x)",
    source=FOCAL,
    traits=UNEQUAL,
    targets=("class_map",),
    use_when="Exactly one class is true per row and most rows are easy.",
    avoid_when="Background is told by low scores everywhere: softmax needs a class for it.",
)
def softmax_focal_loss(pred: Tensor, target: Tensor, *, alpha: Share = None, gamma: Exponent = 2.0) -> Tensor:
    """Focal loss of the softmax of logits.

    Args:
        pred: (n, C) or (n, C, ...) logits.
        target: (n) or (n, ...) integer labels.
        alpha: weight of every class but the first, in [0, 1], 1 - alpha for class 0 (background); None: none.
        gamma: how fast easy rows lose weight, in [0, 10].

    Returns:
        (n) or (n, ...) loss per row, float32 at least.

    Raises:
        ValueError: shapes that do not go together; a parameter out of range.
        TypeError: integer predictions; an unknown parameter.

    >>> softmax_focal_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))  # (1/2)^2 ln 2
    tensor([0.1733])
    """
    log_p = picked(functional.log_softmax(pred, softmax_axis(pred)), target)
    loss = safe_power(-torch.expm1(log_p), gamma) * -log_p
    return loss if alpha is None else loss * torch.where(target == 0, 1 - alpha, alpha)


@register_loss(
    "quality_focal",
    kind="classification",
    formula=r"|q - p|^\beta\, \mathrm{BCE}(x, q)",
    source=GENERALIZED_FOCAL,
    traits=UNEQUAL,
    targets=("dense", "labels", "label_score"),
    denominator=samples,
    use_when="Targets are soft (IoU of the box, or an assigner's score): the best score is the target itself.",
    avoid_when="Targets are hard and confidence should not follow box quality: focal does that.",
)
def quality_focal_loss(
    pred: Tensor, target: LabelScore, *, beta: Exponent = 2.0, activated: Activated = False
) -> Tensor:
    """Quality focal loss: binary cross-entropy against box quality, weighed by the distance to it.

    "mean" divides by rows, not scores: it is the mean of the sum over classes, as the authors'.

    Args:
        pred: (..., C) logits.
        target: (..., C) qualities in [0, 1], 0 for negatives; or (label, score): integer labels (...), C or negative
            for background, and their qualities (...).
        beta: exponent of the distance, in [0, 10]. The paper uses 2.
        activated: pred holds probabilities.

    Returns:
        (..., C) loss per score, float32 at least.

    Raises:
        ValueError: shapes that do not go together; beta out of range.
        TypeError: integer predictions; an unknown parameter.

    >>> quality_focal_loss(torch.tensor([[0.0, 0.0]]), (torch.tensor([0]), torch.tensor([0.5])))
    tensor([[0.0000, 0.1733]])
    """
    _, quality = label_and_score(pred, target)
    p = pred if activated else pred.sigmoid()
    return safe_power((quality - p).abs(), beta) * binary_cross_entropy(pred, quality, activated)


@register_loss(
    "varifocal",
    kind="classification",
    formula=r"\begin{cases} q\, \mathrm{BCE}(x, q) & q > 0 \\ \alpha p^\gamma\, \mathrm{BCE}(x, 0) & q = 0 \end{cases}",
    source=Source("VarifocalNet: An IoU-aware Dense Object Detector", 2020, "https://arxiv.org/abs/2008.13367"),
    traits=UNEQUAL,
    targets=("dense", "labels", "label_score"),
    use_when="Targets are box qualities and the best boxes should lead: positives weigh as much as their quality.",
    avoid_when="Qualities start near 0, as early in training: positives then weigh next to nothing.",
)
def varifocal_loss(
    pred: Tensor,
    target: LabelScore,
    *,
    alpha: Annotated[float, Interval(0, 10)] = 0.75,
    gamma: Exponent = 2.0,
    iou_weighted: Annotated[bool, Choice(False, True)] = True,
    activated: Activated = False,
) -> Tensor:
    """Varifocal loss: positives weighed by their quality, negatives as in focal loss.

    Args:
        pred: (..., C) logits.
        target: (..., C) qualities in [0, 1], positive where above 0; or (label, score), which says apart what is
            positive: integer labels (...) and qualities (...), or both of pred's shape.
        alpha: weight of negatives, in [0, 10]. The paper uses 0.75.
        gamma: exponent for negatives, in [0, 10]. The paper uses 2.
        iou_weighted: positives weigh q; else 1.
        activated: pred holds probabilities.

    Returns:
        (..., C) loss per score, float32 at least.

    Raises:
        ValueError: shapes that do not go together; a parameter out of range.
        TypeError: integer predictions; an unknown parameter.

    >>> varifocal_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.5, 0.0]]))  # ln 2 / 2, 0.75 (1/2)^2 ln 2
    tensor([[0.3466, 0.1300]])
    """
    label, quality = label_and_score(pred, target)
    p = pred if activated else pred.sigmoid()
    weight = alpha * safe_power(p, gamma) * (1 - label) + (quality if iou_weighted else 1.0) * label
    return weight * binary_cross_entropy(pred, quality, activated)


@register_loss(
    "distribution_focal",
    kind="classification",
    formula=r"(l + 1 - t)\, \mathrm{CE}(x, l) + (t - l)\, \mathrm{CE}(x, l + 1),\quad l = \lfloor t \rfloor",
    source=GENERALIZED_FOCAL,
    traits=UNEQUAL,
    targets=("score",),
    use_when="Box sides are predicted as distributions over bins, as in YOLOv8 and GFL heads.",
    avoid_when="Targets may lie beyond the last bin: they are cut off there, so the object is too large for its level.",
)
def distribution_focal_loss(pred: Tensor, target: Tensor, *, margin: Annotated[float, Interval(0, 1)] = 0.0) -> Tensor:
    """Distribution focal loss: cross-entropy with the two bins next to the target.

    Args:
        pred: (..., n) logits over n bins.
        target: (...) distances in bins, in [0, n - 1]; what lies beyond is cut off.
        margin: cut off at n - 1 - margin instead; Ultralytics' is 0.01.

    Returns:
        (...) loss per distance, float32 at least.

    Raises:
        ValueError: shapes that do not go together; margin out of range.
        TypeError: integer predictions; an unknown parameter.

    >>> distribution_focal_loss(torch.zeros(1, 4), torch.tensor([1.5]))  # ln 4
    tensor([1.3863])
    """
    last = pred.shape[-1] - 1
    target = target.to(pred.dtype).clamp(0, last - margin)
    low = target.detach().floor().clamp(max=last - 1)
    log_p = functional.log_softmax(pred, -1)
    near, far = (log_p.gather(-1, bin.long().unsqueeze(-1)).squeeze(-1) for bin in (low, low + 1))
    return -((low + 1 - target) * near + (target - low) * far)


# --- gradient harmonising ---------------------------------------------------------------------------------------


def gradient_bin(pred: Tensor, target: Tensor, bins: int) -> Tensor:
    """The bin of each score's gradient |p - y|; edges at k / bins."""
    norm = (pred.detach().sigmoid() - target).abs()
    # edges rounded as the scores are, so that a gradient on an edge falls above it
    edges = torch.arange(1, bins, device=pred.device, dtype=pred.dtype) / bins
    return (norm.unsqueeze(-1) >= edges).sum(-1)


def gradient_counts(pred: Tensor, target: Tensor, weight: Tensor | None = None, *, bins: int = 10, **_: Any) -> Tensor:
    """How many scores (of weight above 0) fall into each bin."""
    member = gradient_bin(pred, dense(pred, target), bins).unsqueeze(-1) == torch.arange(bins, device=pred.device)
    if weight is not None:
        member = member & (_per_score(weight, pred) > 0).unsqueeze(-1)
    return member.to(pred.dtype).flatten(0, -2).sum(0)


def _per_score(weight: Tensor, pred: Tensor) -> Tensor:
    if weight.shape == pred.shape or (weight.ndim == pred.ndim and weight.shape[-1] == 1):
        return weight.expand_as(pred)
    return weight.reshape(*weight.shape, *(1,) * (pred.ndim - weight.ndim)).expand_as(pred)


def updated_counts(
    counts: Tensor, summary: Tensor, *, momentum: Annotated[float, Interval(0, 1, open_high=True)] = 0.0
) -> Tensor:
    """Bins that were met move towards what they met; the others stay."""
    met = (summary > 0) & summary.isfinite()
    return torch.where(met, momentum * counts + (1 - momentum) * summary, counts)


def no_counts(parameters: Mapping[str, Any]) -> Tensor:
    """Empty bins."""
    return torch.zeros(int(parameters["bins"]))


@register_loss(
    "ghm_c",
    kind="classification",
    formula=r"\frac{N}{m\, S_{b(g)}}\, \mathrm{BCE}(x, y),\quad g = |p - y|",
    source=Source("Gradient Harmonized Single-stage Detector", 2018, "https://arxiv.org/abs/1811.05181"),
    traits=Traits(scale_invariant=False, translation_invariant=False, zero_at_equality=False, stateful=True),
    use_when="Both the easy mass and a crowd of outliers (wrong labels) should lose weight.",
    avoid_when="Batches are small: the density of ten bins is then noise. Its weights make boxes depend on each other.",
)
def ghm_c_loss(
    pred: Tensor,
    target: Tensor,
    *,
    bins: Annotated[int, Interval(1, 1000)] = 10,
    counts: Annotated[Tensor | None, State(no_counts, no_counts, gradient_counts, updated_counts)] = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Gradient-harmonised loss: binary cross-entropy over the density of scores with a gradient of that size.

    The module keeps `counts`, updated before use in training with gradients on:
    S := momentum S + (1 - momentum) N for bins that were met; with momentum 0, the default, it is the batch's own.
    In evaluation, bins never met take the batch's own count.

    Args:
        pred: (..., C) logits.
        target: (..., C) scores in [0, 1], or (...) integer labels, C or negative for background.
        bins: number of bins of |p - y|, in [1, 1000]. The paper uses 10 to 30.
        counts: (bins,) running counts; None: the batch's own.
        weight: scores of weight 0 are not counted; the module passes it on.

    Returns:
        (..., C) loss per score, float32 at least: its mean is the authors' loss.

    Raises:
        ValueError: shapes that do not go together; a parameter out of range.
        TypeError: integer predictions; an unknown parameter.

    >>> ghm_c_loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))  # one bin holds all
    tensor([[0.6931, 0.6931]])
    """
    target = dense(pred, target)
    own = gradient_counts(pred, target, weight, bins=bins)
    density = own if counts is None else torch.where(counts > 0, counts.to(pred.dtype), own)
    used = (own > 0).to(pred.dtype).sum().clamp(min=1)
    member = density[gradient_bin(pred, target, bins)]
    share_of_bin = pred.numel() / (member.masked_fill(member == 0, 1.0) * used)
    if weight is not None:
        share_of_bin = share_of_bin * (_per_score(weight, pred) > 0)
    return share_of_bin * functional.binary_cross_entropy_with_logits(pred, target, reduction="none")


# --- others -----------------------------------------------------------------------------------------------------


@register_loss(
    "gaussian_focal",
    kind="classification",
    formula=r"\begin{cases} -(1 - p)^\alpha \ln p & y = 1 \\"
    r" -(1 - y)^\gamma p^\alpha \ln(1 - p) & \text{else} \end{cases}",
    source=Source("CornerNet: Detecting Objects as Paired Keypoints", 2018, "https://arxiv.org/abs/1808.01244"),
    traits=SCORES,
    targets=("dense",),
    use_when="Targets are heat maps with a Gaussian around each centre, as in CenterNet.",
    avoid_when="No target is exactly 1: then nothing is positive.",
)
def gaussian_focal_loss(pred: Tensor, target: Tensor, *, alpha: Exponent = 2.0, gamma: Exponent = 4.0) -> Tensor:
    """Focal loss of heat maps of probabilities: negatives near a centre count less.

    Args:
        pred: (...) probabilities in [0, 1].
        target: (...) heat map in [0, 1], exactly 1 at centres.
        alpha: focusing exponent, in [0, 10]. The paper uses 2.
        gamma: exponent of the discount near centres, in [0, 10]. The paper uses 4.

    Returns:
        (...) loss per score, float32 at least.

    Raises:
        ValueError: shapes that differ; a parameter out of range.
        TypeError: integer predictions; an unknown parameter.

    >>> gaussian_focal_loss(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.5]))
    tensor([0.1733, 0.0108])
    """
    center = -bounded_log(pred, 1e-12) * safe_power(1 - pred, alpha)
    around = -bounded_log(1 - pred, 1e-12) * safe_power(pred, alpha) * safe_power(1 - target, gamma)
    return torch.where(target == 1, center, around)


@register_loss(
    "poly_cross_entropy",
    kind="classification",
    formula=r"-\ln p_y + \varepsilon (1 - p_y)",
    source=POLY,
    traits=UNEQUAL,
    targets=("class_map",),
    use_when="Cross-entropy works and a slightly stronger pull on unsure rows is wanted, for one parameter.",
    avoid_when="epsilon is not tuned: its best value, even its sign, differs between data sets.",
)
def poly_cross_entropy_loss(pred: Tensor, target: Tensor, *, epsilon: Annotated[float, Interval(-1)] = 1.0) -> Tensor:
    """Poly-1 cross-entropy: the first term of its expansion weighed up by epsilon.

    Args:
        pred: (n, C) or (n, C, ...) logits.
        target: (n) or (n, ...) integer labels.
        epsilon: at least -1; 0 is cross-entropy. The paper uses 2 on ImageNet, -1 to 8 elsewhere.

    Returns:
        (n) or (n, ...) loss per row, float32 at least.

    Raises:
        ValueError: shapes that do not go together; epsilon out of range.
        TypeError: integer predictions; an unknown parameter.

    >>> poly_cross_entropy_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))  # ln 2 + 1/2
    tensor([1.1931])
    """
    log_p = picked(functional.log_softmax(pred, softmax_axis(pred)), target)
    return -log_p - epsilon * torch.expm1(log_p)


@register_loss(
    "poly_focal",
    kind="classification",
    formula=r"-\alpha_t (1 - p_t)^\gamma \ln p_t + \varepsilon (1 - p_t)^{\gamma + 1}",
    source=POLY,
    traits=UNEQUAL,
    use_when="As focal, with more pull on unsure scores.",
    avoid_when="Negatives dominate: the added term carries no alpha, so it weighs them as much as positives.",
)
def poly_focal_loss(
    pred: Tensor,
    target: Tensor,
    *,
    epsilon: Annotated[float, Interval(-1)] = 1.0,
    alpha: Share = 0.25,
    gamma: Exponent = 2.0,
) -> Tensor:
    """Poly-1 focal loss: focal loss plus epsilon times the next power.

    Args:
        pred: (..., C) logits.
        target: (..., C) scores in [0, 1], or (...) integer labels, C or negative for background.
        epsilon: at least -1; 0 is focal loss. The paper uses -1 for RetinaNet.
        alpha: weight of positives, in [0, 1], 1 - alpha for negatives; None: none.
        gamma: in [0, 10].

    Returns:
        (..., C) loss per score, float32 at least.

    Raises:
        ValueError: shapes that do not go together; a parameter out of range.
        TypeError: integer predictions; an unknown parameter.

    >>> poly_focal_loss(torch.tensor([[0.0]]), torch.tensor([[1.0]]))  # 0.25 (1/2)^2 ln 2 + (1/2)^3
    tensor([[0.1683]])
    """
    target, p = dense(pred, target), pred.sigmoid()
    missed = p * (1 - target) + (1 - p) * target
    return focal_terms(pred, target, alpha, gamma, False) + epsilon * missed ** (gamma + 1)


@register_loss(
    "asymmetric",
    kind="classification",
    formula=r"-(1 - p_t)^{\gamma_t} \left[y \ln p + (1 - y) \ln p_-\right],\quad p_- = \min(1 - p + m, 1)",
    source=ASYMMETRIC,
    traits=Traits(scale_invariant=False, translation_invariant=False, zero_at_equality=False),
    use_when="Many labels per image, few of them true, and easy negatives should cost nothing at all.",
    avoid_when="Calibrated scores are needed: probabilities below clip are free.",
)
def asymmetric_loss(
    pred: Tensor,
    target: Tensor,
    *,
    gamma_neg: Exponent = 4.0,
    gamma_pos: Exponent = 1.0,
    clip: Annotated[float, Interval(0, 1, open_high=True)] = 0.05,
    eps: Annotated[float, Interval(0, 1e-2, open_low=True)] = 1e-8,
    detach_focus: Annotated[bool, Choice(False, True)] = True,
) -> Tensor:
    """Asymmetric loss: focal loss with its own exponent for negatives, of which easy ones are free.

    Args:
        pred: (..., C) logits.
        target: (..., C) scores in [0, 1], or (...) integer labels, C or negative for background.
        gamma_neg: focusing exponent of negatives, in [0, 10]. The paper uses 4.
        gamma_pos: of positives, in [0, 10]. The authors' code uses 1.
        clip: negatives with a probability below it cost nothing, in [0, 1). The paper uses 0.05.
        eps: probabilities are kept above it inside the logarithm.
        detach_focus: the focusing weight carries no gradient, as by default in the authors' code.

    Returns:
        (..., C) loss per score, float32 at least. The authors sum them.

    Raises:
        ValueError: shapes that do not go together; a parameter out of range.
        TypeError: integer predictions; an unknown parameter.

    >>> asymmetric_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0]]))  # (1/2) ln 2, 0.45^4 * -ln 0.55
    tensor([[0.3466, 0.0245]])
    """
    target, p = dense(pred, target), pred.sigmoid()
    negative = (1 - p + clip).clamp(max=1)
    log_p = functional.logsigmoid(pred).clamp(min=math.log(eps))
    logs = target * log_p + (1 - target) * negative.clamp(min=eps).log()
    missed = 1 - p * target - negative * (1 - target)
    gamma = gamma_pos * target + gamma_neg * (1 - target)
    # missed^gamma, several times as fast as pow of two tensors
    power = torch.exp2(gamma * missed.clamp(min=torch.finfo(pred.dtype).tiny).log2())
    focus = torch.where(missed > 0, power, (gamma == 0).to(pred.dtype))
    return -logs * (focus.detach() if detach_focus else focus)


@register_loss(
    "asymmetric_softmax",
    kind="classification",
    formula=r"-\sum_c y_c (1 - p_{t,c})^{\gamma_c} \ln p_c,\quad p = \mathrm{softmax}(x)",
    source=ASYMMETRIC,
    traits=UNEQUAL,
    targets=("class_map",),
    use_when="Exactly one class is true per row; the single-label form of asymmetric.",
    avoid_when="label_smoothing is 0 and gamma_pos is 0: it is then plain cross-entropy.",
)
def asymmetric_softmax_loss(
    pred: Tensor,
    target: Tensor,
    *,
    gamma_neg: Exponent = 4.0,
    gamma_pos: Exponent = 0.0,
    label_smoothing: Annotated[float, Interval(0, 1)] = 0.1,
) -> Tensor:
    """Asymmetric loss of the softmax of logits, smoothed after weighing.

    Args:
        pred: (n, C) or (n, C, ...) logits.
        target: (n) or (n, ...) integer labels.
        gamma_neg: focusing exponent of the other classes, in [0, 10].
        gamma_pos: of the true class, in [0, 10].
        label_smoothing: share of the target spread over all classes, in [0, 1]. The authors use 0.1.

    Returns:
        (n) or (n, ...) loss per row, float32 at least.

    Raises:
        ValueError: shapes that do not go together; a parameter out of range.
        TypeError: integer predictions; an unknown parameter.

    >>> asymmetric_softmax_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]), label_smoothing=0.0)  # ln 2
    tensor([0.6931])
    """
    axis = softmax_axis(pred)
    log_p = functional.log_softmax(pred, axis)
    p, truth = log_p.exp(), one_hot(target, pred.shape[axis], axis).to(pred.dtype)
    focus = truth * safe_power(1 - p, gamma_pos) + (1 - truth) * safe_power(p, gamma_neg)
    smooth = (1 - label_smoothing) * truth + label_smoothing / pred.shape[axis]
    return -(smooth * focus * log_p).sum(axis)
