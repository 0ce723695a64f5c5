# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whether a loss can be plugged into this installation: found out from its code, not from its version number."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import prompts
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
#: by kind of box, the class that computes the stock box loss, and the function that it calls
BOX_LOSSES = {"box": ("BboxLoss", "bbox_iou"), "rotated_box": ("RotatedBboxLoss", "probiou")}
BOXES = {"box": "axis-aligned boxes", "rotated_box": "rotated boxes"}
SERVED = "a detect, segment, semantic, pose, obb, rtdetr, world or yoloe model"
REMEDY = "Install a version from docs/compatibility.md, or open an issue"


def unplugged(found: Any) -> Any:
    """A method, or what else a plug has changed, as Ultralytics wrote it, even while a plug is in."""
    while hasattr(found, "plugged_over"):
        found = found.plugged_over
    return found


def stock_forward(kind: str = "box") -> Callable[..., Any]:
    """`BboxLoss.forward`, or the one of rotated boxes, as Ultralytics wrote it, even while a plug is in.

    Args:
        kind: "box" or "rotated_box".

    Raises:
        UnsupportedUltralytics: the class, its parameters or its use of `bbox_iou` are not those known.
    """
    from ultralytics.utils import loss as module

    owner, callee = BOX_LOSSES[kind]
    bbox_loss = getattr(module, owner, None)
    if bbox_loss is None:
        raise UnsupportedUltralytics(f"there is no ultralytics.utils.loss.{owner}", REMEDY)
    forward: Callable[..., Any] = unplugged(bbox_loss.forward)
    names = list(inspect.signature(forward).parameters)
    missing = [name for name in REQUIRED if name not in names]
    unknown = [name for name in names if name not in REQUIRED + OPTIONAL]
    if missing:
        raise UnsupportedUltralytics(f"{owner}.forward lacks the parameters {missing}", REMEDY)
    if unknown and not os.environ.get(ALLOW_UNVERIFIED):
        raise UnsupportedUltralytics(
            f"{owner}.forward has unknown parameters {unknown}", f"{REMEDY}, or set {ALLOW_UNVERIFIED}=1"
        )
    code = getattr(forward, "__code__", None)
    if code is None or callee not in code.co_names:
        raise UnsupportedUltralytics(
            f"{owner}.forward does not call {callee} (another patch is in the way, or it was rewritten)",
            "Remove the other patch; " + REMEDY.lower(),
        )
    return forward


def has_stride(kind: str = "box") -> bool:
    """Whether the stock box loss gets the stride, without which boxes cannot be brought to pixels."""
    return "stride" in inspect.signature(stock_forward(kind)).parameters


def kind_of(bbox_loss: Any) -> str:
    """The kind of boxes that a `BboxLoss` computes on."""
    from ultralytics.utils.loss import RotatedBboxLoss

    return "rotated_box" if isinstance(bbox_loss, RotatedBboxLoss) else "box"


def require_branches(criterion: Any, wanted: Mapping[str, str] | None = None) -> list[Any]:
    """As `find_branches`, but a criterion in which a loss cannot be replaced is refused.

    Args:
        criterion: a live criterion.
        wanted: by slot, the kind of the loss that was asked for there; None: a box loss.

    Raises:
        UnsupportedUltralytics: the criterion has no `BboxLoss`, one of other boxes, or one that is not trained.
    """
    wanted = {"box": "box"} if wanted is None else wanted
    name, kind = type(criterion).__name__, wanted.get("box")
    for part in _parts(criterion):
        if prompts.is_visual(type(part), prompts.CRITERIA):
            prompts.require_trained(type(part).__name__, wanted)
    found = find_branches(criterion)
    if not found:
        raise UnsupportedUltralytics(f"the criterion {name} has no BboxLoss", f"Use {SERVED}")
    for branch in found:
        own = kind_of(branch.bbox_loss)
        if kind and kind != own:
            raise UnsupportedUltralytics(
                f"{name} computes on {BOXES[own]}, and a loss of {BOXES[kind]} was asked for",
                f"Pass one of those that `loss-plugins list --kind {own}` shows",
            )
    return found


def require_masks(criterion: Any) -> None:
    """Raise unless every branch of a criterion has a mask loss.

    Raises:
        UnsupportedUltralytics: one has none.
    """
    from ultralytics.utils.loss import v8SegmentationLoss

    for branch in find_branches(criterion):
        if not isinstance(branch, v8SegmentationLoss):
            raise UnsupportedUltralytics(
                f"the criterion {type(branch).__name__} has no mask loss", "Use a segment model, or leave mask out"
            )


def find_branches(criterion: Any) -> list[Any]:
    """Every part of a criterion that holds a `BboxLoss`: itself, or both branches of an end-to-end head."""
    return [part for part in _parts(criterion) if _holds_boxes(part)]


def classes_of(criterion: Any) -> tuple[type, ...]:
    """The classes of a criterion and of those that it is made of: of one kind are those that have the same."""
    from ultralytics.utils import loss

    return (type(criterion), *(type(part) for part in _parts(criterion) if type(part).__module__ == loss.__name__))


def _parts(part: Any) -> Iterator[Any]:
    """A criterion, and those that it is made of, down to the branches."""
    from ultralytics.utils import loss

    yield part
    if type(part).__module__ == loss.__name__ and not _holds_boxes(part):
        for child in vars(part).values():
            yield from _parts(child)


def _holds_boxes(part: Any) -> bool:
    from ultralytics.utils.loss import BboxLoss

    return isinstance(getattr(part, "bbox_loss", None), BboxLoss)
