"""Focal loss and its kin: class losses that weigh scores by how wrong they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional

from ..catalog.declare import Effect, Source
from ..catalog.entries import register_loss
from ..catalog.ranges import Choice, Interval, PerClass
from ..labels import along_classes, per_class
from ..tensors import class_axis, dense
from .boxes import safe_power
from .scores import SCORES, UNEQUAL, binary_cross_entropy, bounded_log, row_count

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

#: when to avoid the losses that docs/gains.md compares with the stock class loss of Ultralytics
FEW_EPOCHS = "Or a detector is trained from scratch for few epochs: docs/gains.md has what it lost there."

Exponent = Annotated[float, Interval(0)]
#: numbers per class: a factor, or a share of [0, 1]
Numbers = float | Sequence[float] | Tensor
Share = Annotated[Numbers | None, PerClass(Interval(0, 1), single=True)]
Factor = Annotated[Numbers | None, PerClass(Interval(0), single=True)]
Soft = Literal["mean", "entropy", "logit", "terms"]
Activated = Annotated[bool, Choice(False, True), Effect(scale="probabilities", zero_at_equality=True)]
#: a log-probability at which 1 - p is 1 in every precision
NEVER = -100.0
#: qualities, or labels, or labels with their qualities
LabelScore = Tensor | tuple[Tensor, Tensor]


def share(target: Tensor, alpha: float | Tensor | None) -> Tensor | float:
    """alpha for positives, 1 - alpha for negatives, in between for soft targets."""
    return 1.0 if alpha is None else alpha * target + (1 - alpha) * (1 - target)


def picked(values: Tensor, labels: Tensor) -> Tensor:
    """The value of each row's label."""
    axis = class_axis(values)
    return values.gather(axis, labels.unsqueeze(axis)).squeeze(axis)


def of_labels(label: Tensor, values: Tensor) -> Tensor:
    """What stands where a label is, times the label; 0 elsewhere, whatever stands there, NaN too."""
    return torch.where(label > 0, label * values, 0)


def label_and_score(pred: Tensor, target: LabelScore) -> tuple[Tensor, Tensor]:
    """Which classes are positive, and with what quality, both in the shape of pred."""
    if isinstance(target, Tensor):
        score = dense(pred, target)
        return (score > 0).to(pred.dtype), score
    labels, score = target
    label = dense(pred, labels)
    if score.shape == pred.shape:
        return label, score.to(pred.dtype)
    return label, of_labels(label, score.unsqueeze(class_axis(pred)))


def missed_share(p: Tensor, target: Tensor) -> Tensor:
    """1 - p_t: what of the probability went to the other side; for soft targets the mean of both sides."""
    return p * (1 - target) + (1 - p) * target


def focal_terms(
    pred: Tensor,
    target: Tensor,
    alpha: float | Tensor | None,
    gamma: float,
    activated: bool,
    soft: Soft = "mean",
    pos_weight: float | Tensor | None = None,
) -> Tensor:
    """alpha_t (1 - p_t)^gamma BCE (1708.02002, eq. 5), with a factor on the part of the positives.

    What 1 - p_t is for a soft target differs: "mean" of both sides; "entropy": 1 - e^-BCE; "logit": the sigmoid of
    x (1 - 2 y); "terms": each side of BCE has its own.
    """
    p = pred if activated else pred.sigmoid()
    entropy = binary_cross_entropy(pred, target, activated)
    if soft == "terms":
        none, full = torch.zeros_like(target), torch.ones_like(target)
        sides = [
            weight * safe_power(missed_share(p, side), gamma) * binary_cross_entropy(pred, side, activated)
            for weight, side in ((target * share(full, alpha), full), ((1 - target) * share(none, alpha), none))
        ]
        return (sides[0] if pos_weight is None else pos_weight * sides[0]) + sides[1]
    if soft == "entropy":
        missed = -torch.expm1(-entropy)
    else:
        missed = (pred * (1 - 2 * target)).sigmoid() if soft == "logit" else missed_share(p, target)
    if pos_weight is not None:
        entropy = binary_cross_entropy(pred, target, activated, pos_weight)
    return share(target, alpha) * safe_power(missed, gamma) * entropy


