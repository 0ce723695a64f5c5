"""The table of other packages' losses, one row for each place: data, imported when a row is used."""

from __future__ import annotations

from typing import Any

from ..samples import TABLE_CLASSES
from .calls import (
    all_counted,
    class_part,
    four_sides,
    label_column,
    over_sides,
    reduced,
    score_before_label,
    second_input,
    similarity,
    similarity_column,
)
from .detr import DETR
from .keypoints import ULTRALYTICS as KEY_POINTS
from .uses import EXACT, SINGLE, Audited, Compared, ComparedSum, Peer, Timed, Tolerance

# names of samples
HARD, SOFT, LABELS = "logits, hard targets", "logits, soft targets", "logits, labels"
QUALITY, LABEL_SCORE = "logits, qualities", "logits, labels and scores"

Use = Compared | Timed | Audited
CLASS_WEIGHTS = [1.0, 2.0, 0.5, 1.0]
TVERSKY = {"alpha": 0.3, "beta": 0.7}
SIGMOID, MULTILABEL = {"use_sigmoid": True}, {"mode": "multilabel"}
CLASS_MAP = {"form": "class_map"}
MEAN_ONLY, OVER_BATCH = "returns a mean only", "returns a mean over classes of sums over the batch"
#: our IoU losses -> the flags of Ultralytics' bbox_iou
FLAGS: dict[str, dict[str, bool]] = {"iou": {}, "giou": {"GIoU": True}, "diou": {"DIoU": True}, "ciou": {"CIoU": True}}


def _mmdet(name: str, *uses: Use, function: str = "") -> Peer:
    inner = f"mmdet.models.losses.{function}" if function else ""
    return Peer("mmdet", f"mmdet.models.losses:{name}", inner, uses)


def _torchvision(name: str, *uses: Use) -> Peer:
    return Peer("torchvision", function=f"torchvision.ops:{name}", uses=uses)


def _torch(name: str, *uses: Use) -> Peer:
    return Peer("torch", f"torch.nn:{name}", uses=uses)


def _kornia(module: str, function: str, *uses: Use) -> Peer:
    return Peer("kornia", f"kornia.losses:{module}", f"kornia.losses:{function}", uses)


def _monai(name: str, *uses: Use) -> Peer:
    return Peer("monai", f"monai.losses:{name}", uses=uses)


def _smp(name: str, *uses: Use) -> Peer:
    return Peer("smp", f"segmentation_models_pytorch.losses:{name}", uses=uses)


def _mean(loss: str, sample: str, parameters: dict[str, Any] | None = None, **more: Any) -> Compared:
    """A built-in that returns its mean."""
    return Compared(loss, sample, parameters or {}, reduced, reduction="mean", **more)


def _bbox_iou(loss: str, flags: dict[str, bool]) -> Compared:
    # ciou is what Ultralytics trains with: bit for bit
    promised = EXACT if loss == "ciou" else SINGLE
    given = {**flags, "xywh": False}
    return Compared(loss, "boxes", given, similarity, ours={}, promised=promised, exact_from="8.4.190")


def _bbox_iou_of_centres(loss: str, flags: dict[str, bool]) -> Compared:
    return Compared(
        loss,
        "center_boxes",
        {**flags, "xywh": True},
        similarity,
        ours={"box_format": "cxcywh"},
        promised=Tolerance(1e-5, 1e-5),
        variant="cxcywh",
        remark="we take areas from the rounded corners, they from the sizes",
    )


def _bbox_iou_audited(loss: str, flags: dict[str, bool]) -> Audited:
    shown = "".join(f"({flag}=True)" for flag in flags)
    return Audited(loss, {"xywh": False, **flags}, similarity, name=f"1 - bbox_iou{shown}")


def _probiou(variant: str, **parameters: Any) -> Compared:
    return Compared(
        "prob_iou",
        "rotated_boxes",
        {"floor": 0.0, **parameters},
        similarity,
        promised=Tolerance(1e-6, 5e-5),
        variant=variant,
        remark="their determinant of a thin box cancels",
    )


