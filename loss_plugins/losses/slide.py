"""Slide loss and its running form: cross-entropy in which soft targets around the mean IoU count more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import torch
from torch import Tensor

from ..catalog.declare import Source, State
from ..catalog.entries import register_loss
from ..catalog.ranges import Interval
from ..tensors import class_axis, dense
from .focal import LabelScore, label_and_score, of_labels
from .scores import UNEQUAL, binary_cross_entropy, scores_that_count

SLIDE = Source("YOLO-FaceV2: A Scale and Occlusion Aware Face Detector", 2022, "https://arxiv.org/abs/2208.02019")
#: a mean below it counts as this much
LEAST = 0.2
#: how far below the mean targets count more
BAND = 0.1
#: what the state is before anything was learnt
FIRST = 1.0
Level = Annotated[float, Interval(0, 1)]


def soft_target(pred: Tensor, target: LabelScore) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The target in the shape of pred; the IoUs that came with it, and which of them are of positives."""
    if isinstance(target, Tensor):
        return dense(pred, target), None, None
    first, second = target
    if first.shape == pred.shape and second.shape != pred.shape:  # an IoU per row
        return first.to(pred.dtype), second, (first > 0).any(class_axis(pred))
    label, quality = label_and_score(pred, target)
    return of_labels(label, quality), quality, label > 0


def slide_entropy(pred: Tensor, target: Tensor, level: Tensor) -> Tensor:
    """Cross-entropy times e^(1 - y) from the level on, e^(1 - level) in the band below it, and 1 below that."""
    level = level.to(target.dtype).clamp(min=LEAST)
    inside = torch.where(target > level - BAND, (1 - level).exp(), torch.ones_like(target))
    weight = torch.where(target >= level, (1 - target).exp(), inside)
    return weight * binary_cross_entropy(pred, target, activated=False)


def sum_of_ious(
    pred: Tensor, target: LabelScore, weight: Tensor | None = None, ignored: Tensor | None = None, **_: Any
) -> Tensor:
    """Sum and number of the IoUs of positives (of weight above 0, and not ignored); 0 and 0 where none came."""
    iou, positive = soft_target(pred, target)[1:]
    if iou is None or positive is None:
        return pred.new_zeros(2, dtype=torch.float64)
    return total_of(pred, iou, positive, scores_that_count("ema_slide", pred, weight, ignored))


def total_of(pred: Tensor, iou: Tensor, positive: Tensor, counted: Tensor) -> Tensor:
    """Sum and number of the IoUs of positives that are counted, as `counted` says in the shape of pred."""
    among = positive & (counted if positive.ndim == pred.ndim else counted.any(class_axis(pred)))
    return torch.stack([torch.where(among, iou, 0).sum().double(), among.sum().double()])


def no_ious(parameters: Mapping[str, Any]) -> Tensor:
    """No sum, of none."""
    return torch.zeros(2, dtype=torch.float64)


def nothing_learnt(parameters: Mapping[str, Any]) -> Tensor:
    """The mean before the first update, and no update."""
    return torch.tensor([FIRST, 0.0], dtype=torch.float64)


def updated_level(
    mean: Tensor,
    summary: Tensor,
    *,
    decay: Annotated[float, Interval(0, 1)] = 0.999,
    tau: Annotated[float, Interval(0, open_low=True)] = 2000.0,
) -> Tensor:
    """The running mean after a batch, and the number of updates; a batch without IoUs leaves both alone.

    Args:
        mean: running mean so far, and the number of updates.
        summary: sum and number of the IoUs of the batch's positives.
        decay: share of the running mean that stays, in the end. Its authors use 0.999.
        tau: after how many updates that share has come near: it is decay (1 - e^(-n / tau)) in the n-th. Its authors
            use 2000, with which the first updates keep next to nothing.
    """
    total, count = summary.unbind()
    number = mean[1] + 1
    kept = decay * -torch.expm1(-number / tau)
    moved = kept * mean[0] + (1 - kept) * total / count.clamp(min=1)
    return torch.where((count > 0) & total.isfinite(), torch.stack([moved, number]), mean)


