# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the installed Ultralytics allows, found out by trying it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from ultralytics.utils.loss import BboxLoss

from loss_plugins.errors import in_our_words

from . import canary, probe
from .plug import plugged
from .spec import make_spec
from .trainers import REFUSED, TRAINERS, check_trainer, ultralytics_versions


@in_our_words
def doctor() -> dict[str, Any]:
    """Try the installed Ultralytics: versions, what the probe finds, canary values, tasks served and refused.

    Returns:
        {"ok", "versions", "checks": [{"name", "ok", "detail"}], "tasks", "refused"} in plain types.
    """
    actions: dict[str, Callable[[], str]] = {
        "BboxLoss.forward is known": _parameters,
        "boxes can be brought to pixels": _stride,
    }
    for bins in (16, 1):
        actions[f"stock loss is weighted CIoU (reg_max {bins})"] = partial(_stock, bins)
        actions[f"a plugged loss arrives (reg_max {bins})"] = partial(_canary, bins)
    for task in TRAINERS:
        actions[f"trainer for {task}"] = partial(_trainer, task)
    checks = [_tried(name, action) for name, action in actions.items()]
    return {
        "ok": all(item["ok"] for item in checks),
        "versions": ultralytics_versions(),
        "checks": checks,
        "tasks": list(TRAINERS),
        "refused": dict(REFUSED),
    }


def _tried(name: str, action: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"name": name, "ok": True, "detail": action()}
    except RuntimeError as error:
        return {"name": name, "ok": False, "detail": str(error)}


def _trainer(task: str) -> str:
    check_trainer(TRAINERS[task])
    return TRAINERS[task].__qualname__


def _parameters() -> str:
    return ", ".join(list(inspect.signature(probe.stock_forward()).parameters)[1:])


def _stride() -> str:
    return "yes" if probe.has_stride() else "no: losses in pixels are refused"


def _stock(bins: int) -> str:
    return f"{canary.check_stock_contract(BboxLoss(bins)):.6f} on fixed boxes"


def _canary(bins: int) -> str:
    branch = SimpleNamespace(bbox_loss=BboxLoss(bins))
    with plugged(make_spec("eiou")) as plug:
        if plug.box is None:
            raise RuntimeError("the box slot is empty")
        return f"eiou {canary.check_box(branch, plug.box):.6f} on fixed boxes"
