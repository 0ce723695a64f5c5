"""What the installed transformers allows, found out by plugging losses into the criterion of each of its models."""

from __future__ import annotations

from typing import Any

from loss_plugins import build_loss

from ..detr import UnsupportedCriterion
from ..detr.class_probe import examine_scores
from ..detr.class_slot import ClassSlot
from ..detr.examination import examined
from .record import versions
from .stock import WHERE, detectors, stock_of_class, unserved

TRIED = "eiou"


def report(what: str | None = None) -> dict[str, Any] | None:
    """What `loss-plugins doctor` shows of this adapter.

    Args:
        what: a config, a run or a checkpoint of another framework.

    Returns:
        {"ok", "versions", "checks": [{"name", "ok", "detail"}], "tasks", "refused"} in plain types; None: `what` is not
        this adapter's affair.
    """
    if what is not None:
        return None
    reasons = {cls: unserved(cls) for cls in detectors()}
    checks = [_tried(cls) for cls, reason in reasons.items() if reason is None]
    return {
        "ok": all(check["ok"] for check in checks),
        "versions": versions(),
        "checks": checks,
        "tasks": [check["name"] for check in checks if check["ok"]],
        "refused": {cls.__name__: reason for cls, reason in reasons.items() if reason is not None},
    }


def _tried(cls: Any) -> dict[str, Any]:
    """A box loss plugged into the criterion of a class of models, and what is known of its class loss."""
    stock = stock_of_class(cls)
    if stock is None:
        return {"name": cls.__name__, "ok": False, "detail": "its loss function builds no criterion with loss_boxes"}
    try:
        criterion = stock.live_criterion(cls.config_class())
        asked: dict[str, Any] = {
            "box": TRIED,
            "cls": None,
            "image_size": None,
            "gain": "keep",
            "matcher": "keep",
            "fast": False,
        }
        losses, _ = examined(WHERE, criterion, **asked)
    except UnsupportedCriterion as error:
        return {"name": cls.__name__, "ok": False, "detail": str(error)}
    (box,) = losses.slots
    found = f"equal to its own loss, then plugged: {TRIED} for {box.stock}; class loss {_class_loss(criterion)}"
    return {"name": cls.__name__, "ok": True, "detail": found}


def _class_loss(criterion: Any) -> str:
    """What a class loss would replace."""
    slot = ClassSlot(build_loss("focal", reduction="none"))
    try:
        examine_scores(criterion, slot)
    except UnsupportedCriterion:
        return "not served, it is none of the known ones"
    return slot.stock
