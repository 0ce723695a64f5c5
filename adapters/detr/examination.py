"""The losses that are asked for, examined on a live criterion: before anything is plugged."""

from __future__ import annotations

from typing import Any

import torch

from loss_plugins.catalog.ranges import Choice, check_value
from loss_plugins.errors import check_type, refusal, shown

from . import box_probe, canary, class_probe
from . import gain as gains
from .asked import Asked, box_module, checked_size, module_of, names_of, per_row, per_score, singles
from .box_slot import BoxSlot
from .class_slot import ClassSlot
from .fast import Fast
from .losses import Losses
from .matcher import MatcherPlug, matcher_plug
from .subclass import put_in, take_out

GAINS = Choice("keep", "match")
MATCHERS = Choice("keep", "match")
IN_SIDES = "boxes of this criterion are in sides of the image"


def examined(where: str, criterion: Any, asked: Asked, steps: bool = True) -> tuple[Losses, MatcherPlug | None]:
    """The losses of a plug, and what it changes in the matcher.

    The criterion's own losses have been compared with the known ones, and the new ones computed through it; it is left
    as it came.

    Args:
        where: the adapter, for errors.
        criterion: a live one, without a plug.
        asked: what the user asked for.
        steps: whether each call of the criterion in training is a step.

    Raises:
        UnsupportedCriterion: its losses are none that are known, or a new one does not come back through it.
        ValueError, TypeError: what was asked for does not go with the criterion.
    """
    box_slot, cls_slot = requested(where, asked)
    with torch.inference_mode(False), torch.enable_grad():  # type: ignore[no-untyped-call]
        if box_slot is not None:
            box_probe.examine_boxes(criterion, box_slot)
        if cls_slot is not None:
            class_probe.examine_scores(criterion, cls_slot)
            _check_form(where, cls_slot)
        if asked.gain == "match":
            _match(box_slot, cls_slot)
        losses = Losses(box_slot, cls_slot, steps)
        losses.matching = matching = matcher_plug(
            where, criterion, box_slot if asked.matcher == "match" else None, asked.fast
        )
        if asked.fast:
            losses.own = class_probe.own_slot(criterion) if cls_slot is None else None
            losses.fast = Fast(matching, alone=box_slot is None or box_slot.others)
        _watch_canary(criterion, losses)
    return losses, matching


def _check_without_box(where: str, asked: Asked) -> None:
    if asked.matcher == "match":
        came = "matcher='match' needs a box loss, and box=None"
        raise refusal(where, came, "'match' beside a box loss, or 'keep'", "pass box=..., or leave matcher out")
    if asked.image_size is not None:
        came = f"image_size={shown(asked.image_size)} is for a box loss, and box=None"
        raise refusal(where, came, "a size beside a box loss", "leave image_size out")


def requested(where: str, asked: Asked) -> tuple[BoxSlot | None, ClassSlot | None]:
    """The losses that are asked for, as far as they can be judged without a criterion.

    Raises:
        ValueError, TypeError: no loss; an argument that no criterion goes with.
    """
    asked.check_any(where)
    check_value(where, "gain", asked.gain, GAINS)
    check_value(where, "matcher", asked.matcher, MATCHERS)
    check_type(where, "fast", asked.fast, bool)
    size = checked_size(where, asked.image_size)
    if asked.box is None:
        _check_without_box(where, asked)
    box_slot = _box_slot(where, asked.box, size) if asked.box is not None else None
    return box_slot, _class_slot(where, asked.cls) if asked.cls is not None else None


def _box_slot(where: str, box: Any, size: Any) -> BoxSlot:
    loss, unit = box_module(where, box, size, IN_SIDES)
    return BoxSlot(loss, unit)


def _class_slot(where: str, cls: Any) -> ClassSlot:
    loss = module_of(where, "cls", cls)
    if loss.entry.kind == "distribution" or "offset" in loss.entry.targets:
        came = f"cls={loss.entry.name!r} is a loss of distributions over the sides of boxes"
        remedy = "pass one of these; local losses, as loss_fgl and loss_ddf of D-FINE's criteria, have no slot: a "
        remedy += "criterion of your own calls loss_plugins.FGLLoss and DDFLoss where it has the corners"
        raise refusal(where, came, f"a class loss: {names_of(per_score)}", remedy)
    if loss.entry.kind != "classification":
        came = f"cls={loss.entry.name!r} is a loss of kind {loss.entry.kind}"
        raise refusal(where, came, f"a class loss: {names_of(per_score)}", "pass one of these")
    return ClassSlot(loss)


def _check_form(where: str, slot: ClassSlot) -> None:
    """Raise unless the class loss works on what the criterion has: softmax or sigmoids."""
    softmax = slot.stock_form.softmax
    fits = per_row if softmax else per_score
    for each in singles(slot.loss):
        if each.entry.name != "mix" and not fits(each.entry):
            what = "a softmax over classes and 'no object'" if softmax else "sigmoids, one score per class"
            came = f"cls={each.entry.name!r} does not go with {slot.stock}, which is of {what}"
            raise refusal(where, came, names_of(fits), "pass one of these")


def _match(box: BoxSlot | None, cls: ClassSlot | None) -> None:
    if box is not None:
        gains.match_boxes(box)
    if cls is not None:
        gains.match_scores(cls)


def _watch_canary(criterion: Any, losses: Losses) -> None:
    """Put the losses in for a while, and compare what comes back."""
    put_in(criterion, losses)
    try:
        if losses.box is not None:
            canary.check_boxes(criterion, losses, losses.box)
        if losses.cls is not None:
            canary.check_scores(criterion, losses, losses.cls)
    finally:
        take_out(criterion)
