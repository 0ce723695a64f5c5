# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the installed Ultralytics allows, found out by trying it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from torch import nn
from ultralytics.utils import loss
from ultralytics.utils.loss import BboxLoss, RotatedBboxLoss

from loss_plugins.errors import in_our_words

from . import canary, dfl_canary, dfl_slot, doctor_criteria, probe, sem_canary, traces
from .errors import UnsupportedUltralytics
from .mixin import check_trainer, ultralytics_versions
from .plug import plugged
from .spec import make_spec
from .trainers import REFUSED, TRAINERS

#: by kind of box: what computes the stock loss, the name of that, and a loss of ours to try
TRIED = {"box": (BboxLoss, "CIoU", "eiou"), "rotated_box": (RotatedBboxLoss, "ProbIoU", "kld")}


@in_our_words
def doctor() -> dict[str, Any]:
    """Try the installed Ultralytics: versions, what the probe finds, canary values, tasks served and refused.

    Returns:
        {"ok", "versions", "checks": [{"name", "ok", "detail"}], "tasks", "refused"} in plain types.
    """
    checks = [tried(name, action) for name, action in ACTIONS.items()]
    return {
        "ok": all(item["ok"] for item in checks),
        "versions": ultralytics_versions(),
        "checks": checks,
        "tasks": list(TRAINERS),
        "refused": dict(REFUSED),
    }


def tried(name: str, action: Callable[[], str]) -> dict[str, Any]:
    """What one action found."""
    try:
        return {"name": name, "ok": True, "detail": action()}
    except RuntimeError as error:
        return {"name": name, "ok": False, "detail": str(error)}


def _trainer(task: str) -> str:
    check_trainer(TRAINERS[task])
    return TRAINERS[task].__qualname__


def _parameters(kind: str) -> str:
    return ", ".join(list(inspect.signature(probe.stock_forward(kind)).parameters)[1:])


def _stride(kind: str) -> str:
    return "yes" if probe.has_stride(kind) else "no: losses in pixels are refused"


def _stock(bbox_loss: type[nn.Module], bins: int) -> str:
    return f"{canary.check_stock_contract(bbox_loss(bins)):.6f} on fixed boxes"


def _canary(bbox_loss: type[nn.Module], bins: int, ours: str) -> str:
    branch = SimpleNamespace(bbox_loss=bbox_loss(bins))
    with plugged(make_spec(ours)) as plug:
        if plug.box is None:
            raise RuntimeError("the box slot is empty")
        return f"{ours} {canary.check_box(branch, plug.box):.6f} on fixed boxes"


def _branch() -> SimpleNamespace:
    """As much of YOLO26-seg's criterion as computes its semantic maps, of three classes."""
    return SimpleNamespace(bcedice_loss=loss.BCEDiceLoss(), nc=3)


def _stock_maps() -> str:
    return f"{sem_canary.check_stock(_branch().bcedice_loss):.6f} on fixed maps"


def _plugged_maps() -> str:
    with plugged(make_spec(sem="dice")) as plug:
        if plug.sem is None:
            raise RuntimeError("the sem slot is empty")
        return f"dice {sem_canary.check_sem(_branch(), plug.sem):.6f} on fixed maps"


def _sides(bbox_loss: type[nn.Module], bins: int) -> str:
    ours, branch = "distribution_focal" if bins > 1 else "l1", SimpleNamespace(bbox_loss=bbox_loss(bins))
    try:
        dfl_slot.require_known(branch.bbox_loss)
    except UnsupportedUltralytics as error:
        return f"no: {error}"
    with plugged(make_spec(dfl=ours)) as plug:
        if plug.dfl is None:
            raise RuntimeError("the dfl slot is empty")
        return f"{ours} {dfl_canary.check_dfl(branch, plug.dfl):.6f} on fixed boxes"


def _actions() -> dict[str, Callable[[], str]]:
    found: dict[str, Callable[[], str]] = {
        "no file of losses was edited": traces.changed_files,
        "no function of losses is replaced": traces.replaced_functions,
    }
    for kind, (bbox_loss, stock, ours) in TRIED.items():
        found[f"{bbox_loss.__name__}.forward is known"] = partial(_parameters, kind)
        found[f"{probe.BOXES[kind]} can be brought to pixels"] = partial(_stride, kind)
        for bins in (16, 1):
            found[f"stock loss is weighted {stock} (reg_max {bins})"] = partial(_stock, bbox_loss, bins)
            found[f"a plugged {ours} arrives (reg_max {bins})"] = partial(_canary, bbox_loss, bins, ours)
            found[f"a plugged loss of the sides of {probe.BOXES[kind]} arrives (reg_max {bins})"] = partial(
                _sides, bbox_loss, bins
            )
    if hasattr(loss, "BCEDiceLoss"):
        found["stock loss of semantic maps is half BCE, half Dice"] = _stock_maps
        found["a plugged dice arrives (semantic maps)"] = _plugged_maps
    found.update(doctor_criteria.actions())
    for task in TRAINERS:
        found[f"trainer for {task}"] = partial(_trainer, task)
    return found


#: what is tried, by the name that the report gives it
ACTIONS = _actions()
