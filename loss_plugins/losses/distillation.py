"""Distributions that learn from those of a teacher."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional

from ..catalog.entries import register_loss
from ..catalog.ranges import Interval
from .bins import D_FINE, LEAST_LOG_P
from .scores import SCORES


def divergence(pred: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher || pred) of the softmax of both over the last axis; a bin that the teacher rules out costs nothing.

    One that pred rules out by -inf costs much, and finitely.
    """
    wanted, found = (functional.log_softmax(logits, -1) for logits in (teacher, pred))
    return (wanted.exp() * (wanted.clamp(min=LEAST_LOG_P) - found.clamp(min=LEAST_LOG_P))).sum(-1)


def balance(matched: Tensor, dtype: torch.dtype) -> Tensor:
    """What each row is divided by: so all add up to the mean of both groups' means, weighted by roots of counts."""
    found, others = (group.sum().to(dtype).sqrt() for group in (matched, matched.logical_not()))
    return torch.where(matched, found, others) * (found + others)


def whole(pred: Tensor, target: Any, **_: Any) -> Tensor:
    """1: the rows add up to the loss of the batch."""
    return pred.new_ones(())


@register_loss(
    "ddf",
    kind="distribution",
    formula=r"\frac{T^2}{\sqrt{n} (\sqrt{n_1} + \sqrt{n_2})} \sum_i p_i \ln\frac{p_i}{q_i},\quad "
    r"p = \mathrm{softmax}(t / T),\quad q = \mathrm{softmax}(x / T)",
    source=D_FINE,
    traits=SCORES,
    targets=("teacher",),
    denominator=whole,
    use_when="Layers of a decoder that predict sides of boxes as distributions learn from its last, as in D-FINE.",
    avoid_when="The last layer is no better than the others yet, unless the loss weighs little.",
)
def ddf_loss(
    pred: Tensor, target: tuple[Tensor, Tensor], *, temperature: Annotated[float, Interval(0.1, 100)] = 5.0
) -> Tensor:
    """Decoupled distillation focal loss (DDF): divergence from a teacher, matched queries and the others apart.

    The rows add up to the loss of the batch, which is the result of "mean" and of "sum": the mean over the n1 sides of
    matched queries and the mean over the n2 others, weighted by the roots of n1 and n2; n is the count of a row's own.

    Args:
        pred: (..., n) logits over bins, a row per side of every query.
        target: a tuple (teacher's logits of pred's shape, matched), matched a boolean per row. The teacher gets no
            gradient. D-FINE weighs each row by the IoU of its box where it is matched, and elsewhere by the teacher's
            largest class score: pass that, detached, as the weight of the module.
        temperature: T. D-FINE's is 5.

    >>> pred, teacher = torch.zeros(2, 2), torch.tensor([[0.0, 0.0], [5.0, 0.0]])
    >>> ddf_loss(pred, (teacher, torch.tensor([True, False])))  # 0, and 25 KL of (0.731, 0.269) to halves, over 2
    tensor([0.0000, 1.3868])
    """
    teacher, matched = target
    apart = divergence(pred / temperature, teacher.detach() / temperature)
    return temperature**2 * apart / balance(matched.bool(), pred.dtype)
