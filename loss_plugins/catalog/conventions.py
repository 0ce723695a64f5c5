"""How other frameworks write the formulas: where each puts its epsilon, what it clamps, how it keeps a term finite.

`Convention` is data, and so are the keywords in `GUARDS`. The formulas never see the name of a framework: the catalogue
hands them what stands here, see `dialects.convention_keywords`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict


class Dialect(TypedDict, total=False):
    """The keyword `dialect` for type checkers: the catalogue reads it, and hands the function what it stands for."""

    dialect: str | None


@dataclass(frozen=True)
class Convention:
    """How one framework writes the IoU family.

    Attributes:
        eps: default epsilon.
        geometry_eps: epsilon of union and enclosing box where it is fixed; None: `eps`.
        union: "exact": our own form, in which boxes are measured by themselves (see `losses.boxes`); "add": U + eps;
            "twice": U + 2 eps; "max": max(U, eps); "divisor": max(U, eps) where U divides; "tall": heights + eps, then
            U + eps.
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
    union: Literal["exact", "add", "twice", "max", "divisor", "tall"] = "add"
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


#: less than any area, more than 0: in our form `eps` guards numbers without unit only
OURS = Convention(union="exact", geometry_eps=1e-20)
_PLAIN = Convention()
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
        "torchvision": _PLAIN,
        "mmdet": replace(_MMDET, union="max", clamp_enclosing=True),
        "ultralytics": _ULTRALYTICS,
        "mmyolo": _MMYOLO,
        "transformers": OURS,  # it has no epsilon, and is NaN for two boxes without area
        "rfdetr": replace(_PLAIN, union="divisor", clamp_enclosing=True),
    },
    "diou": {
        "torchvision": _PLAIN,
        "mmdet": _MMDET,
        "ultralytics": _ULTRALYTICS,
        "yolov6": _YOLOV6,
    },
    "ciou": {
        "torchvision": replace(_PLAIN, geometry_eps=1e-7, aspect="ratio", aspect_eps=0.0),
        "mmdet": replace(_MMDET, aspect="ratio", alpha_gate=0.5, alpha_eps=False, clamp_metric=True),
        "ultralytics": _ULTRALYTICS,
        "mmyolo": _MMYOLO,
        "yolov6": _YOLOV6,
        "wise_iou": replace(_PLAIN, aspect="ratio", aspect_eps=1e-4, alpha_eps=False),
    },
    "eiou": {"objdet": _OBJDET, "alchemy": _PLAIN},
    "focal_eiou": {"objdet": _OBJDET},
    "siou": {
        "mmdet": replace(_MMDET, clamp_metric=True),
        "mmyolo": _MMYOLO,
        "yolov6": _YOLOV6,
    },
    "wiou": {"wise_iou": replace(_PLAIN, eps=1e-16)},  # the authors have none; this much keeps 0 / 0 at 0
    "mpdiou": {"mpdiou_port": _ULTRALYTICS},
    "shape_iou": {"shape_iou": _PLAIN},
    "uiou": {"uiou": Convention(union="twice", aspect="ratio", aspect_eps=0.0)},
    "sdiou": {"sdiou": _ULTRALYTICS},
    "piou": {"powerful_iou": _ULTRALYTICS},
    **{name: {"alpha_iou": _ALPHA_IOU} for name in ("alpha_iou", "alpha_giou", "alpha_diou", "alpha_ciou")},
}


#: loss -> dialect -> keywords of the function, for losses outside the IoU family that a framework guards otherwise
GUARDS: dict[str, dict[str, dict[str, Any]]] = {
    "bce": {"torch": {"bounded_slope": False}},
    "focal": {"kornia": {"soft": "terms"}, "monai": {"soft": "logit", "for_ones": True}, "smp": {"soft": "entropy"}},
    "softmax_focal": {"smp": {"one_vs_rest": True}},
    "ia_bce": {"transformers": {"by_rounded": True}},
    "dice": {"kornia": {"present": True}, "smp": {"halved": True}},
    "jaccard": {"smp": {"bound": True}},
    "lovasz_softmax": {"kornia": {"by_count": True}},
    "tversky": {"kornia": {"present": True}},
    "focal_tversky": {"smp": {"of_mean": True}},
    "gwd": {"mmrotate": {"side_floor": 1e-7, "root_floor": 1e-7}},
    **{name: {"mmrotate": {"side_floor": 1e-7}} for name in ("kld", "jd", "kfiou")},
    "oks": {"ultralytics": {"added": 1e-9}, "mmpose": {"floor": 1e-8}},
    "rle": {"ultralytics": {"floor": 1e-9}},
    "prob_iou": {"ultralytics": {"by_epsilon": True}},
}
