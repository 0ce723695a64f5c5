# SPDX-License-Identifier: AGPL-3.0-or-later
"""The canary of the slot of the sides: fixed predictions must come back as the loss that was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from loss_plugins.fusion import by_autograd

from . import probe
from .canary import TOLERANCE, checked, cloned, fixed_arguments, set_apart, twin, value_and_gradient
from .dfl_slot import DflSlot, bins_of, stock_loss
from .errors import UnsupportedUltralytics

Function = Callable[[Tensor, Tensor], Tensor]


def distances_by_hand(anchor: list[float], box: list[float]) -> list[float]:
    """From an anchor point to the left, upper, right and lower side of a box: its corners, or centre, sides, angle."""
    if len(box) == 4:
        return [anchor[0] - box[0], anchor[1] - box[1], box[2] - anchor[0], box[3] - anchor[1]]
    x, y, width, height, angle = box
    along = (x - anchor[0]) * math.cos(angle) + (y - anchor[1]) * math.sin(angle)
    across = (y - anchor[1]) * math.cos(angle) - (x - anchor[0]) * math.sin(angle)
    return [width / 2 - along, height / 2 - across, width / 2 + along, height / 2 + across]


def by_hand(per_side: Function, bbox_loss: nn.Module, given: dict[str, Any]) -> Tensor:
    """The loss of the sides, weighted and normalised by a plain loop over the foreground.

    Args:
        per_side: logits (4, bins) and distances (4,), or distances (1, 4) and the same, to a number each.
        bbox_loss: whose bins they are.
        given: as `fixed_arguments`.
    """
    bins, total = bins_of(bbox_loss), torch.zeros(())
    for anchor in [index for index, foreground in enumerate(given["fg_mask"][0].tolist()) if foreground]:
        pred = given["pred_dist"][0, anchor]
        wanted = distances_by_hand(given["anchor_points"][anchor].tolist(), given["target_bboxes"][0, anchor].tolist())
        if bins:
            target = torch.tensor([min(max(side, 0.0), bins - 1 - 0.01) for side in wanted])
            losses = per_side(pred.view(4, bins), target)
        else:
            height, width = given["imgsz"].tolist()
            share = float(given["stride"][anchor]) / torch.tensor([width, height, width, height])
            losses = per_side((pred * share)[None], (torch.tensor(wanted) * share)[None])
        total = total + losses.mean() * float(given["target_scores"][0, anchor].sum())
    scaled: Tensor = total / given["target_scores_sum"]
    return scaled


def check_stock(bbox_loss: nn.Module) -> None:
    """Raise unless the stock loss of the sides is DFL or L1, weighted and normalised as known.

    Raises:
        UnsupportedUltralytics: it is not.
    """
    arguments = fixed_arguments(bbox_loss)
    with torch.no_grad():
        stock = float(probe.stock_forward(probe.kind_of(bbox_loss))(bbox_loss, **cloned(arguments))[1])
    expected = float(by_hand(stock_loss, bbox_loss, arguments))
    if abs(stock - expected) > TOLERANCE:
        raise UnsupportedUltralytics(
            f"its own loss of the sides gives {stock:.6f} where {'DFL' if bins_of(bbox_loss) else 'L1'} gives "
            f"{expected:.6f}: the contract has changed",
            probe.REMEDY,
        )


def check_dfl(branch: Any, slot: DflSlot) -> float:
    """The loss of the sides through the live branch, after comparing value and gradient with a plain loop.

    Raises:
        UnsupportedUltralytics: the live branch does not return the plugged loss and its gradient.
    """
    check_stock(branch.bbox_loss)
    arguments = fixed_arguments(branch.bbox_loss)
    plain = twin(slot, branch.bbox_loss)

    def through(loss: Callable[[dict[str, Any]], Tensor]) -> tuple[Tensor, Tensor]:
        pred = arguments["pred_dist"].clone().requires_grad_()
        return value_and_gradient(slot, loss({**cloned(arguments), "pred_dist": pred}), pred)

    with set_apart(slot, branch.bbox_loss):
        live = through(lambda given: branch.bbox_loss(**given)[1])
    with by_autograd():
        expected = through(lambda given: by_hand(plain.elementwise, branch.bbox_loss, given))
    return checked(slot, live, expected)
