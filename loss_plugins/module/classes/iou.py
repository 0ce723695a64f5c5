"""The overlap of two boxes and its first penalties: the module classes."""

from __future__ import annotations

from ..loss import Loss


class IoULoss(Loss, name="iou"): ...


class GIoULoss(Loss, name="giou"): ...


class DIoULoss(Loss, name="diou"): ...


class CIoULoss(Loss, name="ciou"): ...


class EIoULoss(Loss, name="eiou"): ...


class FocalEIoULoss(Loss, name="focal_eiou"): ...


class CDIoULoss(Loss, name="cdiou"): ...
