"""Plug losses into a detector of torchvision: one call, with proof that they are computed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn

from loss_plugins.catalog.ranges import Choice, check_value
from loss_plugins.errors import check_type, in_our_words, refusal

from ..detr.asked import Asked, LossSpec
from ..detr.base import BasePlug
from ..detr.steps import Steps
from . import gain as gains
from . import probe
from .asked import WHERE, box_module, class_module
from .parts import LossPart, knows_boxes, places, plugged_parts
from .seat import Seat
from .slot import BoxSlot, ClassSlot, HeadSlot
from .subclass import put_in, seat_of, take_out

GAINS = Choice("keep", "match")
logger = logging.getLogger("loss_plugins")


class Seated(NamedTuple):
    """A part of the model with its losses, and the class that it had."""

    path: str
    part: nn.Module
    seat: Seat
    stock: type


class Plug(BasePlug):
    """The losses of one model; a context manager that takes them out again.

    Made by `plug`. Leaving the context without an exception raises `LossNotUsed` where a loss was not trained, or where
    a head was not called in training at all; a training without a loss ends with that after a few calls already.
    """

    where = WHERE
    owner = "model"

    def __init__(self, model: nn.Module, seated: list[Seated]) -> None:
        self._model, self._seated = model, seated
        for path, part, seat, _ in seated:
            logger.debug("%s: losses go into %s", type(model).__name__, path or "the model itself")
            put_in(part, seat)

    @property
    def name(self) -> str:
        """The class of the model."""
        return type(self._model).__name__

    @property
    def plugged(self) -> bool:
        """Whether the losses are in, in the parts that the model has now."""
        now = dict(self._model.named_modules())
        return all(seat_of(each.part) is each.seat and now.get(each.path) is each.part for each in self._seated)

    def unplug(self) -> None:
        """Give each part its own class back; a second call does nothing."""
        for each in self._seated:
            if seat_of(each.part) is each.seat:
                take_out(each.part)

    def _parts(self) -> list[tuple[str, Steps, str]]:
        now = dict(self._model.named_modules())
        question = "was another model trained, a copy say, or was this part replaced (it is {} now)?"
        return [
            (
                f"{each.path or 'the model'} ({each.stock.__name__})",
                each.seat.steps,
                question.format(type(now.get(each.path)).__name__),
            )
            for each in self._seated
        ]


@in_our_words
def plug(
    model: nn.Module,
    *,
    box: LossSpec | None = None,
    cls: LossSpec | None = None,
    gain: str = "keep",
) -> Plug:
    """Replace the box loss, the class loss, or both, of a detector of torchvision.

    Before anything is replaced, the head's own loss on fixed outputs has to equal the catalogue's form of it, in value
    and gradient. Assignment, normalisers, names of the losses and keys of the state dict stay as they are.

    Args:
        model: FCOS or RetinaNet; Faster, Mask or Keypoint R-CNN, whose second stage is served (give `model.rpn` for the
            first); or a module that holds one of them.
        box: name, dict with `type`, or module of a loss of boxes, which come decoded, in pixels.
        cls: the same of a class loss of single scores; FCOS and RetinaNet alone have one.
        gain: "keep", or "match": times the constant that makes the loss pull as hard as the one it replaces.

    Returns:
        the plug, with `.report`, `.unplug()`, `.require_use()`, `.state_dict()`, and as a context manager.

    Raises:
        UnsupportedModel: the model has no such head, or one whose losses are not those known.
        ValueError, TypeError: a loss or an argument that does not go with the model; a second plug on it.

    >>> from torchvision.models.detection import fcos_resnet50_fpn
    >>> model = fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3)
    >>> placed = plug(model, box="ciou")
    >>> placed.report.box.stock, type(model.head).__name__
    ('giou', 'PluggedFCOSHead')
    >>> placed.unplug()
    >>> type(model.head).__name__
    'FCOSHead'
    """
    check_type(WHERE, "model", model, nn.Module)
    check_value(WHERE, "gain", gain, GAINS)
    Asked(box, cls).check_any(WHERE)
    slots: dict[str, HeadSlot] = {}
    if box is not None:
        slots["box"] = BoxSlot(box_module(box))
    if cls is not None:
        slots["cls"] = ClassSlot(class_module(cls))
    with torch.inference_mode(False), torch.enable_grad():  # type: ignore[no-untyped-call]  # wherever it is called
        made = _placed(model, slots, match=gain == "match")
    logger.info("%s: %s", type(model).__name__, made.report)
    return made


@in_our_words
def unplug(model: nn.Module) -> None:
    """Give every part of a model its own class back: of a copy, say, for which nobody has the plug.

    Raises:
        TypeError: it is no module.
    """
    check_type(WHERE, "model", model, nn.Module)
    for part in plugged_parts(model):
        take_out(part)


def _placed(model: nn.Module, slots: Mapping[str, HeadSlot], match: bool) -> Plug:
    """The plug, after all comparisons; where one of them fails, the model is as it was."""
    found = {name: places(model, name) for name in slots}
    _check_free(list(found.values()))
    for name, place in found.items():
        probe.examine(place.part, place.seam, slots[name])
    made = Plug(model, _seated(found, slots))
    try:
        for name, place in found.items():
            probe.check_live(place.part, place.seam, slots[name])
            if match:
                gains.match(place.part, slots[name])
                probe.check_live(place.part, place.seam, slots[name])
    except BaseException:
        made.unplug()
        raise
    return made


def _seated(found: Mapping[str, LossPart], slots: Mapping[str, HeadSlot]) -> list[Seated]:
    """The losses by part: FCOS has both in one."""
    seated = []
    for place in {id(place.part): place for place in found.values()}.values():
        seat = Seat({each.seam: slots[name] for name, each in found.items() if each.part is place.part})
        seated.append(Seated(place.path, place.part, seat, type(place.part)))
        if seat.of_quality and (above := knows_boxes(place)) is not None:
            seated.append(Seated(*above, seat, type(above[1])))
    return seated


def _check_free(found: list[LossPart]) -> None:
    for place in found:
        if seat_of(place.part) is not None:
            came = f"the losses of model={type(place.model).__name__} are plugged already"
            raise refusal(WHERE, came, "one plug for each model", "call .unplug() of the first one, or unplug(model)")
