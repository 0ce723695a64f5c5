"""HeadOutputs outputs of each part of a model, on which losses are compared, and how the part is called with them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.detection import fcos, retinanet, roi_heads, rpn
from torchvision.models.detection.retinanet import det_utils

from .quality import of_valid, qualities
from .seams import Handed, owner_of
from .subclass import seat_of

ANCHORS = 8
IMAGES = 3
#: of each anchor of each image the object that it is matched with; -1: background, -2: neither
MATCHED = ((0, 1, -1, 1, -2, 0, -1, -1), (-1, -1, -2, -1, -1, -1, -1, -1), (2, -1, 0, -2, 1, -1, 0, 2))
OBJECTS = (2, 0, 3)
Method = Callable[..., Any]


class HeadOutputs(NamedTuple):
    """Outputs of a part for three images, and what they are matched with."""

    logits: Tensor  # (images, anchors, classes)
    offsets: Tensor  # (images, anchors, 4)
    anchors: list[Tensor]
    targets: list[dict[str, Tensor]]
    matched: list[Tensor]

    @property
    def leaves(self) -> tuple[Tensor, Tensor]:
        """What gradients are compared of."""
        return self.logits, self.offsets


def fixed(classes: int, device: torch.device, objects: bool = True) -> HeadOutputs:
    """In float64, with two objects, none, and three; or with none at all."""
    count = IMAGES * ANCHORS
    logits = torch.linspace(-2.0, 2.5, count * classes, dtype=torch.float64).sin().mul(3)
    offsets = torch.linspace(0.1, 9.7, count * 4, dtype=torch.float64).sin().mul(0.3) + 0.45
    where = torch.linspace(0.0, 5.0, count, dtype=torch.float64)
    corner = torch.stack([20 + 30 * where.cos(), 25 + 20 * where.sin()], dim=-1)
    sides = torch.stack([25 + 4 * where, 40 - 3 * where], dim=-1)
    anchors = list(torch.cat([corner, corner + sides], dim=-1).view(IMAGES, ANCHORS, 4).to(device))
    targets, matched = [], []
    for image in range(IMAGES):
        found = [row if objects else min(row, -1) for row in MATCHED[image]]
        matches = torch.tensor(found, device=device)
        boxes = [_around(anchors[image][matches == index]) for index in range(OBJECTS[image]) if objects]
        moved = torch.tensor([[2.5, -3.0, 4.0, 1.5]], dtype=torch.float64, device=device)
        upright = torch.stack(boxes) + moved if boxes else moved[:0]
        labels = (torch.arange(len(boxes)) * 7 + image) % max(classes - 1, 1) + (classes > 1)
        targets.append({"boxes": upright, "labels": labels.to(device)})
        matched.append(matches)
    shaped = logits.view(IMAGES, ANCHORS, classes), offsets.view(IMAGES, ANCHORS, 4)
    leaves = [each.to(device).requires_grad_() for each in shaped]
    return HeadOutputs(leaves[0], leaves[1], anchors, targets, matched)


def _around(boxes: Tensor) -> Tensor:
    """The smallest box with all of these in it: an object has the centers of its anchors inside."""
    return torch.cat([boxes[:, :2].amin(0), boxes[:, 2:].amax(0)])


def classes_of(part: Any) -> int:
    """How many scores a part has for each place; 4 where it does not say, or does not care."""
    holder = getattr(part, "classification_head", part)
    known = getattr(holder, "num_classes", None)
    return known if isinstance(known, int) and known > 0 else 4


def losses_by_name(part: nn.Module, method: Method, key: str, given: HeadOutputs) -> dict[str, Tensor]:
    """The losses by name that a method of a part returns for fixed outputs.

    Args:
        part: of a model.
        method: as its class has it.
        key: the name of a loss that comes alone.
        given: the outputs.
    """
    owner = owner_of(part)
    devices = [] if given.logits.device.type == "cpu" else [given.logits.device]
    with torch.enable_grad(), torch.random.fork_rng(devices=devices):  # type: ignore[no-untyped-call]
        torch.manual_seed(0)  # of the samplers
        returned = CALLS[owner](part, method, given)  # type: ignore[index]
    return dict(returned) if isinstance(returned, Mapping) else {key: returned}


def _outputs(given: HeadOutputs) -> dict[str, Tensor]:
    return {"cls_logits": given.logits, "bbox_regression": given.offsets, "bbox_ctrness": given.logits[..., :1]}


def _of_fcos(part: nn.Module, method: Method, given: HeadOutputs) -> Any:
    matched = [found.clamp(min=-1) for found in given.matched]
    return method(part, given.targets, _outputs(given), given.anchors, matched)


def _of_boxes(part: nn.Module, method: Method, given: HeadOutputs) -> Any:
    return method(part, given.targets, _outputs(given), given.anchors, given.matched)


def _of_scores(part: nn.Module, method: Method, given: HeadOutputs) -> Any:
    seat = seat_of(part)
    if seat is not None and seat.of_quality:
        decode = det_utils.BoxCoder((1.0, 1.0, 1.0, 1.0)).decode_single
        found = qualities(decode, given.offsets, given.anchors, given.targets, given.matched)
        seat.handed = of_valid(found, given.matched)
    return method(part, given.targets, _outputs(given), given.matched)


def _of_anchors(part: Any, method: Method, given: HeadOutputs) -> dict[str, Tensor]:
    matched = [found.clamp(min=0) for found in given.matched]
    pairs = zip(given.targets, given.anchors, matched, strict=True)
    boxes = [target["boxes"][found] if len(target["boxes"]) else anchors for target, anchors, found in pairs]
    labels = [(found >= 0).double() - (found == -2).double() for found in given.matched]
    targets = list(part.box_coder.encode(boxes, given.anchors))
    seat = seat_of(part)
    if seat is not None:
        seat.handed = Handed(given.anchors, part.box_coder)
    objectness, offsets = given.logits[..., :1].flatten(0, 1), given.offsets.flatten(0, 1)
    of_objects, of_boxes = method(part, objectness, offsets, labels, targets)
    return {"loss_objectness": of_objects, "loss_rpn_box_reg": of_boxes}


class _Features(nn.Module):
    """Stands for the pooling: features that say nothing, one row for each proposal."""

    def forward(self, features: Any, proposals: list[Tensor], image_shapes: Any) -> Tensor:
        return proposals[0].new_zeros(sum(len(each) for each in proposals), 1)


class _Predictor(nn.Module):
    """Stands for the predictor: fixed outputs, however many proposals there are."""

    def __init__(self, given: HeadOutputs) -> None:
        super().__init__()
        self.given = given

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.arange(len(features), device=features.device) % (IMAGES * ANCHORS)
        logits = self.given.logits.flatten(0, 1)
        offsets = self.given.offsets.flatten(0, 1).repeat(1, logits.shape[-1])
        return logits[rows], offsets[rows]


def _of_proposals(part: Any, method: Method, given: HeadOutputs) -> Any:
    stand_ins = {"box_roi_pool": _Features(), "box_head": nn.Identity(), "box_predictor": _Predictor(given)}
    children = dict(part.named_children())
    others = dict.fromkeys(name for name in children if name.startswith(("mask_", "keypoint_")))
    twin = copy.copy(part)
    twin.__dict__["_modules"] = {**children, **stand_ins, **others}
    twin.__dict__["training"] = True
    proposals = [anchors.clone() for anchors in given.anchors]
    _, losses = method(twin, {}, proposals, [(100, 100)] * IMAGES, given.targets)
    return losses


CALLS: dict[type, Callable[[Any, Method, HeadOutputs], Any]] = {
    fcos.FCOSHead: _of_fcos,
    retinanet.RetinaNetRegressionHead: _of_boxes,
    retinanet.RetinaNetClassificationHead: _of_scores,
    rpn.RegionProposalNetwork: _of_anchors,
    roi_heads.RoIHeads: _of_proposals,
}
