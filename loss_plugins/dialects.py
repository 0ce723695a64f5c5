"""The named conventions of other frameworks: where each puts its epsilon, what it clamps, what it gates.

A dialect is data. `dialect=None` is ours: the paper's formula with an epsilon in every denominator. Naming a
framework reproduces its built-in to rounding; where that built-in is broken (NaN on an exact match, say) we stay
finite, and `DEVIATIONS` in the tests keeps the record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Convention:
    """How one framework writes the IoU family.

    Attributes:
        eps: default epsilon.
        geometry_eps: epsilon of union and enclosing box where the framework fixes it; None: `eps`.
        union: "add": U + eps; "twice": U + 2 eps; "max": max(U, eps); "tall": heights + eps, then U + eps.
        center: "difference": subtract corners, then add; "sum": add corners, then subtract (last bits differ).
        aspect: "angle": atan2 of the sides, defined for every box; "ratio": atan(w / h).
        aspect_eps: added to h in that ratio; None: eps.
        alpha_gate: CIoU's aspect term counts only above this IoU.
        alpha_eps: epsilon in the denominator of CIoU's alpha.
        clamp_metric: the metric is clamped to [-1, 1].
        clamp_enclosing: the sides of the enclosing box are clamped at 0.
        iou_floor: IoU is clamped from below at eps.
    """

    eps: float = 1e-7
    geometry_eps: float | None = None
    union: Literal["add", "twice", "max", "tall"] = "add"
    center: Literal["difference", "sum"] = "difference"
    aspect: Literal["angle", "ratio"] = "angle"
    aspect_eps: float | None = None
    alpha_gate: float | None = None
    alpha_eps: bool = True
    clamp_metric: bool = False
    clamp_enclosing: bool = False
    iou_floor: bool = False

    def for_centers(self) -> Convention:
        """The convention for cxcywh boxes: "tall" heights are an accident of the corner form."""
        return replace(self, union="add", aspect_eps=0.0) if self.union == "tall" else self


OURS = Convention()
_ULTRALYTICS = Convention(union="tall", center="sum", aspect="ratio")
_MMDET = Convention(eps=1e-6)
_MMYOLO = Convention(aspect="ratio", clamp_metric=True)
_YOLOV6 = Convention(union="tall", aspect="ratio")
_OBJDET = Convention(union="twice")
_ALPHA_IOU = Convention(eps=1e-9, union="tall", aspect="ratio")

#: loss -> dialect -> convention
DIALECTS: dict[str, dict[str, Convention]] = {
    "iou": {
        "mmdet": replace(_MMDET, geometry_eps=1e-6, union="max", iou_floor=True),
        "ultralytics": _ULTRALYTICS,
    },
    "giou": {
        "torchvision": OURS,
        "mmdet": replace(_MMDET, union="max", clamp_enclosing=True),
        "ultralytics": _ULTRALYTICS,
        "mmyolo": _MMYOLO,
    },
    "diou": {
        "torchvision": OURS,
        "mmdet": _MMDET,
        "ultralytics": _ULTRALYTICS,
        "yolov6": _YOLOV6,
    },
    "ciou": {
        "torchvision": replace(OURS, geometry_eps=1e-7, aspect="ratio", aspect_eps=0.0),
        "mmdet": replace(_MMDET, aspect="ratio", alpha_gate=0.5, alpha_eps=False, clamp_metric=True),
        "ultralytics": _ULTRALYTICS,
        "mmyolo": _MMYOLO,
        "yolov6": _YOLOV6,
        "wise_iou": replace(OURS, aspect="ratio", aspect_eps=1e-4, alpha_eps=False),
    },
    "eiou": {"objdet": _OBJDET},
    "focal_eiou": {"objdet": _OBJDET},
    "siou": {
        "mmdet": replace(_MMDET, clamp_metric=True),
        "mmyolo": _MMYOLO,
        "yolov6": _YOLOV6,
    },
    "wiou": {"wise_iou": replace(OURS, eps=1e-16)},  # the authors have none; this much keeps 0 / 0 at 0
    "mpdiou": {"mpdiou_port": _ULTRALYTICS},
    "piou": {"powerful_iou": _ULTRALYTICS},
    **{name: {"alpha_iou": _ALPHA_IOU} for name in ("alpha_iou", "alpha_giou", "alpha_diou", "alpha_ciou")},
}


#: losses without boxes that can equal a framework: which one
OTHER_DIALECTS: dict[str, tuple[str, ...]] = {
    "bce": ("torch",),
    **dict.fromkeys(("gwd", "kld", "jd", "kfiou"), ("mmrotate",)),
}


def dialects_of(loss: str) -> tuple[str, ...]:
    """The frameworks that a loss can equal."""
    return (*DIALECTS.get(loss, ()), *OTHER_DIALECTS.get(loss, ()))


def convention(loss: str, dialect: str | None, box_format: str = "xyxy") -> Convention:
    """The convention of `dialect` for `loss`; ours for None. The catalogue has checked the names."""
    if dialect is None:
        return OURS
    rule = DIALECTS[loss][dialect]
    return rule.for_centers() if box_format == "cxcywh" else rule


def side_floor(loss: str, dialect: str | None) -> float:
    """The shortest side of a rotated box; ours is long enough to keep 1 / side, a gradient, below 1e4."""
    return 1e-7 if dialect == "mmrotate" else 3e-4


def root_floor(loss: str, dialect: str | None) -> float:
    """The least argument of a root of products of sides; mmrotate's already moves boxes of a tenth."""
    return 1e-7 if dialect == "mmrotate" else 1e-30
