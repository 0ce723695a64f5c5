"""Scores that meet the quality of their boxes: the module classes."""

from __future__ import annotations

from ..loss import Loss


class MatchabilityLoss(Loss, name="matchability"): ...


class IABCELoss(Loss, name="ia_bce"): ...


class SlideLoss(Loss, name="slide"): ...


class EMASlideLoss(Loss, name="ema_slide"): ...
