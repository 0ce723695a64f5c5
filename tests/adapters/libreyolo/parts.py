"""Detectors of LibreYOLO with random weights, dense criteria as their trainers build them, and a data set of digits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from libreyolo.models.deimv2.model import LibreDEIMv2
from libreyolo.models.picodet.loss import PICODETLoss
from libreyolo.models.picodet.model import LibrePICODET
from libreyolo.models.rtmdet.loss import RTMDetLoss
from libreyolo.models.yolo7.loss import YOLOv7Loss
from libreyolo.models.yolo9.loss import YOLO9Loss
from libreyolo.models.yolo9_e2e.loss import YOLO9E2ELoss
from libreyolo.models.yolo9_e2e.model import LibreYOLO9E2E
from libreyolo.models.yolonas.loss import PPYoloELoss, YoloNASPoseLoss
from libreyolo.models.yolox.loss import IoULoss
from libreyolo.models.yolox.model import LibreYOLOX
from torch import Tensor

from loss_plugins.demo.digits import make_digits

CLASSES = 10
STRIDES = (8, 16, 32)
QUICK: dict[str, Any] = {"epochs": 1, "batch": 2, "workers": 0, "device": "cpu", "exist_ok": True, "val_loss": True}


class Detector(NamedTuple):
    """A detector of a family.

    Attributes:
        build: makes one, with random weights and without a network.
        imgsz: side of its images in training.
        stock: its box loss.
        calls: box losses of a step.
    """

    build: Callable[[], Any]
    imgsz: int
    stock: str
    calls: int


def small(cls: type, size: str) -> Callable[[], Any]:
    return lambda: cls(None, size=size, device="cpu", nb_classes=CLASSES)


DETECTORS = {
    "YOLOX": Detector(small(LibreYOLOX, "n"), 64, "iou (squared)", 1),
    "YOLO9-E2E": Detector(small(LibreYOLO9E2E, "t"), 64, "ciou", 2),
    "PicoDet": Detector(small(LibrePICODET, "s"), 64, "giou", 2),
    "DEIMv2": Detector(small(LibreDEIMv2, "atto"), 320, "giou", 9),
}


def train(detector: Detector, folder: Path, **more: Any) -> Any:
    """The detector after an epoch of three steps, and a validation."""
    torch.manual_seed(0)
    trained = detector.build()
    settings = {**QUICK, "data": digits(folder), "imgsz": detector.imgsz, "project": str(folder / "runs"), **more}
    trained.train(**settings)
    return trained


def digits(folder: Path) -> str:
    make_digits(folder / "digits", train=6, val=2, progress=False)
    return str(folder / "digits" / "digits.yaml")


class Dense(NamedTuple):
    """A dense criterion.

    Attributes:
        build: makes one.
        loss: the object of it that is its box loss; the criterion itself where that is a function.
        stock: which loss it is.
        box_format: of its boxes.
        kind: how it is called.
    """

    build: Callable[[], Any]
    loss: Callable[[Any], Any]
    stock: str
    box_format: str
    kind: str


def yolo9(cls: type) -> Any:
    return cls(num_classes=CLASSES, reg_max=16, strides=[*STRIDES], image_size=None, device=torch.device("cpu"))


def head_of_yolox() -> Any:
    head = LibreYOLOX(None, size="n", device="cpu", nb_classes=CLASSES).model.head
    assert isinstance(head.iou_loss, IoULoss)
    return head


DENSE = {
    "YOLOX": Dense(head_of_yolox, lambda c: c.iou_loss, "iou (squared)", "cxcywh", "rows"),
    "YOLO7": Dense(
        lambda: YOLOv7Loss(CLASSES, [[12, 16, 19, 36, 40, 28]] * 3, STRIDES), lambda c: c.iou_loss, "iou (squared)",
        "cxcywh", "rows"
    ),
    "YOLO9": Dense(lambda: yolo9(YOLO9Loss), lambda c: c.box_loss, "ciou", "xyxy", "masked"),
    "YOLO9-E2E": Dense(lambda: yolo9(YOLO9E2ELoss), lambda c: c.dense_loss.box_loss, "ciou", "xyxy", "masked"),
    "YOLO-NAS, PP-YOLOE": Dense(lambda: PPYoloELoss(CLASSES), lambda c: c.iou_loss, "giou", "xyxy", "rows"),
    "YOLO-NAS pose": Dense(
        lambda: YoloNASPoseLoss([0.1] * 5), lambda c: c.iou_loss, "ciou", "xyxy", "rows"
    ),
    "RTMDet": Dense(lambda: RTMDetLoss(CLASSES), lambda c: c.loss_bbox, "giou", "xyxy", "averaged"),
    "PicoDet": Dense(lambda: PICODETLoss(CLASSES), lambda c: c, "giou", "xyxy", "function"),
}  # fmt: skip


def boxes(seed: int = 0, count: int = 7) -> tuple[Tensor, Tensor]:
    """Corners of predictions and targets that overlap."""
    drawn = torch.Generator().manual_seed(seed)
    corner = 20 * torch.rand(count, 2, generator=drawn, dtype=torch.float64)
    size = 20 + 20 * torch.rand(count, 2, generator=drawn, dtype=torch.float64)
    target = torch.cat([corner, corner + size], dim=-1)
    return target + 8 * torch.rand(count, 4, generator=drawn, dtype=torch.float64) - 4, target