MMDET = (
    _mmdet(
        "IoULoss",
        Compared("iou", "boxes", variant="log"),
        Compared("iou", "boxes", {"mode": "linear"}, variant="linear"),
        Compared("iou", "boxes", {"mode": "square"}, variant="square"),
        Timed("iou", {"mode": "linear"}),
        Audited("iou", name="IoULoss (log)", traits={"range": (0.0, 13.9)}),
        function="iou_loss:iou_loss",
    ),
    _mmdet("GIoULoss", Compared("giou", "boxes"), Timed("giou"), Audited("giou"), function="iou_loss:giou_loss"),
    _mmdet("DIoULoss", Compared("diou", "boxes"), Timed("diou"), Audited("diou"), function="iou_loss:diou_loss"),
    _mmdet("CIoULoss", Compared("ciou", "boxes"), Timed("ciou"), Audited("ciou"), function="iou_loss:ciou_loss"),
    _mmdet(
        "SIoULoss",
        Compared("siou", "boxes", {"neg_gamma": True}, variant="neg_gamma"),
        Timed("siou", {"neg_gamma": True}),
        Audited("siou"),
        Audited("siou", {"neg_gamma": True}, name="SIoULoss(neg_gamma=True)"),
        function="iou_loss:siou_loss",
    ),
    _mmdet(
        "EIoULoss",
        Compared("extended_iou", "boxes"),
        Timed("extended_iou"),
        Audited("extended_iou", name="EIoULoss (Extended IoU)"),
        function="iou_loss:eiou_loss",
    ),
    _mmdet(
        "BoundedIoULoss",
        Compared("bounded_iou", "boxes"),
        Timed("bounded_iou"),
        Audited("bounded_iou"),
        function="iou_loss:bounded_iou_loss",
    ),
    _mmdet("L1Loss", Compared("l1", "offsets"), Timed("l1"), function="smooth_l1_loss:l1_loss"),
    _mmdet("MSELoss", Compared("mse", "offsets")),
    _mmdet(
        "SmoothL1Loss",
        Compared("smooth_l1", "offsets", {"beta": 1 / 9}),
        Timed("smooth_l1"),
        function="smooth_l1_loss:smooth_l1_loss",
    ),
    _mmdet(
        "BalancedL1Loss",
        Compared("balanced_l1", "offsets"),
        Timed("balanced_l1"),
        function="balanced_l1_loss:balanced_l1_loss",
    ),
    _mmdet(
        "CrossEntropyLoss",
        Compared("cross_entropy", "logits, class map", {"ignore_index": -100}),
        _mean("cross_entropy", "logits, class map", {"class_weight": CLASS_WEIGHTS}, variant="class_weight, mean"),
        Compared("bce_with_logits", SOFT, SIGMOID, double=None),
        Compared(
            "bce_with_logits",
            LABELS,
            {**SIGMOID, "class_weight": CLASS_WEIGHTS},
            double=None,
            variant="labels, class_weight",
        ),
    ),
    _mmdet(
        "FocalLoss",
        Compared("focal", LABELS, SIGMOID),
        Compared("focal", SOFT, {"gamma": 1.5, "alpha": 0.4}, variant="soft targets"),
        Compared("focal", "probabilities, labels", {"activated": True}, variant="probabilities"),
        Timed("focal"),
        Audited(
            "focal",
            name="FocalLoss",
            note="the PyTorch path; the other one is a compiled operator",
            by_function=True,
        ),
        function="focal_loss:py_sigmoid_focal_loss",
    ),
    _mmdet(
        "QualityFocalLoss",
        Compared("quality_focal", LABEL_SCORE),
        Compared("quality_focal", QUALITY, variant="dense"),
        _mean("quality_focal", LABEL_SCORE, {"beta": 1.5}, variant="mean"),
        Compared(
            "quality_focal",
            "probabilities, labels and scores",
            {"activated": True},
            variant="probabilities",
        ),
        Timed("quality_focal"),
        Audited("quality_focal", SIGMOID),
        function="gfocal_loss:quality_focal_loss_tensor_target",
    ),
    _mmdet(
        "VarifocalLoss",
        Compared("varifocal", QUALITY),
        Compared("varifocal", QUALITY, {"iou_weighted": False}, variant="not weighted"),
        Timed("varifocal"),
        Audited("varifocal", SIGMOID),
        function="varifocal_loss:varifocal_loss",
    ),
    _mmdet(
        "DistributionFocalLoss",
        Compared("distribution_focal", "bins"),
        Timed("distribution_focal"),
        function="gfocal_loss:distribution_focal_loss",
    ),
    _mmdet(
        "GHMC",
        Compared("ghm_c", HARD, {"bins": 30}, all_counted, reduction="mean", double=None),
        Compared("ghm_c", HARD, {"momentum": 0.75}, all_counted, reduction="mean", double=None, variant="momentum"),
    ),
    _mmdet(
        "SeesawLoss",
        Compared("seesaw", LABELS, {"num_classes": TABLE_CLASSES}, class_part, reduction="mean", double=None),
    ),
    _mmdet("EQLV2Loss", _mean("eqlv2", "logits, classes", {"num_classes": TABLE_CLASSES - 1}, double=None)),
    _mmdet(
        "GaussianFocalLoss",
        Compared("gaussian_focal", "heat maps"),
        Timed("gaussian_focal"),
        Audited("gaussian_focal"),
        function="gaussian_focal_loss:gaussian_focal_loss",
    ),
    _mmdet(
        "DiceLoss",
        Compared("dice", "masks", double=None),
        Compared("dice", "masks", {"naive_dice": True}, double=None, variant="naive"),
        Audited("dice", SIGMOID),
    ),
)

