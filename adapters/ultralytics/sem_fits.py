# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which losses can stand in for the loss of semantic maps, found out by trying."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from loss_plugins import Loss
from loss_plugins.errors import WrongResult, refusal

from .classes import classes_of
from .fits import (
    misfit_of_costs,
    misfit_of_sides,
    names_of,
    of_logits,
    per_score,
    require_fit,
    says_otherwise,
    singles,
    unsmoothed,
)
from .mask_fits import KINDS
from .sem_slot import LEFT_OUT, leaving_out, mean_of, target_of


def fitting() -> str:
    """What fits, for messages: a branch takes maps of 0 and 1, a semantic model one class for each pixel."""
    regions = names_of(lambda entry: entry.kind == "region" and of_logits(entry, "dense", "class_map"))
    pixels = names_of(per_score)
    whole = ("class_map", "labels")
    classes = names_of(lambda e: e.kind == "classification" and of_logits(e, *whole) and not per_score(e))
    each = f"one per pixel of logits ({pixels}; of semantic models {classes} too)"
    return f"a region loss ({regions}), {each}, or a mix of both"


def require_sem_loss(loss: Loss, asked: str) -> None:
    """Raise unless a loss can stand in for the one of YOLO26-seg's semantic branch, or of semantic models.

    Args:
        loss: the loss.
        asked: what was asked for, for the error: "sem='dice'".

    Raises:
        ValueError: it is of another kind, or fits neither.
    """
    if loss.entry.kind not in KINDS:
        came = f"{asked} is a loss of kind {loss.entry.kind}"
        raise refusal("ultralytics adapter", came, fitting(), "pass one of these")

    def trial() -> str:
        classes = classes_of(loss) or 4
        reasons = [_reason(misfit, loss, classes) for misfit in (misfit_of_maps, misfit_of_labels)]
        return says_otherwise(loss) or (" and ".join(dict.fromkeys(reasons)) if all(reasons) else "")

    require_fit(asked, fitting(), "maps of scores", trial)


def require_maps(loss: Loss, classes: int, what: str) -> None:
    """Raise unless a loss fits a branch whose pixels belong to any number of classes, or to none.

    Raises:
        ValueError: it does not.
    """
    require_fit(f"sem={loss.entry.name}", fitting(), what, lambda: misfit_of_maps(loss, classes))


def require_labels(loss: Loss, classes: int, what: str) -> None:
    """Raise unless a loss fits a model whose pixels belong to one class each, or are left out.

    Raises:
        ValueError: it does not.
    """
    require_fit(f"sem={loss.entry.name}", fitting(), what, lambda: misfit_of_labels(loss, classes))


def _reason(misfit: Callable[[Loss, int], str], loss: Loss, classes: int) -> str:
    """Why a loss does not fit, an error included."""
    try:
        return misfit(loss, classes)
    except WrongResult:
        raise
    except (ValueError, TypeError, RuntimeError) as error:
        return f"does not take maps: {error}"


def misfit_of_maps(loss: Loss, classes: int) -> str:
    """Why a loss is none of logits and a map of 0 and 1 for each class; "" if it is one."""
    loss = copy.deepcopy(unsmoothed(loss)).eval()
    target = example_maps(classes)
    side = 2 * target - 1

    def cost(pred: Tensor) -> Tensor:
        return mean_of(loss, pred, target)

    reason = misfit_of_costs(cost, cost, side) or misfit_of_sides(cost, side)
    if reason:
        return reason
    bare = (target == 0).all(1, keepdim=True)
    if not cost(torch.where(bare, -8 * side, 8 * side)) > cost(8 * side):
        return "does not push down the scores of pixels without a class (does it take a softmax?)"
    return ""


def misfit_of_labels(loss: Loss, classes: int) -> str:
    """Why a loss is none of logits and a class for each pixel, some left out; "" if it is one."""
    for each in singles(loss):
        if not {"ignore_index", "losses"}.intersection(each.entry.parameters):
            return f"leaves no pixels out, and those of label {LEFT_OUT} are of no class: it takes no ignore_index"
    loss = leaving_out(copy.deepcopy(unsmoothed(loss)), LEFT_OUT).eval()
    maps = example_maps(classes)
    labels = maps[:, 0].long() if classes == 1 else maps.argmax(1)
    side = 2 * (maps if classes == 1 else torch.zeros_like(maps).scatter_(1, labels[:, None], 1)) - 1
    labels[:, 1] = LEFT_OUT
    target = target_of(loss, labels, classes, LEFT_OUT)

    def cost(pred: Tensor) -> Tensor:
        return mean_of(loss, pred, target)

    reason = misfit_of_costs(cost, cost, side) or misfit_of_sides(cost, side)
    if reason:
        return reason
    rows = [0, 2, 3, 4, 5]
    if not torch.allclose(cost(2 * side), mean_of(loss, 2 * side[:, :, rows], target[..., rows, :])):
        return f"counts the pixels of label {LEFT_OUT}, which are to be left out"
    return ""


def example_maps(classes: int) -> Tensor:
    """Maps of two images (2, C, 6, 8): one class for some pixels, two for one, none for others."""
    maps = torch.zeros(2, classes, 6, 8)
    for number in range(classes):
        row = number % 4
        maps[0, number, row : row + 2, 1:4] = maps[1, number, row : row + 3, 2:7] = 1
    return maps
