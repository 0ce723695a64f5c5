# SPDX-License-Identifier: AGPL-3.0-or-later
"""The mask slot: `single_mask_loss` of instance segmentation, computed on the pixels inside the target's box."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from loss_plugins import Loss
from loss_plugins.errors import WrongResult, refusal
from loss_plugins.module.gain import gradient_of

from .fits import misfit_of_costs, misfit_of_scores, says_otherwise, singles
from .slots import Slot

#: a logit whose probability is 0, and which no gradient moves
NOTHING = -1e4
#: what a prediction with half of the pixels on one side wrong costs more than the mask, in shares of one all wrong
MARGIN = 1e-3
#: kinds of losses that fit: one number per mask, or one per pixel
KINDS = ("region", "classification")
FITTING = "a region loss (dice, tversky, focal_tversky), or one per pixel of logits and soft targets (bce_with_logits)"


class MaskSlot(Slot):
    """The loss of one image's masks: a number per instance, summed; the trainer divides by the foreground."""

    def __init__(self, build: Callable[[], Loss], token: str) -> None:
        super().__init__("mask", build, None, token)
        self.may_rest = True  # a region loss without a target pixel has the gradient 0

    def remedy(self) -> str:
        """No gain is matched for masks, and the trainer's box= is that of boxes too."""
        return f"set loss_weight of {self.loss_name}"

    def compute(
        self, criterion: Any, gt_mask: Tensor, pred: Tensor, proto: Tensor, xyxy: Tensor, area: Tensor
    ) -> Tensor:
        """The loss in float32, as `single_mask_loss` returns it.

        Args:
            criterion: whose masks they are.
            gt_mask: (n, h, w), 0 and 1.
            pred: coefficients of the predicted masks (n, 32).
            proto: the image's prototypes (32, h, w).
            xyxy: the targets' boxes in pixels of the masks (n, 4).
            area: share of the image that each box covers (n,).
        """
        logits = torch.einsum("in,nhw->ihw", pred, proto).float()
        inside = pixels_inside(xyxy, *logits.shape[1:])
        training = torch.is_grad_enabled() and logits.requires_grad
        loss_module = self.loss_of(criterion, logits.device)
        self.calls.follow(logits)
        with torch.autocast(logits.device.type, enabled=False):
            if training and self.measure_next:
                self._compare(loss_module, logits, gt_mask.float(), inside, area.float())
            losses = per_instance(loss_module, logits, gt_mask.float(), inside, area.float())
        total = losses.sum() * (self.calls.gain * loss_module.loss_weight)
        self.calls.count(total, len(losses), training)
        return total

    def _compare(self, loss: Loss, logits: Tensor, mask: Tensor, inside: Tensor, area: Tensor) -> None:
        """As `Slot.measure`: the gradient of each instance's pixels, beside the stock loss's."""
        self.measure_next = False
        twin = copy.deepcopy(loss).eval()  # with what its running statistic has learnt

        def new(given: Tensor, wanted: Tensor) -> Tensor:
            return per_instance(twin, given, wanted, inside, area)

        def stock(given: Tensor, wanted: Tensor) -> Tensor:
            return mean_inside(stock_pixel_loss(given, wanted), inside, area)

        before, now = (float(gradient_of(each, logits, mask).flatten(1).norm(dim=-1).sum()) for each in (stock, new))
        if before > 0:
            self.ratio = abs(twin.loss_weight) * now / before


def per_instance(
    loss: Loss, logits: Tensor, mask: Tensor, inside: Tensor, area: Tensor, nothing: float = NOTHING
) -> Tensor:
    """The loss of each instance (n,), of logits, masks and pixels to look at (n, h, w).

    A region loss sees the pixels inside the box and no others: beside it, prediction and target are both 0, and no sum
    over the region has a share of them. A loss per pixel is averaged as the stock loss is.
    """
    if loss.entry.kind == "region":
        outside = ~inside
        losses = loss.elementwise(logits.masked_fill(outside, nothing)[:, None], mask.masked_fill(outside, 0)[:, None])
        return losses.masked_fill(outside.flatten(1).all(1), 0) if losses.shape == logits.shape[:1] else losses
    pixels = loss.elementwise(logits.flatten()[:, None], mask.flatten()[:, None]).view(logits.shape)
    return mean_inside(pixels, inside, area)


def mean_inside(pixels: Tensor, inside: Tensor, area: Tensor) -> Tensor:
    """The mean over each image of what lies inside the boxes, over the share of the image that they cover."""
    return pixels.masked_fill(~inside, 0).mean(dim=(1, 2)) / area


def stock_pixel_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Ultralytics' mask loss, one number per pixel."""
    return functional.binary_cross_entropy_with_logits(logits, mask, reduction="none")


