# SPDX-License-Identifier: AGPL-3.0-or-later
"""The canary of the mask slot: fixed masks through a live criterion must come back as the loss that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from loss_plugins.fusion import by_autograd
from loss_plugins.module.mix import members_of

from . import probe
from .canary import TOLERANCE, checked, set_apart, twin, value_and_gradient
from .class_slot import stock_class_loss
from .errors import UnsupportedUltralytics
from .mask_fits import example_masks
from .mask_slot import MaskSlot


def fixed_arguments() -> dict[str, Tensor]:
    """Fixed arguments for one `single_mask_loss`: three instances, two prototypes, masks of 6 x 8 pixels."""
    mask, boxes, area = example_masks()
    return {
        "gt_mask": mask,
        "pred": torch.tensor([[1.0, -0.5], [0.5, 1.0], [-1.0, 0.7]]),
        "proto": torch.linspace(-2, 2, 2 * 6 * 8).view(2, 6, 8).sin() * 2,
        "xyxy": boxes,
        "area": area,
    }


def by_hand(pixels: Callable[[Tensor, Tensor], Tensor], whole: bool, given: dict[str, Tensor]) -> Tensor:
    """The sum over the instances, in a plain loop over the pixels of each box.

    Args:
        pixels: logits and mask inside a box, (1, 1, height, width) each, to one number, or to one per pixel.
        whole: it gives one number.
        given: as `fixed_arguments`.
    """
    total = torch.zeros(())
    boxes = given["xyxy"].round() if rounds_boxes() else given["xyxy"]
    for number, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        rows = [row for row in range(6) if y1 <= row < y2]
        columns = [column for column in range(8) if x1 <= column < x2]
        logits = sum(given["pred"][number, k] * given["proto"][k] for k in range(2))[rows][:, columns]  # type: ignore[index]
        mask = given["gt_mask"][number][rows][:, columns]
        loss = pixels(logits[None, None], mask[None, None])
        total = total + (loss.sum() if whole else loss.sum() / (6 * 8) / given["area"][number])
    return total


def rounds_boxes() -> bool:
    """Whether this version brings boxes to whole pixels before it crops few masks on the CPU, as 8.4.0 does."""
    from ultralytics.utils import loss

    return bool(loss.crop_mask(torch.ones(1, 1, 2), torch.tensor([[0.4, 0.0, 2.0, 1.0]]))[0, 0, 0] > 0)


def check_stock(criterion: Any) -> None:
    """Raise unless the stock mask loss is binary cross-entropy inside the boxes, averaged as known.

    Raises:
        UnsupportedUltralytics: it is not.
    """
    stock = float(type(criterion).single_mask_loss(**fixed_arguments()))  # by the class it is nobody's plug
    expected = float(by_hand(stock_class_loss, False, fixed_arguments()))
    if abs(stock - expected) > TOLERANCE:
        raise UnsupportedUltralytics(
            f"its own mask loss gives {stock:.6f} where binary cross-entropy inside the boxes gives {expected:.6f}: "
            "the contract has changed",
            probe.REMEDY,
        )


def check_mask(branch: Any, slot: MaskSlot) -> float:
    """The loss of fixed masks through the live branch, after comparing value and gradient with a plain loop.

    Raises:
        UnsupportedUltralytics: the live branch does not return the plugged loss and its gradient.
    """
    check_stock(branch)
    plain = twin(slot, branch)

    def through(loss: Callable[[dict[str, Tensor]], Tensor]) -> tuple[Tensor, Tensor]:
        arguments = fixed_arguments()
        proto = arguments["proto"].requires_grad_()
        return value_and_gradient(slot, loss(arguments), proto)

    with set_apart(slot, branch):
        live = through(lambda given: branch.single_mask_loss(**given))

    def summed(given: dict[str, Tensor]) -> Tensor:
        parts = [
            factor * by_hand(each.elementwise, each.entry.kind == "region", given) for factor, each in members_of(plain)
        ]
        return torch.stack(parts).sum()

    with by_autograd():
        expected = through(summed)
    return checked(slot, live, expected)
