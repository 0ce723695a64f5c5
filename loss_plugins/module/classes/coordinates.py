"""Coordinates and offsets: the module classes."""

from __future__ import annotations

from ..loss import Loss


class L1Loss(Loss, name="l1"): ...


class MSELoss(Loss, name="mse"): ...


class SmoothL1Loss(Loss, name="smooth_l1"): ...


class HuberLoss(Loss, name="huber"): ...


class FocalL1Loss(Loss, name="focal_l1"): ...


class BalancedL1Loss(Loss, name="balanced_l1"): ...


class BoundedIoULoss(Loss, name="bounded_iou"): ...
