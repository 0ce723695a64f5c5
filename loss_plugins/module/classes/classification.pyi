"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..loss import Loss
from ..reduction import Reduction

class BCELoss(Loss, name="bce"):
    """Binary cross-entropy of probabilities, at most 100 per score.

    Ours has a slope of at most 5e3. That of torch reaches 1e12, and is 0 for a probability that has rounded to 0; it
    also refuses scores outside of [0, 1], which are read on the CPU in eager mode alone. Ours does not read them: give
    logits to `bce_with_logits`.

    Formula:
        -[y ln p + (1 - y) ln(1 - p)]

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
        label_smoothing (default 0.0; allowed: [0, 1]): share s of the target that is spread over yes
            and no: a target y becomes (1 - s) y + s / 2.
        dialect (default None; allowed: 'torch'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Scores are probabilities already, because another part of the model must see them so.

    Avoid it when:
        You have logits: bce_with_logits is exact where probabilities round to 0 or 1.

    Source:
        Binary cross-entropy https://pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        ignore_index: int | Sequence[int] | None = -100, class_weight: Sequence[float] | Tensor | float | None = None,
        label_smoothing: float = 0.0, dialect: str | None = None
    ) -> None: ...

class BCEWithLogitsLoss(Loss, name="bce_with_logits"):
    """Binary cross-entropy of logits.

    Formula:
        (1 - y) x + (1 + (w₊ - 1) y) ln(1 + e^(-x))

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        pos_weight (default None; allowed: a number in [0, inf), or one per class): factor on the part
            of the positives: one number, or one per class.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        count_ignored (default None; allowed: False or True): whether "mean" counts what is ignored;
            None: as the dialect does, and without one it does not.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
        label_smoothing (default 0.0; allowed: [0, 1]): share s of the target that is spread over yes
            and no: a target y becomes (1 - s) y + s / 2.
        dialect (default None; allowed: 'torch' or 'ultralytics' or 'smp' or 'mmdet'): None: the
            published formula; or the framework whose built-in to equal.

    Use it when:
        Several classes may be true at once, or targets are soft: the default of today's YOLO models.

    Avoid it when:
        Negatives outnumber positives a thousandfold and nothing balances them: see focal or
        quality_focal.

    Source:
        Binary cross-entropy on logits https://pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        pos_weight: float | Sequence[float] | Tensor | None = None, ignore_index: int | Sequence[int] | None = -100,
        count_ignored: bool | None = None, class_weight: Sequence[float] | Tensor | float | None = None,
        label_smoothing: float = 0.0, dialect: str | None = None
    ) -> None: ...

class CrossEntropyLoss(Loss, name="cross_entropy"):
    """Cross-entropy of the softmax of logits. "mean" divides by the class weights of the labels met, as torch's.

    Formula:
        -w_y ln softmax(x)_y

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        class_weight (default None; allowed: a number in [0, inf), or one per class): weight of the rows
            of a class: one number, or one per class.
        label_smoothing (default 0.0; allowed: [0, 1]): share of the target that is spread over all
            classes.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        count_ignored (default None; allowed: False or True): whether "mean" counts what is ignored;
            None: as the dialect does, and without one it does not.
        dialect (default None; allowed: 'torch' or 'mmdet' or 'smp'): None: the published formula; or
            the framework whose built-in to equal.

    Use it when:
        Exactly one class is true per row, background being one of them.

    Avoid it when:
        pred has been through softmax already: a second one flattens it; and not for several true
        classes.

    Source:
        Cross-entropy https://pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        class_weight: float | Sequence[float] | Tensor | None = None, label_smoothing: float = 0.0,
        ignore_index: int | Sequence[int] | None = -100, count_ignored: bool | None = None, dialect: str | None = None
    ) -> None: ...

class HingeEmbeddingLoss(Loss, name="hinge_embedding"):
    """Distance of pairs that are alike, and what pairs that are not lack to the margin.

    Formula:
        ⎧ x               if y = 1
        ⎩ max(0, m - x)   if y = -1

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        margin (default 1.0; allowed: (-inf, inf)): distance from which pairs that are not alike cost
            nothing.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        dialect (default None; allowed: 'torch'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        x is a distance between two embeddings that are alike (y = 1) or not (y = -1).

    Avoid it when:
        x is a score: more of it is punished where y is 1.

    Source:
        Hinge embedding https://pytorch.org/docs/stable/generated/torch.nn.HingeEmbeddingLoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, margin: float = 1.0,
        ignore_index: int | Sequence[int] | None = -100, dialect: str | None = None
    ) -> None: ...

class KLDivLoss(Loss, name="kl_div"):
    """Terms of the Kullback-Leibler divergence of pred from target. Of rows, "mean" is torch's "batchmean".

    The sum of the terms over the classes is the divergence of the row; a term alone may be negative.

    Formula:
        p (ln p - ℓ)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        log_target (default False; allowed: False or True): whether the target holds log-probabilities.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
        dialect (default None; allowed: 'torch'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        A teacher's distribution should be matched, as in distillation.

    Avoid it when:
        You need torch's 'mean': that divides by all elements, ours by rows, which is the divergence
        itself.

    Source:
        On Information and Sufficiency (1951) https://pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        log_target: bool = False, ignore_index: int | Sequence[int] | None = -100,
        class_weight: Sequence[float] | Tensor | float | None = None, dialect: str | None = None
    ) -> None: ...

class MarginRankingLoss(Loss, name="margin_ranking"):
    """Cost of two scores in the wrong order: by how much, plus the margin.

    Formula:
        max(0, -y (x₁ - x₂) + m)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        margin (default 0.0; allowed: (-inf, inf)): by how much it should be larger.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        dialect (default None; allowed: 'torch'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Only the order of two scores matters, for instance of a good and a poor box of one object.

    Avoid it when:
        Scores are read as probabilities: nothing fixes their level.

    Source:
        Margin ranking https://pytorch.org/docs/stable/generated/torch.nn.MarginRankingLoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, margin: float = 0.0,
        ignore_index: int | Sequence[int] | None = -100, dialect: str | None = None
    ) -> None: ...

class NLLLoss(Loss, name="nll"):
    """Negative log-likelihood of log-probabilities. "mean" divides by the class weights of the labels met, as torch's.

    Formula:
        -w_y ℓ_y

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        class_weight (default None; allowed: a number in [0, inf), or one per class): weight of the rows
            of a class: one number, or one per class.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        dialect (default None; allowed: 'torch'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        pred is log-probabilities already, for instance an average over models.

    Avoid it when:
        pred is logits or probabilities: nothing is normalised here.

    Source:
        Negative log-likelihood https://pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        class_weight: float | Sequence[float] | Tensor | None = None, ignore_index: int | Sequence[int] | None = -100,
        dialect: str | None = None
    ) -> None: ...
