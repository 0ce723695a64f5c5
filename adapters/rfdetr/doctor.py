"""What the installed RF-DETR allows, found out by plugging a loss into each form of its criterion."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import torch

from loss_plugins.version import __version__

from ..detr import UnsupportedCriterion
from .install import framework
from .plug import BUILDER, BUILT_IN, criterion_with, plug

#: by class loss the flag of RF-DETR's criterion, and a loss for its place
FORMS: dict[str, dict[str, bool]] = {
    "IoU-aware BCE, the default": {"ia_bce_loss": True},
    "focal": {},
    "varifocal": {"use_varifocal_loss": True},
    "position-supervised": {"use_position_supervised_loss": True},
}


def report(what: str | None = None) -> dict[str, Any] | None:
    """What `loss-plugins doctor` shows of this adapter.

    Args:
        what: a config, a run or a checkpoint of another framework.

    Returns:
        {"ok", "versions", "checks": [{"name", "ok", "detail"}], "tasks", "refused"} in plain types; None: `what` is not
        this adapter's affair.

    Raises:
        ModuleNotFoundError: RF-DETR is not installed; the message says how to.
    """
    if what is not None:
        return None
    framework("rfdetr")
    box = _tried("box loss", {"ia_bce_loss": True}, "box")
    classes = {form: _tried(form, flags, "cls") for form, flags in FORMS.items()}
    checks = [box, _trainer()]
    return {
        "ok": all(check["ok"] for check in checks),
        "versions": {"loss_plugins": __version__, "torch": torch.__version__, "rfdetr": metadata.version("rfdetr")},
        "checks": checks,
        "tasks": ["box loss", *(f"class loss, {form}" for form, check in classes.items() if check["ok"])],
        "refused": {f"class loss, {form}": check["detail"] for form, check in classes.items() if not check["ok"]},
    }


def _tried(name: str, flags: dict[str, bool], slot: str) -> dict[str, Any]:
    """Whether a loss can be plugged into a criterion with these flags."""
    loss = {"box": "eiou", "cls": "quality_focal"}[slot]
    try:
        made = plug(criterion_with(**flags), **{slot: loss})  # type: ignore[arg-type]
    except UnsupportedCriterion as error:
        return {"name": name, "ok": False, "detail": str(error)}
    found = getattr(made.report, slot)
    return {"name": name, "ok": True, "detail": f"equal to its own {found.stock}, then plugged: {found.loss}"}


def _trainer() -> dict[str, Any]:
    """Whether `patched` finds the places where criteria are built."""
    name = "the trainer can be patched"
    try:
        missing = [place for place in BUILT_IN if not hasattr(framework(place), BUILDER)]
    except ImportError as error:
        return {"name": name, "ok": False, "detail": str(error)}
    detail = f"no {BUILDER} in {', '.join(missing)}" if missing else f"{BUILDER} in {', '.join(BUILT_IN)}"
    return {"name": name, "ok": not missing, "detail": detail}
