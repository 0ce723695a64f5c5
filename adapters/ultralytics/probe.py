# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whether a loss can be plugged into this installation: found out from its code, not from its version number."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .errors import UnsupportedUltralytics

ALLOW_UNVERIFIED = "LOSS_PLUGINS_ALLOW_UNVERIFIED"
REQUIRED = (
    "self",
    "pred_dist",
    "pred_bboxes",
    "anchor_points",
    "target_bboxes",
    "target_scores",
    "target_scores_sum",
    "fg_mask",
)
OPTIONAL = ("imgsz", "stride")
REMEDY = "Install a version from docs/compatibility.md, or open an issue"


def stock_forward() -> Callable[..., Any]:
    """`BboxLoss.forward` as Ultralytics wrote it, even while a plug is in.

    Raises:
        UnsupportedUltralytics: the class, its parameters or its use of `bbox_iou` are not those known.
    """
    from ultralytics.utils import loss as module

    bbox_loss = getattr(module, "BboxLoss", None)
    if bbox_loss is None:
        raise UnsupportedUltralytics("there is no ultralytics.utils.loss.BboxLoss", REMEDY)
    forward: Callable[..., Any] = bbox_loss.forward
    while hasattr(forward, "plugged_over"):
        forward = forward.plugged_over
    names = list(inspect.signature(forward).parameters)
    missing = [name for name in REQUIRED if name not in names]
    unknown = [name for name in names if name not in REQUIRED + OPTIONAL]
    if missing:
        raise UnsupportedUltralytics(f"BboxLoss.forward lacks the parameters {missing}", REMEDY)
    if unknown and not os.environ.get(ALLOW_UNVERIFIED):
        raise UnsupportedUltralytics(
            f"BboxLoss.forward has unknown parameters {unknown}", f"{REMEDY}, or set {ALLOW_UNVERIFIED}=1"
        )
    code = getattr(forward, "__code__", None)
    if code is None or "bbox_iou" not in code.co_names:
        raise UnsupportedUltralytics(
            "BboxLoss.forward does not call bbox_iou (another patch is in the way, or it was rewritten)",
            "Remove the other patch; " + REMEDY.lower(),
        )
    return forward


def has_stride() -> bool:
    """Whether `BboxLoss.forward` gets the stride, without which boxes cannot be brought to pixels."""
    return "stride" in inspect.signature(stock_forward()).parameters


def require_branches(criterion: Any, slots: Sequence[str] = ("box",)) -> list[Any]:
    """As `find_branches`, but a criterion in which a loss cannot be replaced is refused.

    Args:
        criterion: a live criterion.
        slots: where losses were asked for, "box" or "cls".

    Raises:
        UnsupportedUltralytics: the criterion has no `BboxLoss`, or one that is rotated or not trained.
    """
    name = type(criterion).__name__
    if name.startswith("TVP") and "box" in slots:
        raise UnsupportedUltralytics(
            f"{name} (visual prompts) drops the box loss: it would be logged, but not trained",
            "Train with text prompts or classes, or replace the class loss alone",
        )
    found = find_branches(criterion)
    rotated = [kind for kind in (type(branch.bbox_loss).__name__ for branch in found) if kind.startswith("Rotated")]
    if rotated:
        raise UnsupportedUltralytics(
            f"{name} uses {rotated[0]} on rotated boxes, which axis-aligned losses cannot serve",
            "Use a detect, segment, pose or world model",
        )
    if not found:
        raise UnsupportedUltralytics(
            f"the criterion {name} has no BboxLoss", "Use a detect, segment, pose or world model"
        )
    return found


def find_branches(criterion: Any) -> list[Any]:
    """Every part of a criterion that holds a `BboxLoss`: itself, or both branches of an end-to-end head."""
    return list(_walk(criterion))


def _walk(part: Any) -> Iterator[Any]:
    from ultralytics.utils.loss import BboxLoss

    if isinstance(getattr(part, "bbox_loss", None), BboxLoss):
        yield part
    elif type(part).__module__ == BboxLoss.__module__:
        for child in vars(part).values():
            yield from _walk(child)
