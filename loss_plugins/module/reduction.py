"""From one loss per element to the number that is trained: weight, reduction, avg_factor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from ..catalog.dialects import defaults_of
from ..catalog.entries import Entry, prepare
from ..catalog.ranges import Choice
from ..tensors import Target

Reduction = Literal["none", "mean", "sum"]
REDUCTIONS = Choice("none", "mean", "sum")
AVG_FACTOR_EPS = torch.finfo(torch.float32).eps


def reduce_loss(
    where: str,
    loss: Tensor,
    weight: Tensor | None = None,
    reduction: Reduction = "mean",
    avg_factor: float | Tensor | None = None,
    divisor: Tensor | None = None,
) -> Tensor:
    """Weight, then reduce, as MMDetection defines it.

    mean: the sum over `avg_factor` (+ float32's epsilon) if given, else over `divisor`, else over the number of
    elements.

    >>> reduce_loss("demo", torch.tensor([1.0, 3.0]), torch.tensor([1.0, 0.0]))
    tensor(0.5000)
    """
    if weight is not None:
        loss = loss * fit_weight(where, weight, loss)
    if reduction == "none":
        return loss
    if reduction == "sum":
        if avg_factor is not None:
            raise ValueError(
                f"{where}: avg_factor={avg_factor!r} goes with reduction 'mean' or 'none', not 'sum'; leave it out"
            )
        return loss.sum()
    if avg_factor is not None:
        return loss.sum() / (avg_factor + AVG_FACTOR_EPS)
    return loss.sum() / (max(loss.numel(), 1) if divisor is None else divisor)


def fit_weight(where: str, weight: Tensor, loss: Tensor) -> Tensor:
    """The weight in the loss's shape: one per row is repeated, several per element become their mean."""
    if weight.shape == loss.shape:
        return weight
    if loss.ndim > 0 and weight.shape[:-1] == loss.shape:  # (n, 4) or (n, 1) for one loss per box
        return weight.mean(-1)
    if weight.ndim > 0 and weight.shape[-1] == 1 and weight.ndim == loss.ndim:
        weight = weight.squeeze(-1)
    if weight.ndim > 0 and weight.shape == loss.shape[: weight.ndim]:
        return weight.reshape(*weight.shape, *(1 for _ in range(loss.ndim - weight.ndim)))
    raise ValueError(
        f"{where}: weight has shape {tuple(weight.shape)}, the loss {tuple(loss.shape)}; "
        "pass one weight per row, (n,) or (n, 1), or one per element"
    )


def own_divisor(
    entry: Entry, dialect: str | None, pred: Tensor, target: Target, arguments: Mapping[str, Any]
) -> Tensor | None:
    """What "mean" divides by, as the dialect has it or the loss, but never 0; None: the number of elements."""
    of_dialect = defaults_of(entry.name, dialect).mean
    denominator = MEANS[of_dialect] if of_dialect else entry.denominator
    if denominator is None:
        return None
    divisor = denominator(*prepare(entry, pred, target), **arguments)
    return divisor.masked_fill(divisor == 0, 1.0)


def _rows(pred: Tensor, target: Any, **_: Any) -> Tensor:
    """The number of rows, ignored ones included."""
    return pred.new_tensor(float(max(len(pred), 1)))


def _columns(pred: Tensor, target: Any, **_: Any) -> Tensor:
    """The length of axis 1: the mean over that axis, summed over the others."""
    return pred.new_tensor(float(max(pred.shape[1], 1)))


#: the denominators that `Defaults.mean` of a dialect names; None: the number of elements
MEANS: dict[str, Callable[..., Tensor] | None] = {"rows": _rows, "columns": _columns, "elements": None}
