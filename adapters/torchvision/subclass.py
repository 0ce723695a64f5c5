"""The class of a part whose losses are replaced: a subclass of its own, which pickles and copies."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection import fcos, retinanet, roi_heads, rpn

from ..detr import making
from ..detr.slot import at_least_single
from .errors import UnsupportedModel
from .quality import of_valid, qualities
from .seams import SEAMS, Handed
from .seat import Seat

#: the attribute of a part that holds its losses; no module, so that the state dict has the keys it had
SEAT = "loss_plugins_losses"
Method = Callable[..., Any]


def seat_of(part: Any) -> Seat | None:
    """The losses that a part computes instead of its own; None: it has no plug."""
    return part.__dict__.get(SEAT)  # type: ignore[no-any-return]


def put_in(part: Any, seat: Seat) -> None:
    """Make a part compute other losses.

    Raises:
        UnsupportedModel: its class cannot be changed.
    """
    making.put_in(part, plugged_class, SEAT, seat, UnsupportedModel, "plug the model before it is wrapped")


def take_out(part: Any) -> None:
    """Give a part its class back, unless somebody else has put a class of his own over it."""
    making.take_out(part, SEAT)


@functools.cache
def plugged_class(stock: type) -> type:
    """The subclass of a class of parts, made once."""
    owner = owner_of_class(stock)
    method = SEAMS[owner][0].method if owner in SEAMS else "compute_loss"
    methods = {method: ENTRANCES.get(owner, _entrance)(getattr(stock, method))}
    hands_over = HANDS_OVER.get(owner)
    if hands_over is not None:
        methods[hands_over] = _hands_over(getattr(stock, hands_over), proposals=owner is roi_heads.RoIHeads)
    return making.subclass_of(stock, methods, SEAT, put_in)


def owner_of_class(stock: type) -> type:
    """torchvision's class that a class of parts derives from."""
    owner: type = next(owner for owner in (*SEAMS, retinanet.RetinaNetHead) if issubclass(stock, owner))
    return owner


def _entrance(stock: Method) -> Method:
    @functools.wraps(stock)
    def enter(self: Any, *arguments: Any, **named: Any) -> Any:
        seat = seat_of(self)
        return stock(self, *arguments, **named) if seat is None else seat.run(stock, self, arguments, named)

    return enter


def _entrance_of_fcos(stock: Method) -> Method:
    """FCOS decodes in the precision of its offsets, and corners in pixels need more than half precision has."""
    enter = _entrance(stock)

    @functools.wraps(stock)
    def compute_loss(self: Any, targets: Any, head_outputs: Any, anchors: Any, matched_idxs: Any) -> Any:
        seat = seat_of(self)
        if seat is not None:
            offsets = at_least_single(head_outputs["bbox_regression"])
            head_outputs = {**head_outputs, "bbox_regression": offsets}
            if seat.of_quality:
                found = qualities(self.box_coder.decode, offsets, anchors, targets, matched_idxs)
                seat.handed = [torch.stack(found)]
        return enter(self, targets, head_outputs, anchors, matched_idxs)

    return compute_loss


def _entrance_of_retinanet(stock: Method) -> Method:
    """The head of RetinaNet knows boxes and scores, and its parts do not: it hands qualities to the loss of scores."""

    @functools.wraps(stock)
    def compute_loss(self: Any, targets: Any, head_outputs: Any, anchors: Any, matched_idxs: Any) -> Any:
        seat = seat_of(self)
        if seat is not None:
            decode = self.regression_head.box_coder.decode_single
            found = qualities(decode, head_outputs["bbox_regression"], anchors, targets, matched_idxs)
            seat.handed = of_valid(found, matched_idxs)
        return stock(self, targets, head_outputs, anchors, matched_idxs)

    return compute_loss


def _entrance_of_roi(stock: Method) -> Method:
    """The second stage computes losses where it is in training mode, and finds objects else."""
    enter = _entrance(stock)

    @functools.wraps(stock)
    def forward(self: Any, *arguments: Any, **named: Any) -> Any:
        return (enter if self.training else stock)(self, *arguments, **named)

    return forward


def _entrance_of_rpn(stock: Method) -> Method:
    """The first stage picks rows of its targets: the anchors go along beside them."""
    enter = _entrance(stock)

    @functools.wraps(stock)
    def compute_loss(
        self: Any, objectness: Tensor, pred_bbox_deltas: Tensor, labels: Any, regression_targets: list[Tensor]
    ) -> Any:
        seat = seat_of(self)
        if seat is not None and seat.handed is not None:
            pairs = zip(regression_targets, seat.handed.anchors, strict=True)
            regression_targets = [torch.cat([target, anchors.to(target)], dim=-1) for target, anchors in pairs]
        return enter(self, objectness, pred_bbox_deltas, labels, regression_targets)

    return compute_loss


ENTRANCES: dict[type, Callable[[Method], Method]] = {
    fcos.FCOSHead: _entrance_of_fcos,
    retinanet.RetinaNetHead: _entrance_of_retinanet,
    roi_heads.RoIHeads: _entrance_of_roi,
    rpn.RegionProposalNetwork: _entrance_of_rpn,
}
#: the method that knows what offsets are relative to, where the one that computes losses does not
HANDS_OVER: dict[type, str] = {
    roi_heads.RoIHeads: "select_training_samples",
    rpn.RegionProposalNetwork: "assign_targets_to_anchors",
}


def _hands_over(stock: Method, proposals: bool) -> Method:
    @functools.wraps(stock)
    def hand_over(self: Any, first: list[Tensor], targets: Any) -> Any:
        found = stock(self, first, targets)
        seat = seat_of(self)
        if seat is not None:
            seat.handed = Handed(found[0] if proposals else first, self.box_coder)
        return found

    return hand_over
