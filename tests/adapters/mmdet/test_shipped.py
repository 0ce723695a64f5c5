"""Shipped configs with losses that fit and losses that do not: each is tried as the hook tries it before training.

`python -m tools.mmdet_heads` does the same for all of them and every kind of loss: docs/mmdet-heads.md.
"""

from __future__ import annotations

import copy
import re
import warnings
from functools import cache
from typing import Any

import pytest
import torch

from loss_plugins.adapters.mmdet.inspection import Inspection, inspect
from tools.mmdet_heads import compared
from tools.mmdet_small import build, shipped

R50 = "_r50_fpn_1x_coco"
CONFIGS = {
    "ATSS": f"atss/atss{R50}",
    "AutoAssign": "autoassign/autoassign_r50-caffe_fpn_1x_coco",
    "CenterNet": "centernet/centernet_r18_8xb16-crop512-140e_coco",
    "CenterNet-update": "centernet/centernet-update_r50-caffe_fpn_ms-1x_coco",
    "CondInst": "condinst/condinst_r50_fpn_ms-poly-90k_coco_instance",
    "DDOD": f"ddod/ddod{R50}",
    "DETR": "detr/detr_r50_8xb2-150e_coco",
    "Dynamic R-CNN": f"dynamic_rcnn/dynamic-rcnn{R50}",
    "FCOS": "fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco",
    "FreeAnchor": f"free_anchor/freeanchor{R50}",
    "FSAF": f"fsaf/fsaf{R50}",
    "GA-RPN": "guided_anchoring/ga-rpn_r50-caffe_fpn_1x_coco",
    "GFL": f"gfl/gfl{R50}",
    "GHM": "ghm/retinanet_r50_fpn_ghm-1x_coco",
    "Mask R-CNN": f"mask_rcnn/mask-rcnn{R50}",
    "MS R-CNN": f"ms_rcnn/ms-rcnn{R50}",
    "PAA": f"paa/paa{R50}",
    "PISA": "pisa/retinanet-r50_fpn_pisa_1x_coco",
    "PointRend": "point_rend/point-rend_r50-caffe_fpn_ms-1x_coco",
    "QueryInst": f"queryinst/queryinst{R50}",
    "RepPoints": "reppoints/reppoints-moment_r50_fpn_1x_coco",
    "RetinaNet": f"retinanet/retinanet{R50}",
    "RPN": f"rpn/rpn{R50}",
    "SABL": "sabl/sabl-retinanet_r50_fpn_1x_coco",
    "SoftTeacher": "soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco",
    "Sparse R-CNN": f"sparse_rcnn/sparse-rcnn{R50}",
    "TOOD": f"tood/tood{R50}",
    "YOLACT": "yolact/yolact_r50_1xb8-55e_coco",
    "YOLOF": "yolof/yolof_r50-c5_8xb8-1x_coco",
    "YOLOv3": "yolo/yolov3_d53_8xb8-320-273e_coco",
    "YOLOX": "yolox/yolox_tiny_8xb8-300e_coco",
}
FGL = "loss_plugins.FGLLoss"
BOX, CLS, IOU = "bbox_head.loss_bbox", "bbox_head.loss_cls", "bbox_head.loss_iou"
ROI, MASK = "roi_head.bbox_head.loss_bbox", "roi_head.mask_head.loss_mask"
CIOU, NWD, GIOU, BOUNDED, L1, SMOOTH, MSE, FOCAL, CE, BCE, PROBABILITIES, NLL, DICE, TVERSKY, QUALITY, GAUSS, GHM = (
    f"loss_plugins.{name}Loss"
    for name in (
        *(
            "CIoU",
            "NWD",
            "GIoU",
            "BoundedIoU",
            "L1",
            "SmoothL1",
            "MSE",
            "Focal",
            "CrossEntropy",
            "BCEWithLogits",
            "BCE",
        ),
        *("NLL", "Dice", "Tversky", "QualityFocal", "GaussianFocal", "GHMC"),
    )
)
SIGMOID = {"use_sigmoid": True}

