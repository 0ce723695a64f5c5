"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..loss import Loss
from ..reduction import Reduction

class MixLoss(Loss, name="mix"):
    """Weighted sum of catalogued losses of one kind, or of class and region losses.

    Each loss is weighted and reduced by its own rule, as it would be by itself: a mix of one loss is that loss. The
    module keeps the running statistics of its losses; the function takes their initial values.

    Formula:
        ∑_i λ_i L_i

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False): belongs to the losses of the mix, each by itself:
            {'type': 'ciou', 'compile': True}.
        losses (required; allowed: a list of losses, each a name or a dict with 'type'): names or dicts
            with `type`, parameters and `loss_weight` (1 if not given), but no `reduction`.
        gate (default None; allowed: 'size'): "size": two box losses, the first for small targets and
            the second for large ones. For a target of w x h pixels the first weighs g = 1 / (1 + w h /
            at^2), and the second 1 - g.
        at (default 32.0; allowed: (0, inf)): side of a square target, in pixels, for which both weigh
            1/2.

    Use it when:
        One loss has what another lacks, for instance NWD for tiny boxes beside CIoU.

    Avoid it when:
        You compare with either of them: neither its values nor its gradient norm are kept.
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: Literal[False] = False, *,
        losses: Sequence[str | Mapping[str, Any]], gate: str | None = None, at: float = 32.0
    ) -> None: ...