@register_loss(
    "focal",
    kind="classification",
    formula=r"-\alpha_t (1 - p_t)^\gamma \ln p_t",
    source=FOCAL,
    traits=replace(UNEQUAL, proper=False),
    holds="shares",
    use_when="Dense heads with hard labels, in which easy background outnumbers objects a thousandfold.",
    avoid_when="Targets are soft: it is not proper there (for a target of 0.8 the best score is 0.95), and scores lose "
    f"calibration; take quality_focal or varifocal. {FEW_EPOCHS}",
)
def focal_loss(
    pred: Tensor,
    target: Tensor,
    soft: Soft = "mean",
    for_ones: bool = False,
    *,
    alpha: Share = 0.25,
    gamma: Exponent = 2.0,
    pos_weight: Factor = None,
    activated: Activated = False,
) -> Tensor:
    """Sigmoid focal loss: binary cross-entropy with easy scores weighed down.

    Args:
        alpha: weight of positives, 1 - alpha for negatives, one number or one per class; None for no weight. The paper
            uses 0.25.
        gamma: how fast easy scores lose weight; 0 for not at all. The paper uses 2.
        pos_weight: factor on the part of the positives: one number, or one per class.
        activated: whether pred holds probabilities.

    >>> focal_loss(torch.tensor([[0.0]]), torch.tensor([[1.0]]))  # 0.25 (1/2)^2 ln 2
    tensor([[0.0433]])
    """
    balance, factor = along_classes("focal", pred, alpha=alpha, pos_weight=pos_weight)
    wanted = dense(pred, target)
    if for_ones and isinstance(balance, Tensor):  # numbers per class weigh targets of 1, and nothing else
        terms = focal_terms(pred, wanted, None, gamma, activated, soft, factor)
        return torch.where(wanted == 1, balance, 1.0) * terms
    return focal_terms(pred, wanted, balance, gamma, activated, soft, factor)


@register_loss(
    "softmax_focal",
    kind="classification",
    formula=r"-\alpha_y (1 - p_y)^\gamma \ln p_y,\quad p = \mathrm{softmax}(x)",
    source=FOCAL,
    traits=replace(UNEQUAL, proper=False),
    targets=("class_map",),
    use_when="Exactly one class is true per row and most rows are easy.",
    avoid_when="Background is told by low scores everywhere: softmax needs a class for it.",
)
def softmax_focal_loss(
    pred: Tensor, target: Tensor, one_vs_rest: bool = False, *, alpha: Share = None, gamma: Exponent = 2.0
) -> Tensor:
    """Focal loss of the softmax of logits.

    Args:
        alpha: weight of every class but the first, 1 - alpha for class 0 (background); or one weight per class; None
            for no weight.
        gamma: how fast easy rows lose weight. The paper uses 2.

    >>> softmax_focal_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))  # (1/2)^2 ln 2
    tensor([0.1733])
    """
    if one_vs_rest:  # of the sigmoid: each class against all others
        (balance,) = along_classes("softmax_focal", pred, alpha=alpha)
        return focal_terms(pred, dense(pred, target), balance, gamma, activated=False)
    log_p = picked(functional.log_softmax(pred, class_axis(pred)), target)
    # the clamp changes no value: it only ends the slope of the weight, 0 there, before a large -log_p multiplies it
    loss = safe_power(-torch.expm1(log_p.clamp(min=NEVER)), gamma) * -log_p
    if alpha is None:
        return loss
    if isinstance(alpha, (float, int)) or (isinstance(alpha, Tensor) and alpha.ndim == 0):
        return torch.where(target == 0, (1 - alpha) * loss, alpha * loss)
    of_label: Tensor = per_class("softmax_focal", "alpha", alpha, pred, aligned=False)[target]
    return loss * of_label


