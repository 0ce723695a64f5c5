# SPDX-License-Identifier: AGPL-3.0-or-later
"""The box losses that Ultralytics and torchvision ship, beside our dialects of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from torch import Tensor

from loss_plugins import build_loss
from loss_plugins.parity.compare import BoxLoss


def builtin_pairs() -> Iterator[tuple[str, str, BoxLoss, BoxLoss]]:
    """(loss, framework, ours, theirs) for each loss of theirs that we also have."""
    from torchvision.ops import complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss

    for name, flags in {"iou": {}, "giou": {"GIoU": True}, "diou": {"DIoU": True}, "ciou": {"CIoU": True}}.items():
        yield name, "Ultralytics", _ours(name, "ultralytics"), partial(_one_minus_bbox_iou, flags)
    for name, theirs in {
        "giou": generalized_box_iou_loss,
        "diou": distance_box_iou_loss,
        "ciou": complete_box_iou_loss,
    }.items():
        yield name, "torchvision", _ours(name, "torchvision"), theirs


def _ours(name: str, dialect: str) -> BoxLoss:
    return build_loss(name, dialect=dialect, reduction="none").elementwise


def _one_minus_bbox_iou(flags: dict[str, bool], pred: Tensor, target: Tensor) -> Tensor:
    from ultralytics.utils.metrics import bbox_iou

    similarity: Tensor = bbox_iou(pred, target, xywh=False, **flags)
    return 1 - similarity.squeeze(-1)
