# SPDX-License-Identifier: AGPL-3.0-or-later
"""The overlap of boxes by a box loss, in [0, 1] and ordered as the IoU is: for an assigner that matches the loss."""

from __future__ import annotations

import functools
from collections.abc import Callable

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


def overlap_by(loss: Loss, stock: Function) -> Function:
    """The overlap for the assigner: 1 - loss, at least 0, if that is above 0 about as often as the stock overlap is.

    A loss that exceeds 1 where boxes overlap would leave the assigner without candidates. Of such a loss the overlap is
    the IoU at which the boxes of a fixed set have it on average.

    Args:
        loss: a loss of axis-aligned or rotated boxes, without a running statistic.
        stock: the loss whose overlap is replaced.

    Raises:
        ValueError: the loss does not order boxes as their IoU does.
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
    if candidates[0] >= ENOUGH * candidates[1]:
        return lambda boxes, targets: (1 - loss.elementwise(boxes, targets)).clamp(min=0)
    return by_table(loss, values, iou)


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
