"""The losses that frameworks ship, as data: where each is, what it takes, how it is called, which of ours equals it.

Nothing here is imported until a row is asked for, by the name that stands in it.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from .module.build import build_loss
from .tensors import Target

LossCall = Callable[[Tensor, Any], Tensor]
#: their object, its parameters, pred and target to their loss
CallForm = Callable[[Any, Mapping[str, Any], Tensor, Any], Tensor]


@dataclass(frozen=True)
class Tolerance:
    """How far apart a pair may be: values relative above 1, gradients relative to their row's largest."""

    value: float
    gradient: float


SINGLE = Tolerance(1e-6, 1e-5)
DOUBLE = Tolerance(1e-9, 1e-9)
EXACT = Tolerance(0.0, 0.0)


# --- how theirs are called ---------------------------------------------------------------------------------------


def per_element(place: Any, parameters: Mapping[str, Any], pred: Tensor, target: Any) -> Tensor:
    """A module class, or a function, with reduction="none"."""
    return reduced(place, {**parameters, "reduction": "none"}, pred, target)


def reduced(place: Any, parameters: Mapping[str, Any], pred: Tensor, target: Any) -> Tensor:
    """A module class with a reduction of its own, or a function that has none."""
    result: Tensor = (place(**parameters) if _is_class(place) else functools.partial(place, **parameters))(pred, target)
    return result


def _is_class(place: Any) -> bool:
    return isinstance(place, type)


def similarity(place: Any, parameters: Mapping[str, Any], pred: Tensor, target: Any) -> Tensor:
    """1 minus a function (n, 1)."""
    found: Tensor = place(pred, target, **parameters)
    return 1 - found.squeeze(-1)


def score_before_label(place: Any, parameters: Mapping[str, Any], pred: Tensor, target: Any) -> Tensor:
    """Ultralytics' order of (label, score)."""
    label, score = target
    result: Tensor = place(**parameters)(pred, score, label)
    return result


def counted(place: Any, parameters: Mapping[str, Any], pred: Tensor, target: Any) -> Tensor:
    """With a weight for each score: all of them count."""
    result: Tensor = place(**parameters)(pred, target, torch.ones_like(pred))
    return result


def four_sides(place: Any, parameters: Mapping[str, Any], pred: Tensor, target: Any) -> Tensor:
    """The mean over four sides; on a copy, as the target is changed in place."""
    result: Tensor = place(**parameters)(pred, target.clone().view(-1, 4))
    return result


def second_input(place: Any, parameters: Mapping[str, Any], pred: Tensor, target: Any) -> Tensor:
    """Two inputs and a target."""
    result: Tensor = place(**parameters, reduction="none")(pred, *target)
    return result


def column(place: Any, parameters: Mapping[str, Any], pred: Tensor, target: Any) -> Tensor:
    """What is 0 in all columns but the label's: their sum."""
    result: Tensor = place(pred, target, **parameters, reduction="none")
    return result.sum(1)


# --- what is made of ours ------------------------------------------------------------------------------------------


def as_is(loss: Tensor) -> Tensor:
    """Nothing."""
    return loss


def over_classes(loss: Tensor) -> Tensor:
    """Their loss has one number per row."""
    return loss.sum(-1)


def over_sides(loss: Tensor) -> Tensor:
    """Their loss is the mean over the four sides of a box."""
    return loss.view(-1, 4).mean(-1, keepdim=True)


def over_channels(loss: Tensor) -> Tensor:
    """Their loss is the mean over the channels of an image."""
    return loss.mean(1)


def unflattened(loss: Tensor) -> Tensor:
    """Their loss keeps the axes that it has summed over."""
    return loss[..., None, None]


