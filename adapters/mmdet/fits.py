"""Whether a loss fits what its slot was seen to get; each rule returns None, or what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from loss_plugins.catalog.ranges import PerClass
from loss_plugins.tensors import FORMS, class_axis, without_class_axis

from .calls import Call
from .handed import BOXES, CENTERS, MOST, NEAR, PIXELS, WORDS, Handed
from .remedies import Fault, Same, coordinates_at, loss_called, masks_at, of_form, putting, setting
from .scene import UNKNOWN
from .score_modules import uses_sigmoid
from .slots import LossSlot
from .usual import default_config, usual_entry, usually_measured

#: fewest rows by which a mean that is divided once more is told from a factor of the head
ENOUGH = 8
#: share of the rows below which a mean over all of them is hardly one over those that have a weight
FEW = MOST / 3
#: forms of targets that a few losses take, in words
RARE = {"label_score": "labels with the quality of each", "score": "numbers that lie between bins"}
Rule = Callable[[LossSlot, Sequence[Call], Handed], Fault | None]


def misfit(rules: Sequence[Rule], slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    """What is wrong with the loss in this slot by the first rule that is broken; None: nothing."""
    return next((fault for rule in rules if (fault := rule(slot, calls, handed)) is not None), None)


# --- what the slot is handed ------------------------------------------------------------------------------------


def _takes_boxes(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    if not slot.compares_boxes or handed in (*BOXES, "nothing"):
        return None
    remedy = coordinates_at(slot.key) if handed == "coordinates" else instead(slot, calls, handed)
    return remedy.of(f"this slot gets {WORDS[handed]}, and {slot.loss.entry.name} compares boxes")


def _has_their_format(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    if not slot.compares_boxes or handed not in BOXES:
        return None
    wanted = "cxcywh" if handed in CENTERS else "xyxy"
    if (slot.loss.spec().get("box_format") or "xyxy") == wanted:
        return None
    if handed in CENTERS:
        came = f"this slot gets {WORDS[handed]}, and {slot.loss.entry.name} takes corners"
        return _for_centers(slot).of(came)
    return setting(f"{slot.key}.box_format", "xyxy").of(f"this slot gets {WORDS[handed]}, no centers and sizes")


def _for_centers(slot: LossSlot) -> Fault:
    """What to do with a loss of corners where centers and sizes come."""
    can_take_them = "box_format" in slot.loss.entry.parameters
    if slot.slot == "loss_iou" or not hasattr(slot.head, "loss_iou"):
        return setting(f"{slot.key}.box_format", "cxcywh") if can_take_them else coordinates_at(slot.key)
    words = f"put this loss into {slot.head_key}.loss_iou and an L1 (loss_plugins.L1Loss) here"
    also = f", or set {slot.key}.box_format='cxcywh'" if can_take_them else ""
    moved = {f"{slot.head_key}.loss_iou": Same(slot.key), slot.key: loss_called("L1Loss")}
    return Fault(f"{words}{also}", moved)


def _has_their_units(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    if not slot.compares_boxes or slot.loss.entry.traits.units == "any" or handed not in BOXES or handed in PIXELS:
        return None
    came = f"this slot gets {WORDS[handed]}, and {slot.loss.entry.name} needs pixels"
    return putting(slot.key, "CIoULoss", "a scale-free loss").of(came)


def _is_not_coordinates(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    if slot.loss.entry.kind != "coordinate" or slot.compares_boxes:
        return None
    name = slot.loss.entry.name
    if handed in PIXELS:
        return Fault(
            f"this slot gets {WORDS[handed]}, where {name} is hundreds: {_elsewhere(slot)}"
            f"put a loss of boxes (loss_plugins.CIoULoss) into {slot.key}",
            {slot.key: loss_called("CIoULoss")},
        )
    if handed == "channels" or gets_masks(slot, calls, handed) or _gets_scores(slot, calls, handed):
        of_classes = " of classes" if _are_classes(calls) else ""
        came = f"this slot gets {WORDS[handed]}{of_classes}, and {name} compares numbers"
        return instead(slot, calls, handed).of(came)
    return None


def _elsewhere(slot: LossSlot) -> str:
    """Where a loss of coordinates belongs in this head, if it has such a slot."""
    for name in ("loss_l1", "loss_bbox"):
        if name != slot.slot and hasattr(slot.head, name) and usually_measured(slot.head, name) == "coordinates":
            return f"put this loss into {slot.head_key}.{name}, and "
    return ""


def _takes_scores(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    if slot.loss.entry.kind not in ("classification", "region"):
        return None
    handed = as_usual(slot, calls, handed)
    if handed not in (*BOXES, "coordinates", "numbers"):
        return None
    remedy = "SmoothL1Loss" if handed in ("coordinates", "numbers", *CENTERS) else "CIoULoss"
    return Fault(
        f"this slot gets {WORDS[handed]}, and {slot.loss.entry.name} takes scores: "
        f"put loss_plugins.{remedy} into {slot.key}",
        {slot.key: loss_called(remedy)},
    )


def _takes_their_targets(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    entry, form = slot.loss.entry, _rare_form(calls)
    if not form or form in (entry.targets or ()):
        return None
    came = f"the targets of this slot are {RARE[form]}, which {entry.name} does not take"
    return instead(slot, calls, handed).of(came)


def _rare_form(calls: Sequence[Call]) -> str:
    """The form of targets that a few losses take; "": targets that most losses of scores take."""
    return next((form for form in RARE for call in calls if _has_form(call, form)), "")


def _has_form(call: Call, form: str) -> bool:
    """Whether a target has this form; between bins lies a number only where there are several."""
    pred = call.pred
    if not isinstance(pred, Tensor) or (form == "score" and (pred.ndim < 2 or pred.shape[-1] == 1)):
        return False
    return FORMS[form][0](pred, call.target)


def _has_their_scale(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    entry = slot.loss.entry
    if entry.kind not in ("classification", "region") or handed not in ("logits", "probabilities", "channels"):
        return None
    given = "logits" if handed == "channels" else handed
    scale = entry.traits.scale
    if scale == given:
        return None
    came = f"this slot gets {given}, and {entry.name} takes {scale.replace('_', '-')}"
    switch = _switch(slot, given) if scale in ("logits", "probabilities") else None
    return (switch or instead(slot, calls, handed)).of(came)


def _switch(slot: LossSlot, given: str) -> Fault | None:
    """The parameter to set by which the loss would take what the slot gets; None: it has none."""
    known = slot.loss.entry.parameters
    if "activated" in known:
        return setting(f"{slot.key}.activated", given == "probabilities")
    if "activation" in known:
        return setting(f"{slot.key}.activation", "none" if given == "probabilities" else "sigmoid")
    return None


def _has_several_columns(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    entry, softmax = slot.loss.entry, _is_softmax(slot)
    if softmax and handed == "channels":
        came = f"this slot gets {WORDS[handed]}, so one score per pixel, and {entry.name} compares several"
        return instead(slot, calls, handed).of(came)
    if not softmax or not any(_has_one_column(call) for call in calls):
        return None
    return Fault(
        f"this slot gets one score per row, of which a softmax is always 1, so {entry.name} trains nothing: "
        f"set {slot.key}.type='loss_plugins.BCEWithLogitsLoss'",
        {slot.key: loss_called("BCEWithLogitsLoss")},
    )


def _has_one_column(call: Call) -> bool:
    return isinstance(call.pred, Tensor) and (call.pred.ndim < 2 or call.pred.shape[1] == 1)


def _has_one_class(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    if not _is_softmax(slot):
        return None
    have_one = torch.cat([torch.zeros(0), *(_have_one_class(call).cpu() for call in calls if _is_dense(call))])
    if not len(have_one) or (share := float(have_one.mean())) >= 1 - MOST:
        return None
    name = slot.loss.entry.name
    came = f"this slot gets targets of which {share:.0%} have one class, and {name} compares classes by a softmax"
    return instead(slot, calls, handed).of(came)


def _is_softmax(slot: LossSlot) -> bool:
    """Whether the loss takes one class of several to be true: not one of bins between which a number lies."""
    entry = slot.loss.entry
    return entry.kind == "classification" and not uses_sigmoid(entry) and "labels" not in entry.targets


def _is_dense(call: Call) -> bool:
    target = call.target
    if not isinstance(target, Tensor) or not isinstance(call.pred, Tensor) or not target.numel():
        return False
    return target.shape == call.pred.shape and target.ndim > 1


def _have_one_class(call: Call) -> Tensor:
    """Of each row or pixel that counts whether its target adds up to one class."""
    axis = class_axis(call.pred)
    sums = call.target.to(torch.float32).sum(axis)
    counts = call.counted.any(axis) if call.counted.shape == call.target.shape else call.counted
    sums = sums[counts] if counts.shape == sums.shape[: counts.ndim] else sums
    have_one: Tensor = (sums - 1).abs() < NEAR
    return have_one.flatten()


def _has_regions(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    entry = slot.loss.entry
    if entry.kind != "region" or slot.loss.spec().get("over", "image") == "batch":
        return None
    if not any(isinstance(call.pred, Tensor) and call.pred.numel() in (1, *call.pred.shape[:1]) for call in calls):
        return None
    came = f"this slot gets one score per row, and {entry.name} compares masks, of several scores each"
    return instead(slot, calls, handed).of(came)


def _knows_labels(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    """Heads of maps get 255 where nothing is annotated, and where images were padded."""
    if "ignore_index" not in slot.loss.entry.parameters:
        return None
    left_out = slot.loss.spec().get("ignore_index")
    if not any(_has_unknown(call, left_out) for call in calls):
        return None
    came = f"this slot gets labels {UNKNOWN}, which stand for what is not annotated"
    return setting(f"{slot.key}.ignore_index", UNKNOWN).of(came)


def _has_unknown(call: Call, left_out: Any) -> bool:
    labels = call.target
    if not isinstance(labels, Tensor) or labels.is_floating_point() or not isinstance(call.pred, Tensor):
        return False
    if labels.shape != without_class_axis(call.pred) or call.pred.shape[class_axis(call.pred)] >= UNKNOWN:
        return False
    known = left_out if isinstance(left_out, (list, tuple)) else [left_out]
    return UNKNOWN not in known and bool((labels == UNKNOWN).any())


def _has_a_number_per_class(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    """Heads of two stages mostly score the background too, for which numbers of each score have one more."""
    spec, parameters = slot.loss.spec(), slot.loss.entry.parameters
    for name, value in spec.items():
        if name not in parameters or not isinstance(parameters[name].allowed, PerClass) or not isinstance(value, list):
            continue
        wanted = _numbers_wanted(slot, name, calls)
        if wanted and len(value) not in wanted:
            gets = "gets {} scores per row" if len(wanted) == 1 else "has {} classes"
            came = f"{name} has {len(value)} numbers, and this slot {gets.format(wanted[0])}"
            known: Any = getattr(slot.head, "num_classes", None)
            behind = ", the last of which is the background's" if wanted[0] - 1 == known else ""
            words = f"write {' or '.join(map(str, wanted))} numbers into {slot.key}.{name}{behind}"
            same = f"; or {value[0]!r}, which all of them are" if len(set(value)) == 1 and len(wanted) == 1 else ""
            return Fault(words + same, {f"{slot.key}.{name}": value[0]} if same else {}).of(came)
    return None


def _numbers_wanted(slot: LossSlot, name: str, calls: Sequence[Call]) -> tuple[int, ...]:
    """How many numbers a parameter may have; none: no call tells. Those of labels may have one for the background."""
    scores = {
        call.pred.shape[class_axis(call.pred)] for call in calls if isinstance(call.pred, Tensor) and call.pred.ndim
    }
    if len(scores) != 1:
        return ()
    if name != "class_weight" or getattr(slot.loss, "label_weight", None) is None:
        return (scores.pop(),)
    classes = getattr(slot.loss, "num_classes", None) or scores.pop()
    return (classes, classes + 1)


def instead(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault:
    """The loss to put into a slot of scores or numbers."""
    if form := _rare_form(calls):
        return of_form(form, slot.key, of_logits=handed == "logits")
    if gets_masks(slot, calls, handed):
        return masks_at(slot.key, of_logits=handed == "logits")
    if handed == "channels":
        words = f"put loss_plugins.BCEWithLogitsLoss or loss_plugins.DiceLoss into {slot.key}"
        return Fault(words, {slot.key: loss_called("BCEWithLogitsLoss")})
    if handed == "numbers":
        return Fault(f"put loss_plugins.SmoothL1Loss into {slot.key}", {slot.key: loss_called("SmoothL1Loss")})
    remedy = "BCEWithLogitsLoss" if handed == "logits" else "BCELoss"
    return putting(slot.key, remedy, f"a loss of {handed}")


def as_usual(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Handed:
    """What a slot gets: numbers from 0 to 1, which may be scores or not, are what the head's usual loss measures."""
    usually_no_scores = usually_measured(slot.head, slot.slot) == "coordinates"
    return "numbers" if handed == "logits" and usually_no_scores and not _are_classes(calls) else handed