def pixels_inside(xyxy: Tensor, height: int, width: int) -> Tensor:
    """The pixels inside boxes (n, 4), as Ultralytics crops masks: those whose index is in [x1, x2) and [y1, y2)."""
    x1, y1, x2, y2 = xyxy[:, :, None, None].unbind(1)
    column = torch.arange(width, device=xyxy.device, dtype=xyxy.dtype)[None, None, :]
    row = torch.arange(height, device=xyxy.device, dtype=xyxy.dtype)[None, :, None]
    return (column >= x1) & (column < x2) & (row >= y1) & (row < y2)


# --- which losses fit, found out by trying ---------------------------------------------------------------------------


def require_mask_loss(loss: Loss, asked: str) -> None:
    """Raise unless a loss can stand in for the mask loss.

    Args:
        loss: the loss.
        asked: what was asked for, for the error: "mask='dice'".

    Raises:
        ValueError: it is of another kind, looks at pixels outside of the boxes, or does not train masks.
    """
    if loss.entry.kind not in KINDS:
        came = f"{asked} is a loss of kind {loss.entry.kind}"
        raise refusal("ultralytics adapter", came, FITTING, "pass one of these")
    try:
        reason = says_otherwise(loss) or _misfit(loss)
    except WrongResult:
        raise
    except (ValueError, TypeError, RuntimeError) as error:
        raise refusal("ultralytics adapter", f"{asked} does not take masks: {error}", FITTING, "see above") from error
    if reason:
        raise refusal("ultralytics adapter", f"{asked} {reason}", FITTING, "pass one of these, with its defaults")


def _misfit(loss: Loss) -> str:
    """Why a loss cannot stand in for the mask loss; "" if it can."""
    trained, loss = copy.deepcopy(loss).train(), copy.deepcopy(loss).eval()
    reasons = (
        _misfit_of_region(each) if each.entry.kind == "region" else misfit_of_scores(each, 1) for each in singles(loss)
    )
    reason = next(filter(None, reasons), "")
    if reason:
        return reason
    mask, inside, area = example_masks()
    beside = (
        per_instance(copy.deepcopy(trained), torch.where(inside, 2 * mask - 1, far), mask, inside, area)
        for far in (-1.0, 5.0)
    )
    if not torch.equal(*beside):
        return "depends on pixels outside of the boxes"
    return ""


def _misfit_of_region(loss: Loss) -> str:
    """Why a region loss is none of the masks inside boxes, of logits; "" if it is one."""
    mask, inside, area = example_masks()
    side = 2 * mask - 1

    def costs(pred: Tensor, nothing: float = NOTHING) -> Tensor:
        return per_instance(loss, pred, mask, inside, area, nothing)

    shape = tuple(costs(side).shape)
    if shape != area.shape:
        return f"gives shape {shape} for {len(area)} masks, where one number each is wanted"
    reason = misfit_of_costs(costs, partial(costs, nothing=0.0), side)
    if reason:
        return reason
    odd = torch.arange(mask.shape[-1]) % 2 == 1
    right, least = costs(8 * side), MARGIN * (costs(-8 * side) - costs(8 * side))
    for what, wrong in (("more", (mask == 0) & odd), ("less", (mask == 1) & odd)):
        if not (costs(8 * torch.where(wrong, -side, side)) > right + least).all():
            return f"costs the same for pixels {what} than the mask has (does it leave one side out?)"
    if not torch.allclose(costs(-2 * side), cut_out(loss, -2 * side, mask, inside)):
        return (
            "counts the pixels outside of the boxes (does it take a mean over all? divide by sums of pred and target)"
        )
    return ""


def cut_out(loss: Loss, logits: Tensor, mask: Tensor, inside: Tensor) -> Tensor:
    """A region loss of each box (n,), of its pixels alone: as `per_instance`, by cutting them out."""
    costs = []
    for number, window in enumerate(inside):
        rows, columns = (window.any(axis).nonzero().flatten() for axis in (1, 0))
        pixels = (each[number][rows][:, columns][None, None] for each in (logits, mask))
        costs.append(loss.elementwise(*pixels).sum())
    return torch.stack(costs)


def example_masks() -> tuple[Tensor, Tensor, Tensor]:
    """Masks of three instances (3, 6, 8), the pixels inside their boxes, and the share of the image these cover."""
    boxes = torch.tensor([[1.0, 1.0, 6.0, 5.0], [0.0, 2.5, 3.5, 6.0], [3.0, 0.0, 8.0, 3.0]])
    mask = torch.zeros(3, 6, 8)
    mask[0, 2:4, 2:5] = mask[1, 4:6, 0:2] = mask[2, 0:2, 4:8] = 1
    sides = boxes[:, 2:] - boxes[:, :2]
    return mask, pixels_inside(boxes, 6, 8), sides.prod(1) / 48
