"""A place of a head that takes a loss: one of boxes, or one of scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from loss_plugins import Loss

from ..detr.asked import of_quality
from ..detr.slot import Slot


class HeadSlot(Slot):
    """A loss of torchvision's heads.

    Attributes:
        of_quality: the target of an object's class is the IoU of the predicted box, not 1.
    """

    of_quality = False

    def computed(self, pred: Tensor, target: Tensor) -> Tensor:
        """The loss per row or score in single precision, counted."""
        pred = self.use.follow(pred)
        loss_module = self.loss_on(pred.device)
        with torch.autocast(pred.device.type, enabled=False):
            loss = loss_module.elementwise(pred, target) * self.factor
        self.use.count(loss, pred)
        return loss


class BoxSlot(HeadSlot):
    """The box loss of a head: corners in pixels."""

    name = "box"

    def rows(self, pred: Tensor, target: Tensor, anchors: Tensor | None = None, coder: Any = None) -> Tensor:
        """(n,) the loss of each pair; what offsets were relative to is for stock losses, which compare offsets."""
        return self.computed(pred, target)


class ClassSlot(HeadSlot):
    """The class loss of a head: logits, each with a target of its own."""

    name = "cls"

    def __init__(self, loss: Loss) -> None:
        super().__init__(loss)
        self.of_quality = of_quality(loss)

    def scores(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of each score, in the shape of the logits (..., classes)."""
        rows = logits.flatten(0, -2), target.flatten(0, -2)
        return self.computed(*rows).view(logits.shape)
