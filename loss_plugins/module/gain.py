"""The factor that makes a loss pull as hard as another one, on a fixed set of boxes or scores.

It depends on the losses alone, so it is the same on every machine, in every process and after every restart, and it is
known before training. The positive predictions of a trained detector lie near their targets, as those of the set do; a
factor measured on the first batch of an untrained one can be 30 times off.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import refusal
from ..labels import Given
from ..losses.iou import iou_loss
from ..tensors import class_axis
from .loss import Loss
from .state import RunningStatistic, statistics_of

Function = Callable[[Tensor, Tensor], Tensor]

#: side of the image, where nobody says another
IMAGE_SIZE = 640.0
ASPECTS = (1 / 3, 1 / 2, 1.0, 2.0, 3.0)
IOUS = tuple(0.7 + 0.025 * step for step in range(11))
#: how predictions leave their targets: shares of the target's width and height that centre and sides change by
MOVES = {
    "right": (1, 0, 0, 0),
    "down": (0, 1, 0, 0),
    "along a diagonal": (1, 1, 0, 0),
    "along the other diagonal": (1, -1, 0, 0),
    "grow": (0, 0, 1, 1),
    "shrink": (0, 0, -1, -1),
    "widen": (0, 0, 1, 0),
    "shift and stretch": (1, 0, 1, -1),
}
#: quality of a positive, and how far its logit lies from that quality's
QUALITIES = (0.5, 0.6, 0.7, 0.8, 0.9)
DISTANCES = (-2.0, -1.0, 0.0, 1.0, 2.0)
#: how hard a loss may pull, over the loss that it replaces, before somebody is told
FAIR = (0.3, 3.0)
#: of scores with nothing to find, which a detector in training mostly has to push down
NEGATIVES = (-4.0, -3.0, -2.0)


def is_fair(ratio: float) -> bool:
    """Whether a loss pulls about as hard as the one that it replaces."""
    return FAIR[0] <= ratio <= FAIR[1]


class Gain(NamedTuple):
    """The factor on a loss, and what it was computed from.

    Attributes:
        factor: gradient of the stock loss over that of the new one.
        stock: mean gradient norm of the stock loss over the rows of the fixed set.
        new: the same of the new loss.
    """

    factor: float
    stock: float
    new: float


def box_gain(loss: Loss, stock: Function, image_size: float = IMAGE_SIZE) -> Gain:
    """The gain of a box loss.

    The set: targets of five aspects and the area (image_size / 10)^2, and predictions moved in eight ways until their
    IoU is 0.70, 0.725 ... 0.95. A running statistic is the one of this set.

    Args:
        loss: the new loss; not changed.
        stock: the loss that it replaces, (n, 4) xyxy and (n, 4) to (n,).
        image_size: side of the image in pixels, for losses that depend on the size of boxes.

    Raises:
        ValueError: one of the losses has no gradient on the set, or one that is not finite.

    >>> from loss_plugins import build_loss, ciou_loss
    >>> round(box_gain(build_loss("alpha_ciou"), ciou_loss).factor, 2)
    0.48
    """
    return _gain(loss, stock, *boxes_near_targets(image_size))


def class_gain(loss: Loss, stock: Function, classes: int = 1, labels: bool = False) -> Gain:
    """The gain of a class loss of sigmoids on soft targets.

    The set: positives of quality 0.5 to 0.9, whose logits are up to 2 away from the quality's. Negatives are left out:
    most of them are easy, and a loss may ignore them on purpose. What that does to the balance is `negative_ratio`.

    Args:
        loss: the new loss; not changed.
        stock: the loss that it replaces, (n, classes) logits and soft targets to that shape.
        classes: how many the loss is for; each has the same scores.
        labels: the loss gets 1 for every positive, not its quality.

    Raises:
        ValueError: one of the losses has no gradient on the set, or one that is not finite.

    >>> from torch.nn.functional import binary_cross_entropy_with_logits as bce
    >>> from loss_plugins import build_loss
    >>> round(class_gain(build_loss("quality_focal"), lambda x, t: bce(x, t, reduction="none")).factor, 2)
    2.65
    """
    pred, target = (each[:, None].expand(-1, classes).contiguous() for each in positives())
    return _gain(loss, stock, pred, target, wanted=torch.ones_like(target) if labels else target)


def negative_ratio(loss: Loss, stock: Function, gain: float = 1.0, classes: int = 1) -> float:
    """How hard a class loss with a gain pushes negatives down, as a multiple of the stock loss.

    The set: scores of probability 0.02 to 0.12 whose target is 0. Losses of the focal kind give them next to nothing:
    far from 1, a gain that is right for positives is wrong for negatives, and no other constant is right for both.

    Args:
        loss: the loss; not changed.
        stock: the loss that it replaces, (n, classes) logits and soft targets to that shape.
        gain: factor on the loss.
        classes: how many the loss is for; each has the same scores.

    >>> from torch.nn.functional import binary_cross_entropy_with_logits as bce
    >>> from loss_plugins import build_loss
    >>> round(negative_ratio(build_loss("quality_focal"), lambda x, t: bce(x, t, reduction="none"), gain=2.65), 2)
    0.07
    """
    pred = torch.tensor(NEGATIVES, dtype=torch.float64)[:, None].expand(-1, classes).contiguous()
    new = copy.deepcopy(loss).cpu().double().eval()
    sums = [gradient_of(each, pred, torch.zeros_like(pred)).abs().sum() for each in (new.elementwise, stock)]
    return gain * float(sums[0] / sums[1])


def fair_class_gain(
    loss: Loss,
    stock: Function,
    classes: int = 1,
    remedy: str = "use gain='keep', and set loss_weight",
    labels: bool = False,
) -> Gain:
    """As `class_gain`, where the gain is right for negatives too.

    Args:
        loss: the new loss; not changed.
        stock: the loss that it replaces.
        classes: how many the loss is for.
        remedy: what an error says to do.
        labels: the loss gets 1 for every positive, not its quality.

    Raises:
        ValueError: what is right for positives is wrong for negatives; and those of `class_gain`.
    """
    gain = class_gain(loss, stock, classes, labels)
    negatives = negative_ratio(loss, stock, gain.factor, classes)
    if not is_fair(negatives):
        came = (
            f"gain='match' would be {gain.factor:.3g}, with which it pulls as hard as the stock loss on positives, and "
            f"{negatives:.2g} times as hard on negatives"
        )
        raise refusal(loss.entry.name, came, f"{FAIR[0]:g} to {FAIR[1]:g} times on both", remedy)
    return gain


def rotated_gain(loss: Loss, stock: Function, image_size: float = IMAGE_SIZE) -> Gain:
    """The gain of a loss of rotated boxes: `box_gain`'s set, turned by half a radian, and the gradient of its lengths.

    Args:
        loss: the new loss; not changed.
        stock: the loss that it replaces, (n, 5) cxcywh and angle, and the same, to (n,).
        image_size: side of the image in pixels.

    Raises:
        ValueError: one of the losses has no gradient on the set, or one that is not finite.
    """
    pred, target = (turned(boxes, image_size) for boxes in boxes_near_targets(image_size))
    return _gain(loss, stock, pred, target, columns=4)


def turned(boxes: Tensor, image_size: float, angle: float = 0.5) -> Tensor:
    """Boxes (n, 4) xyxy, turned about the middle of the image, (n, 5) cxcywh and angle: their overlaps are the same."""
    center, sides = (boxes[:, 2:] + boxes[:, :2] - image_size) / 2, boxes[:, 2:] - boxes[:, :2]
    x, y = center.unbind(-1)
    cos, sin = math.cos(angle), math.sin(angle)
    center = torch.stack([cos * x - sin * y, sin * x + cos * y], dim=-1) + image_size / 2
    return torch.cat([center, sides, torch.full_like(sides[:, :1], angle)], dim=-1)


def boxes_near_targets(image_size: float, ious: Sequence[float] = IOUS) -> tuple[Tensor, Tensor]:
    """Predictions and targets, (40 * len(ious), 4) xyxy in pixels, float64."""
    rows = list(itertools.product(ASPECTS, ious, MOVES.values()))
    aspect, iou = torch.tensor([row[:2] for row in rows], dtype=torch.float64).unbind(-1)
    move = torch.tensor([row[2] for row in rows], dtype=torch.float64)
    height = (image_size / 10) / aspect.sqrt()
    sides = torch.stack([aspect * height, height], dim=-1)

    def moved(far: Tensor) -> Tensor:
        center = image_size / 2 + far[:, None] * move[:, :2] * sides
        half = sides * (1 + far[:, None] * move[:, 2:]) / 2
        return torch.cat([center - half, center + half], dim=-1)

    target = moved(torch.zeros_like(aspect))
    near, far = torch.zeros_like(aspect), torch.where(move[:, 2:].amin(-1) < 0, 0.99, 30.0).to(aspect)
    for _ in range(64):  # bisection: the IoU falls with the distance
        middle = (near + far) / 2
        beyond = 1 - iou_loss(moved(middle), target) < iou
        near, far = torch.where(beyond, near, middle), torch.where(beyond, middle, far)
    return moved(near), target


def positives() -> tuple[Tensor, Tensor]:
    """Logits and soft targets, (25,) each, float64."""
    quality = torch.tensor(QUALITIES, dtype=torch.float64)
    logits = torch.logit(quality)[:, None] + torch.tensor(DISTANCES, dtype=torch.float64)
    return logits.flatten(), quality.repeat_interleave(len(DISTANCES))


def _gain(
    loss: Loss,
    stock: Function,
    pred: Tensor,
    target: Tensor,
    columns: int | None = None,
    wanted: Tensor | None = None,
) -> Gain:
    """The gain on rows; the new loss has targets of its own where `wanted` is given."""
    wanted = target if wanted is None else wanted
    new = settled(loss, pred, wanted)
    given = ((stock, target), (new.elementwise, wanted))
    norms = tuple(mean_gradient_norm(each, pred, aim, columns) for each, aim in given)
    if not all(math.isfinite(norm) and norm > 0 for norm in norms):
        came = f"mean gradient {norms[1]:.4g} on boxes or scores near their targets, the stock loss's is {norms[0]:.4g}"
        raise refusal(loss.entry.name, came, "a gain that can be matched: both above 0 and finite", "use gain='keep'")
    return Gain(norms[0] / norms[1], *norms)


def settled(loss: Loss, pred: Tensor, target: Tensor) -> Loss:
    """A copy of a loss in float64 that learns nothing: its running statistics are those of the rows."""
    twin = copy.deepcopy(loss).cpu().double().eval()
    for statistic in statistics_of([twin]):
        _settle(statistic, pred, target)
    return twin


def mean_gradient_norm(loss: Function, pred: Tensor, target: Tensor, columns: int | None = None) -> float:
    """The norm of the first `columns`, or of all, of each row's gradient, averaged."""
    return float(gradient_of(loss, pred, target)[..., :columns].norm(dim=-1).mean())


def gradient_of(loss: Function, pred: Tensor, target: Tensor) -> Tensor:
    """The gradient of the summed loss, of pred's shape; what else computes from pred is left alone."""
    leaf = pred.detach().clone().requires_grad_()
    with torch.enable_grad():  # type: ignore[no-untyped-call]
        (gradient,) = torch.autograd.grad(loss(leaf, target).sum(), leaf)
    return gradient


def _settle(statistic: RunningStatistic, pred: Tensor, target: Tensor) -> None:
    """Give a running statistic the value at which the rows leave it alone: Aitken's limit of two updates.

    Sums, which learn after use, have no such value: theirs is that of two steps.
    """
    statistic.in_step = False  # each call is an update
    statistic.fit(pred.shape[class_axis(pred)])
    first = statistic.value.clone()
    statistic.learn(Given(pred, target), None)
    second = statistic.value.clone()
    statistic.learn(Given(pred, target), None)
    third = statistic.value.clone()
    if statistic.is_late:
        return
    bend = third - 2 * second + first
    limit = first - (second - first) ** 2 / torch.where(bend == 0, torch.ones_like(bend), bend)
    statistic.value.copy_(torch.where(bend == 0, third, limit))
