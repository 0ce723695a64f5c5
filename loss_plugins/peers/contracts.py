"""The contracts of other packages' losses: what each is called with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from .calls import (
    by_label,
    diagonal,
    four_sides,
    over_boxes,
    over_classes_of_map,
    over_labels,
    over_masks,
    over_sides,
    score_before_label,
    signed,
    similarity,
    similarity_column,
    weights_third,
)
from .contract import ELEMENTS, REDUCTIONS, ROWS, Contract
from .criteria import DEIM, DEIMV2, LW_DETR, RF_DETR, RT_DETR, OfCriterion
from .keypoints import FLOWS, KEY_POINTS, WEIGHTED, of_errors, of_key_points

# --- the contracts ----------------------------------------------------------------------------------------------------

BOXES = ("boxes", "boxes in batches", "no boxes")
OFFSETS = ("offsets", "offsets in batches", "no offsets")
NUMBERS = (*OFFSETS, "offsets in half precision", "a number without dimension")
DENSE = ("hard targets", "soft targets", "soft targets, maps", "no rows")
SCORES = (*DENSE[:3], "no maps")
LABELLED = ("labels and background", "no labels")
NEGATIVE = ("labels, some negative", "labels, some ignored")
QUALITIES = ("labels and scores", "labels and scores, some negative", "labels and scores, some ignored")
CLASSES = ("class map", "class map, maps", "no classes")
IGNORED = ("class map, some ignored", "class map, maps, some ignored", "class map, all ignored")
SHARES = ("class shares", "class shares, maps")
MASKS = ("masks", "soft masks", "no maps")
CLASS_MASKS = ("class masks", "class masks, all present", "class masks, some ignored", "no class masks")
BOTH = (ROWS, ELEMENTS)


def _mmdet(name: str, loss: str, inputs: tuple[str, ...], weights: tuple[str, ...] = (), **more: Any) -> Contract:
    asked: dict[str, Any] = {"weights": weights, "avg_factor": True, "reduction_at_call": True}
    return Contract("mmdet", name, loss, inputs, **asked, **more)


def _torch(name: str, loss: str, *inputs: str, **more: Any) -> Contract:
    return Contract("torch", name, loss, inputs, **more)


_SIGMOID = {"use_sigmoid": True}
_BY_ITSELF = {"use_mask": "compared by itself"}
_NO_COLUMNS = {"activated": "the scale of the input"}

MMDET = (
    _mmdet("IoULoss", "iou", BOXES, BOTH),
    _mmdet("GIoULoss", "giou", BOXES, BOTH),
    _mmdet("DIoULoss", "diou", BOXES[::2], BOTH),
    _mmdet("CIoULoss", "ciou", BOXES[::2], BOTH),
    _mmdet("SIoULoss", "siou", BOXES[::2], BOTH, given={"neg_gamma": True}),
    _mmdet("EIoULoss", "extended_iou", BOXES[::2], BOTH),
    _mmdet("BoundedIoULoss", "bounded_iou", BOXES[::2], (ELEMENTS,)),
    *(
        _mmdet(name, loss, OFFSETS, (ELEMENTS,))
        for name, loss in {"L1Loss": "l1", "MSELoss": "mse", "SmoothL1Loss": "smooth_l1"}.items()
    ),
    _mmdet("BalancedL1Loss", "balanced_l1", OFFSETS, (ELEMENTS,)),
    _mmdet("CrossEntropyLoss", "cross_entropy", (*CLASSES, *IGNORED, *SHARES), (ELEMENTS,)),
    _mmdet(
        "CrossEntropyLoss",
        "bce_with_logits",
        (*LABELLED, *NEGATIVE),
        (ROWS,),
        given=_SIGMOID,
        apart=_BY_ITSELF,
        single=True,
        variant="labels",
    ),
    _mmdet("CrossEntropyLoss", "bce_with_logits", DENSE, (ELEMENTS,), given=_SIGMOID, apart=_BY_ITSELF, single=True),
    Contract(
        "mmdet",
        "CrossEntropyLoss",
        "bce_with_logits",
        ("masks of one channel",),
        {"use_mask": True},
        reductions=("mean",),
        bind=by_label,
        apart={
            "use_sigmoid": "the other form",
            "class_weight": "a weight along the last axis of the masks",
            **dict.fromkeys(("ignore_index", "avg_non_ignore"), "it has none for masks"),
        },
        variant="masks",
    ),
    _mmdet("FocalLoss", "focal", DENSE, (ELEMENTS,), apart=_NO_COLUMNS),
    _mmdet("FocalLoss", "focal", (*LABELLED, *NEGATIVE), BOTH, apart=_NO_COLUMNS, variant="labels"),
    _mmdet("FocalLoss", "focal", ("probabilities, labels",), BOTH, given={"activated": True}, variant="probabilities"),
    _mmdet(
        "QualityFocalLoss",
        "quality_focal",
        ("qualities", *QUALITIES, "no rows"),
        (ROWS,),
        apart=_NO_COLUMNS,
    ),
    _mmdet("VarifocalLoss", "varifocal", ("qualities", "qualities, maps", "no rows"), (ELEMENTS,)),
    _mmdet("DistributionFocalLoss", "distribution_focal", ("bins", "no bins"), (ROWS,)),
    _mmdet("GHMC", "ghm_c", ("hard targets",), (ELEMENTS,), bind=weights_third, single=True),
    _mmdet("GHMC", "ghm_c", LABELLED[:1], (ROWS,), bind=weights_third, single=True, variant="labels"),
    Contract(
        "mmdet", "GHMC", "ghm_c", (LABELLED[0], *NEGATIVE), reductions=("none", "mean"), bind=weights_third,
        single=True, variant="negative labels",
    ),
    _mmdet("GaussianFocalLoss", "gaussian_focal", ("heat maps", "heat maps, maps", "no rows"), (ELEMENTS,)),
    _mmdet("DiceLoss", "dice", ("masks of one channel", "masks", "soft masks", "no masks"), (ROWS,), single=True),
)  # fmt: skip

TORCH = (
    _torch("L1Loss", "l1", *NUMBERS),
    _torch("MSELoss", "mse", *NUMBERS),
    _torch("SmoothL1Loss", "smooth_l1", *NUMBERS),
    _torch("HuberLoss", "huber", *NUMBERS),
    _torch("BCELoss", "bce", "probabilities", "probabilities, maps"),
    _torch("BCEWithLogitsLoss", "bce_with_logits", *DENSE, "a number without dimension", "offsets in half precision"),
    _torch("CrossEntropyLoss", "cross_entropy", *CLASSES, *IGNORED, *SHARES),
    _torch("NLLLoss", "nll", "log-probabilities", "log-probabilities, maps"),
    _torch("KLDivLoss", "kl_div", "distributions", "distributions, maps", reductions=(*REDUCTIONS, "batchmean")),
    _torch("MarginRankingLoss", "margin_ranking", "two scores and a sign", bind=signed),
    _torch("HingeEmbeddingLoss", "hinge_embedding", "distances"),
)

TORCHVISION = (
    Contract("torchvision", "generalized_box_iou_loss", "giou", BOXES),
    Contract("torchvision", "distance_box_iou_loss", "diou", BOXES),
    Contract("torchvision", "complete_box_iou_loss", "ciou", BOXES),
    Contract("torchvision", "sigmoid_focal_loss", "focal", DENSE, extra={"alpha": (-1.0,)}),
)

FLAGS = ("GIoU", "DIoU", "CIoU")
ULTRALYTICS = (
    *(
        Contract(
            "ultralytics",
            "bbox_iou",
            loss,
            BOXES[:1],
            fixed={**flags, "xywh": False},
            reductions=("none",),
            bind=similarity,
            apart=dict.fromkeys(FLAGS, "which of our losses it is"),
        )
        for loss, flags in {"iou": {}, **{name.lower(): {name: True} for name in FLAGS}}.items()
    ),
    Contract(
        "ultralytics",
        "probiou",
        "prob_iou",
        ("rotated boxes",),
        {"floor": 0.01},
        reductions=("none",),
        bind=similarity,
        remark="its training passes floor=0.01, which is the default of our dialect; its function's default is 0",
    ),
    Contract(
        "ultralytics",
        "DFLoss",
        "distribution_focal",
        ("bins of four sides",),
        {"reg_max": 8},
        reductions=("none",),
        bind=four_sides,
        shape=over_sides,
    ),
    Contract(
        "ultralytics",
        "VarifocalLoss",
        "varifocal",
        ("labels and qualities", "labels and qualities, maps"),
        reductions=("mean",),
        bind=score_before_label,
        single=True,
    ),
    Contract("ultralytics", "BCEWithLogitsLoss", "bce_with_logits", DENSE),
    Contract("ultralytics", "FocalLoss", "focal", DENSE, reductions=("mean",), extra={"alpha": (0.0,)}, single=True),
    Contract("ultralytics", "MultiChannelDiceLoss", "dice", MASKS),
    Contract("ultralytics", "KeypointLoss", "oks", KEY_POINTS, reductions=("mean",), bind=of_key_points, single=True),
    Contract("ultralytics", "RLELoss", "rle", FLOWS, reductions=("mean", "sum"), bind=of_errors, apart=WEIGHTED),
)

BINARY = (*SCORES, "masks, some ignored")
KORNIA = (
    Contract("kornia", "BinaryFocalLossWithLogits", "focal", BINARY, given={"alpha": 0.25}),
    Contract("kornia", "BinaryFocalLossWithLogits", "focal", BINARY, given={"alpha": None}, variant="no alpha"),
    *(
        Contract(
            "kornia",
            "FocalLoss",
            "softmax_focal",
            (*CLASSES[:2], *IGNORED[:2], "no class masks"),
            {"alpha": alpha},
            bind=over_labels,
            variant="" if alpha else "no alpha",
            remark="its 'none' is (n, C, ...), 0 but for the label's channel, ours (n, ...): the sum over channels",
        )
        for alpha in (0.25, None)
    ),
    Contract("kornia", "DiceLoss", "dice", CLASS_MASKS, reductions=("mean",)),
    Contract("kornia", "TverskyLoss", "tversky", CLASS_MASKS, {"alpha": 0.3, "beta": 0.7}, reductions=("mean",)),
    Contract(
        "kornia", "TverskyLoss", "tversky", CLASS_MASKS, {"alpha": 1.5, "beta": 0.2}, reductions=("mean",),
        variant="alpha above 1",
    ),
    Contract("kornia", "LovaszSoftmaxLoss", "lovasz_softmax", CLASS_MASKS[:2], reductions=("mean",)),
)  # fmt: skip

_OF_MONAI = {"DiceLoss": "dice", "TverskyLoss": "tversky", "GeneralizedDiceLoss": "generalized_dice"}
MONAI = (
    Contract("monai", "FocalLoss", "focal", SCORES, single=True, extra={"alpha": ([0.1, 0.9, 0.4, 0.25],)}),
    *(
        Contract(
            "monai",
            name,
            loss,
            MASKS,
            {activation: True},
            apart={
                **dict.fromkeys(("sigmoid", "softmax"), "one of them at a time"),
                **({"smooth_dr": "0 divides by 0 where nothing is labelled"} if loss == "generalized_dice" else {}),
            },
            alone=("include_background",) if loss == "dice" else (),  # without it, other weights go with it
            single=loss == "generalized_dice",  # its weights are
            variant=activation,
        )
        for name, loss in _OF_MONAI.items()
        for activation in ("sigmoid", "softmax")
    ),
    Contract(
        "monai",
        "DiceLoss",
        "dice",
        MASKS,
        {"softmax": True, "include_background": False, "weight": [0.5, 1.25, 2.0]},
        apart=dict.fromkeys(("sigmoid", "softmax"), "one of them at a time"),
        variant="without background",
    ),
)

_ONE_NUMBER = "its 'none' is the mean of all, ours one loss per element: the mean of ours"
SMP = (
    Contract(
        "smp",
        "FocalLoss",
        "focal",
        SCORES,
        {"mode": "multilabel"},
        shape=torch.Tensor.mean,
        remark=_ONE_NUMBER,
    ),
    Contract(
        "smp",
        "FocalLoss",
        "softmax_focal",
        (*CLASSES[:2], "no class masks"),
        {"mode": "multiclass"},
        shape=over_classes_of_map,
        extra={"ignore_index": (2,)},  # with each reduction
        remark=_ONE_NUMBER,
    ),
    *(
        Contract(
            "smp",
            "SoftBCEWithLogitsLoss",
            "bce_with_logits",
            (*DENSE[:3], "masks, some ignored"),
            given,
            apart={} if given else {"smooth_factor": "one above 1/2 turns labels round; compared by itself"},
            variant="smoothed" if given else "",
        )
        for given in ({}, {"smooth_factor": 0.15})
    ),
    Contract(
        "smp",
        "SoftCrossEntropyLoss",
        "cross_entropy",
        (*CLASSES[:2], *IGNORED),
        {"smooth_factor": 0.1},
        reductions=("mean", "sum"),
    ),
    *(
        Contract("smp", name, loss, MASKS, given={"mode": mode}, reductions=("mean",), apart=apart, variant=mode)
        for name, loss in {"DiceLoss": "dice", "TverskyLoss": "focal_tversky", "JaccardLoss": "jaccard"}.items()
        for mode, apart in {
            "multilabel": {},
            "binary": dict.fromkeys(("classes", "class_weights"), "for modes of several classes"),
        }.items()
    ),
)

_DIVISOR = dict.fromkeys(("num_boxes", "num_masks"), "avg_factor at the call")
_SUMMED: dict[str, Any] = {"reductions": ("mean", "sum"), "avg_factor": True, "apart": _DIVISOR}
_QUERIES: dict[str, Any] = {**_SUMMED, "bind": over_boxes}
_OTHERS = "of its other losses"
#: of DEIM's criterion; a gamma of 0 would make the target of every other score 1 there
_DEIM_APART = {
    **dict.fromkeys(("matcher", "weight_dict", "losses", "reg_max", "boxes_weight_format"), _OTHERS),
    **dict.fromkeys(("share_matched_indices", "distributed_normalize"), _OTHERS),
    "num_classes": "that of the input",
    "alpha": "of its varifocal loss",
    **dict.fromkeys(("gamma", "mal_alpha"), "tried together"),
}
_LW_DETR_APART = {"num_classes": "that of the input", **dict.fromkeys(("matcher", "losses", "group_detr"), _OTHERS)}
_RF_DETR_APART = {
    **_LW_DETR_APART,
    **dict.fromkeys(("weight_dict", "sum_group_losses", "mask_point_sample_ratio", "num_keypoints_per_class"), _OTHERS),
    **dict.fromkeys(("use_grouppose_keypoints", "distributed_normalize"), _OTHERS),
    **dict.fromkeys(("use_varifocal_loss", "use_position_supervised_loss", "ia_bce_loss"), "which loss it is"),
}


def _of_criterion(
    framework: str, name: str, loss: str, form: OfCriterion, given: Mapping[str, Any], apart: Mapping[str, str]
) -> Contract:
    return Contract(
        framework,
        name,
        loss,
        QUALITIES[:1],
        given,
        reductions=("sum",),
        bind=form,
        apart=apart,
        variant=", ".join(f"{key} {value:g}" for key, value in given.items()),
        remark=f"its method {form.method} for one image, divided by one box; each row is a query",
    )


DETR = (
    Contract("transformers", "generalized_box_iou", "giou", BOXES[::2], reductions=("none",), bind=diagonal),
    Contract(
        "rfdetr",
        "elementwise_generalized_box_iou",
        "giou",
        ("boxes", "boxes of little area", "no boxes"),
        reductions=("none",),
        bind=similarity_column,
    ),
    *(
        contract
        for name in ("transformers", "rfdetr")
        for contract in (
            Contract(name, "sigmoid_focal_loss", "focal", DENSE, extra={"alpha": (-1.0,)}, **_QUERIES),
            Contract(name, "dice_loss", "dice", MASKS, bind=over_masks, **_SUMMED),
        )
    ),
    *(
        _of_criterion("transformers", "RTDetrLoss", "varifocal", RT_DETR, given, {"config": "holds alpha and gamma"})
        for given in ({}, {"alpha": 0.25, "gamma": 1.5}, {"alpha": 2.5, "gamma": 0.0})
    ),
    *(
        _of_criterion("transformers", "Deimv2Loss", "matchability", DEIMV2, given, {"config": "holds alpha and gamma"})
        for given in ({}, {"focal_loss_gamma": 1.5}, {"focal_loss_gamma": 1.2, "mal_alpha": 0.25})
    ),
    *(
        _of_criterion("libreyolo", "DEIMCriterion", "matchability", DEIM, given, _DEIM_APART)
        for given in ({}, {"gamma": 1.5}, {"gamma": 1.2, "mal_alpha": 0.25})
    ),
    *(
        _of_criterion(framework, name, "ia_bce", form, {"focal_alpha": alpha}, apart)
        for framework, name, form, apart in (
            ("transformers", "LwDetrImageLoss", LW_DETR, _LW_DETR_APART),
            ("rfdetr", "SetCriterion", RF_DETR, _RF_DETR_APART),
            ("libreyolo", "SetCriterion", RF_DETR, _RF_DETR_APART),
        )
        for alpha in (0.25, 0.5)
    ),
    Contract("rfdetr", "sigmoid_varifocal_loss", "varifocal", ("qualities", "qualities, maps", "no rows"), **_QUERIES),
)

CONTRACTS: tuple[Contract, ...] = (*MMDET, *ULTRALYTICS, *TORCHVISION, *TORCH, *KORNIA, *MONAI, *SMP, *DETR)
