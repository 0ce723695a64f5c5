"""Class losses of matched predictions: scores meet the IoU of their boxes."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from torch import Tensor

from ..catalog.declare import Source
from ..catalog.entries import add_alias, register_loss
from ..catalog.ranges import Interval
from .boxes import safe_power
from .focal import Exponent, LabelScore, label_and_score
from .scores import UNEQUAL, binary_cross_entropy


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
    alpha: Annotated[float | None, Interval(0, 10)] = None,
) -> Tensor:
    """Matchability-aware loss (MAL): cross-entropy of matches with a power of their IoU, negatives as in focal loss.

    Args:
        target: qualities in [0, 1] of the shape of pred, matched where above 0; or one integer label per row, C for
            background, of quality 1; or a tuple (labels, qualities), which says apart what is matched, as a match of
            quality 0 counts in full: both one per row, or both of the shape of pred.
        gamma: exponent of the quality, and of the weight of negatives. The paper uses 1.5.
        alpha: weight of negatives; None for 1, as in the paper.

    >>> pred, target = torch.tensor([[0.0, 0.0]]), (torch.tensor([0]), torch.tensor([0.0]))
    >>> matchability_loss(pred, target, gamma=2.0)  # ln 2, (1/2)^2 ln 2
    tensor([[0.6931, 0.1733]])
    """
    label, quality = label_and_score(pred, target)
    far = safe_power(pred.detach().sigmoid(), gamma)
    weight = label + (1 - label) * (far if alpha is None else alpha * far)
    return weight * binary_cross_entropy(pred, label * safe_power(quality, gamma), activated=False)


add_alias("mal", "matchability")