ULTRALYTICS = (
    Peer(
        "ultralytics",
        function="ultralytics.utils.metrics:bbox_iou",
        uses=(
            *(_bbox_iou(loss, flags) for loss, flags in FLAGS.items()),
            *(_bbox_iou_of_centres(loss, flags) for loss, flags in FLAGS.items()),
            *(Timed(loss, {"xywh": False, **flags}, similarity_column) for loss, flags in FLAGS.items()),
            *(_bbox_iou_audited(loss, flags) for loss, flags in FLAGS.items()),
        ),
    ),
    Peer(
        "ultralytics",
        function="ultralytics.utils.metrics:probiou",
        uses=(
            _probiou("floor 0.01", floor=0.01),
            _probiou("no floor"),
            _probiou("aspect", CIoU=True),
            Timed("prob_iou", form=similarity_column),
        ),
    ),
    Peer(
        "ultralytics",
        "torch.nn:BCEWithLogitsLoss",
        uses=(Compared("bce_with_logits", SOFT, ours={}, variant="as v8DetectionLoss"),),
    ),
    Peer(
        "ultralytics",
        "ultralytics.utils.loss:FocalLoss",
        uses=(
            _mean("focal", SOFT),
            _mean("focal", HARD, {"gamma": 2.0, "alpha": 0}, variant="no alpha"),
            Audited("focal", form=reduced, note="returns a sum only"),
        ),
    ),
    Peer(
        "ultralytics",
        "ultralytics.utils.loss:VarifocalLoss",
        uses=(
            Compared(
                "varifocal",
                "logits, label and score maps",
                form=score_before_label,
                reduction="mean",
                double=None,
            ),
        ),
    ),
    Peer(
        "ultralytics",
        "ultralytics.utils.loss:DFLoss",
        uses=(Compared("distribution_focal", "bins", {"reg_max": 16}, four_sides, after=over_sides),),
    ),
    Peer(
        "ultralytics",
        "ultralytics.utils.loss:MultiChannelDiceLoss",
        uses=(
            Compared("dice", "masks"),
            _mean("dice", "soft masks", {"smooth": 1.0}, variant="as in BCEDiceLoss"),
            Audited("dice"),
        ),
    ),
    Peer(
        "ultralytics",
        "ultralytics.utils.loss:BCEDiceLoss",
        uses=(
            ComparedSum(
                "dice",
                "soft masks",
                form=reduced,
                parts=((0.5, "bce_with_logits", {}), (0.5, "dice", {"smooth": 1.0})),
            ),
        ),
    ),
)

TORCHVISION = (
    _torchvision("generalized_box_iou_loss", Compared("giou", "boxes"), Timed("giou"), Audited("giou")),
    _torchvision("distance_box_iou_loss", Compared("diou", "boxes"), Timed("diou"), Audited("diou")),
    _torchvision("complete_box_iou_loss", Compared("ciou", "boxes"), Timed("ciou"), Audited("ciou")),
    _torchvision(
        "sigmoid_focal_loss",
        Compared("focal", SOFT),
        Compared("focal", HARD, {"alpha": -1.0}, variant="no alpha"),
        Timed("focal"),
        Audited("focal"),
    ),
)

TORCH = (
    _torch("L1Loss", Compared("l1", "offsets"), Timed("l1")),
    _torch("MSELoss", Compared("mse", "offsets")),
    _torch("SmoothL1Loss", Compared("smooth_l1", "offsets", {"beta": 0.5}), Timed("smooth_l1")),
    _torch("HuberLoss", Compared("huber", "offsets", {"delta": 2.0})),
    _torch("BCELoss", Compared("bce", "probabilities, hard targets")),
    _torch("BCEWithLogitsLoss", Compared("bce_with_logits", SOFT), Timed("bce_with_logits")),
    _torch(
        "CrossEntropyLoss",
        Compared("cross_entropy", "logits, class map", {"label_smoothing": 0.1}),
        Timed("cross_entropy"),
    ),
    _torch("NLLLoss", Compared("nll", "log-probabilities")),
    _torch("KLDivLoss", Compared("kl_div", "distributions")),
    _torch(
        "MarginRankingLoss", Compared("margin_ranking", "two scores and a sign", {"margin": 0.5}, form=second_input)
    ),
    _torch("HingeEmbeddingLoss", Compared("hinge_embedding", "distances")),
)

