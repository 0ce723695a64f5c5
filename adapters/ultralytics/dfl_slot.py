# SPDX-License-Identifier: AGPL-3.0-or-later
"""The slot of the sides: the second loss that `BboxLoss.forward` returns, DFL of bins or L1 of distances."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from loss_plugins import Loss, distribution_focal_loss, l1_loss

from .branch_call import BranchCall
from .errors import UnsupportedUltralytics
from .probe import has_stride, kind_of
from .slots import Slot


def stock_loss(pred: Tensor, target: Tensor) -> Tensor:
    """Ultralytics' loss of the sides, one number per side (n, 4): DFL of bins (n, 4, bins), L1 of distances (n, 4)."""
    if pred.ndim == target.ndim:
        return l1_loss(pred, target)
    return distribution_focal_loss(pred, target)


class DflSlot(Slot):
    """The loss of the distances from an anchor point to the four sides of its box.

    A head with bins predicts each distance as logits over 0, 1, 2 ... grid cells, and the loss gets those and the
    distance in cells. A head without predicts the distance, and the loss gets it and its target in shares of the
    image's width or height. The mean over the sides is weighted and normalised as the stock loss is.

    Attributes:
        of_bins: whether the loss is one of distributions over bins.
    """

    def __init__(self, build: Callable[[], Loss], token: str) -> None:
        super().__init__("dfl", build, None, token)
        self.of_bins = self.prototype.entry.kind == "classification"

    def compute(self, bbox_loss: nn.Module, call: BranchCall) -> Tensor:
        """The loss of the foreground in float32.

        Args:
            bbox_loss: the `BboxLoss` that was called.
            call: of its `forward`.
        """
        weight = call.weight
        pred, target = sides(bbox_loss, call)
        training = torch.is_grad_enabled() and pred.requires_grad
        loss_module = self.loss_of(bbox_loss, pred.device)
        self.calls.follow(pred)
        with torch.autocast(pred.device.type, enabled=False):
            if training and self.measure_next and len(pred):
                rows = weight.float().view(-1, *[1] * (pred.ndim - 1))
                self.compare(loss_module, stock_loss, per_side, pred, target, rows)
            loss = per_side(loss_module, pred, target).mean(-1)
        self.look(loss, pred, target, call.image_of)
        factor = self.calls.gain * loss_module.loss_weight
        total: Tensor = (loss * weight).sum() / call["target_scores_sum"] * factor
        self.calls.count(total, len(weight), training)
        return total


def per_side(loss: Loss, pred: Tensor, target: Tensor) -> Tensor:
    """The loss of each side (n, 4), of bins (n, 4, bins) or distances (n, 4): rows of bins are of one side each."""
    if pred.ndim == target.ndim:
        return loss.elementwise(pred, target)
    return loss.elementwise(pred.flatten(0, 1), target.flatten()).view(target.shape)


def sides(bbox_loss: nn.Module, call: BranchCall) -> tuple[Tensor, Tensor]:
    """What is predicted of the sides, and their targets (n, 4), of the foreground in float32.

    Args:
        bbox_loss: the `BboxLoss` that was called; its number of bins says what is predicted.
        call: of its `forward`.
    """
    pred = call.rows("pred_dist")
    target = distances(bbox_loss, call)[call.foreground].float()
    bins = bins_of(bbox_loss)
    if bins:
        return pred.view(len(pred), 4, bins), target.clamp(0, bins - 1 - 0.01)  # as Ultralytics cuts them off
    height, width = call["imgsz"].float().unbind()
    share = call.cell / torch.stack([width, height, width, height])
    return pred * share, target * share


def distances(bbox_loss: nn.Module, call: BranchCall) -> Tensor:
    """From each anchor point to the left, upper, right and lower side of its target (b, anchors, 4), in grid cells."""
    from ultralytics.utils import tal

    anchors, boxes = call["anchor_points"], call["target_bboxes"]
    if kind_of(bbox_loss) == "rotated_box":  # from the anchor point, turned with the box
        found: Tensor = tal.rbox2dist(boxes[..., :4], anchors, boxes[..., 4:5])
        return found
    return torch.cat([anchors - boxes[..., :2], boxes[..., 2:] - anchors], dim=-1)


def require_known(bbox_loss: nn.Module) -> None:
    """Raise unless this version computes the distances as is known here.

    Raises:
        UnsupportedUltralytics: it has others for rotated boxes, or does not pass the size of the image.
    """
    from ultralytics.utils import tal

    kind, remedy = kind_of(bbox_loss), "Use 8.4.0 or newer, or leave dfl out"
    if kind == "rotated_box" and not hasattr(tal, "rbox2dist"):
        raise UnsupportedUltralytics("its distances to the sides of rotated boxes are others", remedy)
    if not bins_of(bbox_loss) and not has_stride(kind):
        raise UnsupportedUltralytics("it has no loss of the sides without bins, or gets no size of the image", remedy)


def bins_of(bbox_loss: nn.Module) -> int:
    """Bins of a predicted distance; 0: the distance itself is predicted."""
    dfl = getattr(bbox_loss, "dfl_loss", None)
    return int(dfl.reg_max) if dfl is not None else 0
