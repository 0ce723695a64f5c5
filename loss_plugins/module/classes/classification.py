"""Scores of classes: the module classes."""

from __future__ import annotations

from ..loss import Loss


class BCELoss(Loss, name="bce"): ...


class BCEWithLogitsLoss(Loss, name="bce_with_logits"): ...


class CrossEntropyLoss(Loss, name="cross_entropy"): ...


class NLLLoss(Loss, name="nll"): ...


class KLDivLoss(Loss, name="kl_div"): ...


class MarginRankingLoss(Loss, name="margin_ranking"): ...


class HingeEmbeddingLoss(Loss, name="hinge_embedding"): ...
