"""Class losses of matched predictions: scores meet the IoU of their boxes."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from ..catalog.declare import Source
from ..catalog.entries import add_alias, register_loss
from ..catalog.ranges import Interval, PerClass
from ..labels import along_classes
from ..tensors import class_axis
from .boxes import safe_power
from .focal import Exponent, LabelScore, Numbers, label_and_score, of_labels
from .scores import UNEQUAL, binary_cross_entropy

#: likewise, or with the rank of each row among the candidates of its object
RankedScore = LabelScore | tuple[Tensor, Tensor, Tensor]


@register_loss(
    "matchability",
    kind="classification",
    formula=r"\begin{cases} \mathrm{BCE}(x, q^\gamma) & \text{matched} \\"
    r" \alpha\, \mathrm{sg}(p)^\gamma\, \mathrm{BCE}(x, 0) & \text{else} \end{cases}",
    source=Source("DEIM: DETR with Improved Matching for Fast Convergence", 2024, "https://arxiv.org/abs/2412.04234"),
    traits=replace(UNEQUAL, proper=False, detached="the weight of negatives (2412.04234)"),
    targets=("dense", "labels", "label_score"),
    holds="shares",
    use_when="Each object is matched with one query or a few, and many matches overlap little: they count in full.",
    avoid_when="Scores should tell the IoU: the best score for an IoU of 0.5 is 0.35; take quality_focal or varifocal.",
)
def matchability_loss(
    pred: Tensor,
    target: LabelScore,
    *,
    gamma: Exponent = 1.5,
    alpha: Annotated[Numbers | None, PerClass(Interval(0, 10), single=True)] = None,
) -> Tensor:
    """Matchability-aware loss (MAL): cross-entropy of matches with a power of their IoU, negatives as in focal loss.

    Args:
        target: qualities in [0, 1] of the shape of pred, matched where above 0; or one integer label per row, C for
            background, of quality 1; or a tuple (labels, qualities), which says apart what is matched, as a match of
            quality 0 counts in full: both one per row, or both of the shape of pred.
        gamma: exponent of the quality, and of the weight of negatives. The paper uses 1.5.
        alpha: weight of negatives, one number or one per class; None for 1, as in the paper.

    >>> pred, target = torch.tensor([[0.0, 0.0]]), (torch.tensor([0]), torch.tensor([0.0]))
    >>> matchability_loss(pred, target, gamma=2.0)  # ln 2, (1/2)^2 ln 2
    tensor([[0.6931, 0.1733]])
    """
    label, quality = label_and_score(pred, target)
    far = safe_power(pred.detach().sigmoid(), gamma)
    (factor,) = along_classes("matchability", pred, alpha=alpha)
    weight = label + (1 - label) * (far if factor is None else factor * far)
    return weight * binary_cross_entropy(pred, of_labels(label, safe_power(quality, gamma)), activated=False)


add_alias("mal", "matchability")


def rounded_entropy(pred: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy by the logarithms of the rounded p and 1 - p; of the logit where one of them is 0."""
    p = pred.sigmoid()
    found = []
    for part, logit in ((p, pred), (1 - p, -pred)):
        lost = part < torch.finfo(part.dtype).tiny
        inside = torch.where(lost, torch.ones_like(part), part).log()
        found.append(torch.where(lost, functional.logsigmoid(logit), inside))
    return -target * found[0] - (1 - target) * found[1]


def matches(pred: Tensor, target: RankedScore) -> tuple[Tensor, Tensor, Tensor | None]:
    """What is matched, and with what quality, in the shape of pred; and the rank of each row, if it came."""
    if isinstance(target, tuple) and len(target) == 3:
        return *label_and_score(pred, target[:2]), target[2]
    return *label_and_score(pred, target), None


@register_loss(
    "ia_bce",
    kind="classification",
    formula=r"\begin{cases} \mathrm{BCE}(x, t) & \text{matched} \\ p^\gamma\, \mathrm{BCE}(x, 0) & \text{else}"
    r" \end{cases},\quad t = \mathrm{sg}(\max(p^\alpha q^{1 - \alpha}, t_0))\, e^{-r / \tau}",
    source=Source(
        "Align-DETR: Enhancing End-to-end Object Detection with Aligned Loss", 2023, "https://arxiv.org/abs/2304.07527"
    ),
    traits=replace(UNEQUAL, detached="the target of a match (2304.07527)"),
    targets=("dense", "labels", "label_score", "label_score_rank"),
    holds="shares",
    use_when="Queries, or groups of them, share an object, as in RF-DETR: the score of each match settles at its IoU.",
    avoid_when="You read the loss as a measure: the target of a match moves with its score, so a match that is scored "
    "near 0 costs little.",
)
def ia_bce_loss(
    pred: Tensor,
    target: RankedScore,
    by_rounded: bool = False,
    *,
    alpha: Annotated[float, Interval(0, 1)] = 0.25,
    gamma: Exponent = 2.0,
    floor: Annotated[float, Interval(0, 1)] = 0.01,
    tau: Annotated[float | None, Interval(0, open_low=True)] = None,
) -> Tensor:
    """IoU-aware cross-entropy (IA-BCE): the target of a match lies between its score and its IoU.

    Args:
        target: qualities in [0, 1] of the shape of pred, matched where above 0; or one integer label per row, C for
            background, of quality 1; or a tuple (labels, qualities), which says apart what is matched: both one per
            row, or both of the shape of pred; or a tuple (labels, qualities, ranks), each one per row, for `tau`.
        alpha: share of the score in the target, a geometric mean; no weight, as focal loss has it. The paper uses 0.25.
        gamma: exponent of the weight of negatives, which has a gradient. The paper uses 2.
        floor: least target of a match. The authors use 0.01.
        tau: with several candidates per object, how many ranks make a candidate's target e times smaller; rank 0 is
            the best of an object, as are all where no ranks came. The authors use 1.5. None: ranks do not count.

    >>> pred, target = torch.tensor([[0.0, 0.0]]), (torch.tensor([0]), torch.tensor([0.5]))
    >>> ia_bce_loss(pred, target)  # ln 2, (1/2)^2 ln 2
    tensor([[0.6931, 0.1733]])
    """
    label, quality, ranks = matches(pred, target)
    p = pred.sigmoid()
    wanted = (safe_power(p.detach(), alpha) * safe_power(quality, 1 - alpha)).clamp(min=floor)
    if ranks is not None and tau is not None:
        wanted = wanted * (-ranks.to(pred.dtype) / tau).exp().unsqueeze(class_axis(pred))
    wanted = of_labels(label, wanted)
    weight = label + (1 - label) * safe_power(p, gamma)
    return weight * (rounded_entropy(pred, wanted) if by_rounded else binary_cross_entropy(pred, wanted, False))
