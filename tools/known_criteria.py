"""Criteria of the installed frameworks, built as their trainers build them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from libreyolo.models.deim import loss as libreyolo_deim
from libreyolo.models.deim import matcher as libreyolo_deim_matcher
from libreyolo.models.deimv2 import loss as libreyolo_deimv2
from libreyolo.models.dfine import loss as libreyolo_dfine
from libreyolo.models.dfine import matcher as libreyolo_matcher
from libreyolo.models.domedetr import loss as libreyolo_dome
from libreyolo.models.ec import loss as libreyolo_ec
from libreyolo.models.ec import seg_loss as libreyolo_ec_seg
from libreyolo.models.gtr import criterion as libreyolo_gtr
from libreyolo.models.rfdetr import loss as libreyolo_rfdetr
from libreyolo.models.rfdetr import matcher as libreyolo_rfdetr_matcher
from libreyolo.models.rtdetr import loss as libreyolo_rtdetr
from libreyolo.models.rtdetrv2 import loss as libreyolo_rtdetrv2
from rfdetr.models import criterion as rfdetr_criterion
from rfdetr.models import matcher as rfdetr_matcher
from transformers import DFineConfig, RTDetrConfig
from transformers.loss import (
    loss_d_fine,
    loss_deformable_detr,
    loss_deimv2,
    loss_for_object_detection,
    loss_grounding_dino,
    loss_lw_detr,
    loss_rf_detr,
    loss_rt_detr,
)

CLASSES = 4
PLAIN = ["labels", "boxes", "cardinality"]
COSTS = {"cost_class": 2.0, "cost_bbox": 5.0, "cost_giou": 2.0}
WEIGHTS = {"loss_vfl": 1.0, "loss_mal": 1.0, "loss_bbox": 5.0, "loss_giou": 2.0}


@dataclass(frozen=True)
class Known:
    """A criterion of a framework.

    Attributes:
        build: makes one.
        cls: the form of its class loss; "": none that is known.
    """

    build: Callable[[], Any]
    cls: str = ""


def _hungarian() -> Any:
    return loss_for_object_detection.HungarianMatcher(1, 5, 2)


def _deim_config() -> Any:
    from transformers import Deimv2Config

    return Deimv2Config(num_labels=CLASSES)


def _libreyolo(cls: type, matcher: type = libreyolo_matcher.HungarianMatcher, **more: Any) -> Any:
    weights = matcher(weight_dict=COSTS, use_focal_loss=True, alpha=0.25, gamma=2.0)
    losses = more.pop("losses", ["vfl", "boxes"])
    return cls(matcher=weights, weight_dict=WEIGHTS, losses=losses, alpha=0.75, gamma=2.0, num_classes=CLASSES, **more)


def _rfdetr(module: Any, matcher: Any, **flags: Any) -> Any:
    return module.SetCriterion(
        CLASSES, matcher.HungarianMatcher(), {"loss_ce": 1.0, "loss_bbox": 5.0, "loss_giou": 2.0}, 0.25, PLAIN, **flags
    )


KNOWN: dict[str, Known] = {
    "transformers ImageLoss": Known(
        lambda: loss_for_object_detection.ImageLoss(_hungarian(), CLASSES, 0.1, PLAIN), "weighted cross-entropy"
    ),
    "transformers DeformableDetrImageLoss": Known(
        lambda: loss_deformable_detr.DeformableDetrImageLoss(
            loss_deformable_detr.DeformableDetrHungarianMatcher(1, 5, 2), CLASSES, 0.25, PLAIN
        ),
        "focal (alpha=0.25, gamma=2)",
    ),
    "transformers GroundingDinoImageLoss": Known(
        lambda: loss_grounding_dino.GroundingDinoImageLoss(_hungarian(), 0.25, PLAIN)
    ),
    "transformers RTDetrLoss": Known(
        lambda: loss_rt_detr.RTDetrLoss(RTDetrConfig(num_labels=CLASSES)), "varifocal (alpha=0.75, gamma=2)"
    ),
    "transformers DFineLoss": Known(
        lambda: loss_d_fine.DFineLoss(DFineConfig(num_labels=CLASSES)), "varifocal (alpha=0.75, gamma=2)"
    ),
    "transformers Deimv2Loss": Known(lambda: loss_deimv2.Deimv2Loss(_deim_config()), "matchability (gamma=2)"),
    "transformers LwDetrImageLoss": Known(
        lambda: loss_lw_detr.LwDetrImageLoss(loss_lw_detr.LwDetrHungarianMatcher(1, 5, 2), CLASSES, 0.25, PLAIN, 2),
        "IA-BCE (alpha=0.25, gamma=2)",
    ),
    "transformers RfDetrImageLoss": Known(
        lambda: loss_rf_detr.RfDetrImageLoss(loss_rf_detr.RfDetrHungarianMatcher(1, 5, 2), CLASSES, 0.25, PLAIN, 2, 16),
        "IA-BCE (alpha=0.25, gamma=2)",
    ),
    "rfdetr SetCriterion, ia_bce": Known(
        lambda: _rfdetr(rfdetr_criterion, rfdetr_matcher, ia_bce_loss=True), "IA-BCE (alpha=0.25, gamma=2)"
    ),
    "rfdetr SetCriterion, focal": Known(
        lambda: _rfdetr(rfdetr_criterion, rfdetr_matcher), "focal (alpha=0.25, gamma=2)"
    ),
    "rfdetr SetCriterion, varifocal": Known(
        lambda: _rfdetr(rfdetr_criterion, rfdetr_matcher, use_varifocal_loss=True),
        "varifocal with 1 - alpha (alpha=0.25, gamma=2)",
    ),
    "rfdetr SetCriterion, position-supervised": Known(
        lambda: _rfdetr(rfdetr_criterion, rfdetr_matcher, use_position_supervised_loss=True)
    ),
    "libreyolo RT-DETR": Known(lambda: libreyolo_rtdetr.RTDETRLoss(CLASSES), "varifocal (alpha=0.75, gamma=2)"),
    "libreyolo RT-DETR, focal": Known(
        lambda: libreyolo_rtdetr.RTDETRLoss(CLASSES, use_vfl=False), "focal (alpha=0.75, gamma=2)"
    ),
    "libreyolo RT-DETRv2": Known(lambda: libreyolo_rtdetrv2.RTDETRv2Loss(CLASSES), "varifocal (alpha=0.75, gamma=2)"),
    "libreyolo D-FINE": Known(lambda: _libreyolo(libreyolo_dfine.DFINECriterion), "varifocal (alpha=0.75, gamma=2)"),
    "libreyolo DEIM": Known(
        lambda: _libreyolo(
            libreyolo_deim.DEIMCriterion, libreyolo_deim_matcher.HungarianMatcher, losses=["mal", "boxes"]
        ),
        "matchability (gamma=2)",
    ),
    "libreyolo DEIMv2": Known(
        lambda: _libreyolo(libreyolo_deimv2.DEIMv2Criterion, losses=["mal", "boxes"]), "matchability (gamma=2)"
    ),
    "libreyolo Dome-DETR": Known(lambda: _libreyolo(libreyolo_dome.DomeCriterion), "varifocal (alpha=0.75, gamma=2)"),
    "libreyolo EC": Known(
        lambda: _libreyolo(libreyolo_ec.ECCriterion, losses=["mal", "boxes"]), "matchability (gamma=2)"
    ),
    "libreyolo EC segmentation": Known(
        lambda: _libreyolo(libreyolo_ec_seg.ECSegCriterion, losses=["mal", "boxes", "masks"]), "matchability (gamma=2)"
    ),
    "libreyolo GTR": Known(lambda: _libreyolo(libreyolo_gtr.GTRCriterion), "varifocal (alpha=0.75, gamma=2)"),
    "libreyolo RF-DETR": Known(
        lambda: _rfdetr(libreyolo_rfdetr, libreyolo_rfdetr_matcher, ia_bce_loss=True), "IA-BCE (alpha=0.25, gamma=2)"
    ),
}
