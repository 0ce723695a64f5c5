"""What the installed RF-DETR allows, found out by plugging a loss into each form of its criterion."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..detr import UnsupportedCriterion
from ..detr.doctors import Examined, checked, reported
from ..detr.installed import framework
from .plug import BUILDER, BUILT_IN, criterion_with, plug

#: by class loss the flag of RF-DETR's criterion, and a loss for its place
FORMS: dict[str, dict[str, bool]] = {
    "IoU-aware BCE, the default": {"ia_bce_loss": True},
    "focal": {},
    "varifocal": {"use_varifocal_loss": True},
    "position-supervised": {"use_position_supervised_loss": True},
}


@reported("rfdetr")
def report() -> Examined:
    """The box loss and the trainer, which have to be served, and each form of the class loss.

    Raises:
        ModuleNotFoundError: RF-DETR is not installed; the message says how to.
    """
    framework("rfdetr")
    box = checked("box loss", partial(_tried, {"ia_bce_loss": True}, box="eiou"), UnsupportedCriterion)
    classes = {
        form: checked(form, partial(_tried, flags, cls="quality_focal"), UnsupportedCriterion)
        for form, flags in FORMS.items()
    }
    return Examined(
        [box, _trainer()],
        {f"class loss, {form}": check["detail"] for form, check in classes.items() if not check["ok"]},
        ["box loss", *(f"class loss, {form}" for form, check in classes.items() if check["ok"])],
    )


def _tried(flags: dict[str, bool], box: str | None = None, cls: str | None = None) -> str:
    """A loss plugged into a criterion with these flags."""
    found = plug(criterion_with(**flags), box=box, cls=cls).report
    slot = found.box or found.cls
    return f"equal to its own {slot and slot.stock}, then plugged: {box or cls}"


def _trainer() -> dict[str, Any]:
    """Whether `patched` finds the places where criteria are built."""
    name = "the trainer can be patched"
    try:
        missing = [place for place in BUILT_IN if not hasattr(framework(place), BUILDER)]
    except ImportError as error:
        return {"name": name, "ok": False, "detail": str(error)}
    detail = f"no {BUILDER} in {', '.join(missing)}" if missing else f"{BUILDER} in {', '.join(BUILT_IN)}"
    return {"name": name, "ok": not missing, "detail": detail}
