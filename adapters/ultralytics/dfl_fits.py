# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which losses can stand in for the loss of the sides, found out by trying."""

from __future__ import annotations

import copy
import itertools

import torch
from torch import Tensor

from loss_plugins import Loss
from loss_plugins.catalog.entries import Entry
from loss_plugins.errors import refusal

from .errors import UnsupportedUltralytics
from .fits import NO_GRADIENT, misfit_of_costs, names_of, of_logits, pulls, require_fit, says_otherwise, singles

#: how far a predicted distance is off its target, in shares of the image
ERRORS = (0.0, 0.01, 0.1, 0.4)


def takes_bins(entry: Entry) -> bool:
    """Whether a loss of the catalogue is one of distributions over bins."""
    return entry.kind == "classification" and of_logits(entry, "score")


def takes_distances(entry: Entry) -> bool:
    """Whether a loss of the catalogue is one of each coordinate; one that any scale leaves as it is, reads boxes."""
    return entry.kind == "coordinate" and not entry.traits.scale_invariant


def fitting() -> str:
    """What fits, for messages."""
    bins, distances = names_of(takes_bins), names_of(takes_distances)
    models = "models without bins, as YOLO26"
    bins += "; one of your own is registered with targets=('score',)"
    return f"a loss of distributions over bins ({bins}), or, for {models}, one of each coordinate ({distances})"


def require_dfl_loss(loss: Loss, asked: str) -> None:
    """Raise unless a loss can stand in for the loss of the sides.

    Args:
        loss: the loss.
        asked: what was asked for, for the error: "dfl='l1'".

    Raises:
        ValueError: it is of another kind, or takes neither bins nor single distances.
    """
    kinds = {each.entry.kind for each in singles(loss) if each.entry.name != "mix"}
    if kinds == {"classification"}:
        trial, what = _misfit_of_bins, "logits over bins with a distance as target"
    elif kinds == {"coordinate"}:
        trial, what = _misfit_of_distances, "distances to the sides of a box"
    else:
        came = f"{asked} is a loss of kind {' and '.join(sorted(kinds))}"
        raise refusal("ultralytics adapter", came, fitting(), "pass one of these")
    tried = copy.deepcopy(loss).eval()
    require_fit(asked, fitting(), what, lambda: next(filter(None, map(trial, singles(tried))), ""))


def require_bins(loss: Loss, of_bins: bool, bins: int, criterion: str) -> None:
    """Raise unless a loss computes on what a criterion predicts of the sides.

    Args:
        loss: the loss.
        of_bins: whether it is one of distributions over bins.
        bins: of the criterion; 0: it predicts distances.
        criterion: its name, for the error.

    Raises:
        UnsupportedUltralytics: it does not.
    """
    if of_bins and not bins:
        came = f"{criterion} predicts the distances to the sides, and {loss.entry.name} is a loss of bins"
        raise UnsupportedUltralytics(came, f"Pass a loss of each coordinate: {names_of(takes_distances)}")
    if bins and not of_bins:
        came = f"{criterion} predicts {bins} bins for each side, and {loss.entry.name} is a loss of coordinates"
        raise UnsupportedUltralytics(came, f"Pass a loss of distributions over bins: {names_of(takes_bins)}")


def _misfit_of_bins(loss: Loss) -> str:
    """Why a loss is none of logits (n, bins) and a distance each (n,), in bins; "" if it is one."""
    if "offset" in loss.entry.targets:
        return (
            "takes offsets from the sides of a reference box, over bins around 0, and gets distances, in bins from 0 on"
        )
    target = torch.tensor([0.0, 0.4, 2.5, 3.0, 5.75, 6.9])
    bins = torch.arange(8)
    side = torch.where((bins - target[:, None]).abs() < 1, 1.0, -1.0)
    shape = tuple(loss.elementwise(side, target).shape)
    if shape != tuple(target.shape):
        return f"gives shape {shape} for {len(target)} sides, where one number each is wanted"

    def cost(logits: Tensor) -> Tensor:
        return loss.elementwise(logits, target)

    return says_otherwise(loss) or misfit_of_costs(cost, cost, side)


def _misfit_of_distances(loss: Loss) -> str:
    """Why a loss is none of single distances (n, 4); "" if it is one."""
    target = torch.linspace(0.05, 0.45, 24).view(6, 4)
    costs, less = ([loss.elementwise(target + sign * error, target) for error in ERRORS] for sign in (1, -1))
    if costs[0].shape != target.shape:
        return f"gives shape {tuple(costs[0].shape)} for distances {tuple(target.shape)}"
    one = torch.tensor([1.0, 0, 0, 0])
    moved = loss.elementwise(target + ERRORS[2] * one, target)
    if not torch.allclose(moved[:, 1:], costs[0][:, 1:]):
        return "reads the four numbers as one box, and they are distances to its sides"
    if not all((after > before).all() for each in (costs, less) for before, after in itertools.pairwise(each)):
        return "does not grow with the distance from the target"
    return "" if pulls(lambda pred: loss.elementwise(pred, target), -target) else NO_GRADIENT
