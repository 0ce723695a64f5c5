"""Detectors of LibreYOLO that have a box loss and a trainer, the smallest of each family, with random weights."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CLASSES = 10
#: what LibreYOLO's own command says to a class that is to fetch no weights
SCRATCH = {"_scratch_init": True}


@dataclass(frozen=True)
class Detector:
    """A family.

    Attributes:
        module: of `libreyolo.models`, whose `model` holds the class.
        cls: the class.
        size: of the model.
        imgsz: side of its images in training.
    """

    module: str
    cls: str
    size: str
    imgsz: int

    def build(self) -> Any:
        """The detector, without a network and without weights from one."""
        module = importlib.import_module(f"libreyolo.models.{self.module}.model")
        cls: Callable[..., Any] = getattr(module, self.cls)
        return cls(None, size=self.size, device="cpu", nb_classes=CLASSES, **SCRATCH)


DETECTORS: dict[str, Detector] = {
    "D-FINE": Detector("dfine", "LibreDFINE", "n", 320),
    "DEIM": Detector("deim", "LibreDEIM", "n", 320),
    "DEIMv2": Detector("deimv2", "LibreDEIMv2", "atto", 320),
    "RT-DETRv4": Detector("rtdetrv4", "LibreRTDETRv4", "s", 320),
    "EC": Detector("ec", "LibreEC", "s", 320),
    "GTR": Detector("gtr", "LibreGTR", "s", 192),
    "TinyFormer": Detector("tinyformer", "LibreTinyFormer", "s", 192),
    "RT-DETR": Detector("rtdetr", "LibreRTDETR", "r18", 192),
    "RT-DETRv2": Detector("rtdetrv2", "LibreRTDETRv2", "r18", 192),
    "RF-DETR": Detector("rfdetr", "LibreRFDETR", "n", 384),
    "Dome-DETR": Detector("domedetr", "LibreDOMEDETR", "s", 320),
    "YOLOX": Detector("yolox", "LibreYOLOX", "n", 64),
    "YOLO7": Detector("yolo7", "LibreYOLO7", "b", 64),
    "YOLO9": Detector("yolo9", "LibreYOLO9", "t", 64),
    "YOLO9-P2": Detector("yolo9_p2", "LibreYOLO9P2", "t", 64),
    "YOLO9-E2E": Detector("yolo9_e2e", "LibreYOLO9E2E", "t", 64),
    "YOLO-NAS": Detector("yolonas", "LibreYOLONAS", "s", 64),
    "PP-YOLOE": Detector("ppyoloe", "LibrePPYOLOE", "s", 64),
    "RTMDet": Detector("rtmdet", "LibreRTMDet", "t", 64),
    "PicoDet": Detector("picodet", "LibrePICODET", "s", 64),
}
#: families whose trainers compare no upright boxes: classes, points, maps, pictures, features
WITHOUT_BOXES = (
    "convnext",
    "convnextv2",
    "dinov2",
    "efficientnetv2",
    "fomo",
    "lingbotvision",
    "mobilenetv4",
    "nafnet",
    "ppliteseg",
    "resnet",
    "segformer",
    "unet",
    "vjepa2",
)