@register_loss(
    "quality_focal",
    kind="classification",
    formula=r"|q - p|^\beta\, \mathrm{BCE}(x, q)",
    source=GENERALIZED_FOCAL,
    traits=replace(UNEQUAL, proper=True),
    targets=("dense", "labels", "label_score"),
    holds="shares",
    denominator=row_count,
    use_when="Targets are soft (IoU of the box, or an assigner's score): the best score is the target itself.",
    avoid_when=f"Targets are hard and confidence should not follow box quality: focal does that. {FEW_EPOCHS}",
)
def quality_focal_loss(
    pred: Tensor, target: LabelScore, *, beta: Exponent = 2.0, activated: Activated = False
) -> Tensor:
    """Quality focal loss: binary cross-entropy against box quality, weighed by the distance to it.

    "mean" divides by rows, not by scores: it is the mean of the sum over classes, as that of the authors.

    Args:
        target: qualities in [0, 1] of the shape of pred, 0 for negatives; or one integer label per row, C for
            background, of quality 1; or a tuple (labels, their qualities), both one per row.
        beta: exponent of the distance. The paper uses 2.
        activated: whether pred holds probabilities.

    >>> pred, target = torch.tensor([[0.0, 0.0]]), (torch.tensor([0]), torch.tensor([0.25]))
    >>> quality_focal_loss(pred, target)  # (1/4)^2 ln 2, (1/2)^2 ln 2
    tensor([[0.0433, 0.1733]])
    """
    _, quality = label_and_score(pred, target)
    p = pred if activated else pred.sigmoid()
    return safe_power((quality - p).abs(), beta) * binary_cross_entropy(pred, quality, activated)


@register_loss(
    "varifocal",
    kind="classification",
    formula=r"\begin{cases} q\, \mathrm{BCE}(x, q) & q > 0 \\ \alpha p^\gamma\, \mathrm{BCE}(x, 0) & q = 0 \end{cases}",
    source=Source("VarifocalNet: An IoU-aware Dense Object Detector", 2020, "https://arxiv.org/abs/2008.13367"),
    traits=replace(UNEQUAL, proper=True),
    targets=("dense", "labels", "label_score"),
    holds="shares",
    use_when="Targets are box qualities and the best boxes should lead: positives weigh as much as their quality.",
    avoid_when=f"Qualities start near 0, as early in training: positives then weigh next to nothing. {FEW_EPOCHS}",
)
def varifocal_loss(
    pred: Tensor,
    target: LabelScore,
    *,
    alpha: Annotated[Numbers, PerClass(Interval(0, 10), single=True)] = 0.75,
    gamma: Exponent = 2.0,
    iou_weighted: Annotated[bool, Choice(False, True)] = True,
    detach_weight: Annotated[bool, Choice(False, True), Effect(detached="the weight of negatives")] = False,
    activated: Activated = False,
) -> Tensor:
    """Varifocal loss: positives weighed by their quality, negatives as in focal loss.

    Args:
        target: qualities in [0, 1] of the shape of pred, positive where above 0; or one integer label per row, C for
            background, of quality 1; or a tuple (labels, qualities), which says apart what is positive: both one per
            row, or both of the shape of pred.
        alpha: weight of negatives, one number or one per class. The paper uses 0.75.
        gamma: exponent for negatives. The paper uses 2.
        iou_weighted: whether positives weigh their quality, else 1.
        detach_weight: whether the weight of negatives is without gradient, as in RT-DETR, D-FINE and DEIM.
        activated: whether pred holds probabilities.

    >>> varifocal_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.5, 0.0]]))  # ln 2 / 2, 0.75 (1/2)^2 ln 2
    tensor([[0.3466, 0.1300]])
    """
    label, quality = label_and_score(pred, target)
    p = pred if activated else pred.sigmoid()
    far = safe_power(p.detach() if detach_weight else p, gamma)
    (factor,) = along_classes("varifocal", pred, alpha=alpha)
    weight: Tensor = factor * far * (1 - label) + (quality if iou_weighted else 1.0) * label
    return weight * binary_cross_entropy(pred, quality, activated)


