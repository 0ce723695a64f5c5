# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the assigner knows and the class loss is not given: which anchors are foreground, and how well their boxes fit.

The assigner of a branch runs right before its class loss, in the same thread.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from loss_plugins import Loss, iou_loss, prob_iou_loss
from loss_plugins.fusion import by_autograd
from loss_plugins.tensors import Target

Form = Literal["dense", "target_iou", "label_score"]


class Found(NamedTuple):
    """What of an assignment a class loss reads beside its soft targets.

    Attributes:
        form: of target, see `read_by`.
        shape: of the soft targets, (b, anchors, classes).
        beside: (b * anchors) IoUs of "target_iou", or (b * anchors, classes) what is matched of "label_score".
    """

    form: Form
    shape: torch.Size
    beside: Tensor


class Last(threading.local):
    """What was found in this thread, and no class loss has used yet."""

    def __init__(self) -> None:
        self.found: Found | None = None


_last = Last()


def keep(form: Form, arguments: Mapping[str, Any], assigned: tuple[Tensor, ...]) -> None:
    """Keep of an assignment what the class loss that follows reads; criteria change the boxes in place after it.

    Args:
        form: see `read_by`.
        arguments: of the assigner's `forward`, by name.
        assigned: what it returned: labels, boxes, scores, foreground.
    """
    labels, targets, scores, foreground = assigned[:4]
    foreground = foreground.bool()
    if form == "target_iou":
        beside = overlaps(arguments["pd_bboxes"].detach(), targets).masked_fill(~foreground, 0).flatten()
    else:
        classes = torch.arange(scores.shape[-1], device=scores.device)
        beside = (foreground[..., None] & (labels[..., None] == classes)).flatten(0, -2).float()
    _last.found = Found(form, scores.shape, beside)


def beside(target: Tensor, rows: Tensor) -> Target:
    """The target of a class loss, with what its assignment tells beside it; that is kept no longer.

    Args:
        target: (b, anchors, classes) soft targets as they came.
        rows: (b * anchors, classes) the same in float32.
    """
    found, _last.found = _last.found, None
    if found is None or found.shape != target.shape:  # scores that no assigner has made
        return rows
    return (rows, found.beside) if found.form == "target_iou" else (found.beside, rows)


def read_by(loss: Loss, classes: int) -> Form:
    """The form of target in which a class loss reads an assignment; "dense": the soft targets tell it all.

    Args:
        loss: the loss.
        classes: how many it has numbers for, or any number.
    """
    forms = loss.entry.targets
    if "target_iou" in forms:
        return "target_iou"
    return "label_score" if "label_score" in forms and tells_matches(loss, classes) else "dense"


@torch.no_grad()
def tells_matches(loss: Loss, classes: int) -> bool:
    """Whether a match of quality 0 costs something else than a negative."""
    nothing = torch.zeros(1, classes)
    with by_autograd():
        costs = [loss.elementwise(nothing, (label, nothing)) for label in (nothing + 1, nothing)]
    return not torch.equal(*costs)


def overlaps(boxes: Tensor, targets: Tensor) -> Tensor:
    """Plain IoU of predictions (..., 4) with the boxes assigned to them; of rotated boxes (..., 5), ProbIoU."""
    boxes, targets = boxes.float(), targets.float()
    return 1 - (iou_loss(boxes, targets) if boxes.shape[-1] == 4 else prob_iou_loss(boxes, targets))
