# SPDX-License-Identifier: AGPL-3.0-or-later
"""The overlap of boxes by a box loss, for an assigner that matches the loss.

It is ordered as the IoU is, and falls from 1 of the same box towards 0 of disjoint ones.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from loss_plugins import Loss, iou_loss
from loss_plugins.errors import refusal
from loss_plugins.module.gain import IMAGE_SIZE, boxes_near_targets, turned

Function = Callable[[Tensor, Tensor], Tensor]
IOUS = tuple(0.05 * step for step in range(1, 20))
#: the least rank correlation with the IoU
ORDERED = 0.9
#: how many boxes of the fixed set 1 - loss is above 0 for, in shares of those of the stock overlap
ENOUGH = 0.98
#: how far boxes are shifted, in shares of their sides: the same, overlapping, touching, disjoint
SHIFTS = (*(0.05 * step for step in range(21)), 1.1, 1.5)
TOUCHING = 20
SIDES, ASPECTS, DIRECTIONS = (8.0, IMAGE_SIZE / 10, 400.0), (1 / 3, 1.0, 3.0), ((1, 0), (0, 1), (1, 1))


class Fall(NamedTuple):
    """How an overlap falls as boxes are shifted away from each other; the worst found over sizes and directions.

    Attributes:
        same: the least overlap of a box with itself.
        rise: by how much it rises where a box is shifted further.
        touching: the most of boxes that touch or are disjoint, of a tenth of the image, over the stock overlap.
        far: the most of boxes of any size that lie an image apart.
    """

    same: float
    rise: float
    touching: float
    far: float

    def __str__(self) -> str:
        return (
            f"it is {self.same:.3g} for the same box, rises by up to {max(self.rise, 0.0):.3g} on the way, is up to "
            f"{self.touching:.3g} above the stock overlap for boxes that touch or lie apart, and up to {self.far:.3g} "
            "an image apart"
        )

    def as_limit(self) -> str:
        """What is allowed, in words."""
        return (
            f"{self.same} or more for the same box, a rise of at most {self.rise} on the way, at most {self.touching} "
            f"above the stock overlap for boxes that touch or lie apart, and at most {self.far} an image apart"
        )

    def within(self, limit: Fall) -> bool:
        """Whether it falls as far, and rises no more; NaN does not."""
        return self.same >= limit.same and all(a <= b for a, b in zip(self[1:], limit[1:], strict=True))


#: what 1 - loss has to keep to be the overlap as it is, and what any overlap has to keep
AS_IT_IS = Fall(same=0.99, rise=1e-3, touching=0.1, far=0.1)
AT_ALL = Fall(same=0.99, rise=1e-3, touching=0.4, far=0.1)


def overlap_by(loss: Loss, stock: Function) -> Function:
    """The overlap for the assigner: 1 - loss, at least 0, where that falls from 1 to 0 as the stock overlap does.

    A loss that exceeds 1 where boxes overlap would leave the assigner without candidates, and one that is below 1 where
    they are disjoint would make these candidates. Of such a loss the overlap is the IoU at which the boxes of a fixed
    set have it on average.

    Args:
        loss: a loss of axis-aligned or rotated boxes, without a running statistic.
        stock: the loss whose overlap is replaced.

    Raises:
        ValueError: the loss does not order boxes as their IoU does, or is small where boxes are disjoint.
    """
    pred, target = boxes_near_targets(IMAGE_SIZE, IOUS)
    iou = 1 - iou_loss(pred, target)
    if loss.entry.kind == "rotated_box":
        pred, target = turned(pred, IMAGE_SIZE), turned(target, IMAGE_SIZE)
    values = loss.elementwise(pred, target)
    order = -rank_correlation(values, iou)
    if not order >= ORDERED:
        came = f"assigner='match', and the rank correlation of 1 - loss with the IoU of boxes is {order:.2f}"
        raise refusal(loss.entry.name, came, f"{ORDERED} or more", "use assigner='keep'")
    candidates = [float((each < 1).double().mean()) for each in (values, stock(pred, target))]
    plain = one_minus(loss.elementwise)
    if candidates[0] >= ENOUGH * candidates[1] and fall_of(plain, loss.entry.kind, stock).within(AS_IT_IS):
        return plain
    table = by_table(loss, values, iou)
    fall = fall_of(table, loss.entry.kind, stock)
    if not fall.within(AT_ALL):
        came = f"assigner='match', and the overlap that the loss gives does not fall towards 0 as boxes part: {fall}"
        raise refusal(loss.entry.name, came, AT_ALL.as_limit(), "use assigner='keep'")
    return table


def one_minus(loss: Function) -> Function:
    """1 - loss, at least 0."""
    return lambda boxes, targets: (1 - loss(boxes, targets)).clamp(min=0)


def fall_of(overlap: Function, kind: str, stock: Function) -> Fall:
    """How an overlap falls along the fixed paths.

    Args:
        overlap: of boxes and targets.
        kind: of the boxes, "box" or "rotated_box".
        stock: the loss whose overlap is replaced.
    """
    pred, target = shifted_boxes()
    if kind == "rotated_box":
        pred, target = turned(pred, IMAGE_SIZE), turned(target, IMAGE_SIZE)
    size = (len(SIDES), -1, len(SHIFTS) + 1)
    found, usual = (each(pred, target).view(size) for each in (overlap, one_minus(stock)))
    above = (found - usual)[SIDES.index(IMAGE_SIZE / 10), :, TOUCHING:]
    worst = (found[..., 0].amin(), found.diff(dim=-1).amax(), above.amax(), found[..., -1].amax())
    return Fall(*(float(each) for each in worst))


def shifted_boxes() -> tuple[Tensor, Tensor]:
    """Boxes on their way from the target to an image away, (n, 4) xyxy in pixels, path by path, and the targets."""
    pairs = []
    for side, aspect, direction in itertools.product(SIDES, ASPECTS, DIRECTIONS):
        sides = torch.tensor([side * aspect**0.5, side / aspect**0.5])
        target = torch.cat([IMAGE_SIZE / 2 - sides / 2, IMAGE_SIZE / 2 + sides / 2])
        ways = torch.tensor(SHIFTS)[:, None] * sides
        ways = torch.cat([ways, ways[-1:] + IMAGE_SIZE])
        pred = target + (ways * torch.tensor(direction)).repeat(1, 2)
        pairs.append((pred, target.expand_as(pred)))
    pred, target = (torch.cat(each) for each in zip(*pairs, strict=True))
    return pred, target


def by_table(loss: Loss, values: Tensor, iou: Tensor) -> Function:
    """The IoU at which boxes have a loss, linear between the levels of IOUS; beyond the lowest it falls to 0.

    Args:
        loss: the loss.
        values: of the boxes of the fixed set.
        iou: theirs.
    """
    levels = torch.tensor((1.0, *reversed(IOUS)))
    means = [values[(iou - level).abs() < 1e-6].mean().float() for level in levels[1:]]
    known = torch.stack([torch.zeros(()), *means]).cummax(0).values

    @functools.cache
    def on(device: torch.device) -> tuple[Tensor, Tensor]:
        return known.to(device), levels.to(device)

    def overlap(boxes: Tensor, targets: Tensor) -> Tensor:
        costs = loss.elementwise(boxes, targets)
        x, y = on(boxes.device)
        above = torch.searchsorted(x, costs.contiguous()).clamp(1, len(x) - 1)
        share = (costs - x[above - 1]) / (x[above] - x[above - 1]).clamp(min=1e-12)
        between = torch.lerp(y[above - 1], y[above], share.clamp(0, 1))
        return torch.where(costs > x[-1], y[-1] * x[-1] / costs, between)

    return overlap


def rank_correlation(values: Tensor, others: Tensor) -> float:
    """Spearman's, of two (n,) tensors; ties are ranked as they come."""
    ranks = torch.stack([each.argsort().argsort().double() for each in (values, others)])
    return float(torch.corrcoef(ranks)[0, 1])
