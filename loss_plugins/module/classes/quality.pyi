"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..loss import Loss
from ..reduction import Reduction

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
        alpha (default None; allowed: [0, 10]): weight of negatives; None for 1, as in the paper.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
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
        alpha: float | None = None, ignore_index: int | Sequence[int] | None = -100, dialect: str | None = None
    ) -> None: ...
