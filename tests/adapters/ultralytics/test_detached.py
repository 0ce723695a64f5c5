# SPDX-License-Identifier: AGPL-3.0-or-later
"""A loss of a user's own from which no gradient comes back is refused before training, in each slot and way of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu

Function = Callable[[Tensor, Tensor], Tensor]


def of_scores(pred: Tensor, target: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(pred, target, reduction="none")


def of_maps(pred: Tensor, target: Tensor) -> Tensor:
    share = pred.sigmoid()
    return 1 - (2 * (share * target).flatten(1).sum(1) + 1) / ((share + target).flatten(1).sum(1) + 1)


def of_bins(pred: Tensor, target: Tensor) -> Tensor:
    left = target.long()
    share = target - left
    return cross_entropy(pred, left, reduction="none") * (1 - share) + share * cross_entropy(
        pred, left + 1, reduction="none"
    )


def of_distances(pred: Tensor, target: Tensor) -> Tensor:
    return (pred - target).abs()


def of_boxes(pred: Tensor, target: Tensor) -> Tensor:
    return (pred - target).abs().sum(-1)


SLOTS: dict[str, tuple[str, str, Function]] = {
    "box": ("box", "box", of_boxes),
    "cls": ("cls", "classification", of_scores),
    "bins": ("dfl", "classification", of_bins),
    "distances": ("dfl", "coordinate", of_distances),
    "pixels": ("mask", "classification", of_scores),
    "regions": ("mask", "region", of_maps),
    "maps": ("sem", "region", of_maps),
}
#: ways to lose the gradient
LOST: tuple[Callable[[Function], Function], ...] = (
    lambda loss: lambda pred, target: torch.from_numpy(loss(pred.detach(), target).numpy()),
    lambda loss: lambda pred, target: loss(pred.detach(), target) + 0 * loss(pred, target),
)


@pytest.mark.parametrize("place", SLOTS)
def test_a_loss_without_gradient_is_refused_before_training(place: str, own_losses: None) -> None:
    slot, kind, loss = SLOTS[place]
    targets = {"targets": ("score",)} if place == "bins" else {}

    def asked_for(function: Function, name: str) -> None:
        lp.register_loss(name, kind=kind, **targets)(lambda pred, target: function(pred, target))
        lpu.patched(**{slot: name})

    asked_for(loss, "whole_loss")
    for number, lost in enumerate(LOST):
        with pytest.raises(ValueError, match=r"comes back without gradient|has the gradient 0"):
            asked_for(lost(loss), f"lost_loss_{number}")
