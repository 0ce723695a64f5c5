"""WIoU's focusing weight, and the running mean of 1 - IoU that it is relative to (2301.10051)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor

from ..catalog.conventions import OURS, Convention
from ..catalog.ranges import Interval
from .boxes import cxcywh_to_xyxy, pair_up

#: WIoU's constants in the paper, and the momentum of its code: from 1 down by 95 % in 34 epochs of 890 batches
WISE_ALPHA, WISE_DELTA = 1.9, 3.0
WISE_MOMENTUM = 1 - 0.05 ** (1 / (890 * 34))


def wise_momentum(batches: int, epochs: float) -> float:
    """The momentum with which WIoU's mean has come 95 % of its way after `epochs` of `batches` (2301.10051).

    >>> round(wise_momentum(890, 34) * 1e5, 4)
    9.8995
    """
    return float(1 - 0.05 ** (1 / (batches * epochs)))


def sum_of_iou_losses(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None,
    *,
    eps: float | None = None,
    convention: Convention = OURS,
    box_format: str = "xyxy",
    **_: Any,
) -> Tensor:
    """Sum of 1 - IoU over the boxes of weight above 0, and their number."""
    if box_format == "cxcywh":
        pred, target = cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target)
    loss = 1 - pair_up(pred, target, convention.eps if eps is None else eps, convention).iou
    loss = loss.masked_fill(~(pred + target).isfinite().all(-1), math.nan)  # an infinite box has a finite IoU
    if weight is None:
        return torch.stack([loss.sum(), torch.full_like(loss, 1.0).sum()])
    counts = (weight if weight.shape == loss.shape else weight.flatten(loss.ndim).mean(-1)) > 0
    return torch.stack([torch.where(counts, loss, 0.0).sum(), counts.to(loss.dtype).sum()])


def updated_mean(
    mean: Tensor, summary: Tensor, *, momentum: Annotated[float, Interval(0, 1)] = WISE_MOMENTUM
) -> Tensor:
    """The running mean after a batch: (1 - k) m + k times the mean of the batch, if that is finite and not empty.

    Args:
        mean: running mean so far.
        summary: sum of 1 - IoU over the boxes of the batch, and their number.
        momentum: k, the share of the batch; for k = 1 - 0.05^(1 / n) the mean comes 95 % of its way in n batches. The
            paper's code uses n = 890 * 34.
    """
    total, count = summary.unbind()
    batch = total / count.clamp(min=1)
    return torch.where((count > 0) & batch.isfinite(), (1 - momentum) * mean + momentum * batch, mean)


def paper_mean(mean: Tensor, summary: Tensor) -> Tensor:
    """As `updated_mean`, with the momentum of the paper's code."""
    return updated_mean(mean, summary)


def one(parameters: Mapping[str, Any]) -> Tensor:
    """Where the running mean starts."""
    return torch.ones(())


def no_boxes(parameters: Mapping[str, Any]) -> Tensor:
    """Sum and number of no boxes."""
    return torch.zeros(2)


def wise_weight(
    iou_loss: Tensor, mean: Tensor | float, version: int, alpha: float = WISE_ALPHA, delta: float = WISE_DELTA
) -> Tensor:
    """WIoU's r, without gradient, of beta = (1 - IoU) / running mean (2301.10051).

    Version 2: sqrt(beta), more weight to bad boxes. Version 3: beta / (delta alpha^(beta - delta)), most to boxes in
    between, less to outliers.

    >>> wise_weight(torch.tensor([0.25, 1.0]), 0.25, version=2)
    tensor([1., 2.])
    """
    floor = 1e-7
    if isinstance(mean, Tensor):  # a module's buffer has the shape (1,), and would be one axis more
        mean = (mean.squeeze(0) if mean.shape == (1,) else mean).clamp(min=floor)
    else:
        mean = max(mean, floor)
    beta = iou_loss.detach().relu() / mean
    if version == 2:
        return beta.sqrt()
    return beta / (delta * torch.exp(math.log(alpha) * (beta - delta)))
