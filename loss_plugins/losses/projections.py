"""Rotated boxes by their projections on the edges of both (2504.16443)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..catalog.declare import Source, Traits
from ..catalog.entries import register_loss
from .rotated import RotatedPair, measured, rotated_pair

MGIOU = Source(
    "Marginalized Generalized IoU (MGIoU): A Unified Objective Function for Optimizing Any Convex Parametric Shapes",
    2025,
    "https://arxiv.org/abs/2504.16443",
)


def interval_giou(offset: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Generalised IoU of two intervals, by the offset of their middles and half their lengths.

    It is the IoU of intervals that overlap, and minus the gap over the hull of others.
    """
    left, right = other - offset, other + offset
    return (torch.minimum(one, left) + torch.minimum(one, right)) / (
        torch.maximum(one, left) + torch.maximum(one, right)
    )


def along_edges(pair: RotatedPair) -> Tensor:
    """The sum of the generalised IoUs of both boxes' projections on the two edges of the first."""
    cos, sin = pair.cos.abs() / 2, pair.sin.abs() / 2
    across = interval_giou(pair.x, pair.pw / 2, pair.tw * cos + pair.th * sin)
    return across + interval_giou(pair.y, pair.ph / 2, pair.tw * sin + pair.th * cos)


@register_loss(
    "mgiou",
    kind="rotated_box",
    formula=r"\frac{1}{2} \left(1 - \frac{1}{4} \sum_{n} \mathrm{GIoU}(n^T B, n^T B_g)\right)",
    source=MGIOU,
    traits=Traits(range=(0, 1), symmetric=True, scale_invariant=True),
    use_when="Rotated boxes may be square, for which losses of Gaussians see no angle, or far from their targets.",
    avoid_when="The value must be that of rotated IoU: a box inside another overlaps it by more than its share.",
)
def mgiou_loss(pred: Tensor, target: Tensor) -> Tensor:
    """Marginalised generalised IoU of rotated boxes: the mean GIoU of their projections on the four edges of both.

    Angles are free of jumps: half a turn more, or sides swapped at a quarter of a turn, change nothing.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2, 0]]), torch.tensor([[3.0, 0, 2, 2, 0]])
    >>> mgiou_loss(pred, target)  # a gap of 1 in a hull of 5, and equal in y: (1 - (1 - 0.2) / 2) / 2
    tensor([0.3000])
    """
    pair = measured(rotated_pair(pred, target), in_longest=True)
    return (1 - (along_edges(pair) + along_edges(pair.turned())) / 4) / 2
