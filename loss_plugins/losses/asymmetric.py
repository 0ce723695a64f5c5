"""Asymmetric losses: focal loss with exponents of their own for negatives."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from ..catalog.declare import Effect, Source
from ..catalog.entries import register_loss
from ..catalog.ranges import Choice, Interval
from ..tensors import class_axis, dense, one_hot
from .boxes import safe_power
from .focal import FEW_EPOCHS, Exponent
from .scores import UNEQUAL

ASYMMETRIC = Source("Asymmetric Loss For Multi-Label Classification", 2020, "https://arxiv.org/abs/2009.14119")


@register_loss(
    "asymmetric",
    kind="classification",
    formula=r"-(1 - p_t)^{\gamma_t} \left[y \ln p + (1 - y) \ln p_-\right],\quad p_- = \min(1 - p + m, 1)",
    source=ASYMMETRIC,
    traits=replace(UNEQUAL, detached="the focusing weight (detach_focus=True)", proper=False),
    holds="shares",
    use_when="Many labels per image, few of them true, and easy negatives should cost nothing at all.",
    avoid_when=f"Calibrated scores are needed: probabilities below clip are free. {FEW_EPOCHS}",
)
def asymmetric_loss(
    pred: Tensor,
    target: Tensor,
    *,
    gamma_neg: Exponent = 4.0,
    gamma_pos: Exponent = 1.0,
    clip: Annotated[float, Interval(0, 1, open_high=True)] = 0.05,
    eps: Annotated[float, Interval(0, 1e-2, open_low=True)] = 1e-8,
    detach_focus: Annotated[bool, Choice(False, True), Effect(detached="")] = True,
) -> Tensor:
    """Asymmetric loss: focal loss with its own exponent for negatives, of which easy ones are free.

    The authors sum the scores, where "mean" divides by their number.

    Args:
        gamma_neg: focusing exponent of negatives. The paper uses 4.
        gamma_pos: focusing exponent of positives. The authors' code uses 1.
        clip: negatives with a probability below it cost nothing. The paper uses 0.05.
        eps: probabilities are kept above it inside the logarithm.
        detach_focus: whether the focusing weight is without gradient, as by default in the authors' code.

    >>> asymmetric_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0]]))  # (1/2) ln 2, 0.45^4 * -ln 0.55
    tensor([[0.3466, 0.0245]])
    """
    target, p = dense(pred, target), pred.sigmoid()
    negative = (1 - p + clip).clamp(max=1)
    log_p = functional.logsigmoid(pred).clamp(min=math.log(eps))
    logs = target * log_p + (1 - target) * negative.clamp(min=eps).log()
    missed = 1 - p * target - negative * (1 - target)
    gamma = gamma_pos * target + gamma_neg * (1 - target)
    # missed^gamma, several times as fast as pow of two tensors
    power = torch.exp2(gamma * missed.clamp(min=torch.finfo(pred.dtype).tiny).log2())
    focus = torch.where(missed > 0, power, (gamma == 0).to(pred.dtype))
    return -logs * (focus.detach() if detach_focus else focus)


@register_loss(
    "asymmetric_softmax",
    kind="classification",
    formula=r"-\sum_c y_c (1 - p_{t,c})^{\gamma_c} \ln p_c,\quad p = \mathrm{softmax}(x)",
    source=ASYMMETRIC,
    traits=UNEQUAL,
    targets=("class_map",),
    use_when="Exactly one class is true per row; the single-label form of asymmetric.",
    avoid_when="label_smoothing is 0 and gamma_pos is 0: it is then plain cross-entropy.",
)
def asymmetric_softmax_loss(
    pred: Tensor,
    target: Tensor,
    *,
    gamma_neg: Exponent = 4.0,
    gamma_pos: Exponent = 0.0,
    label_smoothing: Annotated[float, Interval(0, 1)] = 0.1,
) -> Tensor:
    """Asymmetric loss of the softmax of logits, with a target that is smoothed after weighing.

    Args:
        gamma_neg: focusing exponent of the other classes. The authors use 4.
        gamma_pos: focusing exponent of the true class. The authors use 0.
        label_smoothing: share of the target that is spread over all classes. The authors use 0.1.

    >>> asymmetric_softmax_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([1]), label_smoothing=0.0)  # ln 2
    tensor([0.6931])
    """
    axis = class_axis(pred)
    log_p = functional.log_softmax(pred, axis)
    p, truth = log_p.exp(), one_hot(target, pred.shape[axis], axis).to(pred.dtype)
    focus = truth * safe_power(1 - p, gamma_pos) + (1 - truth) * safe_power(p, gamma_neg)
    weight = focus * ((1 - label_smoothing) * truth + label_smoothing / pred.shape[axis])
    # p^gamma ln p is 0 at p = 0, as of a class whose logit is -inf
    return -(weight * torch.where(weight == 0, 0, log_p)).sum(axis)
