"""Public implementations under audit: data, no imports.

`setup` is one line of Python that defines `f(pred, target)` on the loss per row. It is executed to make the subject
and printed in reproductions, so that what is shown is what was run. `like` names the loss of our catalogue whose traits
the peer is held to; `traits` replaces single ones where the peer documents another form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MMDET = "from mmdet.models.losses import {name}; f = {name}(reduction='none')"
MMDET_SIGMOID = "from mmdet.models.losses import {name}; f = {name}(use_sigmoid=True, reduction='none')"
TORCHVISION = "from torchvision.ops import {name} as g; f = lambda p, t: g(p, t, reduction='none')"
ULTRALYTICS = (
    "from ultralytics.utils.metrics import bbox_iou; f = lambda p, t: 1 - bbox_iou(p, t, xywh=False{flag}).squeeze(-1)"
)
KORNIA = "from kornia.losses import {name}; f = {name}({arguments})"
MONAI = "from monai.losses import {name}; f = {name}({arguments})"
SMP = "from segmentation_models_pytorch.losses import {name}; f = {name}({arguments})"


@dataclass(frozen=True)
class Peer:
    """One public implementation.

    Attributes:
        package: whose it is, a distribution name.
        like: the loss of our catalogue that it means to be.
        scores: what a class or region loss takes, where it is not what ours takes.
        note: what a reader should know.
    """

    name: str
    package: str
    setup: str
    like: str
    kind: str = "box"
    traits: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


CLASS_MAP = {"form": "class_map"}

PEERS = (
    Peer("IoULoss (log)", "mmdet", MMDET.format(name="IoULoss"), "iou", traits={"range": (0.0, 13.9)}),
    Peer("GIoULoss", "mmdet", MMDET.format(name="GIoULoss"), "giou"),
    Peer("DIoULoss", "mmdet", MMDET.format(name="DIoULoss"), "diou"),
    Peer("CIoULoss", "mmdet", MMDET.format(name="CIoULoss"), "ciou"),
    Peer("EIoULoss (Extended IoU)", "mmdet", MMDET.format(name="EIoULoss"), "extended_iou"),
    Peer("SIoULoss", "mmdet", MMDET.format(name="SIoULoss"), "siou"),
    Peer(
        "SIoULoss(neg_gamma=True)",
        "mmdet",
        "from mmdet.models.losses import SIoULoss; f = SIoULoss(reduction='none', neg_gamma=True)",
        "siou",
    ),
    Peer("BoundedIoULoss", "mmdet", MMDET.format(name="BoundedIoULoss"), "bounded_iou", kind="coordinate"),
    Peer("generalized_box_iou_loss", "torchvision", TORCHVISION.format(name="generalized_box_iou_loss"), "giou"),
    Peer("distance_box_iou_loss", "torchvision", TORCHVISION.format(name="distance_box_iou_loss"), "diou"),
    Peer("complete_box_iou_loss", "torchvision", TORCHVISION.format(name="complete_box_iou_loss"), "ciou"),
    Peer("1 - bbox_iou", "ultralytics", ULTRALYTICS.format(flag=""), "iou"),
    Peer("1 - bbox_iou(GIoU=True)", "ultralytics", ULTRALYTICS.format(flag=", GIoU=True"), "giou"),
    Peer("1 - bbox_iou(DIoU=True)", "ultralytics", ULTRALYTICS.format(flag=", DIoU=True"), "diou"),
    Peer("1 - bbox_iou(CIoU=True)", "ultralytics", ULTRALYTICS.format(flag=", CIoU=True"), "ciou"),
    Peer(
        "BoxGIoULoss",
        "monai",
        MONAI.format(name="BoxGIoULoss", arguments="reduction='none'"),
        "giou",
        note="raises ValueError on inverted and non-finite boxes, on purpose",
    ),
    Peer("sigmoid_focal_loss", "torchvision", TORCHVISION.format(name="sigmoid_focal_loss"), "focal", "classification"),
    Peer(
        "FocalLoss",
        "mmdet",
        "from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss as g; "
        "f = lambda p, t: g(p, t, reduction='none')",
        "focal",
        "classification",
        note="the PyTorch path; the other one is a compiled operator",
    ),
    Peer(
        "QualityFocalLoss",
        "mmdet",
        "from mmdet.models.losses import QualityFocalLoss; f = QualityFocalLoss(use_sigmoid=True, reduction='none')",
        "quality_focal",
        "classification",
    ),
    Peer("VarifocalLoss", "mmdet", MMDET_SIGMOID.format(name="VarifocalLoss"), "varifocal", "classification"),
    Peer("GaussianFocalLoss", "mmdet", MMDET.format(name="GaussianFocalLoss"), "gaussian_focal", "classification"),
    Peer(
        "FocalLoss",
        "ultralytics",
        "from ultralytics.utils.loss import FocalLoss; f = FocalLoss()",
        "focal",
        "classification",
        note="returns a sum only",
    ),
    Peer(
        "BinaryFocalLossWithLogits",
        "kornia",
        KORNIA.format(name="BinaryFocalLossWithLogits", arguments="alpha=0.25, reduction='none'"),
        "focal",
        "classification",
    ),
    Peer(
        "FocalLoss",
        "kornia",
        KORNIA.format(name="FocalLoss", arguments="alpha=0.25, reduction='none'"),
        "softmax_focal",
        "classification",
    ),
    Peer(
        "FocalLoss",
        "monai",
        MONAI.format(name="FocalLoss", arguments="alpha=0.25, reduction='none'"),
        "focal",
        "classification",
    ),
    Peer(
        "FocalLoss",
        "segmentation-models-pytorch",
        SMP.format(name="FocalLoss", arguments="mode='multiclass'"),
        "softmax_focal",
        "classification",
        note="returns a mean only",
    ),
    Peer("DiceLoss", "mmdet", MMDET_SIGMOID.format(name="DiceLoss"), "dice", "region"),
    Peer(
        "MultiChannelDiceLoss",
        "ultralytics",
        "from ultralytics.utils.loss import MultiChannelDiceLoss; f = MultiChannelDiceLoss(reduction='none')",
        "dice",
        "region",
    ),
    Peer(
        "DiceLoss",
        "kornia",
        KORNIA.format(name="DiceLoss", arguments=""),
        "dice",
        "region",
        scores=CLASS_MAP,
        note="returns a mean only",
    ),
    Peer(
        "TverskyLoss",
        "kornia",
        KORNIA.format(name="TverskyLoss", arguments="alpha=0.3, beta=0.7"),
        "tversky",
        "region",
        scores=CLASS_MAP,
        note="returns a mean only",
    ),
    Peer(
        "DiceLoss", "monai", MONAI.format(name="DiceLoss", arguments="sigmoid=True, reduction='none'"), "dice", "region"
    ),
    Peer(
        "TverskyLoss",
        "monai",
        MONAI.format(name="TverskyLoss", arguments="sigmoid=True, alpha=0.3, beta=0.7, reduction='none'"),
        "tversky",
        "region",
    ),
    Peer(
        "DiceLoss",
        "segmentation-models-pytorch",
        SMP.format(name="DiceLoss", arguments="mode='multilabel'"),
        "dice",
        "region",
        note="returns a mean over classes of sums over the batch",
    ),
    Peer(
        "TverskyLoss",
        "segmentation-models-pytorch",
        SMP.format(name="TverskyLoss", arguments="mode='multilabel', alpha=0.3, beta=0.7"),
        "tversky",
        "region",
        note="returns a mean over classes of sums over the batch",
    ),
)
