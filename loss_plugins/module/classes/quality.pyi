"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..loss import Loss
from ..reduction import Reduction

class EMASlideLoss(Loss, name="ema_slide"):
    """Slide loss with a running mean of the IoU; no paper has it, copies of its code agree.

    The module keeps `mean`, which learns before use in training with gradients on, from IoUs that come with the
    target: once per call (or per `begin_step`). Batches without positives leave it alone.

    Formula:
        ⎧ BCE(x, y)             if y ≤ m - 1/10
        ⎨ e^(1 - m) BCE(x, y)   if y < m
        ⎩ e^(1 - y) BCE(x, y)   otherwise
        m' = d m + (1 - d) mean(IoU)
        d = λ (1 - e^(-n/τ))

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        mu (default 0.5; allowed: [0, 1]): the mean IoU until the first update; below 0.2 either counts
            as 0.2.
        decay (default 0.999; allowed: [0, 1]): share of the running mean that stays, in the end. Its
            authors use 0.999.
        tau (default 2000.0; allowed: (0, inf)): after how many updates that share has come near: it is
            decay (1 - e^(-n / tau)) in the n-th. Its authors use 2000, with which the first updates keep
            next to nothing.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.

    Use it when:
        As slide, with few positives in a batch: its mean IoU is a running one.

    Avoid it when:
        Targets are 0 or 1, or no IoUs come with them: then it is binary cross-entropy, or slide.

    Source:
        YOLO-FaceV2: A Scale and Occlusion Aware Face Detector (2022) https://arxiv.org/abs/2208.02019
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, mu: float = 0.5,
        decay: float = 0.999, tau: float = 2000.0, ignore_index: int | Sequence[int] | None = -100,
        class_weight: Sequence[float] | Tensor | float | None = None
    ) -> None: ...

class IABCELoss(Loss, name="ia_bce"):
    """IoU-aware cross-entropy (IA-BCE): the target of a match lies between its score and its IoU.

    Formula:
        ⎧ BCE(x, t)       if matched
        ⎩ p^γ BCE(x, 0)   otherwise
        t = sg(max(p^α q^(1 - α), t₀)) e^(-r/τ)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        alpha (default 0.25; allowed: [0, 1]): share of the score in the target, a geometric mean; no
            weight, as focal loss has it. The paper uses 0.25.
        gamma (default 2.0; allowed: [0, inf)): exponent of the weight of negatives, which has a
            gradient. The paper uses 2.
        floor (default 0.01; allowed: [0, 1]): least target of a match. The authors use 0.01.
        tau (default None; allowed: (0, inf)): with several candidates per object, how many ranks make a
            candidate's target e times smaller; rank 0 is the best of an object, as are all where no ranks
            came. The authors use 1.5. None: ranks do not count.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
        dialect (default None; allowed: 'transformers' or 'rfdetr' or 'libreyolo'): None: the published
            formula; or the framework whose built-in to equal.

    Use it when:
        Queries, or groups of them, share an object, as in RF-DETR: the score of each match settles at
        its IoU.

    Avoid it when:
        You read the loss as a measure: the target of a match moves with its score, so a match that is
        scored near 0 costs little.

    Source:
        Align-DETR: Enhancing End-to-end Object Detection with Aligned Loss (2023) https://arxiv.org/abs/2304.07527
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 0.25,
        gamma: float = 2.0, floor: float = 0.01, tau: float | None = None,
        ignore_index: int | Sequence[int] | None = -100, class_weight: Sequence[float] | Tensor | float | None = None,
        dialect: str | None = None
    ) -> None: ...

class MatchabilityLoss(Loss, name="matchability"):
    """Matchability-aware loss (MAL): cross-entropy of matches with a power of their IoU, negatives as in focal loss.

    Formula:
        ⎧ BCE(x, q^γ)           if matched
        ⎩ α sg(p)^γ BCE(x, 0)   otherwise

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        gamma (default 1.5; allowed: [0, inf)): exponent of the quality, and of the weight of negatives.
            The paper uses 1.5.
        alpha (default None; allowed: a number in [0, 10], or one per class): weight of negatives, one
            number or one per class; None for 1, as in the paper.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
        dialect (default None; allowed: 'transformers' or 'libreyolo'): None: the published formula; or
            the framework whose built-in to equal.

    Use it when:
        Each object is matched with one query or a few, and many matches overlap little: they count in
        full.

    Avoid it when:
        Scores should tell the IoU: the best score for an IoU of 0.5 is 0.35; take quality_focal or
        varifocal.

    Source:
        DEIM: DETR with Improved Matching for Fast Convergence (2024) https://arxiv.org/abs/2412.04234
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, gamma: float = 1.5,
        alpha: float | Sequence[float] | Tensor | None = None, ignore_index: int | Sequence[int] | None = -100,
        class_weight: Sequence[float] | Tensor | float | None = None, dialect: str | None = None
    ) -> None: ...

class SlideLoss(Loss, name="slide"):
    """Slide loss: binary cross-entropy that weighs soft targets near the mean IoU up.

    Formula:
        ⎧ BCE(x, y)             if y ≤ μ - 1/10
        ⎨ e^(1 - μ) BCE(x, y)   if y < μ
        ⎩ e^(1 - y) BCE(x, y)   otherwise

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        mu (default 0.5; allowed: [0, 1]): mean IoU of positives; below 0.2 it counts as 0.2. The paper
            takes each batch's.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.

    Use it when:
        Targets are soft, as those of YOLOv8's assigner, and samples around the mean IoU should count
        more.

    Avoid it when:
        Targets are 0 or 1: then it is binary cross-entropy. Or batches have few positives: take
        ema_slide.

    Source:
        YOLO-FaceV2: A Scale and Occlusion Aware Face Detector (2022) https://arxiv.org/abs/2208.02019
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, mu: float = 0.5,
        ignore_index: int | Sequence[int] | None = -100, class_weight: Sequence[float] | Tensor | float | None = None
    ) -> None: ...