KORNIA = (
    _kornia(
        "BinaryFocalLossWithLogits",
        "binary_focal_loss_with_logits",
        Compared(
            "focal",
            HARD,
            promised=Tolerance(1e-6, 5e-5),
            remark="it takes 1 - p from a sigmoid of its own",
            by_function=True,
        ),
        Timed("focal", {"alpha": 0.25}),
        Audited("focal", {"alpha": 0.25}),
    ),
    _kornia(
        "FocalLoss",
        "focal_loss",
        Compared("softmax_focal", "logits, classes", {"alpha": 0.25}, label_column, by_function=True),
        Audited("softmax_focal", {"alpha": 0.25}),
    ),
    _kornia(
        "DiceLoss",
        "dice_loss",
        _mean("dice", "class masks", by_function=True),
        _mean("dice", "class masks", {"average": "macro"}, variant="macro", by_function=True),
        Audited("dice", form=reduced, scores=CLASS_MAP, note=MEAN_ONLY),
    ),
    _kornia(
        "TverskyLoss",
        "tversky_loss",
        _mean("tversky", "class masks", TVERSKY, by_function=True),
        Audited("tversky", TVERSKY, reduced, scores=CLASS_MAP, note=MEAN_ONLY),
    ),
    _kornia(
        "LovaszSoftmaxLoss",
        "lovasz_softmax_loss",
        _mean("lovasz_softmax", "class masks", by_function=True),
        Audited("lovasz_softmax", form=reduced, scores=CLASS_MAP, note=MEAN_ONLY),
    ),
)

MONAI = (
    _monai("BoxGIoULoss", Audited("giou", note="raises ValueError on inverted and non-finite boxes, on purpose")),
    _monai(
        "FocalLoss",
        Compared("focal", HARD, {"alpha": 0.25}, double=None),
        Timed("focal", {"alpha": 0.25}),
        Audited("focal", {"alpha": 0.25}),
    ),
    _monai(
        "DiceLoss",
        Compared("dice", "masks", {"sigmoid": True}),
        Compared("dice", "masks", {"sigmoid": True, "jaccard": True, "squared_pred": True}, variant="jaccard, squared"),
        Timed("dice", {"sigmoid": True}),
        Audited("dice", {"sigmoid": True}),
    ),
    _monai(
        "TverskyLoss",
        Compared("tversky", "masks", {"sigmoid": True, **TVERSKY}),
        Timed("tversky", {"sigmoid": True}),
        Audited("tversky", {"sigmoid": True, **TVERSKY}),
    ),
    _monai(
        "GeneralizedDiceLoss",
        Compared(
            "generalized_dice",
            "masks",
            {"sigmoid": True},
            double=Tolerance(1e-7, 1e-6),
            remark="it computes the weights of the classes in float32",
        ),
        Audited("generalized_dice", {"sigmoid": True}),
    ),
)

SMP = (
    _smp(
        "DiceLoss",
        _mean("dice", "soft masks", MULTILABEL),
        _mean("dice", "masks", {**MULTILABEL, "log_loss": True}, variant="log"),
        Audited("dice", MULTILABEL, reduced, note=OVER_BATCH),
    ),
    _smp(
        "TverskyLoss",
        _mean("focal_tversky", "masks", {**MULTILABEL, **TVERSKY, "gamma": 1.0}),
        Audited("tversky", {**MULTILABEL, **TVERSKY}, reduced, note=OVER_BATCH),
    ),
    _smp(
        "JaccardLoss",
        _mean("jaccard", "soft masks", MULTILABEL),
        _mean("jaccard", "masks", {**MULTILABEL, "log_loss": True}, variant="log"),
        Audited("jaccard", MULTILABEL, reduced, note=OVER_BATCH),
    ),
    _smp("SoftBCEWithLogitsLoss", Compared("bce_with_logits", SOFT, {"smooth_factor": 0.1})),
    _smp("SoftCrossEntropyLoss", _mean("cross_entropy", "logits, class map", {"smooth_factor": 0.1})),
    _smp(
        "FocalLoss",
        _mean("focal", HARD, {**MULTILABEL, "alpha": 0.25}, ours={"alpha": 0.25}),
        _mean("softmax_focal", "logits, classes", {"mode": "multiclass"}),
        Audited("softmax_focal", {"mode": "multiclass"}, reduced, note=MEAN_ONLY),
    ),
)

PEERS: tuple[Peer, ...] = (*MMDET, *ULTRALYTICS, *KEY_POINTS, *TORCHVISION, *TORCH, *KORNIA, *MONAI, *SMP, *DETR)