def _gets_scores(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> bool:
    """Whether targets are classes, or the loss that the head usually has takes them for scores."""
    from_0_to_1 = handed in ("logits", "probabilities")
    return from_0_to_1 and (_are_classes(calls) or usually_measured(slot.head, slot.slot) == "scores")


def gets_masks(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> bool:
    """Whether the head counts masks, not pixels: by its usual loss, or where it has none by what it hands over."""
    if handed not in ("logits", "probabilities"):
        return False
    if default_config(type(slot.head), slot.slot) is None:
        return any(_holds_masks(call) for call in calls)
    entry = usual_entry(slot.head, slot.slot)
    return entry is not None and entry.kind == "region"


def _holds_masks(call: Call) -> bool:
    """Whether the target is a map per row of what is of an object and what is not."""
    return _is_dense(call) and call.target.ndim == 3 and bool(((call.target == 0) | (call.target == 1)).all())


def _are_classes(calls: Sequence[Call]) -> bool:
    """Whether targets are labels, or have one class per row or pixel."""
    return any(_holds_classes(call) for call in calls if isinstance(call.pred, Tensor) and call.pred.numel())


def _holds_classes(call: Call) -> bool:
    target = call.target
    if not isinstance(target, Tensor) or not target.is_floating_point():
        return True
    if ((target < 0) | (target > 1)).any():
        return False
    if target.ndim < 2 or target.shape[1] == 1:
        return bool(((target == 0) | (target == 1)).all())
    classes = (target != 0).sum(1)
    found = classes[classes > 0]
    return bool(found.numel() and (found == 1).float().mean() > 1 - MOST)


# --- what becomes of its result ---------------------------------------------------------------------------------


def _is_divided_once(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    divided = [call for call in calls if _is_plain_mean(call) and _rows(call) >= ENOUGH and call.factor]
    if not divided or not all(0 < (call.factor or 0) * _rows(call) <= 1.5 for call in divided):
        return None
    return Fault("the head divides by the number of samples itself, and reduction='mean' does it once more")


def _is_over_what_counts(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    empty = [call for call in calls if _is_plain_mean(call) and _share_counted(call) < FEW]
    if not empty:
        return None
    share = min(map(_share_counted, empty))
    return Fault(
        f"reduction='mean' divides by all rows, of which {share:.1%} have a weight, and the head names no other number"
    )


def _is_averaged_over_all_elements(slot: LossSlot, calls: Sequence[Call], handed: Handed) -> Fault | None:
    averaged = [call for call in calls if call.reduction == "none" and call.handed_on and _elements(call) > 1]
    if not averaged:
        return None
    return Fault(
        "the head hands the result on as it is, and MMEngine takes the mean over all its elements, objects or not"
    )


def _is_plain_mean(call: Call) -> bool:
    return call.reduction == "mean" and call.avg_factor is None and isinstance(call.pred, Tensor) and _rows(call) > 0


def _rows(call: Call) -> int:
    return len(call.pred) if call.pred.ndim else 1


def _elements(call: Call) -> int:
    return 0 if call.result is None else call.result.numel()


def _share_counted(call: Call) -> float:
    return float(call.counted.to(torch.float32).mean()) if call.counted.any() else 1.0


FITTING: tuple[Rule, ...] = (
    _takes_boxes,
    _has_their_format,
    _has_their_units,
    _is_not_coordinates,
    _takes_scores,
    _takes_their_targets,
    _has_their_scale,
    _has_several_columns,
    _has_one_class,
    _has_regions,
    _knows_labels,
    _has_a_number_per_class,
)
REDUCING: tuple[Rule, ...] = (_is_divided_once, _is_over_what_counts, _is_averaged_over_all_elements)
