"""Losses of DETR-like frameworks: rows of the table. Theirs divide by a number of boxes, which is 1 in these calls."""

from __future__ import annotations

from typing import Any

from .calls import diagonal, over_boxes, over_masks, reduced, similarity_column
from .criteria import DEIM, DEIMV2, LW_DETR, RF_DETR, RT_DETR, OfCriterion, fine_bins
from .uses import Audited, Compared, Peer, Tolerance

LABEL_SCORE = "logits, labels and scores"
SOFT, HARD = "logits, soft targets", "logits, hard targets"
BOX_LOSSES, CRITERION = "transformers.loss.loss_for_object_detection", "rfdetr.models.criterion"
ONE_BOX = {"num_boxes": 1}
OVER_QUERIES, OVER_MASKS = "returns the mean over axis 1, summed", "returns a sum over the masks; here their mean"


def _mean(loss: str, sample: str, variant: str = "", **given: Any) -> Compared:
    """The mean over axis 1, summed, and divided by one box."""
    return Compared(loss, sample, given, over_boxes, reduction="mean", variant=variant)


def _method(loss: str, form: OfCriterion, variant: str, sample: str = LABEL_SCORE, **given: Any) -> Compared:
    """A method of a criterion, divided by one box."""
    return Compared(loss, sample, given, form, reduction="sum", variant=variant)


def _both(framework: str, module: str) -> tuple[Peer, ...]:
    """What both have under one name."""
    return (
        Peer(
            framework,
            function=f"{module}:sigmoid_focal_loss",
            uses=(
                _mean("focal", SOFT),
                _mean("focal", HARD, "no alpha", alpha=-1.0),
                Audited("focal", ONE_BOX, reduced, note=OVER_QUERIES),
            ),
        ),
        Peer(
            framework,
            function=f"{module}:dice_loss",
            uses=(
                Compared("dice", "soft masks", form=over_masks, reduction="mean"),
                Audited("dice", form=over_masks, note=OVER_MASKS),
            ),
        ),
    )


DETR = (
    Peer(
        "transformers",
        function=f"{BOX_LOSSES}:generalized_box_iou",
        uses=(
            Compared("giou", "boxes", form=diagonal),
            Audited(
                "giou",
                form=diagonal,
                name="1 - generalized_box_iou, the diagonal",
                note="raises ValueError on inverted and non-finite boxes, on purpose",
            ),
        ),
    ),
    *_both("transformers", BOX_LOSSES),
    Peer(
        "transformers",
        "transformers.loss.loss_rt_detr:RTDetrLoss",
        uses=(_method("varifocal", RT_DETR, "RTDetrLoss.loss_labels_vfl"),),
    ),
    Peer(
        "transformers",
        "transformers.loss.loss_deimv2:Deimv2Loss",
        uses=(_method("matchability", DEIMV2, "Deimv2Loss.loss_labels_mal"),),
    ),
    Peer(
        "transformers",
        "transformers.loss.loss_d_fine:DFineLoss",
        uses=(
            Compared(
                "fgl",
                "offset bins",
                form=fine_bins,
                promised=Tolerance(1e-5, 1e-5),
                double=None,
                variant="in DFineLoss.loss_local",
                remark="the shares of both bins are differences of numbers near each other, in float32",
            ),
        ),
    ),
    Peer(
        "transformers",
        "transformers.loss.loss_lw_detr:LwDetrImageLoss",
        # the logarithm of a rounded 1 - p is infinite from logits of 17 on
        uses=(_method("ia_bce", LW_DETR, "LwDetrImageLoss.loss_labels", f"mild {LABEL_SCORE}", focal_alpha=0.25),),
    ),
    Peer(
        "rfdetr",
        f"{CRITERION}:SetCriterion",
        uses=(_method("ia_bce", RF_DETR, "SetCriterion.loss_labels", focal_alpha=0.25),),
    ),
    Peer(
        "rfdetr",
        function="rfdetr.utilities.box_ops:elementwise_generalized_box_iou",
        uses=(
            Compared("giou", "boxes", form=similarity_column),
            Audited("giou", form=similarity_column, name="1 - elementwise_generalized_box_iou"),
        ),
    ),
    *_both("rfdetr", CRITERION),
    Peer(
        "rfdetr",
        function=f"{CRITERION}:sigmoid_varifocal_loss",
        uses=(
            _mean("varifocal", "logits, qualities"),
            Audited("varifocal", ONE_BOX, reduced, note=OVER_QUERIES),
        ),
    ),
    Peer(
        "libreyolo",
        "libreyolo.models.deim.loss:DEIMCriterion",
        uses=(
            _method("matchability", DEIM, "DEIMCriterion.loss_labels_mal"),
            _method("matchability", DEIM, "with alpha", gamma=1.5, mal_alpha=0.25),
        ),
    ),
    Peer(
        "libreyolo",
        "libreyolo.models.rfdetr.loss:SetCriterion",
        uses=(_method("ia_bce", RF_DETR, "SetCriterion.loss_labels", focal_alpha=0.25),),
    ),
)
