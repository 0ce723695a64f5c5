"""Where torchvision computes losses: the method of each part of a model, and the global that the method calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection import fcos, retinanet, roi_heads, rpn

from ..detr.slot import at_least_single

Function = Callable[..., Any]


class Handed(NamedTuple):
    """What offsets are relative to, where the method that computes losses does not get it."""

    anchors: list[Tensor]
    coder: Any


class Seam(NamedTuple):
    """A loss of a part of a model.

    Attributes:
        slot: "box" or "cls".
        method: of the part, called once a step.
        name: the global of the method that is the loss.
        key: what the loss is called in what the method returns.
        function: of a slot, and of what gives what was handed to its seat last: what stands in for the global.
    """

    slot: str
    method: str
    name: str
    key: str
    function: Callable[[Any, Callable[[], Any]], Any]


class Overlay:
    """A module of which some names mean something else."""

    def __init__(self, module: Any, **names: Any) -> None:
        self.__dict__.update(names)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The loss per row as torchvision's functions return it."""
    return loss.sum() if reduction == "sum" else loss.mean() if reduction == "mean" else loss


def of_corners(slot: Any, _: Any) -> Function:
    """FCOS decodes by itself."""

    def generalized_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 0.0) -> Tensor:
        return reduced(slot.rows(boxes1, boxes2), reduction)

    return generalized_box_iou_loss


def of_image(slot: Any, _: Any) -> Function:
    """RetinaNet has one function for all of its box losses, called once an image."""

    def box_loss(kind: str, coder: Any, anchors: Tensor, matched: Tensor, offsets: Tensor, cnf: Any = None) -> Tensor:
        return decoded(slot, coder, offsets, matched, anchors).sum()

    return box_loss


def of_scores(slot: Any, handed: Callable[[], Any]) -> Function:
    """The focal loss of FCOS and RetinaNet; for losses of qualities, those of the rows of each call are handed."""

    def sigmoid_focal_loss(
        inputs: Tensor, targets: Tensor, alpha: float = 0.0, gamma: float = 0.0, reduction: str = "none"
    ) -> Tensor:
        if slot.of_quality:
            targets = targets * handed().pop(0).to(targets)[..., None]
        return reduced(slot.scores(inputs, targets), reduction)

    return sigmoid_focal_loss


def of_proposals(slot: Any, handed: Callable[[], Handed]) -> Function:
    """The second stage has one function for both of its losses; that of classes stays as it is."""

    def fastrcnn_loss(
        class_logits: Tensor, box_regression: Tensor, labels: list[Tensor], regression_targets: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        of_classes, _ = roi_heads.fastrcnn_loss(class_logits, box_regression, labels, regression_targets)
        label, (proposals, coder) = torch.cat(labels), handed()
        found = torch.where(label > 0)[0]
        offsets = box_regression.reshape(len(label), -1, 4)[found, label[found]]
        anchors = torch.cat(proposals)[found]
        target = coder.decode_single(torch.cat(regression_targets)[found], anchors)
        return of_classes, decoded(slot, coder, offsets, target, anchors).sum() / label.numel()

    return fastrcnn_loss


def of_anchors(slot: Any, handed: Callable[[], Handed]) -> Overlay:
    """The first stage calls smooth L1 by way of its `F`; its targets come with the anchors beside them."""

    def smooth_l1_loss(offsets: Tensor, beside: Tensor, beta: float = 0.0, reduction: str = "mean") -> Tensor:
        target, anchors = beside[:, :4], beside[:, 4:]
        coder = handed().coder
        return reduced(decoded(slot, coder, offsets, coder.decode_single(target, anchors), anchors), reduction)

    return Overlay(functional, smooth_l1_loss=smooth_l1_loss)


def decoded(slot: Any, coder: Any, offsets: Tensor, target: Tensor, anchors: Tensor) -> Tensor:
    """The loss of each pair of boxes, of which the predicted ones come as offsets (n, 4) to anchors."""
    pred = coder.decode_single(at_least_single(offsets), anchors)
    return slot.rows(pred, target, anchors, coder)  # type: ignore[no-any-return]


#: the parts of models that are served; a model has at most one of each
SEAMS: dict[type, tuple[Seam, ...]] = {
    fcos.FCOSHead: (
        Seam("box", "compute_loss", "generalized_box_iou_loss", "bbox_regression", of_corners),
        Seam("cls", "compute_loss", "sigmoid_focal_loss", "classification", of_scores),
    ),
    retinanet.RetinaNetRegressionHead: (Seam("box", "compute_loss", "_box_loss", "bbox_regression", of_image),),
    retinanet.RetinaNetClassificationHead: (
        Seam("cls", "compute_loss", "sigmoid_focal_loss", "classification", of_scores),
    ),
    roi_heads.RoIHeads: (Seam("box", "forward", "fastrcnn_loss", "loss_box_reg", of_proposals),),
    rpn.RegionProposalNetwork: (Seam("box", "compute_loss", "F", "loss_rpn_box_reg", of_anchors),),
}


def owner_of(part: Any) -> type | None:
    """torchvision's class that a part of a model is one of; None: no part that is served."""
    return next((owner for owner in SEAMS if isinstance(part, owner)), None)
