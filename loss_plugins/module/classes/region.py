"""Masks: the module classes."""

from __future__ import annotations

from ..loss import Loss


class DiceLoss(Loss, name="dice"): ...


class TverskyLoss(Loss, name="tversky"): ...


class FocalTverskyLoss(Loss, name="focal_tversky"): ...


class GeneralizedDiceLoss(Loss, name="generalized_dice"): ...


class JaccardLoss(Loss, name="jaccard"): ...


class LogCoshDiceLoss(Loss, name="log_cosh_dice"): ...


class LovaszHingeLoss(Loss, name="lovasz_hinge"): ...


class LovaszSoftmaxLoss(Loss, name="lovasz_softmax"): ...
