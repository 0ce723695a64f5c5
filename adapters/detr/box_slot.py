"""The box slot: what a criterion calls `loss_giou`, of matched boxes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from loss_plugins import Loss

from .asked import Size
from .matches import Pairs
from .slot import Slot, at_least_single


class BoxSlot(Slot):
    """The box loss of a criterion.

    Args:
        loss: takes corners, one number per box.
        size: (height, width) of the image in whose pixels it takes them; None: in sides of the image.

    Attributes:
        key: under which the criterion returns the loss.
        side_key: under which it returns the distance of the sides, which stays as it is; None: it does not.
        others: whether it returns more, if only sometimes, which it has to compute itself.
        padded: whether it leaves out rows of targets that are not valid.
        weighed: whether it multiplies by `boxes_weight`, where it is given one.
    """

    name = "box"

    def __init__(self, loss: Loss, size: Size | None) -> None:
        super().__init__(loss)
        self.size = size
        self.key = "loss_giou"
        self.side_key: str | None = "loss_bbox"
        self.others = False
        self.padded = False
        self.weighed = True
        self._scales: dict[torch.device, Tensor] = {}

    def scale(self, device: torch.device) -> Tensor | None:
        """The factors from sides of the image to the unit of the loss, (4,) for x, y, x, y."""
        if self.size is None:
            return None
        if device not in self._scales:
            height, width = self.size
            with torch.inference_mode(False):  # a training may follow on the validation in which it was made
                self._scales[device] = torch.tensor([width, height, width, height], device=device)
        return self._scales[device]

    def losses(self, pairs: Pairs, num_boxes: Any, boxes_weight: Tensor | None) -> dict[str, Tensor]:
        """What the criterion returns for one layer.

        Args:
            pairs: of the layer.
            num_boxes: what the sums are divided by.
            boxes_weight: a factor for each pair of the box loss; None: 1.
        """
        found = {} if self.side_key is None else {self.side_key: side_distance(pairs).sum() / num_boxes}
        return {**found, self.key: self.rows(pairs, boxes_weight).sum() / num_boxes}

    def rows(self, pairs: Pairs, boxes_weight: Tensor | None) -> Tensor:
        """(n,) the box loss of each pair with its factors, counted."""
        pred = self.use.follow(pairs.pred)
        loss_module = self.loss_on(pred.device)
        with torch.autocast(pred.device.type, enabled=False):
            exact = pairs._replace(pred=at_least_single(pred), target=at_least_single(pairs.target))
            loss = loss_module.elementwise(*exact.corners(self.scale(pred.device)), weight=pairs.valid)
            for factor in (pairs.valid, boxes_weight):
                loss = loss if factor is None else loss * factor
            loss = loss * self.factor
        self.use.count(loss, pred)
        return loss


def side_distance(pairs: Pairs) -> Tensor:
    """(n, 4) the distance of the sides, as every criterion has it."""
    loss = functional.l1_loss(pairs.pred, pairs.target, reduction="none")
    return loss if pairs.valid is None else loss * pairs.valid[:, None]
