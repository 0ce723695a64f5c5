"""Whether a loss is of another order than the one that its head usually has, on the same calls."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .calls import Call
from .gain import named
from .modules import PluggedLoss
from .ratio import comparable
from .slots import LossSlot
from .usual import measures

# Measured with every fitting loss of the catalogue, at its defaults, in the slots of 30 shipped configs: the largest
# is 63 times the usual loss (Dice in RepPoints' loss_cls) but for GHM's where sums are taken, the smallest 1/590 of it
# (Focal-EIoU in FCOS, whose boxes do not overlap yet). BCE of masks is hundreds of times Dice where masks are counted.
#: from how many times the usual value on a loss is told of, and below which
MOST, LEAST = 100.0, 1e-3


def out_of_scale(slot: LossSlot, calls: Iterable[Call]) -> str:
    """What is to be said of a value far from that of the usual loss; "": nothing, or that there is none to compare.

    Of numbers any order is as good: L1 is 2 / x times smooth L1, by how near they are.
    """
    if not isinstance(slot.loss, PluggedLoss) or measures(slot.loss.entry) == "coordinates":
        return ""
    usual = comparable(slot.head, slot.slot, slot.loss)[0]
    if usual is None:
        return ""
    ours, theirs = magnitudes(usual, calls)
    if not (math.isfinite(ours) and math.isfinite(theirs) and ours and theirs) or LEAST <= ours / theirs <= MOST:
        return ""
    weight = slot.loss.loss_weight * theirs / ours
    return (
        f"its value is {ours:.2g} on two made-up images, where the usual loss of the head has {theirs:.2g} "
        f"({named(usual)}): set {slot.key}.loss_weight={weight:.2g}, or name {slot.path!r} in `allow`"
    )


def magnitudes(usual: nn.Module, calls: Iterable[Call]) -> tuple[float, float]:
    """What a loss adds to the training loss in its calls, and what the usual one would add, reduced as it is."""
    pairs = [pair for call in calls if (pair := _both(usual, call)) is not None]
    return sum(ours for ours, _ in pairs), sum(theirs for _, theirs in pairs)


def _both(usual: nn.Module, call: Call) -> tuple[float, float] | None:
    """The same of one call; None: it trains nothing, or the usual loss does not take it."""
    if call.result is None or not call.factor:
        return None
    told = {"weight": call.weight, "avg_factor": call.avg_factor, "reduction_override": call.reduction}
    try:
        with torch.no_grad():
            result = usual.to(call.pred.device)(call.pred, call.target, **told, **call.others)
    except Exception:  # a loss of another package may take less than ours
        return None
    if not isinstance(result, Tensor):
        return None
    return abs(float(call.result.sum()) * call.factor), abs(float(result.sum()) * call.factor)
