"""Losses for long-tailed classes: the module classes."""

from __future__ import annotations

from ..loss import Loss


class SeesawLoss(Loss, name="seesaw"): ...


class EQLV2Loss(Loss, name="eqlv2"): ...


class EFLLoss(Loss, name="efl"): ...
