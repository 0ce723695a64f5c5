# SPDX-License-Identifier: AGPL-3.0-or-later
"""YOLO26-seg's semantic branch: whether a model has one, and fixed maps through it must come back as the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from loss_plugins.fusion import by_autograd

from . import probe
from .canary import TOLERANCE, checked, set_apart, twin, value_and_gradient
from .errors import UnsupportedUltralytics
from .sem_fits import example_maps, require_maps
from .sem_slot import SemSlot, mean_of

WITHOUT = "Use a yolo26-seg or a semantic model, or leave sem out"


def require_branch(criterion: Any, slot: SemSlot) -> None:
    """Raise unless every branch of a criterion has the loss of semantic maps, and the loss fits there.

    Raises:
        UnsupportedUltralytics: one has none.
        ValueError: the loss does not fit.
    """
    for branch in probe.find_branches(criterion):
        if not hasattr(branch, "bcedice_loss"):
            raise UnsupportedUltralytics(f"the criterion {type(branch).__name__} has no semantic loss", WITHOUT)
        require_maps(slot.prototype, branch.nc, "a semantic branch of an instance segmentation model")


def require_head(model: Any) -> None:
    """Raise unless the head of a model computes semantic maps: the criterion alone does not tell.

    Raises:
        UnsupportedUltralytics: it computes none.
    """
    from ultralytics.nn.modules import head as heads

    head = model.model[-1]
    prompted = isinstance(head, getattr(heads, "YOLOEDetect", ()))  # it has the layers, and does not call them
    semantic = isinstance(head, getattr(heads, "SemanticSegment", ()))
    if prompted or not (semantic or getattr(getattr(head, "proto", None), "semseg", None) is not None):
        raise UnsupportedUltralytics(
            f"the head {type(head).__name__} computes no semantic maps, so that the sem loss would never be called",
            WITHOUT,
        )


def fixed_maps(classes: int) -> tuple[Tensor, Tensor]:
    """Logits (2, C, 6, 8), and targets of twice the size, of which the branch takes every second pixel."""
    logits = (torch.linspace(-2, 2, 2 * classes * 48).view(2, classes, 6, 8) * 7).sin() * 2
    return logits, example_maps(classes).repeat_interleave(2, 2).repeat_interleave(2, 3)


def check_stock(bce_dice: nn.Module) -> float:
    """The stock loss of fixed maps, after checking that it is half of binary cross-entropy and half of Dice.

    Raises:
        UnsupportedUltralytics: it is not.
    """
    from ultralytics.utils.loss import BCEDiceLoss

    logits, target = fixed_maps(3)
    stock = float(probe.unplugged(BCEDiceLoss.forward)(bce_dice, logits, target))
    share, wanted = logits.sigmoid(), target[:, :, ::2, ::2]
    crosses, overlaps = [], []
    for p, t in zip(share.flatten(0, 1), wanted.flatten(0, 1), strict=True):
        crosses.append(-torch.where(t == 1, p, 1 - p).log().mean())
        overlaps.append(1 - (2 * p[t == 1].sum() + 1) / (p.sum() + t.sum() + 1))
    expected = float((torch.stack(crosses) + torch.stack(overlaps)).mean() / 2)
    if abs(stock - expected) > TOLERANCE:
        raise UnsupportedUltralytics(
            f"its own semantic loss gives {stock:.6f} where half of binary cross-entropy and half of Dice give "
            f"{expected:.6f}: the contract has changed",
            probe.REMEDY,
        )
    return stock


def check_sem(branch: Any, slot: SemSlot) -> float:
    """The loss of fixed maps through the live branch, after comparing value and gradient with the loss itself.

    Raises:
        UnsupportedUltralytics: the live branch does not return the plugged loss and its gradient.
    """
    part = branch.bcedice_loss
    check_stock(part)
    plain = twin(slot, part)
    maps, target = fixed_maps(branch.nc)

    def through(loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        logits = maps.clone().requires_grad_()
        return value_and_gradient(slot, loss(logits), logits)

    with set_apart(slot, part):
        live = through(lambda logits: part(logits, target.clone()))
    with by_autograd():
        expected = through(lambda logits: mean_of(plain, logits, target[:, :, ::2, ::2]) / plain.loss_weight)
    return checked(slot, live, expected)
