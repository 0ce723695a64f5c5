"""Powers of the overlap: the module classes."""

from __future__ import annotations

from ..loss import Loss


class AlphaIoULoss(Loss, name="alpha_iou"): ...


class AlphaGIoULoss(Loss, name="alpha_giou"): ...


class AlphaDIoULoss(Loss, name="alpha_diou"): ...


class AlphaCIoULoss(Loss, name="alpha_ciou"): ...
