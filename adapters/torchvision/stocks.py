"""The losses that torchvision's parts have by themselves, in the catalogue's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor
from torchvision.models.detection import fcos, retinanet

from loss_plugins import build_loss

from .seams import owner_of

SECOND_STAGE_BETA = 1 / 9


class BoxStock(NamedTuple):
    """A box loss.

    Attributes:
        name: as papers call it.
        rows: prediction and target (n, 4), the boxes that offsets are relative to, and what encodes them, to (n,).
    """

    name: str
    rows: Callable[[Tensor, Tensor, Any, Any], Tensor]


def of_boxes(name: str) -> BoxStock:
    """A loss that compares boxes, as torchvision writes it."""
    loss = build_loss({"type": name, "dialect": "torchvision"}, reduction="none")
    return BoxStock(name, lambda pred, target, anchors, coder: loss.elementwise(pred, target))


def of_offsets(name: str, **parameters: float) -> BoxStock:
    """A loss that compares the offsets to the anchors."""
    loss = build_loss({"type": name, **parameters}, reduction="none")

    def rows(pred: Tensor, target: Tensor, anchors: Tensor, coder: Any) -> Tensor:
        offsets = [coder.encode_single(boxes, anchors.to(boxes)) for boxes in (pred, target)]
        return loss.elementwise(*offsets).sum(-1)

    return BoxStock(f"{name} of offsets", rows)


def box_stock(part: Any) -> BoxStock | None:
    """The box loss that a part has by its class and its settings; None: it is unknown."""
    owner = owner_of(part)
    if owner is fcos.FCOSHead:
        return of_boxes("giou")
    if owner is not retinanet.RetinaNetRegressionHead:
        return of_offsets("smooth_l1", beta=SECOND_STAGE_BETA)
    kind = getattr(part, "_loss_type", None)
    if kind in ("giou", "diou", "ciou"):
        return of_boxes(kind)
    return {"l1": of_offsets("l1"), "smooth_l1": of_offsets("smooth_l1", beta=1.0)}.get(str(kind))


def class_stock(logits: Tensor, target: Tensor) -> Tensor:
    """The class loss of FCOS and RetinaNet, a number for each score."""
    return build_loss({"type": "focal", "dialect": "torchvision"}, reduction="none").elementwise(logits, target)