@register_loss(
    "slide",
    kind="classification",
    formula=r"\begin{cases} \mathrm{BCE}(x, y) & y \le \mu - \frac{1}{10} \\"
    r" e^{1 - \mu}\, \mathrm{BCE}(x, y) & y < \mu \\ e^{1 - y}\, \mathrm{BCE}(x, y) & \text{else} \end{cases}",
    source=SLIDE,
    traits=replace(UNEQUAL, proper=True),
    targets=("dense", "labels", "label_score", "target_iou"),
    holds="shares",
    use_when="Targets are soft, as those of YOLOv8's assigner, and samples around the mean IoU should count more.",
    avoid_when="Targets are 0 or 1: then it is binary cross-entropy. Or batches have few positives: take ema_slide.",
)
def slide_loss(pred: Tensor, target: LabelScore, ignored: Tensor | None = None, *, mu: Level = 0.5) -> Tensor:
    """Slide loss: binary cross-entropy that weighs soft targets near the mean IoU up.

    Args:
        target: numbers in [0, 1] of the shape of pred; or one integer label per row, C for background; or a tuple
            (labels, qualities), which are targets and IoUs at once; or a tuple (targets of the shape of pred, IoUs of
            the rows), of which those count that have a target above 0. The mean of these IoUs takes the place of mu.
        mu: mean IoU of positives; below 0.2 it counts as 0.2. The paper takes each batch's.

    >>> slide_loss(torch.zeros(1, 3), torch.tensor([[0.3, 0.45, 0.5]]))  # ln 2, and twice e^(1/2) ln 2
    tensor([[0.6931, 1.1428, 1.1428]])
    """
    wanted, iou, positive = soft_target(pred, target)
    level = pred.new_full((), mu)
    if iou is not None and positive is not None:
        counted = scores_that_count("slide", pred, None, ignored)
        total, count = total_of(pred, iou, positive, counted).to(pred.dtype).unbind()
        level = torch.where(count > 0, total / count.clamp(min=1), level)
    loss = slide_entropy(pred, wanted, level)
    return loss if ignored is None else loss.masked_fill(ignored, 0)


@register_loss(
    "ema_slide",
    kind="classification",
    formula=r"\begin{cases} \mathrm{BCE}(x, y) & y \le m - \frac{1}{10} \\"
    r" e^{1 - m}\, \mathrm{BCE}(x, y) & y < m \\ e^{1 - y}\, \mathrm{BCE}(x, y) & \text{else} \end{cases},\quad "
    r"m' = d\, m + (1 - d)\, \mathrm{mean}(\mathrm{IoU}),\quad d = \lambda (1 - e^{-n / \tau})",
    source=SLIDE,
    traits=replace(UNEQUAL, proper=True, stateful=True),
    targets=("dense", "labels", "label_score", "target_iou"),
    holds="shares",
    use_when="As slide, with few positives in a batch: its mean IoU is a running one.",
    avoid_when="Targets are 0 or 1, or no IoUs come with them: then it is binary cross-entropy, or slide.",
)
def ema_slide_loss(
    pred: Tensor,
    target: LabelScore,
    *,
    mu: Level = 0.5,
    mean: Annotated[Tensor | None, State(nothing_learnt, no_ious, sum_of_ious, updated_level)] = None,
) -> Tensor:
    """Slide loss with a running mean of the IoU; no paper has it, copies of its code agree.

    The module keeps `mean`, which learns before use in training with gradients on, from IoUs that come with the
    target: once per call (or per `begin_step`). Batches without positives leave it alone.

    Args:
        target: as of slide_loss.
        mu: the mean IoU until the first update; below 0.2 either counts as 0.2.
        mean: (2,) running mean of the IoU of positives, and the number of its updates; None: no update yet.

    >>> pred, target = torch.zeros(1, 2), torch.tensor([[0.3, 0.5]])
    >>> ema_slide_loss(pred, target, mean=torch.tensor([0.3, 10.0]))  # e^(1 - 0.3) ln 2, e^(1 - 0.5) ln 2
    tensor([[1.3958, 1.1428]])
    """
    wanted, _, _ = soft_target(pred, target)
    level = pred.new_full((), mu)
    return slide_entropy(pred, wanted, level if mean is None else torch.where(mean[1] > 0, mean[0].to(level), level))
