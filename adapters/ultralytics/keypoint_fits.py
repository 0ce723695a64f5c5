# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which losses can stand in for the loss of key points, found out by trying."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from loss_plugins import Loss
from loss_plugins.errors import refusal
from loss_plugins.tensors import FORMS as WORDS

from .fits import names_of, require_fit, singles
from .keypoint_slot import FORMS, Wanted, form_of, target_of

KINDS = ("keypoint",)
#: distances in cells at which a loss is tried
NEAR, FAR = 0.25, 0.5


def fitting() -> str:
    """What fits, for messages."""
    names = names_of(lambda entry: entry.kind in KINDS and not set(FORMS).isdisjoint(entry.targets))
    return f"a loss of key points ({names}), whose target is {WORDS[FORMS[0]][1]}, or a mix of them"


def require_keypoint_loss(loss: Loss, asked: str) -> None:
    """Raise unless a loss can stand in for `KeypointLoss`.

    Args:
        loss: the loss.
        asked: what was asked for, for the error: "keypoint='oks'".

    Raises:
        ValueError: it is of another kind, takes other targets, or does not fall towards its target.
    """
    if loss.entry.kind not in KINDS:
        came = f"{asked} is a loss of kind {loss.entry.kind}"
        raise refusal("ultralytics adapter", came, fitting(), "pass one of these")
    if form_of(loss) is None:
        came = f"{asked} takes {' or '.join(WORDS[form][1] for form in loss.entry.targets)}, which this slot has not"
        remedy = "pass one of these; a model that predicts deviations, as yolo26-pose, trains its own RLE beside it"
        raise refusal("ultralytics adapter", came, fitting(), remedy)
    require_fit(asked, fitting(), "key points", lambda: misfit(loss, number_of(loss)))


def require_points(loss: Loss, number: int, what: str) -> None:
    """Raise unless a loss fits a model of so many key points.

    Raises:
        ValueError: it does not.
    """
    require_fit(f"keypoint={loss.entry.name}", fitting(), what, lambda: misfit(loss, number))


def number_of(loss: Loss) -> int:
    """How many key points a loss has deviations for, or some number where it takes any."""
    given = [each.parameters_given.get("sigmas") for each in singles(loss)]
    return next((len(sigmas) for sigmas in given if sigmas), 5)


def misfit(loss: Loss, number: int) -> str:
    """Why a loss does not pull points to their targets; "" if it does."""
    loss = copy.deepcopy(loss).eval()
    points = torch.linspace(0, 6, 3 * number * 2).view(3, number, 2)
    wanted = Wanted(points, torch.ones(3, number, dtype=torch.bool), torch.full((3,), 25.0))

    def cost(pred: Tensor) -> Tensor:
        found: Tensor = loss(pred, target_of(loss, wanted), reduction_override="mean")
        return found

    right, near, far = (cost(points + away) for away in (0.0, NEAR, FAR))
    if not right < near < far:
        return "does not fall as points move towards their targets"
    if torch.is_inference_mode_enabled():
        return ""
    with torch.enable_grad():  # type: ignore[no-untyped-call]
        leaf = (points + NEAR).requires_grad_()
        found = cost(leaf)
        if not found.requires_grad or not torch.autograd.grad(found, leaf)[0].any():
            return "comes back without gradient: it would be logged, not trained"
    return ""
