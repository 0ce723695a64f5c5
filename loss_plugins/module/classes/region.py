"""Masks: the module classes."""

from __future__ import annotations

from ..loss import Loss


class DiceLoss(Loss, name="dice"): ...


class TverskyLoss(Loss, name="tversky"): ...


class FocalTverskyLoss(Loss, name="focal_tversky"): ...