#: config, slot, loss, its parameters: what the refusal says; None: it fits
TRIED: list[tuple[str, str, str, dict[str, Any], str | None]] = [
    # losses of another kind than the slot's
    ("RetinaNet", BOX, FOCAL, {}, "encoded offsets, and focal takes scores"),
    ("RetinaNet", BOX, "loss_plugins.MGIoUQuadLoss", {}, "mgiou_quad is a loss of quadrilaterals, which no head .*L1"),
    (
        "GFL",
        "bbox_head.loss_dfl",
        "loss_plugins.DDFLoss",
        {},
        "ddf is a loss of distributions beside .*DistributionFocal",
    ),
    ("RetinaNet", BOX, "loss_plugins.OKSLoss", {}, "oks is a loss of key points, which no head .*put .*L1Loss"),
    (
        "RetinaNet",
        CLS,
        "loss_plugins.WingLoss",
        {},
        "wing is a loss of key points, .*put .*loss_plugins.CrossEntropyLoss",
    ),
    ("FCOS", BOX, BCE, {}, "bce_with_logits takes scores: put loss_plugins.CIoULoss"),
    ("YOLOX", BOX, DICE, {"reduction": "sum"}, "dice takes scores"),
    ("ATSS", CLS, CIOU, {}, "logits, and ciou compares boxes"),
    ("RetinaNet", CLS, L1, {}, "l1 compares numbers|l1: "),
    # probabilities for logits
    ("RetinaNet", CLS, NLL, {}, "gets logits, and nll takes log-probabilities"),
    ("RetinaNet", CLS, PROBABILITIES, SIGMOID, "gets logits, and bce takes probabilities"),
    ("TOOD", CLS, QUALITY, {**SIGMOID, "activated": True}, None),
    ("TOOD", CLS, QUALITY, SIGMOID, "gets probabilities, and quality_focal takes logits: set .*activated=True"),
    # targets that few losses take
    ("GFL", CLS, BCE, SIGMOID, r"labels with the quality of each, .* \(loss_plugins.QualityFocalLoss\) into"),
    ("GFL", CLS, CIOU, {}, r"ciou compares boxes: .* \(loss_plugins.QualityFocalLoss\) into"),
    ("TOOD", CLS, PROBABILITIES, SIGMOID, r"\(loss_plugins.QualityFocalLoss, activated=True\) into"),
    ("GFL", "bbox_head.loss_dfl", FOCAL, {}, r"lie between bins, .* \(loss_plugins.DistributionFocalLoss\) into"),
    ("GFL", "bbox_head.loss_dfl", FGL, {}, r"lie between bins, which fgl .*DistributionFocalLoss\) into"),
    ("GFL", "bbox_head.loss_dfl", L1, {}, r"put a loss of bins \(loss_plugins.DistributionFocalLoss\) into"),
    # a reduction that the head cannot use
    ("YOLOv3", CLS, BCE, {**SIGMOID, "reduction": "mean"}, "set model.bbox_head.loss_cls.reduction='sum'"),
    ("YOLOv3", CLS, BCE, {**SIGMOID, "reduction": "sum"}, None),
    ("FSAF", CLS, FOCAL, {**SIGMOID, "reduction": "none"}, None),
    ("FSAF", CLS, FOCAL, {**SIGMOID, "reduction": "mean"}, "set model.bbox_head.loss_cls.reduction='none'"),
    ("YOLACT", CLS, CE, {"reduction": "mean"}, "set model.bbox_head.loss_cls.reduction='none'"),
    ("RetinaNet", CLS, FOCAL, {**SIGMOID, "reduction": "none"}, "set model.bbox_head.loss_cls.reduction='mean'"),
    ("YOLOX", BOX, CIOU, {"reduction": "mean"}, "set model.bbox_head.loss_bbox.reduction='sum'"),
    ("GHM", CLS, GHM, {**SIGMOID, "bins": 30, "momentum": 0.75}, None),
    # encoded offsets
    ("RetinaNet", BOX, CIOU, {}, "set model.bbox_head.reg_decoded_bbox=True"),
    ("RetinaNet", BOX, BOUNDED, {}, "set model.bbox_head.reg_decoded_bbox=True"),
    ("DETR", IOU, BOUNDED, {}, None),
    ("RPN", "rpn_head.loss_bbox", CIOU, {}, "set model.rpn_head.reg_decoded_bbox=True"),
    ("SoftTeacher", f"detector.{ROI}", CIOU, {}, "set model.detector.roi_head.bbox_head.reg_decoded_bbox=True"),
    ("FreeAnchor", BOX, CIOU, {}, "put a coordinate loss .* into model.bbox_head.loss_bbox"),
    ("PISA", BOX, CIOU, {}, "put a coordinate loss .* into model.bbox_head.loss_bbox"),
    ("GA-RPN", "rpn_head.loss_bbox", CIOU, {}, "set model.rpn_head.reg_decoded_bbox=True"),
    ("DDOD", BOX, GIOU, {}, None),
    # coordinates of whole boxes in pixels
    ("ATSS", BOX, L1, {}, "l1 is hundreds"),
    ("YOLOX", BOX, L1, {"reduction": "sum"}, "put this loss into model.bbox_head.loss_l1"),
    ("PAA", BOX, L1, {}, "l1 is hundreds"),
    ("AutoAssign", BOX, L1, {}, "l1 is hundreds"),
    ("DETR", IOU, L1, {}, "put this loss into model.bbox_head.loss_bbox"),
    # pixels where boxes are in other units
    ("FCOS", BOX, NWD, {}, "in cells of a stride, and nwd needs pixels"),
    ("CondInst", BOX, NWD, {}, "nwd needs pixels"),
    ("CenterNet-update", BOX, NWD, {}, "nwd needs pixels"),
    ("RepPoints", "bbox_head.loss_bbox_refine", NWD, {}, "nwd needs pixels"),
    ("Sparse R-CNN", "roi_head.bbox_head.0.loss_bbox", NWD, {}, "shares of the image, and nwd needs pixels"),
    # numbers of any shape, and heads that ask more of a loss
    ("CenterNet", "bbox_head.loss_wh", SMOOTH, {}, None),
    ("YOLOv3", "bbox_head.loss_wh", MSE, {"reduction": "sum"}, None),
    ("SABL", "bbox_head.loss_bbox_reg", SMOOTH, {}, None),
    ("MS R-CNN", "roi_head.mask_iou_head.loss_iou", MSE, {}, None),
    ("Dynamic R-CNN", ROI, SMOOTH, {"beta": 1.0}, None),
    ("CenterNet-update", CLS, GAUSS, {}, None),
    ("CenterNet-update", CLS, FOCAL, {}, "takes logits|the head passes pos_inds="),
    # a head that does not read the key
    ("AutoAssign", CLS, FOCAL, SIGMOID, "did not call it .*: take model.bbox_head.loss_cls out of the config"),
    # heads that work with a sigmoid alone, as building them anew, or the head itself, shows
    (
        "FSAF",
        CLS,
        CE,
        {"use_sigmoid": False, "reduction": "none"},
        "put loss_plugins.BCEWithLogitsLoss with use_sigmoid",
    ),
    (
        "YOLOF",
        CLS,
        CE,
        {"use_sigmoid": False},
        "fails before it calls this loss .*: put loss_plugins.BCEWithLogitsLoss",
    ),
    ("YOLOX", CLS, CE, {"use_sigmoid": False, "reduction": "sum"}, "the head works with use_sigmoid=True whatever"),
    # numbers that are no scores, and scores that are no numbers
    ("ATSS", "bbox_head.loss_centerness", SMOOTH, {}, "gets logits, and smooth_l1 compares numbers"),
    ("CenterNet", "bbox_head.loss_offset", BCE, {}, "gets single numbers, and bce_with_logits takes scores"),
    ("CenterNet", "bbox_head.loss_offset", SMOOTH, {}, None),
    ("CondInst", "mask_head.loss_mask", SMOOTH, {}, "gets logits, and smooth_l1 compares numbers: put a loss of masks"),
    # a softmax over places
    ("YOLOv3", CLS, CE, {"reduction": "sum"}, "of which .*% have one class"),
    ("YOLOv3", "bbox_head.loss_conf", CE, {"reduction": "sum"}, "of which .*% have one class"),
    # one score a row
    ("YOLOX", "bbox_head.loss_obj", CE, {"reduction": "sum"}, "a softmax is always 1"),
    # masks
    *(("Mask R-CNN", MASK, loss, {}, None) for loss in (DICE, TVERSKY, FOCAL, BCE)),
    ("Mask R-CNN", MASK, CE, {}, "a softmax is always 1|put "),
    ("Mask R-CNN", MASK, L1, {}, "put loss_plugins.BCEWithLogitsLoss or loss_plugins.DiceLoss into"),
    ("PointRend", "roi_head.point_head.loss_point", DICE, {}, None),
    ("QueryInst", "roi_head.mask_head.0.loss_mask", DICE, {}, "set .*activation='none'"),
]


