"""Where we differ from the frameworks on purpose: rules, reasons, and by how much (measured, never typed in)."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..losses.scores import SLOPE_FLOOR
from ..peers import BUILTINS, MMDET, YOLO, Builtin, as_is, installed, reduced, similarity
from ..samples import SAMPLES
from ..tensors import Target

MEASURED = Path(__file__).with_name("deviations.json")


# --- rules: rows in which a built-in is broken, or we are better on purpose -------------------------------------------


@dataclass(frozen=True)
class Rule:
    """Rows that a comparison leaves out, and counts.

    Attributes:
        rows: which rows, from prediction and target. Ours must be finite in them all the same.
        until: the last version known to need it; "": the installed one does.
        gradient_only: values are still compared. Else only rows are left out in which theirs is not finite.
    """

    name: str
    framework: str
    losses: tuple[str, ...]
    why: str
    rows: Callable[[Tensor, Target], Tensor]
    gradient_only: bool = False
    until: str = ""

    def applies(self, row: Builtin) -> bool:
        """Whether it speaks of this built-in."""
        return row.framework == self.framework and row.name in self.losses


def _exact_match(pred: Tensor, target: Target) -> Tensor:
    assert isinstance(target, Tensor)
    return (pred == target).all(-1)


def _steep(pred: Tensor, target: Target) -> Tensor:
    return ((pred < SLOPE_FLOOR) | (pred > 1 - SLOPE_FLOOR)).any(-1)


RULES: tuple[Rule, ...] = (
    Rule(
        "nan-on-match",
        "mmdet",
        ("ciou",),
        "its alpha is 0 / 0 = NaN, in value and gradient, where boxes are equal and eps vanishes in their union "
        "(float32, from an area of about 32 px on); ours is 0 there",
        _exact_match,
    ),
    Rule(
        "nan-on-match-in-centres",
        "ultralytics",
        ("ciou (cxcywh)",),
        "up to 8.4.120 at least, its alpha is v / (v - IoU + (1 + eps)), which is 0 / 0 = NaN for many equal boxes "
        "given as centres; 8.4.190 writes 1 - IoU + v + eps",
        _exact_match,
        until="8.4.120",
    ),
    Rule(
        "bounded-slope",
        "mmdet",
        ("focal (probabilities)", "quality_focal (probabilities)", "gaussian_focal"),
        f"probabilities within {SLOPE_FLOOR:g} of 0 or 1: its logarithm's slope grows to 1e12 there, ours stops at "
        f"{1 / SLOPE_FLOOR:g}; the values are equal",
        _steep,
        gradient_only=True,
    ),
)


# --- defaults that differ ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reason:
    """Why our default is not theirs.

    Attributes:
        stock: their loss as it comes.
        loss: ours.
        why: one sentence or two.
        restores: what to write to get theirs.
    """

    stock: Builtin
    why: str
    restores: str

    @property
    def loss(self) -> str:
        """Our name."""
        return self.stock.loss


@dataclass(frozen=True)
class Deviation:
    """A measured difference between our default and theirs."""

    loss: str
    framework: str
    builtin: str
    why: str
    restores: str
    version: str
    value_max: float
    value_mean: float
    gradient_max: float
    rows: int
    not_finite: int

    def __str__(self) -> str:
        broken = f"; theirs is not finite in {self.not_finite} of {self.rows} rows" if self.not_finite else ""
        return (
            f"{self.framework} {self.builtin}: up to {self.value_max:.2g} in value, {self.gradient_max:.2g} of its own "
            f"size in the gradient{broken}. {self.why} {self.restores}"
        )


def _row(framework: str, loss: str, variant: str = "", **changes: Any) -> Builtin:
    for row in BUILTINS:
        if (row.framework, row.loss) == (framework, loss) and variant in ("", row.variant):
            return replace(row, **changes)
    raise KeyError((framework, loss))


def _say(dialect: str) -> str:
    return f"dialect='{dialect}' equals it."


_EPS = "Its epsilon is 1e-6, ours 1e-7: visible for normalised and tiny boxes."
_HEIGHT = "It adds epsilon to heights but not to widths: visible for normalised and tiny boxes only."

#: ours and theirs as they come
REASONS: tuple[Reason, ...] = (
    Reason(_row("mmdet", "iou", "log"), "Its default is -ln IoU, at least 1e-6; ours 1 - IoU.", _say("mmdet")),
    Reason(_row("mmdet", "giou"), "It divides by max(U, 1e-6), we by U + 1e-7.", _say("mmdet")),
    Reason(_row("mmdet", "diou"), _EPS, _say("mmdet")),
    Reason(
        _row("mmdet", "ciou"),
        "Its aspect term counts only above IoU 0.5, so below that it is DIoU; and it is NaN for equal boxes.",
        "dialect='mmdet' equals it, NaN excepted.",
    ),
    Reason(
        Builtin("mmdet", "siou", MMDET + "SIoULoss", "boxes"),
        "Its default neg_gamma=False flips the sign of the distance: boxes far apart cost 0, without gradient.",
        "dialect='mmdet' equals it with neg_gamma=True; the flipped sign is not offered.",
    ),
    Reason(
        Builtin("mmdet", "eiou", MMDET + "EIoULoss", "boxes"),
        "Its EIoULoss is Extended IoU, another paper; ours is Efficient IoU.",
        "The loss extended_iou with dialect='mmdet' equals it.",
    ),
    Reason(_row("mmdet", "extended_iou"), _EPS, _say("mmdet")),
    Reason(
        _row("mmdet", "cross_entropy", "class_weight, mean", parameters={}),
        "Its mean counts rows that are ignored, and no class weights; ours divides by the weights of those that count, "
        "as torch's.",
        _say("mmdet"),
    ),
    Reason(
        _row("mmdet", "dice"),
        "It adds eps to both sums of the denominator, ours to their sum once.",
        _say("mmdet"),
    ),
    Reason(
        _row("mmdet", "focal", "probabilities", plain={"activated": True}),
        "On probabilities (activated=True) the slope of its logarithm has no bound, ours stops at 5000.",
        "Not offered: activated=True has equal values.",
    ),
    Reason(
        _row("mmdet", "gaussian_focal"),
        "The slope of its logarithm has no bound, ours stops at 5000.",
        "Not offered: the values are equal.",
    ),
    *(
        Reason(_row("ultralytics", loss, replace_variant), _HEIGHT, _say("ultralytics"))
        for loss, replace_variant in (("iou", ""), ("giou", ""), ("diou", ""), ("ciou", ""))
    ),
    Reason(
        _row("ultralytics", "focal"),
        "Its gamma is 1.5, ours 2; and it takes the mean over axis 1, then the sum.",
        _say("ultralytics"),
    ),
    Reason(_row("ultralytics", "varifocal"), "It takes the mean over axis 1, then the sum.", _say("ultralytics")),
    Reason(
        _row("ultralytics", "distribution_focal", sample="bins to the end"),
        "It cuts distances off 0.01 before the last bin, ours at it.",
        _say("ultralytics"),
    ),
    Reason(
        _row("ultralytics", "dice", after=as_is),
        "It sums per channel without squares, smoothed by 1e-6; ours is V-Net's form per image.",
        _say("ultralytics"),
    ),
    Reason(
        Builtin("ultralytics", "prob_iou", YOLO + "metrics:probiou", "rotated_boxes", {"floor": 0.01}, similarity),
        "It trains with 0.01 added to the variances; ours adds nothing unless floor is set.",
        _say("ultralytics"),
    ),
    Reason(
        _row("torchvision", "ciou", sample="degenerate boxes"),
        "It divides width by height, which is NaN for boxes without either; ours takes the angle of both.",
        "dialect='torchvision' equals it, NaN excepted.",
    ),
    Reason(
        _row("torch", "bce"),
        "The slope of its logarithm goes up to 1e12, ours to 5000.",
        _say("torch"),
    ),
    Reason(
        _row("torch", "kl_div", form=reduced, reduction="mean"),
        "Its mean divides by all elements, ours by rows, which is the divergence.",
        _say("torch"),
    ),
    Reason(_row("monai", "focal", parameters={}), "Its alpha is off, ours 0.25.", _say("monai")),
    Reason(_row("smp", "focal", parameters={"mode": "multilabel"}), "Its alpha is off, ours 0.25.", _say("smp")),
    Reason(
        _row("kornia", "softmax_focal"),
        "Its alpha must be given (here 0.25), and weighs class 0 by 1 - alpha; ours is off.",
        _say("kornia"),
    ),
    Reason(
        _row("kornia", "dice"),
        "It takes the softmax of the channels, sums over them and squares nothing; ours takes the sigmoid, in V-Net's "
        "form.",
        _say("kornia"),
    ),
    Reason(
        _row("kornia", "tversky"),
        "It takes the softmax and the mean over the classes that are present; ours the sigmoid, per image.",
        _say("kornia"),
    ),
    Reason(
        _row("monai", "dice", after=as_is),
        "It sums per image and channel without squares, smoothed by 1e-5; ours is V-Net's form per image.",
        _say("monai"),
    ),
    Reason(
        _row("monai", "tversky"),
        "It sums per image and channel, smoothed by 1e-5, with alpha = beta = 0.5; ours per image with 0.3 and 0.7.",
        _say("monai"),
    ),
    Reason(
        _row("smp", "dice"),
        "It sums over the whole batch, takes min(p, t) for the overlap, and an empty target costs 0; ours is V-Net's "
        "form per image.",
        _say("smp"),
    ),
    Reason(
        _row("smp", "focal_tversky", parameters={"mode": "multilabel"}),
        "Its gamma is the exponent, of the whole batch, and 1; ours is the paper's, 1 over it, per image.",
        _say("smp"),
    ),
)


def measure(reason: Reason, n: int = 20_000, seed: int = 0) -> Deviation:
    """Our default beside their default, in float32."""
    from .compare import evaluated, per_row

    row = reason.stock
    pred, target = SAMPLES[row.sample](n, seed, torch.float32)
    ours, theirs = evaluated(row.default(), pred, target), evaluated(row.theirs(), pred, target)
    alike = ours[0].shape == theirs[0].shape
    value = (ours[0] - theirs[0]).abs() if alike else (ours[0].mean() - theirs[0].mean()).abs()[None]
    gradient, size = per_row(ours[1] - theirs[1]), per_row(theirs[1])
    finite = gradient.isfinite()
    relative = gradient[finite] / size[finite].clamp(min=float(size[finite].max()) * 1e-6)
    known = value[value.isfinite()]
    return Deviation(
        loss=row.loss,
        framework=row.framework,
        builtin=row.builtin,
        why=reason.why,
        restores=reason.restores,
        version=installed(row.framework) or "",
        value_max=float(known.max()),
        value_mean=float(known.mean()),
        gradient_max=float(relative.max()),
        rows=len(pred),
        not_finite=int((~finite).sum()),
    )


def deviations(loss: str | None = None) -> list[Deviation]:
    """What the parity command has measured last: for one loss, or for all.

    >>> sorted({found.framework for found in deviations("ciou")})
    ['mmdet', 'torchvision', 'ultralytics']
    """
    return [found for found in _measured() if loss in (None, found.loss)]


@functools.cache
def _measured() -> tuple[Deviation, ...]:
    if not MEASURED.is_file():
        return ()
    rows: list[dict[str, Any]] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return tuple(Deviation(**row) for row in rows)


def keep(found: Iterable[Deviation]) -> None:
    """Write them down for `deviations`."""
    rows = [{key: _rounded(value) for key, value in asdict(row).items()} for row in found]
    MEASURED.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    _measured.cache_clear()


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
