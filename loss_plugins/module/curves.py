"""A loss and its gradient beside another's: over the IoU of boxes, over the logit of a score.

The boxes are those of `gain`, as far from their targets as an IoU says; running statistics are those of its set.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from .gain import ASPECTS, IMAGE_SIZE, MOVES, Function, boxes_near_targets, gradient_of, positives, settled, turned
from .loss import Loss

#: where the curves of boxes are computed; the displacements that widen a box alone do not get below 1/31
IOUS = tuple(0.05 + 0.02 * step for step in range(48))
#: and those of scores
LOGITS = tuple(-6.0 + 0.1 * step for step in range(121))
#: side of a target over that of the image, see `boxes_near_targets`
SIDE = 0.1


class Curve(NamedTuple):
    """What a loss costs and how it pulls.

    Attributes:
        at: IoU, or logit.
        loss: mean over the boxes of that IoU; of a score.
        gradient: of boxes the mean of its norm, for displacements in sides of the target; of a score, signed.
    """

    at: Tensor
    loss: Tensor
    gradient: Tensor


def over_iou(loss: Loss, stock: Function, image_size: float = IMAGE_SIZE, rotated: bool = False) -> tuple[Curve, Curve]:
    """The curves of a box loss and of the one that it replaces, from IoU 0.05 to 0.99.

    At each IoU, both are means over targets of five aspects and predictions moved in eight ways.

    Args:
        loss: the new loss; not changed.
        stock: the loss that it replaces, (n, 4) xyxy and (n, 4) to (n,); (n, 5) cxcywh and angle if rotated.
        image_size: side of the image, in the unit of the boxes.
        rotated: the boxes are turned, and the gradient is that of their lengths.

    >>> from loss_plugins import build_loss, ciou_loss
    >>> power, _ = over_iou(build_loss("alpha_iou", alpha=2.0), ciou_loss)  # costs 1 - IoU^2
    >>> [round(float(each[-1]), 4) for each in (power.at, power.loss)]
    [0.99, 0.0199]
    """
    place = partial(turned, image_size=image_size) if rotated else torch.clone
    new = settled(loss, *map(place, boxes_near_targets(image_size))).elementwise
    pred, target = map(place, boxes_near_targets(image_size, IOUS))

    def curve(function: Function) -> Curve:
        norms = gradient_of(function, pred, target)[:, :4].norm(dim=-1) * (SIDE * image_size)
        means = (
            rows.detach().view(len(ASPECTS), len(IOUS), len(MOVES)).mean((0, 2))
            for rows in (function(pred, target), norms)
        )
        return Curve(torch.tensor(IOUS, dtype=torch.float64), *means)

    return curve(new), curve(stock)


def over_logit(loss: Loss, stock: Function, quality: float, classes: int = 1) -> tuple[Curve, Curve]:
    """The curves of a class loss of sigmoids and of the one that it replaces, from logit -6 to 6.

    Args:
        loss: the new loss; not changed.
        stock: the loss that it replaces, (n, classes) logits and soft targets to that shape.
        quality: the target; 0 of a negative.
        classes: how many the loss is for; each has the same score, and the curves are their mean.

    >>> from torch.nn.functional import binary_cross_entropy_with_logits as bce
    >>> from loss_plugins import build_loss
    >>> _, stock = over_logit(build_loss("focal"), lambda x, t: bce(x, t, reduction="none"), quality=0.8)
    >>> round(float(stock.gradient[60]), 4)  # sigmoid(0) - 0.8
    -0.3
    """

    def columns(scores: Tensor) -> Tensor:
        return scores[:, None].expand(-1, classes).contiguous()

    new = settled(loss, *map(columns, positives())).elementwise
    at = torch.tensor(LOGITS, dtype=torch.float64)
    pred, target = columns(at), columns(torch.full_like(at, quality))

    def curve(function: Function) -> Curve:
        return Curve(at, function(pred, target).detach().mean(-1), gradient_of(function, pred, target).mean(-1))

    return curve(new), curve(stock)
