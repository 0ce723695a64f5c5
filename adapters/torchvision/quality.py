"""The targets of losses of qualities: the IoU of each predicted box with the object that it is matched with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.retinanet import det_utils

from loss_plugins import iou_loss

from ..detr.slot import at_least_single

Decode = Callable[[Tensor, Tensor], Tensor]


def qualities(
    decode: Decode,
    offsets: Sequence[Tensor] | Tensor,
    anchors: Sequence[Tensor],
    targets: Sequence[dict[str, Tensor]],
    matched: Sequence[Tensor],
) -> list[Tensor]:
    """Of each image one number per anchor, by which nothing learns; 1 where there is no object.

    Args:
        decode: offsets and anchors to corners.
        offsets: (anchors, 4) of each image.
        anchors: (anchors, 4) of each image.
        targets: of each image.
        matched: of each anchor the object, below 0 for none.
    """
    found = []
    with torch.no_grad():
        for image in zip(offsets, anchors, targets, matched, strict=True):
            found.append(_of_image(decode, *image))
    return found


def of_valid(quality: Sequence[Tensor], matched: Sequence[Tensor]) -> list[Tensor]:
    """Of each image the anchors that RetinaNet computes a class loss of: objects and background, nothing in between."""
    pairs = zip(quality, matched, strict=True)
    return [numbers[found != det_utils.Matcher.BETWEEN_THRESHOLDS] for numbers, found in pairs]


def _of_image(decode: Decode, offsets: Tensor, anchors: Tensor, target: dict[str, Any], matched: Tensor) -> Tensor:
    quality = at_least_single(offsets).new_ones(len(matched))
    where = torch.where(matched >= 0)[0]
    with torch.autocast(offsets.device.type, enabled=False):
        pred = decode(at_least_single(offsets[where]), anchors[where])
        quality[where] = 1 - iou_loss(pred, target["boxes"][matched[where]].to(pred))
    return quality
