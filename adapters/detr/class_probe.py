"""The equality probe of the class loss: which of the known forms it has, if any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from loss_plugins import build_loss

from .agreement import (
    answered,
    check_arguments,
    check_method,
    classes_of,
    depends,
    device_of,
    dtype_of,
    equals,
    value_and_norm,
)
from .class_slot import ClassSlot
from .class_stocks import ClassStock, known_stocks, stock_value
from .errors import UnsupportedCriterion
from .fixed import Fixed, fixed, without_objects
from .matches import pairs_of, where_of
from .written import names_written

#: the class loss that a word in `criterion.losses` stands for
METHODS = {
    "labels": "loss_labels",
    "vfl": "loss_labels_vfl",
    "focal": "loss_labels_focal",
    "bce": "loss_labels_bce",
    "mal": "loss_labels_mal",
}
BOX_ALONE = "leave cls out: the box loss can be plugged alone"


def class_methods(criterion: Any) -> list[str]:
    """The methods with which a criterion computes its class loss, by the words in its `losses`."""
    wanted = [METHODS[word] for word in getattr(criterion, "losses", None) or () if word in METHODS]
    if not wanted:
        wanted = [name for name in METHODS.values() if hasattr(criterion, name)]
    return [name for name in dict.fromkeys(wanted) if callable(getattr(criterion, name, None))]


def examine_scores(criterion: Any, slot: ClassSlot) -> None:
    """Find out which class loss a criterion has, and how it returns it; the slot is told.

    Raises:
        UnsupportedCriterion: there is not one class loss, or it is none of those known, in value or gradient.
    """
    methods = class_methods(criterion)
    if len(methods) != 1:
        found = f"found {', '.join(methods)}" if methods else "found none"
        losses = f" (its losses: {criterion.losses})" if hasattr(criterion, "losses") else ""
        raise UnsupportedCriterion(
            criterion,
            f"sought one method of {', '.join(METHODS.values())}, {found}{losses}",
            BOX_ALONE,
        )
    slot.method = methods[0]
    check_method(criterion, slot.method)
    check_arguments(criterion, slot.method)
    theirs, tried = "nothing that could be called with scores of its classes", []
    for form in known_stocks(criterion, classes_of(criterion)):
        given = _scores(criterion, form)
        try:
            returned = answered(criterion, getattr(criterion, slot.method), given)
        except UnsupportedCriterion as error:
            tried.append(str(error))
            continue
        ours = _stock_score(criterion, form, given)
        learnt = {key: loss for key, loss in returned.items() if _depends_on(loss, given.logits)}
        equal = [key for key, loss in learnt.items() if equals(loss, ours, given.logits)]
        if equal:
            _tell(criterion, slot, form, equal[0], returned, given)
            return
        theirs = ", ".join(f"{key} = {value_and_norm(loss, given.logits)}" for key, loss in learnt.items()) or theirs
    why = f" ({tried[0]})" if tried and theirs.startswith("nothing") else ""
    raise UnsupportedCriterion(
        criterion,
        "sought a class loss equal to weighted cross-entropy, focal, varifocal, matchability, IA-BCE or binary "
        f"cross-entropy, found {theirs} (value, norm of the gradient) from {slot.method}{why}",
        BOX_ALONE,
    )


def own_slot(criterion: Any) -> ClassSlot | None:
    """The criterion's own class loss as a slot that computes it; None: it is none that is known."""
    slot = ClassSlot(build_loss("bce_with_logits", reduction="none"))
    try:
        examine_scores(criterion, slot)
    except UnsupportedCriterion:
        return None
    slot.loss = build_loss(slot.stock_form.spec, reduction="none")
    return slot


def _tell(
    criterion: Any, slot: ClassSlot, form: ClassStock, key: str, returned: Mapping[str, Tensor], given: Fixed
) -> None:
    """Note what was found, after the same comparison without any object."""
    slot.stock_form, slot.stock, slot.key = form, form.name, key
    slot.others = bool({*returned, *names_written(criterion, slot.method)} - {slot.key})
    _tell_names(criterion, slot, given)
    slot.probe = (returned[key].item(), _stock_score(criterion, form, given).item())
    empty = without_objects(given)
    theirs, ours = (
        answered(criterion, getattr(criterion, slot.method), empty)[key],
        _stock_score(criterion, form, empty),
    )
    if not equals(theirs, ours, empty.logits):
        raise UnsupportedCriterion(
            criterion,
            f"its class loss without objects is {value_and_norm(theirs, empty.logits)} (value, norm of the gradient), "
            f"where {form.name} gives {value_and_norm(ours, empty.logits)}",
            BOX_ALONE,
        )
    slot.padded = _leaves_padding_out(criterion, slot)


def _leaves_padding_out(criterion: Any, slot: ClassSlot) -> bool:
    """Whether rows of targets that are not valid do not count; they do only where its loss of them shows it.

    Raises:
        UnsupportedCriterion: its loss is neither with these rows nor without them the one that is known.
    """
    filled, whole = (_scores(criterion, slot.stock_form, padded) for padded in (True, False))
    try:
        theirs = answered(criterion, getattr(criterion, slot.method), filled)[slot.key]
    except UnsupportedCriterion:  # it takes no such targets
        return True
    cases = {True: filled._replace(targets=whole.targets, indices=whole.indices), False: filled}
    values = {left_out: _stock_score(criterion, slot.stock_form, given) for left_out, given in cases.items()}
    for left_out, ours in values.items():
        if equals(theirs, ours, filled.logits):
            return left_out
    without, counted = (value_and_norm(ours, filled.logits) for ours in values.values())
    raise UnsupportedCriterion(
        criterion,
        f"its class loss with padded targets is {value_and_norm(theirs, filled.logits)} (value, norm of the gradient), "
        f"where {slot.stock} gives {without} without these rows and {counted} with them",
        BOX_ALONE,
    )


def _tell_names(criterion: Any, slot: ClassSlot, given: Fixed) -> None:
    """Note which of two names a criterion reads: what stands under the other one changes nothing."""
    method, classes = getattr(criterion, slot.method), classes_of(criterion)
    wanted = answered(criterion, method, given)[slot.key]
    outputs = {**given.outputs, "logits": given.logits.detach().neg()}
    if torch.equal(answered(criterion, method, given._replace(outputs=outputs))[slot.key], wanted):
        slot.scores = "pred_logits"
    targets = [{**target, "class_labels": (target["class_labels"] + 1) % classes} for target in given.targets]
    if classes > 1 and torch.equal(answered(criterion, method, given._replace(targets=targets))[slot.key], wanted):
        slot.classes = "labels"


def _scores(criterion: Any, form: ClassStock, padded: bool = False) -> Fixed:
    classes = classes_of(criterion)
    return fixed(classes + form.softmax, classes, device_of(criterion), dtype_of(criterion), padded)


def _stock_score(criterion: Any, form: ClassStock, given: Fixed) -> Tensor:
    logits = given.logits
    label = torch.full(logits.shape[:2], logits.shape[-1] - form.softmax, dtype=torch.int64, device=logits.device)
    quality = torch.zeros_like(logits[..., 0])
    pairs, where = pairs_of(given.outputs, given.targets, given.indices, padded=False), where_of(given.indices)
    found = [target["labels"][objects] for target, (_, objects) in zip(given.targets, given.indices, strict=True)]
    label[where], quality[where] = torch.cat(found), pairs.quality().to(quality)
    return stock_value(form, criterion, logits, label, quality, given.num_boxes)


def _depends_on(loss: Tensor, logits: Tensor) -> bool:
    return not loss.ndim and depends(loss, logits)
