# SPDX-License-Identifier: AGPL-3.0-or-later
"""The mask slot: `single_mask_loss` of instance segmentation, computed on the pixels inside the target's box."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from loss_plugins import Loss
from loss_plugins.module.mix import MixLoss, members_of

from .class_slot import stock_class_loss
from .slots import Slot

#: a logit whose probability is 0, and which no gradient moves
NOTHING = -1e4


class MaskSlot(Slot):
    """The loss of one image's masks: a number per instance, summed; the trainer divides by the foreground."""

    def __init__(self, build: Callable[[], Loss], token: str) -> None:
        super().__init__("mask", build, None, token)
        self.may_rest = True  # a region loss without a target pixel has the gradient 0

    def due(self, foreground: Tensor) -> Tensor:
        """A call for each image that has foreground."""
        return foreground.any(-1).sum()

    def compute(
        self, criterion: Any, gt_mask: Tensor, pred: Tensor, proto: Tensor, xyxy: Tensor, area: Tensor
    ) -> Tensor:
        """The loss in float32, as `single_mask_loss` returns it.

        Args:
            criterion: whose masks they are.
            gt_mask: (n, h, w), 0 and 1.
            pred: coefficients of the predicted masks (n, 32).
            proto: the image's prototypes (32, h, w).
            xyxy: the targets' boxes in pixels of the masks (n, 4).
            area: share of the image that each box covers (n,).
        """
        logits = torch.einsum("in,nhw->ihw", pred, proto).float()
        inside = pixels_inside(xyxy, *logits.shape[1:])
        training = torch.is_grad_enabled() and logits.requires_grad
        loss_module = self.loss_of(criterion, logits.device)
        self.calls.follow(logits)
        with torch.autocast(logits.device.type, enabled=False):
            if training and self.measure_next:
                self._compare(loss_module, logits, gt_mask.float(), inside, area.float())
            losses = per_instance(loss_module, logits, gt_mask.float(), inside, area.float())
        if self.guard is not None:
            self.look(losses, logits, gt_mask, self.guard.next_with_masks())
        total = losses.sum() * (self.calls.gain * loss_module.loss_weight)
        self.calls.count(total, len(losses), training)
        return total

    def _compare(self, loss: Loss, logits: Tensor, mask: Tensor, inside: Tensor, area: Tensor) -> None:
        """Compare the gradient of each instance's pixels with that of the stock loss, see `Slot.compare`."""

        def computed(twin: Loss, given: Tensor, wanted: Tensor) -> Tensor:
            return per_instance(twin, given, wanted, inside, area)

        def stock(given: Tensor, wanted: Tensor) -> Tensor:
            return mean_inside(stock_class_loss(given, wanted), inside, area)

        self.compare(loss, stock, computed, logits, mask)


def per_instance(
    loss: Loss, logits: Tensor, mask: Tensor, inside: Tensor, area: Tensor, nothing: float = NOTHING
) -> Tensor:
    """The loss of each instance (n,), of logits, masks and pixels to look at (n, h, w).

    A region loss sees the pixels inside the box and no others: beside it, prediction and target are both 0, and no sum
    over the region has a share of them. A loss per pixel is averaged as the stock loss is. A mix adds its members up.
    """
    if isinstance(loss, MixLoss):
        parts = [each * per_instance(member, logits, mask, inside, area, nothing) for each, member in members_of(loss)]
        return torch.stack(parts).sum(0)
    if loss.entry.kind == "region":
        outside = ~inside
        losses = loss.elementwise(logits.masked_fill(outside, nothing)[:, None], mask.masked_fill(outside, 0)[:, None])
        return losses.masked_fill(outside.flatten(1).all(1), 0) if losses.shape == logits.shape[:1] else losses
    pixels = loss.elementwise(logits.flatten()[:, None], mask.flatten()[:, None]).view(logits.shape)
    return mean_inside(pixels, inside, area)


def mean_inside(pixels: Tensor, inside: Tensor, area: Tensor) -> Tensor:
    """The mean over each image of what lies inside the boxes, over the share of the image that they cover."""
    return pixels.masked_fill(~inside, 0).mean(dim=(1, 2)) / area


def pixels_inside(xyxy: Tensor, height: int, width: int) -> Tensor:
    """The pixels inside boxes (n, 4), as the installed Ultralytics crops masks.

    They are those whose index is in [x1, x2) and [y1, y2); versions before 8.4.120 or so round the boxes before, on the
    CPU and for less than 50 masks.
    """
    from ultralytics.utils import loss

    cropped: Tensor = loss.crop_mask(torch.ones(len(xyxy), height, width, device=xyxy.device), xyxy)
    return cropped > 0
