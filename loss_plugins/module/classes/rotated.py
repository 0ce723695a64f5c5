"""Rotated boxes and quadrilaterals: the module classes."""

from __future__ import annotations

from ..loss import Loss


class GWDLoss(Loss, name="gwd"): ...


class KLDLoss(Loss, name="kld"): ...


class JDLoss(Loss, name="jd"): ...


class KFIoULoss(Loss, name="kfiou"): ...


class MGIoULoss(Loss, name="mgiou"): ...


class MGIoUQuadLoss(Loss, name="mgiou_quad"): ...


class ProbIoULoss(Loss, name="prob_iou"): ...
