"""From one loss per element to the number that is trained: weight, reduction, avg_factor."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from ..catalog.entry import REDUCTIONS as REDUCTIONS
from ..catalog.entry import Entry
from ..catalog.evaluation import fitted_weight, with_ignored
from ..catalog.foreign import Defaults
from ..catalog.ranges import plain
from ..catalog.results import called, check_divisor
from ..errors import refusal, shown
from ..labels import Given
from ..tensors import check_device, class_axis, holds_numbers, number_in, raised, readable

Reduction = Literal["none", "mean", "sum"]
#: of avg_factor: what is allowed, and the remedy
AVG_FACTOR = ("one number from 0 on", "pass the number of positives, max(n, 1), or leave it out")
AVG_FACTOR_EPS = torch.finfo(torch.float32).eps


def reduce_loss(
    loss: Tensor,
    weight: Tensor | None = None,
    reduction: Reduction = "mean",
    avg_factor: float | Tensor | None = None,
    divisor: Tensor | None = None,
) -> Tensor:
    """Weight, then reduce, as MMDetection defines it; the weight has the shape of the loss, or spreads to it.

    mean: the sum over `avg_factor` (+ float32's epsilon) if given, else over `divisor`, else over the number of
    elements. sum: likewise over `divisor`, where a dialect has one.

    >>> reduce_loss(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 0.0]))
    tensor(0.5000)
    """
    if weight is not None:
        loss = loss * weight
    if reduction == "none":
        return loss
    if avg_factor is None and divisor is not None and divisor.ndim:  # one per row
        return (loss / divisor).sum()
    if reduction == "sum":
        return loss.sum() if divisor is None else loss.sum() / divisor
    if avg_factor is None:
        return loss.sum() / (max(loss.numel(), 1) if divisor is None else divisor)
    if isinstance(avg_factor, Tensor):
        avg_factor = avg_factor.to(loss.dtype)  # one of float64 would make the result float64
    return loss.sum() / (avg_factor + AVG_FACTOR_EPS)


def weight_as_theirs(
    entry: Entry, dialect: str | None, rule: Defaults, weight: Tensor, shape: torch.Size, pred: Tensor
) -> Tensor:
    """The weight of a call for a loss of that shape, laid along the axes that the dialect has it along."""
    if rule.weight == "rows":
        return fitted_weight(entry, weight, shape, pred)
    if any(has not in (1, wanted) for has, wanted in zip(weight.shape[::-1], shape[::-1], strict=False)) or (
        weight.ndim > len(shape)
    ):
        came = f"weight has shape {tuple(weight.shape)}, the loss {tuple(shape)}"
        remedy = "pass one per element; or (n, 1) for one per row, (C, 1, 1) for one per channel of maps"
        raise refusal(entry.name, came, f"what {dialect} broadcasts to it, from the last axis on", remedy)
    return weight.expand(shape)


def shape_as_theirs(rule: Defaults, loss: Tensor, pred: Tensor) -> Tensor:
    """What reduction "none" gives, in the shape that the dialect has."""
    form = rule.none
    if form == "rows":
        return loss.sum(class_axis(pred))
    if form == "pixel axes" and loss.ndim:
        return loss.view(*loss.shape, *(1,) * (pred.ndim - 2))
    if form == "image axes":
        return loss.view(*loss.shape, *(1,) * (pred.ndim - 1))
    if loss.ndim != 2:  # one loss per image and channel
        return loss
    if form == "images":
        return loss.sum(1) / max(loss.shape[1], 1)
    return loss


def counted_as_theirs(rule: Defaults, count_ignored: bool | None, given: Given, loss: Tensor) -> Tensor | None:
    """The `avg_factor` of a dialect whose mean counts what is ignored, but was told not to; None: it needs none."""
    if count_ignored is not False or rule.mean != "elements":
        return None
    counted = given.counted(loss)
    return loss.new_full((), float(loss.numel())) if counted is None else counted


def check_avg_factor(where: str, avg_factor: Any, reduction: str, pred: Tensor) -> float | Tensor | None:
    """What "mean" divides by as a plain number, or as a tensor without axes; raise for anything else.

    A tensor is looked at only where that neither waits for a device nor breaks a graph.
    """
    if avg_factor is None:
        return None
    if reduction == "sum":
        came = f"avg_factor={shown(avg_factor)} with reduction 'sum'"
        raise refusal(where, came, "it goes with 'mean' or 'none'", "leave it out, or set reduction='mean'")
    if isinstance(avg_factor, Tensor):
        if not holds_numbers(avg_factor):
            raise refusal(where, f"avg_factor={shown(avg_factor)}", *AVG_FACTOR, TypeError)
        if avg_factor.numel() != 1:
            raise refusal(where, f"avg_factor={shown(avg_factor)}", *AVG_FACTOR)
        if avg_factor.ndim or avg_factor.device.type != "cpu":  # torch divides by a number of the host on any device
            check_device(where, "avg_factor", avg_factor, pred)
        known = number_in(avg_factor) if readable(avg_factor) else None
        divisor: Any = avg_factor.reshape(())
    else:
        known = divisor = plain(avg_factor)
        if isinstance(known, bool) or not isinstance(known, (numbers.Real, torch.SymInt, torch.SymFloat)):
            raise refusal(where, f"avg_factor={shown(avg_factor)}", *AVG_FACTOR, TypeError)
    if known is not None and not 0 <= known <= torch.finfo(torch.float32).max:
        raise refusal(where, f"avg_factor={shown(known)} is out of range", *AVG_FACTOR)
    return divisor  # type: ignore[no-any-return]


def own_divisor(
    entry: Entry, rule: Defaults, reduction: Reduction, given: Given, loss: Tensor, arguments: Mapping[str, Any]
) -> Tensor | None:
    """What a reduction divides by, as the dialect has it or the loss, but never 0; None: as `reduce_loss` does.

    A divisor of several elements is one per row of the loss.
    """
    named = rule.sum if reduction == "sum" else rule.mean
    divisor: Tensor | None = None
    if named:
        count = DIVISORS[named]
        divisor = None if count is None else count(raised(given.pred, given.target)[0], given.ignored)
    elif reduction == "mean" and entry.denominator is not None:
        pred, target = raised(given.pred, given.target)
        keywords = with_ignored(entry, entry.denominator, arguments, given)
        divisor = called(entry, entry.denominator, {"pred": pred, "target": target}, keywords)
        check_divisor(entry.name, divisor, loss)
    elif reduction == "mean":
        divisor = given.counted(loss)
    return None if divisor is None else divisor.masked_fill(divisor == 0, 1.0)


def _instances(pred: Tensor, ignored: Tensor | None) -> Tensor:
    """The length of axis 0: of a mean, the mean over instances of the sum of all that each has."""
    return pred.new_full((), float(max(len(pred), 1)))


def _columns(pred: Tensor, ignored: Tensor | None) -> Tensor:
    """The length of the class axis: of a mean, the mean over that axis, summed over the others."""
    return pred.new_full((), float(max(pred.shape[class_axis(pred)], 1)))


def _rows(pred: Tensor, ignored: Tensor | None) -> Tensor:
    """The number of rows, or of pixels of all images: the sum over the class axis, averaged."""
    return _scores(pred, None) / _columns(pred, None)


def _scores(pred: Tensor, ignored: Tensor | None) -> Tensor:
    """All elements of the prediction, those of ignored rows included."""
    return pred.new_full((), float(max(pred.numel(), 1)))


def _counted_scores(pred: Tensor, ignored: Tensor | None) -> Tensor:
    """The elements of the prediction in rows that are not ignored."""
    return _scores(pred, None) if ignored is None else ignored.logical_not().expand_as(pred).sum().to(pred.dtype)


def _pixels(pred: Tensor, ignored: Tensor | None) -> Tensor:
    """The elements behind axis 1; of rows, for which there are none, MONAI's mean over no axes is that over all.

    Where pixels are ignored, those that are left in each image.
    """
    if ignored is not None and ignored.shape[1] == 1 and pred.ndim > 2:
        return ignored.logical_not().sum(tuple(range(1, pred.ndim)), keepdim=True).to(pred.dtype)
    return pred.new_full((), float(max(pred.numel() if pred.ndim <= 2 else pred.shape[2:].numel(), 1)))


def _kept_pixels(pred: Tensor, ignored: Tensor | None) -> Tensor:
    """All elements; where pixels are ignored, the pixels that are left, each of which counts once for all classes."""
    return _scores(pred, None) if ignored is None else ignored.logical_not().sum().to(pred.dtype)


#: the denominators that `Defaults.mean` and `Defaults.sum` of a dialect name, of pred and what is ignored; None: the
#: number of elements of the loss
DIVISORS: dict[str, Callable[[Tensor, Tensor | None], Tensor] | None] = {
    "columns": _columns,
    "instances": _instances,
    "rows": _rows,
    "scores": _scores,
    "counted scores": _counted_scores,
    "pixels": _pixels,
    "kept pixels": _kept_pixels,
    "elements": None,
}