@cache
def config_of(name: str) -> Any:
    return shipped(CONFIGS[name])


def tried(name: str, slot: str, loss: str, parameters: dict[str, Any]) -> Inspection:
    config = copy.deepcopy(config_of(name))
    holder = config
    *path, last = slot.split(".")
    for part in path:
        holder = holder[int(part)] if part.isdigit() else holder[part]
    holder[last] = {"type": loss, **parameters}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = build(config)
        drawn = torch.get_rng_state()
        found = inspect(model, config)
    assert torch.equal(torch.get_rng_state(), drawn)
    return found


@pytest.mark.parametrize(
    ("name", "slot", "loss", "parameters", "wanted"),
    TRIED,
    ids=[
        f"{name}-{slot.rpartition('.')[2]}-{loss[13:]}-{index}" for index, (name, slot, loss, _, _) in enumerate(TRIED)
    ],
)
def test_a_loss_fits_its_slot_or_is_refused(
    name: str, slot: str, loss: str, parameters: dict[str, Any], wanted: str | None
) -> None:
    found = tried(name, slot, loss, parameters)
    messages = [each.message for each in found.findings]
    assert found.untried == ""
    if wanted is None:
        assert messages == []
        return
    assert messages
    assert all(re.search(wanted, message) for message in messages), messages
    keys = {each.slot.key for each in found.findings}
    assert keys == {f"model.{slot}"}


def test_labels_with_qualities_of_one_class_are_told_too() -> None:
    config = copy.deepcopy(config_of("GFL"))
    config.bbox_head.num_classes = 1
    config.bbox_head.loss_cls = {"type": BCE, **SIGMOID}
    (found,) = inspect(build(config), config).findings
    assert found.changes == {f"model.{CLS}": {"type": QUALITY, **SIGMOID}}


def test_a_loss_of_a_later_phase_is_known_before_training() -> None:
    found = tried("TOOD", CLS, QUALITY, {**SIGMOID, "activated": True})
    assert found.phased == {CLS}


@pytest.mark.parametrize(
    "name", ["RetinaNet", "GHM", "FSAF", "TOOD", "YOLOX", "YOLOv3", "Mask R-CNN", "Sparse R-CNN", "CenterNet", "SABL"]
)
def test_our_dialects_are_the_shipped_losses(name: str) -> None:
    """Value and gradient of a step with every loss replaced."""
    assert compared(config_of(name)).startswith("equal, ")
