# SPDX-License-Identifier: AGPL-3.0-or-later
"""The box slot: the first of the losses that `BboxLoss.forward` returns, of axis-aligned or of rotated boxes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from loss_plugins import Loss, ciou_loss, prob_iou_loss
from loss_plugins.catalog.identity import is_shipped
from loss_plugins.module.gain import IMAGE_SIZE, box_gain, gradient_of, rotated_gain, turned
from loss_plugins.module.image_size import given_sizes, normalised, require_size
from loss_plugins.tensors import warn_of_inverted

from . import probe
from .branch_call import BranchCall
from .errors import UnsupportedUltralytics
from .overlap import overlap_by
from .slots import Slot, changed_parameters


def stock_box_loss(pred: Tensor, target: Tensor) -> Tensor:
    """Ultralytics' box loss, one number per box."""
    return ciou_loss(pred, target, dialect="ultralytics")


def stock_rotated_loss(pred: Tensor, target: Tensor, floor: float = 0.01) -> Tensor:
    """Ultralytics' loss of rotated boxes in grid cells, one number per box."""
    return prob_iou_loss(pred, target, floor=floor, dialect="ultralytics")


def units_of(loss: Loss) -> str:
    """The unit that a loss wants its boxes in; one in Ultralytics' dialect the stock loss's own, "any"."""
    return "any" if loss.parameters_given.get("dialect") == "ultralytics" else loss.entry.traits.units


#: by kind of box: the stock loss, its name, and what makes another loss pull as hard
STOCK: dict[str, Callable[..., Tensor]] = {"box": stock_box_loss, "rotated_box": stock_rotated_loss}
STOCK_NAMES = {"box": "CIoU", "rotated_box": "ProbIoU"}
MATCHED = {"box": box_gain, "rotated_box": rotated_gain}


class BoxSlot(Slot):
    """The first of the two losses that `BboxLoss.forward` returns.

    Attributes:
        kind: the boxes that the loss takes, "box" (n, 4) xyxy or "rotated_box" (n, 5) cxcywh and angle.
        units: of the loss: "any", which grid cells are, "pixels" or "image".
        image_size: side of the image in pixels; 1 in the unit "image".
        overlap: what the assigner uses for the overlap of boxes with assigner="match".
    """

    def __init__(
        self,
        build: Callable[[], Loss],
        match_gain: bool,
        token: str,
        image_size: float,
        match_overlap: bool = False,
        resumed: bool = False,
    ) -> None:
        self.asked = build()
        self.kind, self.units = self.asked.entry.kind, units_of(self.asked)
        self.stock = STOCK[self.kind]
        if self.units == "image":
            asked = self.asked
            build, image_size = lambda: normalised(asked), 1.0
        self.image_size = image_size
        match = partial(MATCHED[self.kind], stock=self.stock, image_size=image_size)
        super().__init__("box", build, match, token, match_gain, resumed)
        self.inverted_named = False
        self.may_rest = self._rests_apart()
        self._anchors = -1
        self.size_known = not given_sizes(self.asked.spec())
        self.overlap = overlap_by(self.prototype, self.stock) if match_overlap else None
        if self.units != "any" and not probe.has_stride(self.kind):
            raise UnsupportedUltralytics(
                f"{self.loss_name} needs boxes in pixels, and this version does not pass the stride to "
                f"{probe.BOX_LOSSES[self.kind][0]}.forward",
                "Use 8.4.0 or newer, or a scale-invariant loss",
            )

    def compute(self, bbox_loss: nn.Module, call: BranchCall) -> Tensor:
        """The box loss over the foreground in float32, weighted and normalised as the stock loss is.

        Args:
            bbox_loss: the `BboxLoss` that was called.
            call: of its `forward`.
        """
        weight, pred, target = call.weight, call.rows("pred_bboxes"), call.rows("target_bboxes")
        if not self.size_known:
            self.compare_size(call)
        scale = self.scale(call)
        training = torch.is_grad_enabled() and pred.requires_grad
        if self.kind == "box" and not self.inverted_named:  # on the CPU only: a GPU would make the host wait
            self.inverted_named = warn_of_inverted(self.loss_name, target, target[:, 2:] - target[:, :2])
        self.calls.follow(pred)
        loss_module = self.loss_of(bbox_loss, pred.device)
        with torch.autocast(pred.device.type, enabled=False):
            if training and self.measure_next and len(pred):
                self.measure(loss_module, self.stock, pred, target, weight.float()[:, None], scale)
            given = (pred, target) if self.units == "any" else (pred * scale, target * scale)
            loss = loss_module.elementwise(*given)
        self.look(loss, *given, call.image_of)
        factor = self.calls.gain * loss_module.loss_weight
        total: Tensor = (loss * weight).sum() / call["target_scores_sum"] * factor
        self.calls.count(total, len(weight), training)
        return total

    def matched_alone(self) -> str:
        """For messages: the loss with its matched gain as loss_weight, where gain="match" is not taken beside it."""
        weight = float(f"{self.calls.gain * self.prototype.loss_weight:.3g}")
        return f"box={ {'type': self.loss_name, **changed_parameters(self.asked), 'loss_weight': weight}!r}"

    def require_size(self, size: Sequence[float], what: str) -> None:
        """Raise unless an image size that the loss was given is that of the images, (height, width)."""
        require_size(self.asked, given_sizes(self.asked.spec()), size, what)
        self.size_known = True

    def compare_size(self, call: BranchCall) -> None:
        """Raise unless a batch has the size that was given: in a loop of one's own each may have another.

        A GPU makes the host wait: there it is looked at where the number of anchors is another one.
        """
        anchors = call["fg_mask"].shape[-1]
        if call["imgsz"].device.type == "cpu" or anchors != self._anchors:
            size = call["imgsz"].tolist()
            require_size(self.asked, given_sizes(self.asked.spec()), size, "the images of this batch have")
            self._anchors = anchors

    def _rests_apart(self) -> bool:
        """Whether the loss does not pull boxes together that lie apart: its trait says so, or it shows on three."""
        entry = self.prototype.entry
        if is_shipped(entry.function) or not entry.traits.gradient_when_disjoint:
            return not entry.traits.gradient_when_disjoint
        side = 1.0 if self.units == "image" else IMAGE_SIZE
        pred = side * torch.tensor([0.1, 0.1, 0.2, 0.2]).expand(3, 4)
        target = pred + side * torch.tensor([[0.2], [0.4], [0.6]])
        pair = (pred, target) if self.kind == "box" else (turned(pred, side), turned(target, side))
        return not (gradient_of(copy.deepcopy(self.prototype).eval().elementwise, *pair) != 0).any()

    def scale(self, call: BranchCall) -> Tensor | float:
        """From grid cells to the loss's unit: pixels, or sqrt(2) diagonals of the image, in which it is (1, 1)."""
        if self.units == "any":
            return 1.0
        cell = call.cell
        if self.units == "image":
            cell = cell * (2**0.5 / call["imgsz"].float().norm())
        return torch.cat([cell.expand(-1, 4), torch.ones_like(cell)], dim=-1)[:, : 4 if self.kind == "box" else 5]
