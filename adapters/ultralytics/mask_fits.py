# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which losses can stand in for the mask loss, found out by trying."""

from __future__ import annotations

import copy
import functools
from functools import partial

import torch
from torch import Tensor

from loss_plugins import Loss, build_loss
from loss_plugins.errors import refusal
from loss_plugins.fusion import by_autograd
from loss_plugins.module.mix import members_of

from .fits import (
    misfit_of_costs,
    misfit_of_scores,
    misfit_of_sides,
    names_of,
    of_logits,
    per_score,
    require_fit,
    says_otherwise,
)
from .mask_slot import NOTHING, per_instance, pixels_inside

#: kinds of losses that fit: one number per mask, or one per pixel
KINDS = ("region", "classification")


def fitting() -> str:
    """What fits, for messages."""
    regions = names_of(lambda entry: entry.kind == "region" and of_logits(entry, "dense") and _fits(entry.name))
    pixels = names_of(lambda entry: per_score(entry) and _fits(entry.name))
    return f"a region loss ({regions}), or one per pixel of logits and soft targets ({pixels}), or a mix of both"


@functools.cache
def _fits(name: str) -> bool:
    """Whether a loss of this package can stand in for the mask loss, with its defaults."""
    with by_autograd():
        try:
            return not _misfit(build_loss(name, reduction="none"))
        except (ValueError, RuntimeError):  # which `require_fit` tells
            return False


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
        raise refusal("ultralytics adapter", came, fitting(), "pass one of these")
    require_fit(asked, fitting(), "masks", lambda: says_otherwise(loss) or _misfit(loss))


def _misfit(loss: Loss) -> str:
    """Why a loss cannot stand in for the mask loss; "" if it can."""
    trained, loss = copy.deepcopy(loss).train(), copy.deepcopy(loss).eval()
    reasons = (
        _misfit_of_region(each) if each.entry.kind == "region" else misfit_of_scores(each, 1)
        for _, each in members_of(loss)
    )
    reason = next(filter(None, reasons), "")
    if reason:
        return reason
    mask, boxes, area = example_masks()
    inside = pixels_inside(boxes, *mask.shape[1:])

    def seen(far: float) -> list[torch.Tensor]:
        """The losses, and what a statistic has learnt, with such numbers outside of the boxes."""
        twin, pred = copy.deepcopy(trained), torch.where(inside, 2 * mask - 1, far).requires_grad_()
        losses = per_instance(twin, pred, mask, inside, area)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        return [losses, *twin.state_dict().values()]

    if not all(torch.equal(*both) for both in zip(seen(-1.0), seen(5.0), strict=True)):
        return "depends on pixels outside of the boxes"
    return ""


def _misfit_of_region(loss: Loss) -> str:
    """Why a region loss is none of the masks inside boxes, of logits; "" if it is one."""
    mask, boxes, area = example_masks()
    inside = pixels_inside(boxes, *mask.shape[1:])
    side = 2 * mask - 1

    def costs(pred: Tensor, nothing: float = NOTHING) -> Tensor:
        return per_instance(loss, pred, mask, inside, area, nothing)

    shape = tuple(costs(side).shape)
    if shape != area.shape:
        return f"gives shape {shape} for {len(area)} masks, where one number each is wanted"
    reason = misfit_of_costs(costs, partial(costs, nothing=0.0), side) or misfit_of_sides(costs, side)
    if reason:
        return reason
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
    """Masks of three instances (3, 6, 8), their boxes (3, 4), and the share of the image that these cover (3,)."""
    boxes = torch.tensor([[1.0, 1.0, 6.0, 5.0], [0.0, 2.5, 3.5, 6.0], [3.2, 0.0, 7.6, 3.0]])
    mask = torch.zeros(3, 6, 8)
    mask[0, 2:4, 2:5] = mask[1, 4:6, 0:2] = mask[2, 0:2, 4:8] = 1
    return mask, boxes, (boxes[:, 2:] - boxes[:, :2]).prod(1) / (6 * 8)
