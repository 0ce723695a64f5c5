"""What is wrong with a loss in its slot that needs no call: each rule returns None, or what to set."""

from __future__ import annotations

from collections.abc import Callable

from loss_plugins.module.build import module_class
from loss_plugins.module.mix import RESOLVED, trains_nothing

from .image_size import GIVE, ImageSize
from .keys import STUDENT
from .modules import PluggedLoss
from .naming import is_ours
from .remedies import Fault, coordinates_at, putting, setting
from .score_modules import OTHER_ACTIVATION
from .slots import LossSlot
from .usual import usual_entry

#: heads whose ranking of losses needs one number per coordinate, and takes one per box without an error
GIVES_COLUMNS = {"PISARetinaHead", "PISARoIHead", "PISASSDHead"}
#: kinds of losses of what no head predicts, in words
NOT_PREDICTED = {
    "keypoint": "key points",
    "quad": "quadrilaterals",
    "distribution": "distributions beside a teacher's",
}


def problems(slot: LossSlot) -> list[Fault]:
    """Why the loss does not fit this slot, one fault per broken rule, with the config key to set."""
    found = [rule(slot) for rule in RULES]
    return [fault for fault in found if fault is not None]


def _is_wrapped(slot: LossSlot) -> Fault | None:
    if isinstance(slot.loss, PluggedLoss):
        return None
    name = type(slot.loss).__name__
    came = f"the core's {name} sits here without the adapter around it (rows of weight 0, proof of use, state)"
    if is_ours(type(slot.loss)):
        return setting(f"{slot.key}.type", f"loss_plugins.{name}").of(came)
    base = next(each.__name__ for each in type(slot.loss).__mro__ if "entry" in vars(each))
    return Fault(f"{came}: derive {slot.name} from loss_plugins.adapters.mmdet.{base}")


def _is_of_what_is_predicted(slot: LossSlot) -> Fault | None:
    predicted = NOT_PREDICTED.get(slot.loss.entry.kind)
    if predicted is None:
        return None
    usual = usual_entry(slot.head, slot.slot)
    came = f"{slot.loss.entry.name} is a loss of {predicted}, which no head of MMDetection predicts"
    if usual is None:
        return Fault(f"{came}: put the head's own loss into {slot.key}")
    return putting(slot.key, module_class(usual.name).__name__, "the head's own loss").of(came)


def _gives_columns(slot: LossSlot) -> Fault | None:
    heads = slot.lineage & GIVES_COLUMNS
    if not (heads and slot.loss.entry.kind == "box"):
        return None
    came = f"{min(heads)} ranks by one number per coordinate, and {slot.loss.entry.name} gives one per box"
    return coordinates_at(slot.key).of(came)


def _sigmoid_agrees(slot: LossSlot) -> Fault | None:
    if slot.slot != "loss_cls":
        return None
    head = getattr(slot.head, "use_sigmoid_cls", None)
    loss = getattr(slot.loss, "use_sigmoid", None)
    if head is None or loss is None or head == loss:
        return None
    if slot.loss.said_use_sigmoid:
        other = OTHER_ACTIVATION.get(slot.loss.entry.name, "BCEWithLogitsLoss" if head else "CrossEntropyLoss")
        came = f"the head works with use_sigmoid={head} whatever the config says, and {slot.loss.entry.name} does not"
        return putting(slot.key, other, f"a loss with use_sigmoid={head}").of(came)
    return setting(f"{slot.key}.use_sigmoid", loss).of(
        f"the head was built for use_sigmoid={head}, as the config does not say otherwise, and the loss works with "
        f"use_sigmoid={loss}"
    )


def _has_weight(slot: LossSlot) -> Fault | None:
    reason = trains_nothing(slot.loss.loss if isinstance(slot.loss, PluggedLoss) else slot.loss)
    if not reason:
        return None
    remedy = setting(f"{slot.key}.loss_weight", 1.0)
    words = f"{remedy.message}, or allow=[{slot.path!r}] in the hook"
    return Fault(f"{reason}; allowed: a factor from {RESOLVED:g} on; {words}", remedy.changes)


def _knows_size(slot: LossSlot) -> Fault | None:
    image = getattr(slot.loss, "image", None)
    if not isinstance(image, ImageSize) or image.given or not slot.path.startswith(f"{STUDENT}."):
        return None
    came = "image_size was left out, and this model has several batches in one, whose sizes are not told"
    return Fault(f"{came}: {GIVE} in {slot.key}")


RULES: tuple[Callable[[LossSlot], Fault | None], ...] = (
    _is_wrapped,
    _is_of_what_is_predicted,
    _gives_columns,
    _sigmoid_agrees,
    _has_weight,
    _knows_size,
)