@dataclass(frozen=True)
class Builtin:
    """One loss of a framework beside ours.

    Attributes:
        framework: "mmdet", "ultralytics", ...; the name of our dialect.
        loss: our name.
        place: "module:attribute" of theirs.
        sample: what both are fed, see `sampling.SAMPLES`.
        parameters: of theirs; ours gets the same in its dialect, and so must understand their names.
        form: how theirs is called.
        ours: parameters of ours, where theirs are those of a function that is not its dialect's loss; None: the same.
        reduction: of ours.
        after: what makes their number of ours.
        promised: the tolerance in float32; EXACT: bit for bit.
        double: the tolerance in float64; None: theirs computes in float32 whatever comes in.
        variant: what tells rows of one loss apart.
        remark: why a tolerance is not the usual one.
        exact_from: the version from which a promise of EXACT holds; before, SINGLE and DOUBLE.
        plain: what our default needs to take their input, for the table of deviations.
    """

    framework: str
    loss: str
    place: str
    sample: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    form: CallForm = per_element
    ours: Mapping[str, Any] | None = None
    reduction: str = "none"
    after: Callable[[Tensor], Tensor] = as_is
    promised: Tolerance = SINGLE
    double: Tolerance | None = DOUBLE
    variant: str = ""
    remark: str = ""
    plain: Mapping[str, Any] = field(default_factory=dict)
    exact_from: str = ""

    @property
    def name(self) -> str:
        """For tables and tests."""
        extra = f" ({self.variant})" if self.variant else ""
        return f"{self.loss}{extra}"

    @property
    def builtin(self) -> str:
        """Their name, short."""
        return self.place.partition(":")[2]

    def tolerance(self, single: bool) -> Tolerance:
        """What is promised of the installed version."""
        if self.promised == EXACT and not reached(self.framework, self.exact_from):
            return SINGLE if single else DOUBLE
        return self.promised if single or self.double is None or self.promised == EXACT else self.double

    def missing(self) -> str:
        """Why the installed version cannot be compared: it has no such loss, or not these parameters. "": it can."""
        try:
            place = located(self.place)
        except AttributeError:
            return f"{self.builtin} is not there"
        known = inspect.signature(place).parameters
        lacking = [name for name in self.parameters if name not in known and "kwargs" not in known]
        return f"{self.builtin} has no {', '.join(lacking)}" if lacking else ""

    def theirs(self) -> LossCall:
        """The installed built-in."""
        place = located(self.place)
        return functools.partial(self.form, place, self.parameters)

    def dialect(self) -> LossCall:
        """Ours in their dialect."""
        return self._call({"dialect": self.framework, **(self.parameters if self.ours is None else self.ours)})

    def default(self) -> LossCall:
        """Ours as it comes, for the table of deviations."""
        return self._call(self.plain)

    def _call(self, parameters: Mapping[str, Any]) -> LossCall:
        module = build_loss(self.loss, **{"reduction": self.reduction, **parameters}).train()

        def call(pred: Tensor, target: Target) -> Tensor:
            return self.after(module(pred, target))

        return call


@dataclass(frozen=True)
class Sum(Builtin):
    """A built-in that is a weighted sum of two of ours: `parts` are (weight, loss, parameters)."""

    parts: tuple[tuple[float, str, Mapping[str, Any]], ...] = ()

    @property
    def name(self) -> str:
        """Both."""
        return " + ".join(loss for _, loss, _ in self.parts)

    def dialect(self) -> LossCall:
        """The sum of both, each in its dialect."""
        built = [(weight, build_loss(loss, dialect=self.framework, **given)) for weight, loss, given in self.parts]

        def call(pred: Tensor, target: Target) -> Tensor:
            return torch.stack([weight * loss(pred, target) for weight, loss in built]).sum()

        return call


def installed(framework: str) -> str | None:
    """The version of a framework, if there is one."""
    try:
        return metadata.version(FRAMEWORKS[framework])
    except metadata.PackageNotFoundError:
        return None


def reached(framework: str, version: str) -> bool:
    """Whether the installed version is that one or newer."""

    def parts(text: str) -> list[int]:
        return [int(part) for part in text.split("+", maxsplit=1)[0].split(".") if part.isdigit()]

    return parts(installed(framework) or "") >= parts(version)


@functools.cache
def located(place: str) -> Any:
    """What "module:attribute" names.

    Raises:
        ImportError: not installed.
    """
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


MMDET, YOLO, VISION = "mmdet.models.losses:", "ultralytics.utils.", "torchvision.ops:"
HARD, SOFT, LABELS = "logits, hard targets", "logits, soft targets", "logits, labels"
QUALITY, LABEL_SCORE = "logits, qualities", "logits, labels and scores"
TORCH = "torch.nn:"
KORNIA, MONAI, SMP = "kornia.losses:", "monai.losses:", "segmentation_models_pytorch.losses:"


