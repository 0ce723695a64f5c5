"""The equality probe of the box loss: it has to be the one that is known, before anything is replaced."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from loss_plugins import build_loss

from .agreement import (
    TOLERANCE,
    answered,
    check_arguments,
    classes_of,
    depends,
    device_of,
    equals,
    takes,
    value_and_norm,
)
from .box_slot import BoxSlot, side_distance
from .errors import UnsupportedCriterion
from .fixed import Fixed, fixed, without_objects
from .matches import Pairs, pairs_of
from .written import names_written

#: the losses of boxes that a criterion may have, the usual one first
BOX_STOCKS = ("giou", "ciou", "diou", "iou", "eiou")
STOCK_ONLY = "plug the stock criterion, or write your loss into your own"


def examine_boxes(criterion: Any, slot: BoxSlot) -> None:
    """Find out which box loss a criterion has, and how it returns it; the slot is told.

    Raises:
        UnsupportedCriterion: its losses of fixed outputs are not those known, in value or gradient.
    """
    check_arguments(criterion, "loss_boxes")
    device, classes = device_of(criterion), classes_of(criterion)
    given = fixed(classes, classes, device)
    returned = answered(criterion, criterion.loss_boxes, given)
    slot.padded = _leaves_padding_out(criterion)
    slot.side_key = next((key for key, loss in returned.items() if equals(loss, _sides(given), given.boxes)), None)
    learnt = [key for key, loss in returned.items() if key != slot.side_key and depends(loss, given.boxes)]
    found = [
        (key, name) for key in learnt for name in BOX_STOCKS if equals(returned[key], _box(given, name), given.boxes)
    ]
    if not found:
        key = next((key for key in ("loss_giou", *learnt) if key in returned), None)
        theirs = "nothing" if key is None else f"{key} = {value_and_norm(returned[key], given.boxes)}"
        raise UnsupportedCriterion(
            criterion,
            f"sought a box loss equal to GIoU, {value_and_norm(_box(given, 'giou'), given.boxes)} on fixed boxes "
            f"(value, norm of the gradient), found {theirs} from loss_boxes",
            STOCK_ONLY,
        )
    slot.key, slot.stock = found[0]
    slot.probe = (returned[slot.key].item(), _box(given, slot.stock).item())
    slot.others = bool({*returned, *names_written(criterion, "loss_boxes")} - {slot.key, slot.side_key})
    _examine_more_boxes(criterion, slot, given)


def _examine_more_boxes(criterion: Any, slot: BoxSlot, given: Fixed) -> None:
    """Likewise without any object, with a factor for each pair, and with targets that are filled up."""
    cases: dict[str, tuple[Fixed, dict[str, Tensor]]] = {"without objects": (without_objects(given), {})}
    if takes(criterion.loss_boxes, "boxes_weight"):
        weight = torch.linspace(0.2, 1.3, 5, dtype=torch.float64, device=given.boxes.device)
        theirs = answered(criterion, criterion.loss_boxes, given, boxes_weight=weight)[slot.key]
        slot.weighed = not equals(theirs, _box(given, slot.stock), given.boxes)
        if slot.weighed:
            cases["with boxes_weight"] = (given, {"boxes_weight": weight})
    if slot.padded:
        cases["with padded targets"] = (
            fixed(given.logits.shape[-1], given.logits.shape[-1], given.boxes.device, padded=True),
            {},
        )
    for what, (case, keywords) in cases.items():
        theirs = answered(criterion, criterion.loss_boxes, case, **keywords)[slot.key]
        ours = _box(case, slot.stock, slot.padded, **keywords)
        if not equals(theirs, ours, case.boxes):
            raise UnsupportedCriterion(
                criterion,
                f"its box loss {what} is {value_and_norm(theirs, case.boxes)} (value, norm of the gradient), where "
                f"{slot.stock} gives {value_and_norm(ours, case.boxes)}",
                STOCK_ONLY,
            )


def _pairs(given: Fixed, padded: bool = False) -> Pairs:
    return pairs_of(given.outputs, given.targets, given.indices, padded)


def _sides(given: Fixed) -> Tensor:
    return side_distance(_pairs(given)).sum() / given.num_boxes


def _box(given: Fixed, name: str, padded: bool = False, boxes_weight: Tensor | None = None) -> Tensor:
    pairs = _pairs(given, padded)
    loss = build_loss(name).elementwise(*pairs.corners(None))
    for factor in (boxes_weight, pairs.valid):
        loss = loss if factor is None else loss * factor
    return loss.sum() / given.num_boxes


def _leaves_padding_out(criterion: Any) -> bool:
    """Whether rows of targets that are not valid do not count."""
    classes, device = classes_of(criterion), device_of(criterion)
    plain = answered(criterion, criterion.loss_boxes, fixed(classes, classes, device))
    try:
        filled = answered(criterion, criterion.loss_boxes, fixed(classes, classes, device, padded=True))
    except UnsupportedCriterion:
        return False
    return all(bool((plain[key] - filled[key]).abs().max() <= TOLERANCE) for key in plain)
