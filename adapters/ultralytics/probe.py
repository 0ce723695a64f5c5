# SPDX-License-Identifier: AGPL-3.0-or-later
"""Can the loss be plugged into this installation? Asked of the code itself, not of its version number."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from loss_plugins import Loss, ciou_loss

from .errors import UnsupportedUltralytics

if TYPE_CHECKING:
    from .plug import BoxHook, ClassHook
    from .slots import Hook

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
    """Whether the hook is told the stride, without which boxes cannot be brought to pixels."""
    return "stride" in inspect.signature(stock_forward()).parameters


def require_branches(criterion: Any) -> list[Any]:
    """As `find_branches`, refusing criteria that our losses cannot serve.

    Raises:
        UnsupportedUltralytics: the criterion has no `BboxLoss`, or one that is rotated or not trained.
    """
    name = type(criterion).__name__
    if name.startswith("TVP"):
        raise UnsupportedUltralytics(
            f"{name} (visual prompts) drops the box loss: it would be logged, but not trained",
            "Train with text prompts or classes",
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


def canary_call(bbox_loss: nn.Module) -> dict[str, Any]:
    """Fixed arguments for one `BboxLoss.forward`: four anchors, three of them foreground, two strides."""
    dfl = getattr(bbox_loss, "dfl_loss", None)
    bins = dfl.reg_max if dfl is not None else 1
    pred = torch.tensor([[1.0, 1.5, 4.0, 5.0], [2.0, 1.0, 6.5, 4.0], [0.5, 0.5, 1.5, 3.5], [3.0, 3.0, 5.0, 6.0]])
    target = torch.tensor([[1.5, 1.0, 4.5, 4.5], [2.5, 2.0, 5.5, 5.0], [3.0, 0.5, 4.5, 2.5], [3.0, 3.5, 6.0, 6.0]])
    scores = torch.tensor([[0.9, 0.0], [0.0, 0.4], [0.7, 0.0], [0.0, 0.0]])
    call = {
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
    names = inspect.signature(stock_forward()).parameters
    return {name: value for name, value in call.items() if name in names}


def expected_box_loss(per_box: Callable[[Tensor, Tensor], Tensor], call: dict[str, Any], pixels: bool) -> float:
    """The box loss of a canary call, weighted by a plain loop over its boxes."""
    rows = [anchor for anchor, foreground in enumerate(call["fg_mask"][0].tolist()) if foreground]
    scale = call["stride"][rows] if pixels else 1.0
    with torch.no_grad():
        losses = per_box(call["pred_bboxes"][0, rows] * scale, call["target_bboxes"][0, rows] * scale).tolist()
    weights = [sum(scores) for scores in call["target_scores"][0, rows].tolist()]
    total = sum(loss * weight for loss, weight in zip(losses, weights, strict=True))
    return float(total / call["target_scores_sum"])


def check_stock_contract(bbox_loss: nn.Module) -> float:
    """The stock box loss on the canary, after checking that it is CIoU in the reduction we reproduce.

    Raises:
        UnsupportedUltralytics: weights or normaliser of the stock loss are not those known.
    """
    call = canary_call(bbox_loss)
    stock = float(stock_forward()(bbox_loss, **_copied(call))[0])
    known = expected_box_loss(lambda p, t: ciou_loss(p, t, dialect="ultralytics"), call, pixels=False)
    if abs(stock - known) > 1e-5:
        raise UnsupportedUltralytics(
            f"its own box loss gives {stock:.6f} where weighted CIoU gives {known:.6f}: the contract has changed",
            REMEDY,
        )
    return stock


def check_box(branch: Any, hook: BoxHook) -> float:
    """The plugged box loss on the canary, through the live branch, after comparing it with a plain loop.

    Raises:
        UnsupportedUltralytics: the live branch does not return the plugged loss.
    """
    call = canary_call(branch.bbox_loss)
    expected = expected_box_loss(_fresh(hook).elementwise, call, hook.units != "any")
    with torch.no_grad():
        live = float(branch.bbox_loss(**_copied(call))[0])
    return _agreed(hook, live, expected)


def check_cls(branch: Any, hook: ClassHook) -> float:
    """The mean of the plugged class loss on fixed scores, through the live branch, after comparing it with our own.

    Raises:
        UnsupportedUltralytics: the live branch does not return the plugged loss.
    """
    logits = torch.tensor([[[-2.0, 0.5, 1.0], [3.0, -1.0, -4.0]]])
    target = torch.tensor([[[0.0, 0.8, 0.0], [0.3, 0.0, 0.0]]])
    with torch.no_grad():
        expected, live = _fresh(hook).elementwise(logits, target), branch.bce(logits, target)
    if live.shape != logits.shape:
        raise UnsupportedUltralytics(
            f"the live criterion's class loss has shape {tuple(live.shape)}, not {tuple(logits.shape)}", REMEDY
        )
    return _agreed(hook, float(live.mean()), float(expected.mean()))


def _fresh(hook: Hook) -> Loss:
    return copy.deepcopy(hook.prototype).cpu()


def _agreed(hook: Hook, live: float, expected: float) -> float:
    known = expected * hook.calls.gain * hook.prototype.loss_weight
    if abs(live - known) > 1e-5 * max(1.0, abs(known)):
        raise UnsupportedUltralytics(
            f"the live criterion gives {live:.6f} where {hook.name} is {known:.6f}: the plug does not hold", REMEDY
        )
    return live


def _copied(call: dict[str, Any]) -> dict[str, Any]:
    # some versions write into their arguments
    return {name: value.clone() for name, value in call.items()}
