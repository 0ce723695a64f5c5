"""Gradient harmonizing mechanism (GHM-C): scores weigh by how rare their gradient is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional

from ..catalog.declare import Source, State
from ..catalog.entries import register_loss
from ..catalog.ranges import Interval
from ..tensors import dense
from .scores import UNEQUAL, scores_that_count


def gradient_bin(pred: Tensor, target: Tensor, bins: int) -> Tensor:
    """The bin of each score's gradient |p - y|; edges at k / bins."""
    norm = (pred.detach().sigmoid() - target).abs()
    # edges rounded as the scores are, so that a gradient on an edge falls above it
    edges = torch.arange(1, bins, device=pred.device, dtype=pred.dtype) / bins
    return (norm.unsqueeze(-1) >= edges).sum(-1)


def gradient_counts(
    pred: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignored: Tensor | None = None,
    *,
    bins: int = 10,
    **_: Any,
) -> Tensor:
    """How many scores (of weight above 0, and not ignored) fall into each bin."""
    member = gradient_bin(pred, dense(pred, target), bins).unsqueeze(-1) == torch.arange(bins, device=pred.device)
    member = member & scores_that_count("ghm_c", pred, weight, ignored).unsqueeze(-1)
    return member.to(pred.dtype).flatten(0, -2).sum(0)


def updated_counts(
    counts: Tensor, summary: Tensor, *, momentum: Annotated[float, Interval(0, 1, open_high=True)] = 0.0
) -> Tensor:
    """The running counts after a batch: bins that were met move towards what they met, the others stay.

    Args:
        counts: running counts so far.
        summary: how many scores of the batch fell into each bin.
        momentum: share of the running count that stays; 0 for the counts of the batch alone.
    """
    met = (summary > 0) & summary.isfinite()
    return torch.where(met, momentum * counts + (1 - momentum) * summary, counts)


def no_counts(parameters: Mapping[str, Any]) -> Tensor:
    """Empty bins."""
    return torch.zeros(int(parameters["bins"]))


@register_loss(
    "ghm_c",
    kind="classification",
    formula=r"\frac{N\, \mathrm{BCE}(x, y)}{m\, S_{b(g)}},\quad g = |p - y|",
    source=Source("Gradient Harmonized Single-stage Detector", 2018, "https://arxiv.org/abs/1811.05181"),
    traits=replace(UNEQUAL, stateful=True),
    holds="shares",
    use_when="Both the easy mass and a crowd of outliers (wrong labels) should lose weight.",
    avoid_when="Batches are small: the density of ten bins is then noise. Its weights make boxes depend on each other.",
)
def ghm_c_loss(
    pred: Tensor,
    target: Tensor,
    ignored: Tensor | None = None,
    *,
    bins: Annotated[int, Interval(1, 1000)] = 10,
    counts: Annotated[Tensor | None, State(no_counts, no_counts, gradient_counts, updated_counts)] = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Gradient-harmonised loss: binary cross-entropy over the density of scores with a gradient of that size.

    The module keeps `counts`, updated before use in training with gradients on:
    S := momentum S + (1 - momentum) N for bins that were met; with momentum 0, the default, it is the batch's own.
    In evaluation, bins never met take the batch's own count. The mean over the scores is the authors' loss.

    Args:
        bins: number of bins of |p - y|. The paper uses 10 to 30.
        counts: (bins,) running counts; None for the batch's own.
        weight: scores of weight 0 are not counted; the module passes it on.

    >>> ghm_c_loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))  # one bin holds both scores: ln 2 each
    tensor([[0.6931, 0.6931]])
    """
    target = dense(pred, target)
    own = gradient_counts(pred, target, weight, ignored, bins=bins)
    density = own if counts is None else torch.where(counts > 0, counts.to(pred.dtype), own)
    used = (own > 0).to(pred.dtype).sum().clamp(min=1)
    member = density[gradient_bin(pred, target, bins)]
    scores = pred.numel() if ignored is None else ignored.logical_not().expand_as(pred).sum()
    share_of_bin = scores / (member.masked_fill(member == 0, 1.0) * used)
    if weight is not None:
        share_of_bin = share_of_bin * scores_that_count("ghm_c", pred, weight, None)
    loss = share_of_bin * functional.binary_cross_entropy_with_logits(pred, target, reduction="none")
    return loss if ignored is None else loss.masked_fill(ignored, 0)