def _ultralytics_box(loss: str, **flags: Any) -> Builtin:
    # ciou is what Ultralytics trains with: bit for bit
    promised = EXACT if loss == "ciou" else SINGLE
    parameters = {**flags, "xywh": False}
    return Builtin(
        "ultralytics",
        loss,
        YOLO + "metrics:bbox_iou",
        "boxes",
        parameters,
        similarity,
        ours={},
        promised=promised,
        exact_from="8.4.190",
    )


def _ultralytics_center(loss: str, **flags: Any) -> Builtin:
    return Builtin(
        "ultralytics",
        loss,
        YOLO + "metrics:bbox_iou",
        "center_boxes",
        {**flags, "xywh": True},
        similarity,
        ours={"box_format": "cxcywh"},
        promised=Tolerance(1e-5, 1e-5),
        variant="cxcywh",
        remark="we take areas from the rounded corners, they from the sizes",
    )


def _probiou(variant: str, **parameters: Any) -> Builtin:
    ours = {"floor": 0.0, **parameters}
    place = YOLO + "metrics:probiou"
    return Builtin(
        "ultralytics",
        "prob_iou",
        place,
        "rotated_boxes",
        ours,
        similarity,
        promised=Tolerance(1e-6, 5e-5),
        variant=variant,
        remark="their determinant of a thin box cancels",
    )


FLAGS = {"iou": {}, "giou": {"GIoU": True}, "diou": {"DIoU": True}, "ciou": {"CIoU": True}}

