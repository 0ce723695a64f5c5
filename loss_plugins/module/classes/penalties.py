"""Overlap with penalties of their own, and the distance of two Gaussians: the module classes."""

from __future__ import annotations

from ..loss import Loss


class ExtendedIoULoss(Loss, name="extended_iou"): ...


class GCDLoss(Loss, name="gcd"): ...


class MPDIoULoss(Loss, name="mpdiou"): ...


class NWDLoss(Loss, name="nwd"): ...


class PIoULoss(Loss, name="piou"): ...


class SDIoULoss(Loss, name="sdiou"): ...


class ShapeIoULoss(Loss, name="shape_iou"): ...


class SIoULoss(Loss, name="siou"): ...


class UIoULoss(Loss, name="uiou"): ...


class WIoULoss(Loss, name="wiou"): ...
