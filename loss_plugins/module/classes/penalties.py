"""Overlap with penalties of their own, and the distance of two Gaussians: the module classes."""

from __future__ import annotations

from ..loss import Loss


class ExtendedIoULoss(Loss, name="extended_iou"): ...


class MPDIoULoss(Loss, name="mpdiou"): ...


class NWDLoss(Loss, name="nwd"): ...


class PIoULoss(Loss, name="piou"): ...


class ShapeIoULoss(Loss, name="shape_iou"): ...


class SIoULoss(Loss, name="siou"): ...


class WIoULoss(Loss, name="wiou"): ...
