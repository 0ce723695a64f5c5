"""Why our defaults are not a framework's, in words, and by how much: each reason is measured, never typed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..peers import Compared, compared, installed
from ..peers.calls import reduced, unchanged
from ..samples import SAMPLES
from .compare import NEGLIGIBLE, evaluated, per_row
from .deviations import Deviation


@dataclass(frozen=True)
class Reason:
    """Why our default is not theirs.

    Attributes:
        stock: their loss with its defaults.
        why: one sentence or two.
        restores: what to write to get theirs.
    """

    stock: Compared
    why: str
    restores: str

    @property
    def loss(self) -> str:
        """Our name."""
        return self.stock.loss


def _row(framework: str, loss: str, variant: str = "", **changes: Any) -> Compared:
    for row in compared(framework):
        if row.loss == loss and variant in ("", row.variant):
            return replace(row, **changes)
    raise KeyError((framework, loss))


def _say(dialect: str) -> str:
    return f"dialect='{dialect}' equals it."


_EPS = "It adds epsilon to areas and squared lengths, we do not: visible for normalised and tiny boxes."
_HEIGHT = "It adds epsilon to heights and areas, we do not: visible for normalised and tiny boxes only."

#: one for every built-in whose default our default does not equal
REASONS: tuple[Reason, ...] = (
    Reason(_row("mmdet", "iou", "log"), "Its default is -ln IoU, at least 1e-6; ours 1 - IoU.", _say("mmdet")),
    Reason(
        _row("mmdet", "giou"),
        "It divides by max(U, 1e-6), we by U: visible for normalised and tiny boxes.",
        _say("mmdet"),
    ),
    Reason(_row("mmdet", "diou"), _EPS, _say("mmdet")),
    Reason(
        _row("mmdet", "ciou"),
        "Its aspect term counts only above IoU 0.5, so below that it is DIoU; and it is NaN for equal boxes.",
        "dialect='mmdet' equals it, NaN excepted.",
    ),
    Reason(
        _row("mmdet", "siou", parameters={}),
        "Its default neg_gamma=False flips the sign of the distance: boxes far apart cost 0, without gradient.",
        "dialect='mmdet' equals it with neg_gamma=True; the flipped sign is not offered.",
    ),
    Reason(
        replace(_row("mmdet", "extended_iou"), loss="eiou"),
        "Its EIoULoss is Extended IoU, another paper; ours is Efficient IoU.",
        "The loss extended_iou with dialect='mmdet' equals it.",
    ),
    Reason(_row("mmdet", "extended_iou"), _EPS, _say("mmdet")),
    Reason(
        _row("mmdet", "bounded_iou"),
        "It adds 1e-3 to every denominator, in the unit of the boxes, we do not.",
        _say("mmdet"),
    ),
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
        _row("mmdet", "quality_focal"),
        "Its 'none' is the sum over the classes, one number per row; ours is one per score. The rest is equal.",
        _say("mmdet"),
    ),
    Reason(
        _row("mmdet", "gaussian_focal"),
        "The slope of its logarithm has no bound, ours stops at 5000.",
        "Not offered: the values are equal.",
    ),
    Reason(
        _row("mmdet", "eqlv2"),
        "Its mean divides by rows, ours by scores; it takes no weight or reduction, and learns in evaluation.",
        _say("mmdet"),
    ),
    *(Reason(_row("ultralytics", loss), _HEIGHT, _say("ultralytics")) for loss in ("iou", "giou", "diou", "ciou")),
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
        _row("ultralytics", "dice", after=unchanged),
        "It sums per channel without squares, smoothed by 1e-6; ours is V-Net's form per image.",
        _say("ultralytics"),
    ),
    Reason(
        _row("ultralytics", "prob_iou", "floor 0.01"),
        "It trains with 0.01 added to the variances; ours adds nothing unless floor is set.",
        _say("ultralytics"),
    ),
    Reason(
        _row("ultralytics", "oks"),
        "It counts instances of which nothing is visible in its mean, and adds 1e-9 to areas.",
        _say("ultralytics"),
    ),
    Reason(_row("ultralytics", "rle"), "Points that are not visible count in its mean.", _say("ultralytics")),
    *(Reason(_row("torchvision", loss), _EPS, _say("torchvision")) for loss in ("giou", "diou")),
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
    Reason(
        _row("monai", "focal", parameters={}),
        "Its alpha is off, ours 0.25; its sum is of means over the pixels of a channel; soft targets weigh otherwise.",
        _say("monai"),
    ),
    Reason(
        _row("smp", "focal", parameters={"mode": "multilabel"}),
        "Its alpha is off, ours 0.25; its sum is divided by the channels; soft targets weigh otherwise.",
        _say("smp"),
    ),
    Reason(
        _row("smp", "softmax_focal"),
        "Its FocalLoss('multiclass') is the sigmoid's, each class against the rest; ours is of the softmax.",
        _say("smp"),
    ),
    Reason(
        _row("kornia", "softmax_focal"),
        "Its alpha must be given (here 0.25), and weighs class 0 by 1 - alpha; ours is off. Its mean divides by rows "
        "times classes, ours by rows.",
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
        "It takes the softmax and the mean over the classes that each image has; ours the sigmoid, per image.",
        _say("kornia"),
    ),
    Reason(
        _row("monai", "dice", after=unchanged),
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
        "It sums over the whole batch, takes min(p, t) for the overlap, keeps the denominator above eps, and an empty "
        "target costs 0; ours is V-Net's form per image.",
        _say("smp"),
    ),
    Reason(
        _row("smp", "cross_entropy"),
        "Its mean counts rows that are ignored, ours those that are left.",
        _say("smp"),
    ),
    Reason(
        _row("smp", "jaccard"),
        "It sums over the whole batch, takes min(p, t) for the overlap, keeps the denominator above eps, and an empty "
        "target costs 0; ours is per image, with the product.",
        _say("smp"),
    ),
    Reason(
        _row("monai", "generalized_dice"),
        "It takes probabilities, smoothed by 1e-5; ours logits, not smoothed.",
        _say("monai"),
    ),
    Reason(
        _row("smp", "focal_tversky", parameters={"mode": "multilabel"}),
        "Its gamma is the exponent of the mean over the batch's channels, and 1; ours is the paper's, 1 over it, per "
        "image.",
        _say("smp"),
    ),
    *(
        reason
        for name in ("transformers", "rfdetr")
        for reason in (
            Reason(
                _row(name, "focal"),
                "It takes the mean over axis 1, then the sum, and divides by a number of boxes, here 1.",
                f"dialect='{name}' equals it; that number is avg_factor.",
            ),
            Reason(
                _row(name, "dice"),
                "It sums masses without squares, smoothed by 1; ours is V-Net's form.",
                _say(name),
            ),
        )
    ),
    Reason(
        _row("transformers", "varifocal"),
        "Its weight of negatives is without gradient; the values are equal.",
        "dialect='transformers' equals it, and so does detach_weight=True.",
    ),
    Reason(
        _row("transformers", "matchability"),
        "Its gamma is 2, ours 1.5, as DEIM was trained with; and it returns the sum.",
        "dialect='transformers' equals it.",
    ),
    Reason(
        _row("transformers", "ia_bce"),
        "It takes the logarithm of a rounded 1 - p, infinite from logits of 17 on in float32; and it returns the sum.",
        "dialect='transformers' equals it where it is finite.",
    ),
    Reason(
        _row("libreyolo", "matchability"),
        "Its gamma is 2 unless its trainer sets another, ours 1.5; and it returns the sum.",
        "dialect='libreyolo' equals it.",
    ),
    Reason(
        _row("rfdetr", "varifocal"),
        "It takes the mean over axis 1, then the sum, and divides by a number of boxes, here 1. Its alpha, 0.25, is "
        "what negatives do not weigh: ours is 0.75.",
        "dialect='rfdetr' equals it; that number is avg_factor.",
    ),
)


def measure_deviation(reason: Reason, n: int = 20_000, seed: int = 0) -> Deviation:
    """Our default beside their default, in float32."""
    row = reason.stock
    pred, target = SAMPLES[row.sample](n, seed, torch.float32)
    ours, theirs = evaluated(row.default(), pred, target), evaluated(row.theirs(), pred, target)
    alike = ours[0].shape == theirs[0].shape
    value = (ours[0] - theirs[0]).abs() if alike else (ours[0].mean() - theirs[0].mean()).abs()[None]
    gradient, size = per_row(ours[1] - theirs[1]), per_row(theirs[1])
    finite = gradient.isfinite()
    relative = gradient[finite] / size[finite].clamp(min=float(size[finite].max()) * NEGLIGIBLE)
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


def reasons_of(against: str) -> list[Reason]:
    """Those that speak of one framework, or of all that are installed."""
    return [reason for reason in REASONS if against in ("all", reason.stock.framework) and _is_installed(reason)]


def _is_installed(reason: Reason) -> bool:
    return installed(reason.stock.framework) is not None and not reason.stock.missing()


def measure_all(
    against: str, n: int = 20_000, seed: int = 0, progress: Callable[[str], None] = lambda _: None
) -> Iterator[Deviation]:
    """Every reason of a framework, or of all that are installed."""
    for reason in reasons_of(against):
        progress(f"{reason.stock.framework} {reason.loss}")
        yield measure_deviation(reason, n, seed)
