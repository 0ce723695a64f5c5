"""Sides of boxes as distributions over bins: cross-entropy with the two bins next to the target."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from ..catalog.declare import Source
from ..catalog.entries import register_loss
from ..catalog.ranges import Interval
from ..errors import refusal
from .focal import GENERALIZED_FOCAL
from .scores import UNEQUAL

D_FINE = Source(
    "D-FINE: Redefine Regression Task in DETRs as Fine-grained Distribution Refinement",
    2024,
    "https://arxiv.org/abs/2410.13842",
)
#: log-probability of a bin that is ruled out, by a logit of -inf: finite as a mean over rows too
LEAST_LOG_P = -1e12
Curve = Annotated[float, Interval(1e-3, 1e3)]


def neighbours(pred: Tensor, low: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the bin below the target and of the next; without a share in them, they cost nothing."""
    log_p = functional.log_softmax(pred, -1)
    near, far = (log_p.gather(-1, at.unsqueeze(-1)).squeeze(-1) for at in (low, low + 1))
    return near.clamp(min=LEAST_LOG_P), far.clamp(min=LEAST_LOG_P)


@register_loss(
    "distribution_focal",
    kind="classification",
    formula=r"(l + 1 - t)\, \mathrm{CE}(x, l) + (t - l)\, \mathrm{CE}(x, l + 1),\quad l = \lfloor t \rfloor",
    source=GENERALIZED_FOCAL,
    traits=replace(UNEQUAL, proper=True),
    targets=("score",),
    use_when="Box sides are predicted as distributions over bins, as in YOLOv8 and GFL heads.",
    avoid_when="Targets may lie beyond the last bin: they are cut off there, so the object is too large for its level.",
)
def distribution_focal_loss(pred: Tensor, target: Tensor, *, margin: Annotated[float, Interval(0, 1)] = 0.0) -> Tensor:
    """Distribution focal loss: cross-entropy with the two bins next to the target.

    Args:
        pred: (..., n) logits over n bins.
        target: (...) distances in bins, in [0, n - 1]; what lies beyond is cut off.
        margin: cut off at n - 1 - margin instead; Ultralytics' is 0.01.

    >>> distribution_focal_loss(torch.zeros(1, 4), torch.tensor([1.5]))  # ln 4
    tensor([1.3863])
    """
    last = pred.shape[-1] - 1
    if last < 1:
        came = f"pred has {pred.shape[-1]} bin(s) on its last axis"
        raise refusal("distribution_focal", came, "2 or more", "set reg_max of the head to 2 or more")
    target = target.to(pred.dtype).clamp(0, last - margin)
    low = target.detach().floor().clamp(max=last - 1).nan_to_num(0)  # NaN stays NaN, but is no index
    near, far = neighbours(pred, low.long())
    return -((low + 1 - target) * near + (target - low) * far)


def fine_bins(pred: Tensor, reg_scale: float, up: float) -> Tensor:
    """Where the bins on the last axis of pred lie: dense around 0, the first and the last far out."""
    half, reach = (pred.shape[-1] - 1) // 2, up * reg_scale
    inner = torch.arange(1, half, dtype=pred.dtype, device=pred.device) * (math.log1p(reach) / max(half - 1, 1))
    side = torch.cat([inner.expm1(), pred.new_full((1,), 2 * reach)])
    return torch.cat([-side.flip(0), pred.new_zeros(1), side])


def between(bins: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The bin below each target, never the last, and the share of the one above; targets beyond count as the ends."""
    low = ((bins <= target.detach().unsqueeze(-1)).sum(-1) - 1).clamp(0, len(bins) - 2)
    spread = bins.expand(*target.shape, -1)
    left, right = (spread.gather(-1, at.unsqueeze(-1)).squeeze(-1) for at in (low, low + 1))
    return low, ((target - left) / (right - left)).clamp(0, 1)


def require_middle(pred: Tensor, reg_max: int | None) -> None:
    """Raise unless as many bins lie on either side of a middle one, and as many as were said."""
    count = pred.shape[-1]
    if count < 3 or count % 2 == 0 or (reg_max is not None and count != reg_max + 1):
        came = f"pred has {count} bin(s) on its last axis"
        allowed = "an odd number of 3 or more"
        remedy = "pass logits over an even reg_max plus one bins, D-FINE's are 33"
        if reg_max is not None:
            came, allowed = f"{came}, and reg_max={reg_max} says {reg_max + 1}", f"reg_max + 1, which is {reg_max + 1}"
            remedy = f"build the loss with reg_max={count - 1}, or leave it out" if count > 2 and count % 2 else remedy
        raise refusal("fgl", came, allowed, remedy)


@register_loss(
    "fgl",
    kind="classification",
    formula=r"(1 - r)\, \mathrm{CE}(x, l) + r\, \mathrm{CE}(x, l + 1),\quad r = \frac{t - W_l}{W_{l + 1} - W_l},\quad "
    r"W_{n / 2 + k} = (a c + 1)^{2 k / (n - 2)} - 1",
    source=D_FINE,
    traits=replace(UNEQUAL, proper=True),
    targets=("offset",),
    use_when="Sides of boxes are refined layer by layer as distributions over bins that are not uniform, as in D-FINE.",
    avoid_when="Bins are uniform, as in YOLOv8: take distribution_focal. Or boxes have no other loss beside it.",
)
def fgl_loss(
    pred: Tensor,
    target: Tensor,
    *,
    reg_max: Annotated[int | None, Interval(2, even=True)] = None,
    reg_scale: Curve = 4.0,
    up: Curve = 0.5,
) -> Tensor:
    """Fine-grained localisation loss (FGL): cross-entropy with the two bins next to the target, of bins not uniform.

    Bins lie as far below 0 as above.

    Args:
        pred: (..., n + 1) logits over bins, n even.
        target: (...) how far a side lies from where the reference box has it, in shares of the reference box's side
            times `reg_scale`; what lies beyond the bins is cut off. D-FINE weighs each row by the IoU of its box: pass
            that, detached, as the weight of the module.
        reg_max: n, even, which is checked; None: whatever pred has. D-FINE's is 32.
        reg_scale: c, how dense bins are around 0. D-FINE's is 4.
        up: a: the last bins but one lie at a c, the last at twice that. D-FINE's is 0.5.

    >>> fgl_loss(torch.zeros(1, 5), torch.tensor([1.0]))  # ln 5
    tensor([1.6094])
    """
    require_middle(pred, reg_max)
    low, share = between(fine_bins(pred, reg_scale, up), target.to(pred.dtype))
    return -torch.lerp(*neighbours(pred, low), share)
