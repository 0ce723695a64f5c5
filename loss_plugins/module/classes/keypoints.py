"""Key points: the module classes."""

from __future__ import annotations

from ..loss import Loss


class OKSLoss(Loss, name="oks"): ...


class WingLoss(Loss, name="wing"): ...


class RLELoss(Loss, name="rle"): ...
