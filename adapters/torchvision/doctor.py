"""What the installed torchvision allows, found out by plugging a loss into each of its heads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torchvision.models.detection import fcos, retinanet, roi_heads, rpn
from torchvision.models.detection.anchor_utils import AnchorGenerator

from ..detr.doctors import Examined, checked, reported
from .errors import UnsupportedModel
from .parts import REFUSED
from .plug import plug

TRIED = "eiou"
#: by what it is called a part to plug a box loss into, and the class loss beside it
HEADS: dict[str, tuple[Callable[[], nn.Module], str | None]] = {
    "FCOS": (lambda: fcos.FCOSHead(32, 1, 2, 1), "varifocal"),
    "RetinaNet": (lambda: retinanet.RetinaNetHead(8, 3, 2), "varifocal"),
    "Faster, Mask and Keypoint R-CNN, second stage": (lambda: _second_stage(), None),
    "Faster, Mask and Keypoint R-CNN, first stage": (lambda: _first_stage(), None),
}


@reported("torchvision")
def report() -> Examined:
    """Each head that is served, and those that are not."""
    checks = [checked(name, partial(_tried, *made), UnsupportedModel) for name, made in HEADS.items()]
    return Examined(checks, {f"{owner.__name__}, {slot} loss": why for (owner, slot), why in REFUSED.items()})


def _tried(make: Callable[[], nn.Module], cls: str | None) -> str:
    with torch.random.fork_rng(devices=[]):
        found = plug(make(), box=TRIED, cls=cls).report
    slots = [slot for slot in (found.box, found.cls) if slot is not None]
    pairs = ", ".join(f"{slot.loss} for {slot.stock}" for slot in slots)
    return f"equal to the head's own loss, then plugged: {pairs}"


def _second_stage() -> nn.Module:
    samples = {"batch_size_per_image": 8, "positive_fraction": 0.5, "bbox_reg_weights": None}
    found = {"score_thresh": 0.5, "nms_thresh": 0.5, "detections_per_img": 1}
    parts = dict.fromkeys(("box_roi_pool", "box_head", "box_predictor"), nn.Identity())
    return roi_heads.RoIHeads(**parts, fg_iou_thresh=0.5, bg_iou_thresh=0.5, **samples, **found)  # type: ignore[no-any-return]


def _first_stage() -> nn.Module:
    kept = {"training": 8, "testing": 8}
    return rpn.RegionProposalNetwork(AnchorGenerator(), rpn.RPNHead(8, 3), 0.7, 0.3, 8, 0.5, kept, kept, 0.7)  # type: ignore[no-any-return]