BUILTINS: tuple[Builtin, ...] = (
    # --- mmdet
    Builtin("mmdet", "iou", MMDET + "IoULoss", "boxes", variant="log"),
    Builtin("mmdet", "iou", MMDET + "IoULoss", "boxes", {"mode": "linear"}, variant="linear"),
    Builtin("mmdet", "iou", MMDET + "IoULoss", "boxes", {"mode": "square"}, variant="square"),
    Builtin("mmdet", "giou", MMDET + "GIoULoss", "boxes"),
    Builtin("mmdet", "diou", MMDET + "DIoULoss", "boxes"),
    Builtin("mmdet", "ciou", MMDET + "CIoULoss", "boxes"),
    Builtin("mmdet", "siou", MMDET + "SIoULoss", "boxes", {"neg_gamma": True}, variant="neg_gamma"),
    Builtin("mmdet", "extended_iou", MMDET + "EIoULoss", "boxes"),
    Builtin("mmdet", "bounded_iou", MMDET + "BoundedIoULoss", "boxes"),
    Builtin("mmdet", "l1", MMDET + "L1Loss", "offsets"),
    Builtin("mmdet", "mse", MMDET + "MSELoss", "offsets"),
    Builtin("mmdet", "smooth_l1", MMDET + "SmoothL1Loss", "offsets", {"beta": 1 / 9}),
    Builtin("mmdet", "balanced_l1", MMDET + "BalancedL1Loss", "offsets"),
    Builtin("mmdet", "cross_entropy", MMDET + "CrossEntropyLoss", "logits, class map", {"ignore_index": -100}),
    Builtin(
        "mmdet",
        "cross_entropy",
        MMDET + "CrossEntropyLoss",
        "logits, class map",
        {"class_weight": [1.0, 2.0, 0.5, 1.0]},
        reduced,
        reduction="mean",
        variant="class_weight, mean",
    ),
    Builtin("mmdet", "bce_with_logits", MMDET + "CrossEntropyLoss", SOFT, {"use_sigmoid": True}, double=None),
    Builtin(
        "mmdet",
        "bce_with_logits",
        MMDET + "CrossEntropyLoss",
        LABELS,
        {"use_sigmoid": True, "class_weight": [1.0, 2.0, 0.5, 1.0]},
        double=None,
        variant="labels, class_weight",
    ),
    Builtin("mmdet", "focal", MMDET + "FocalLoss", LABELS, {"use_sigmoid": True}),
    Builtin("mmdet", "focal", MMDET + "FocalLoss", SOFT, {"gamma": 1.5, "alpha": 0.4}, variant="soft targets"),
    Builtin(
        "mmdet", "focal", MMDET + "FocalLoss", "probabilities, labels", {"activated": True}, variant="probabilities"
    ),
    Builtin("mmdet", "quality_focal", MMDET + "QualityFocalLoss", LABEL_SCORE, after=over_classes),
    Builtin("mmdet", "quality_focal", MMDET + "QualityFocalLoss", QUALITY, after=over_classes, variant="dense"),
    Builtin(
        "mmdet",
        "quality_focal",
        MMDET + "QualityFocalLoss",
        LABEL_SCORE,
        {"beta": 1.5},
        reduced,
        reduction="mean",
        variant="mean",
    ),
    Builtin(
        "mmdet",
        "quality_focal",
        MMDET + "QualityFocalLoss",
        "probabilities, labels and scores",
        {"activated": True},
        after=over_classes,
        variant="probabilities",
    ),
    Builtin("mmdet", "varifocal", MMDET + "VarifocalLoss", QUALITY),
    Builtin("mmdet", "varifocal", MMDET + "VarifocalLoss", QUALITY, {"iou_weighted": False}, variant="not weighted"),
    Builtin("mmdet", "distribution_focal", MMDET + "DistributionFocalLoss", "bins"),
    Builtin("mmdet", "ghm_c", MMDET + "GHMC", HARD, {"bins": 30}, counted, reduction="mean", double=None),
    Builtin(
        "mmdet",
        "ghm_c",
        MMDET + "GHMC",
        HARD,
        {"momentum": 0.75},
        counted,
        reduction="mean",
        double=None,
        variant="momentum",
    ),
    Builtin("mmdet", "gaussian_focal", MMDET + "GaussianFocalLoss", "heat maps"),
    Builtin("mmdet", "dice", MMDET + "DiceLoss", "masks", double=None),
    Builtin("mmdet", "dice", MMDET + "DiceLoss", "masks", {"naive_dice": True}, double=None, variant="naive"),
    # --- Ultralytics
    *(_ultralytics_box(loss, **flags) for loss, flags in FLAGS.items()),
    *(_ultralytics_center(loss, **flags) for loss, flags in FLAGS.items()),
    _probiou("floor 0.01", floor=0.01),
    _probiou("no floor"),
    _probiou("aspect", CIoU=True),
    Builtin("ultralytics", "bce_with_logits", TORCH + "BCEWithLogitsLoss", SOFT, ours={}, variant="as v8DetectionLoss"),
    Builtin("ultralytics", "focal", YOLO + "loss:FocalLoss", SOFT, form=reduced, reduction="mean"),
    Builtin(
        "ultralytics",
        "focal",
        YOLO + "loss:FocalLoss",
        HARD,
        {"gamma": 2.0, "alpha": 0},
        reduced,
        {"gamma": 2.0, "alpha": 0},
        "mean",
        variant="no alpha",
    ),
    Builtin(
        "ultralytics",
        "varifocal",
        YOLO + "loss:VarifocalLoss",
        "logits, label and score maps",
        form=score_before_label,
        reduction="mean",
        double=None,
    ),
    Builtin(
        "ultralytics",
        "distribution_focal",
        YOLO + "loss:DFLoss",
        "bins",
        {"reg_max": 16},
        four_sides,
        after=over_sides,
    ),
    Builtin("ultralytics", "dice", YOLO + "loss:MultiChannelDiceLoss", "masks", after=over_channels),
    Builtin(
        "ultralytics",
        "dice",
        YOLO + "loss:MultiChannelDiceLoss",
        "soft masks",
        {"smooth": 1.0},
        reduced,
        reduction="mean",
        variant="as in BCEDiceLoss",
    ),
    Sum(
        "ultralytics",
        "dice",
        YOLO + "loss:BCEDiceLoss",
        "soft masks",
        form=reduced,
        parts=((0.5, "bce_with_logits", {}), (0.5, "dice", {"smooth": 1.0})),
    ),
    # --- torchvision
    Builtin("torchvision", "giou", VISION + "generalized_box_iou_loss", "boxes"),
    Builtin("torchvision", "diou", VISION + "distance_box_iou_loss", "boxes"),
    Builtin("torchvision", "ciou", VISION + "complete_box_iou_loss", "boxes"),
    Builtin("torchvision", "focal", VISION + "sigmoid_focal_loss", SOFT),
    Builtin("torchvision", "focal", VISION + "sigmoid_focal_loss", HARD, {"alpha": -1.0}, variant="no alpha"),
    # --- torch
    Builtin("torch", "l1", TORCH + "L1Loss", "offsets"),
    Builtin("torch", "mse", TORCH + "MSELoss", "offsets"),
    Builtin("torch", "smooth_l1", TORCH + "SmoothL1Loss", "offsets", {"beta": 0.5}),
    Builtin("torch", "huber", TORCH + "HuberLoss", "offsets", {"delta": 2.0}),
    Builtin("torch", "bce", TORCH + "BCELoss", "probabilities, hard targets"),
    Builtin("torch", "bce_with_logits", TORCH + "BCEWithLogitsLoss", SOFT),
    Builtin("torch", "cross_entropy", TORCH + "CrossEntropyLoss", "logits, class map", {"label_smoothing": 0.1}),
    Builtin("torch", "nll", TORCH + "NLLLoss", "log-probabilities"),
    Builtin("torch", "kl_div", TORCH + "KLDivLoss", "distributions"),
    Builtin(
        "torch", "margin_ranking", TORCH + "MarginRankingLoss", "two scores and a sign", {"margin": 0.5}, second_input
    ),
    Builtin("torch", "hinge_embedding", TORCH + "HingeEmbeddingLoss", "distances"),
    # --- kornia, MONAI, segmentation_models_pytorch
    Builtin(
        "kornia",
        "focal",
        KORNIA + "binary_focal_loss_with_logits",
        HARD,
        promised=Tolerance(1e-6, 5e-5),
        remark="it takes 1 - p from a sigmoid of its own",
    ),
    Builtin("kornia", "softmax_focal", KORNIA + "focal_loss", "logits, classes", {"alpha": 0.25}, column),
    Builtin("kornia", "dice", KORNIA + "dice_loss", "class masks", form=reduced, reduction="mean"),
    Builtin(
        "kornia",
        "dice",
        KORNIA + "dice_loss",
        "class masks",
        {"average": "macro"},
        reduced,
        reduction="mean",
        variant="macro",
    ),
    Builtin(
        "kornia",
        "tversky",
        KORNIA + "tversky_loss",
        "class masks",
        {"alpha": 0.3, "beta": 0.7},
        reduced,
        reduction="mean",
    ),
    Builtin("monai", "focal", MONAI + "FocalLoss", HARD, {"alpha": 0.25}, double=None),
    Builtin("monai", "dice", MONAI + "DiceLoss", "masks", {"sigmoid": True}, after=unflattened),
    Builtin(
        "monai",
        "dice",
        MONAI + "DiceLoss",
        "masks",
        {"sigmoid": True, "jaccard": True, "squared_pred": True},
        after=unflattened,
        variant="jaccard, squared",
    ),
    Builtin("monai", "tversky", MONAI + "TverskyLoss", "masks", {"sigmoid": True, "alpha": 0.3, "beta": 0.7}),
    Builtin("smp", "dice", SMP + "DiceLoss", "soft masks", {"mode": "multilabel"}, reduced, reduction="mean"),
    Builtin(
        "smp",
        "dice",
        SMP + "DiceLoss",
        "masks",
        {"mode": "multilabel", "log_loss": True},
        reduced,
        reduction="mean",
        variant="log",
    ),
    Builtin(
        "smp",
        "focal_tversky",
        SMP + "TverskyLoss",
        "masks",
        {"mode": "multilabel", "alpha": 0.3, "beta": 0.7, "gamma": 1.0},
        reduced,
        reduction="mean",
    ),
    Builtin(
        "smp", "focal", SMP + "FocalLoss", HARD, {"mode": "multilabel", "alpha": 0.25}, reduced, {"alpha": 0.25}, "mean"
    ),
)

FRAMEWORKS: dict[str, str] = {
    "mmdet": "mmdet",
    "ultralytics": "ultralytics",
    "torchvision": "torchvision",
    "torch": "torch",
    "kornia": "kornia",
    "monai": "monai",
    "smp": "segmentation-models-pytorch",
}


def builtins_of(framework: str) -> tuple[Builtin, ...]:
    """The rows of one framework, or of "all"."""
    return tuple(row for row in BUILTINS if framework in ("all", row.framework))
