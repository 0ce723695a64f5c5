# SPDX-License-Identifier: AGPL-3.0-or-later
"""The canary: fixed boxes and scores through a live criterion must come back as the loss that was asked for."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from loss_plugins import Loss, ciou_loss

from . import probe
from .errors import UnsupportedUltralytics
from .slots import BoxSlot, ClassSlot, Slot

TOLERANCE = 1e-5


def fixed_arguments(bbox_loss: nn.Module) -> dict[str, Any]:
    """Fixed arguments for one `BboxLoss.forward`: four anchors, three of them foreground, two strides."""
    dfl = getattr(bbox_loss, "dfl_loss", None)
    bins = dfl.reg_max if dfl is not None else 1
    pred = torch.tensor([[1.0, 1.5, 4.0, 5.0], [2.0, 1.0, 6.5, 4.0], [0.5, 0.5, 1.5, 3.5], [3.0, 3.0, 5.0, 6.0]])
    target = torch.tensor([[1.5, 1.0, 4.5, 4.5], [2.5, 2.0, 5.5, 5.0], [3.0, 0.5, 4.5, 2.5], [3.0, 3.5, 6.0, 6.0]])
    scores = torch.tensor([[0.9, 0.0], [0.0, 0.4], [0.7, 0.0], [0.0, 0.0]])
    arguments = {
        "pred_dist": torch.linspace(-1, 1, 4 * 4 * bins).view(1, 4, 4 * bins),
        "pred_bboxes": pred[None],
        "anchor_points": torch.tensor([[2.5, 2.5], [3.5, 3.5], [3.5, 1.5], [4.5, 4.5]]),
        "target_bboxes": target[None],
        "target_scores": scores[None],
        "target_scores_sum": scores.sum(),
        "fg_mask": torch.tensor([[True, True, True, False]]),
        "imgsz": torch.tensor([64.0, 64.0]),
        "stride": torch.tensor([[8.0], [8.0], [16.0], [16.0]]),
    }
    names = inspect.signature(probe.stock_forward()).parameters
    return {name: value for name, value in arguments.items() if name in names}


def expected_box_loss(per_box: Callable[[Tensor, Tensor], Tensor], arguments: dict[str, Any], pixels: bool) -> float:
    """The box loss of the fixed arguments, weighted and normalised by a plain loop over the foreground."""
    rows = [anchor for anchor, foreground in enumerate(arguments["fg_mask"][0].tolist()) if foreground]
    scale = arguments["stride"][rows] if pixels else 1.0
    pred, target = arguments["pred_bboxes"][0, rows] * scale, arguments["target_bboxes"][0, rows] * scale
    with torch.no_grad():
        losses = per_box(pred, target).tolist()
    weights = [sum(scores) for scores in arguments["target_scores"][0, rows].tolist()]
    total = sum(loss * weight for loss, weight in zip(losses, weights, strict=True))
    return float(total / arguments["target_scores_sum"])


def check_stock_contract(bbox_loss: nn.Module) -> float:
    """The stock box loss of the fixed arguments, after checking that it is CIoU, weighted and normalised as known.

    Raises:
        UnsupportedUltralytics: loss, weights or normaliser of the stock loss are not those known.
    """
    arguments = fixed_arguments(bbox_loss)
    stock = float(probe.stock_forward()(bbox_loss, **_cloned(arguments))[0])
    expected = expected_box_loss(lambda p, t: ciou_loss(p, t, dialect="ultralytics"), arguments, pixels=False)
    if abs(stock - expected) > TOLERANCE:
        raise UnsupportedUltralytics(
            f"its own box loss gives {stock:.6f} where weighted CIoU gives {expected:.6f}: the contract has changed",
            probe.REMEDY,
        )
    return stock


def check_box(branch: Any, slot: BoxSlot) -> float:
    """The box loss of the fixed arguments through the live branch, after comparing it with a plain loop.

    Raises:
        UnsupportedUltralytics: the live branch does not return the plugged loss.
    """
    arguments = fixed_arguments(branch.bbox_loss)
    expected = expected_box_loss(_untrained(slot).elementwise, arguments, slot.units != "any")
    with torch.no_grad():
        live = float(branch.bbox_loss(**_cloned(arguments))[0])
    return _checked(slot, live, expected)


def check_cls(branch: Any, slot: ClassSlot) -> float:
    """The mean class loss of fixed scores through the live branch, after comparing it with the loss itself.

    Raises:
        UnsupportedUltralytics: the live branch does not return the plugged loss.
    """
    logits = torch.tensor([[[-2.0, 0.5, 1.0], [3.0, -1.0, -4.0]]])
    target = torch.tensor([[[0.0, 0.8, 0.0], [0.3, 0.0, 0.0]]])
    with torch.no_grad():
        expected, live = _untrained(slot).elementwise(logits, target), branch.bce(logits, target)
    if live.shape != logits.shape:
        raise UnsupportedUltralytics(
            f"the live criterion's class loss has shape {tuple(live.shape)}, not {tuple(logits.shape)}", probe.REMEDY
        )
    return _checked(slot, float(live.mean()), float(expected.mean()))


def _untrained(slot: Slot) -> Loss:
    """The slot's loss on the CPU, with its running statistics at their start."""
    return copy.deepcopy(slot.prototype).cpu()


def _checked(slot: Slot, live: float, unscaled: float) -> float:
    expected = unscaled * slot.calls.gain * slot.prototype.loss_weight
    if abs(live - expected) > TOLERANCE * max(1.0, abs(expected)):
        raise UnsupportedUltralytics(
            f"the live criterion gives {live:.6f} where {slot.loss_name} is {expected:.6f}: the plug does not hold",
            probe.REMEDY,
        )
    return live


def _cloned(arguments: dict[str, Any]) -> dict[str, Any]:
    # some versions write into their arguments
    return {name: value.clone() for name, value in arguments.items()}
