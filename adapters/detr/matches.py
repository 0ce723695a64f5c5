"""The pairs of queries and objects that the matcher found, in one layer of the decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from loss_plugins import cxcywh_to_xyxy, iou_loss

Outputs = Mapping[str, Any]
Targets = Sequence[Mapping[str, Tensor]]
Indices = Sequence[tuple[Tensor, Tensor]]


class Pairs(NamedTuple):
    """Matched queries and their objects, n pairs.

    Attributes:
        where: image and query of each pair.
        pred: (n, 4) predicted boxes, cxcywh in sides of the image.
        target: (n, 4) boxes of the objects, likewise.
        valid: (n,) 1 for objects and 0 for rows that fill targets up to one length; None: all are objects.
    """

    where: tuple[Tensor, Tensor]
    pred: Tensor
    target: Tensor
    valid: Tensor | None

    def corners(self, scale: Tensor | None) -> tuple[Tensor, Tensor]:
        """Predicted and target boxes as xyxy, in the unit that the factors (4,) of x and y make."""
        boxes = cxcywh_to_xyxy(self.pred), cxcywh_to_xyxy(self.target)
        return boxes if scale is None else (boxes[0] * scale, boxes[1] * scale)

    def quality(self) -> Tensor:
        """(n,) the plain IoU of each pair, without gradient."""
        with torch.no_grad():
            return 1 - iou_loss(*self.corners(None))


def pairs_of(outputs: Outputs, targets: Targets, indices: Indices, padded: bool) -> Pairs:
    """The pairs of one layer, image by image.

    Args:
        outputs: of the layer: `pred_boxes` (b, queries, 4).
        targets: of each image: `boxes` (objects, 4), and where they are filled up `valid` (objects,).
        indices: of each image the queries and the objects matched with them.
        padded: whether the criterion leaves rows out that are not valid.
    """
    where = where_of(indices)
    target = torch.cat([each["boxes"][found] for each, (_, found) in zip(targets, indices, strict=True)])
    valid = None
    if padded and len(targets) and "valid" in targets[0]:
        valid = torch.cat([each["valid"][found] for each, (_, found) in zip(targets, indices, strict=True)]).float()
    return Pairs(where, outputs["pred_boxes"][where], target, valid)


def tensors_of(indices: Any) -> list[tuple[Tensor, Tensor]]:
    """What a matcher says as tensors; some return arrays, lists, or whole numbers of 32 bits."""
    return [
        (torch.as_tensor(queries).to(torch.int64), torch.as_tensor(objects).to(torch.int64))
        for queries, objects in indices
    ]


def where_of(indices: Indices) -> tuple[Tensor, Tensor]:
    """Image and query of each pair."""
    images = torch.cat([torch.full_like(queries, image) for image, (queries, _) in enumerate(indices)])
    return images, torch.cat([queries for queries, _ in indices])


def labels_of(targets: Targets, indices: Indices, first: str = "class_labels") -> Tensor:
    """(n,) the class of each pair's object; where targets have two names for it, under the first."""
    other = "labels" if first == "class_labels" else "class_labels"
    found = (each[first] if first in each else each[other] for each in targets)
    return torch.cat([labels[objects] for labels, (_, objects) in zip(found, indices, strict=True)])


def logits_of(outputs: Outputs, first: str = "logits") -> Tensor:
    """(b, queries, classes); where outputs have two names for it, under the first."""
    logits: Tensor = outputs[first if first in outputs else "pred_logits" if first == "logits" else "logits"]
    return logits
