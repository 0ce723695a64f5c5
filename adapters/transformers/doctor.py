"""What the installed transformers allows, found out by plugging losses into the criterion of each of its models."""

from __future__ import annotations

from functools import partial
from typing import Any

from loss_plugins import build_loss

from ..detr import UnsupportedCriterion
from ..detr import plug as plug_criterion
from ..detr.class_probe import examine_scores
from ..detr.class_slot import ClassSlot
from ..detr.doctors import Check, Examined, checked, reported
from .runs import examine
from .stock import Stock, detectors, stock_of_class, unserved

TRIED = "eiou"


@reported("transformers", examine)
def report() -> Examined:
    """Each class of models with a criterion, and why others are not served."""
    reasons = {cls: unserved(cls) for cls in detectors()}
    checks = [_checked(cls) for cls, reason in reasons.items() if reason is None]
    return Examined(checks, {cls.__name__: reason for cls, reason in reasons.items() if reason is not None})


def _checked(cls: Any) -> Check:
    stock = stock_of_class(cls)
    if stock is None:
        return {"name": cls.__name__, "ok": False, "detail": "its loss function builds no criterion with loss_boxes"}
    return checked(cls.__name__, partial(_tried, stock, cls), UnsupportedCriterion)


def _tried(stock: Stock, cls: Any) -> str:
    """A box loss plugged into the criterion of a class of models, and what is known of its class loss."""
    criterion = stock.live_criterion(cls.config_class())
    cls_loss = _class_loss(criterion)
    box = plug_criterion(criterion, box=TRIED).report.box
    return f"equal to its own loss, then plugged: {TRIED} for {box and box.stock}; class loss {cls_loss}"


def _class_loss(criterion: Any) -> str:
    """What a class loss would replace."""
    slot = ClassSlot(build_loss("focal", reduction="none"))
    try:
        examine_scores(criterion, slot)
    except UnsupportedCriterion:
        return "not served, it is none of the known ones"
    return slot.stock
