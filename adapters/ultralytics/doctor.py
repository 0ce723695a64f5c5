# SPDX-License-Identifier: AGPL-3.0-or-later
"""What this installation allows, found out by trying it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ultralytics.utils.loss import BboxLoss

from . import probe
from .plug import plugged
from .spec import make_spec
from .trainers import REFUSED, TRAINERS, check_trainer, versions


def doctor() -> dict[str, Any]:
    """Versions, probe, canary values and the tasks covered.

    Returns:
        {"ok", "versions", "checks": [{"name", "ok", "detail"}], "tasks", "refused"} in plain types.
    """
    checks: list[dict[str, Any]] = []

    def check(name: str, action: Callable[[], str]) -> None:
        try:
            detail, passed = action(), True
        except RuntimeError as error:
            detail, passed = str(error), False
        checks.append({"name": name, "ok": passed, "detail": detail})

    check("BboxLoss.forward is known", lambda: f"parameters {_parameters()}")
    check("boxes can be brought to pixels", _stride)
    for bins in (16, 1):
        check(f"stock loss is weighted CIoU (reg_max {bins})", lambda bins=bins: _stock(bins))
        check(f"a plugged loss arrives (reg_max {bins})", lambda bins=bins: _canary(bins))
    for task, cls in TRAINERS.items():
        check(f"trainer for {task}", lambda cls=cls: check_trainer(cls) or cls.__qualname__)
    return {
        "ok": all(item["ok"] for item in checks),
        "versions": versions(),
        "checks": checks,
        "tasks": list(TRAINERS),
        "refused": dict(REFUSED),
    }


def _parameters() -> str:
    return ", ".join(list(inspect.signature(probe.stock_forward()).parameters)[1:])


def _stride() -> str:
    return "yes" if probe.has_stride() else "no: losses in pixels are refused"


def _stock(bins: int) -> str:
    return f"{probe.check_stock_contract(BboxLoss(bins)):.6f} on fixed boxes"


def _canary(bins: int) -> str:
    with plugged(make_spec("eiou")) as plug:
        return f"eiou {probe.check_canary(BboxLoss(bins), plug.prototype):.6f} on fixed boxes"