@register_loss(
    "gaussian_focal",
    kind="classification",
    formula=r"\begin{cases} -(1 - p)^\alpha \ln p & y = 1 \\"
    r" -(1 - y)^\gamma p^\alpha \ln(1 - p) & \text{else} \end{cases}",
    source=Source("CornerNet: Detecting Objects as Paired Keypoints", 2018, "https://arxiv.org/abs/1808.01244"),
    traits=replace(SCORES, scale="probabilities"),
    targets=("dense",),
    holds="shares",
    use_when="Targets are heat maps with a Gaussian around each centre, as in CenterNet.",
    avoid_when="No target is exactly 1: then nothing is positive.",
)
def gaussian_focal_loss(
    pred: Tensor,
    target: Tensor,
    *,
    alpha: Exponent = 2.0,
    gamma: Exponent = 4.0,
    pos_weight: Annotated[Numbers, PerClass(Interval(0), single=True)] = 1.0,
    neg_weight: Annotated[Numbers, PerClass(Interval(0), single=True)] = 1.0,
) -> Tensor:
    """Focal loss of heat maps of probabilities: negatives near a centre count less.

    Args:
        pred: (...) probabilities, that is `logits.sigmoid()`, as in MMDetection; logits are not told from them.
        target: (...) heat map in [0, 1] of the shape of pred, exactly 1 at centres.
        alpha: focusing exponent. The paper uses 2.
        gamma: exponent of the discount near centres. The paper uses 4.
        pos_weight: factor at centres, one number or one per class.
        neg_weight: factor elsewhere, likewise.

    >>> # (1/2)^2 ln 2 at the centre, (1/2)^2 (1/2)^4 ln 2 beside it
    >>> gaussian_focal_loss(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.5]))
    tensor([0.1733, 0.0108])
    """
    target = dense(pred, target)
    center = -bounded_log(pred, 1e-12) * safe_power(1 - pred, alpha)
    around = -bounded_log(1 - pred, 1e-12) * safe_power(pred, alpha) * safe_power(1 - target, gamma)
    positive, negative = along_classes("gaussian_focal", pred, pos_weight=pos_weight, neg_weight=neg_weight)
    return torch.where(target == 1, positive * center, negative * around)


@register_loss(
    "poly_cross_entropy",
    kind="classification",
    formula=r"-\ln p_y + \varepsilon (1 - p_y)",
    source=POLY,
    traits=replace(UNEQUAL, proper=False),
    targets=("class_map",),
    use_when="Cross-entropy works and a slightly stronger pull on unsure rows is wanted, for one parameter.",
    avoid_when="epsilon is not tuned: its best value, even its sign, differs between data sets.",
)
def poly_cross_entropy_loss(pred: Tensor, target: Tensor, *, epsilon: Annotated[float, Interval(-1)] = 1.0) -> Tensor:
    """Poly-1 cross-entropy: the first term of its expansion weighed up by epsilon.

    Args:
        epsilon: weight of 1 - p; 0 is cross-entropy. The paper uses 2 on ImageNet, -1 to 8 elsewhere.

    >>> poly_cross_entropy_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))  # ln 2 + 1/2
    tensor([1.1931])
    """
    log_p = picked(functional.log_softmax(pred, class_axis(pred)), target)
    return -log_p - epsilon * torch.expm1(log_p)


@register_loss(
    "poly_focal",
    kind="classification",
    formula=r"-\alpha_t (1 - p_t)^\gamma \ln p_t + \varepsilon (1 - p_t)^{\gamma + 1}",
    source=POLY,
    traits=replace(UNEQUAL, proper=False),
    holds="shares",
    use_when="As focal, with more pull on unsure scores.",
    avoid_when="Negatives dominate: the added term carries no alpha, so it weighs them as much as positives.",
)
def poly_focal_loss(
    pred: Tensor,
    target: Tensor,
    *,
    epsilon: Annotated[
        float, Interval(-1), Effect(range=(-math.inf, math.inf), when=Interval(high=0, open_high=True))
    ] = 1.0,
    alpha: Share = 0.25,
    gamma: Exponent = 2.0,
) -> Tensor:
    """Poly-1 focal loss: focal loss plus epsilon times the next power.

    Args:
        epsilon: weight of (1 - p)^(gamma + 1); 0 is focal loss. The paper uses -1 for RetinaNet.
        alpha: weight of positives, 1 - alpha for negatives, one number or one per class; None for no weight. The added
            term carries none.
        gamma: how fast easy scores lose weight. The paper uses 2.

    >>> poly_focal_loss(torch.tensor([[0.0]]), torch.tensor([[1.0]]))  # 0.25 (1/2)^2 ln 2 + (1/2)^3
    tensor([[0.1683]])
    """
    target, p = dense(pred, target), pred.sigmoid()
    missed = p * (1 - target) + (1 - p) * target
    (balance,) = along_classes("poly_focal", pred, alpha=alpha)
    return focal_terms(pred, target, balance, gamma, False) + epsilon * missed ** (gamma + 1)
