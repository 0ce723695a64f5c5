"""fast=True: the same losses in fewer steps, each taken only where the first batch shows that it changes nothing.

The matcher is called image by image, on the host and without the checks of its GIoU; the box losses of all layers are
one call, where the criterion hands the losses of layers on as they are; its own class loss takes the IoU of pairs, not
the diagonal of a matrix.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from loss_plugins.bench.counted import Counted

from .box_slot import BoxSlot, side_distance
from .losses import Losses
from .matcher import MatcherPlug
from .matches import Indices, Pairs
from .subclass import stock_class

#: how far losses may lie apart, relative, in double precision
SAME = 1e-5
logger = logging.getLogger("loss_plugins")


class Waiting(NamedTuple):
    """A layer whose box loss is computed when the criterion has gone through all layers.

    Attributes:
        places: what the criterion was given instead, by the name of the loss.
        pairs: of the layer.
        num_boxes: what sums are divided by.
        boxes_weight: a factor for each pair; None: 1.
    """

    places: dict[str, Tensor]
    pairs: Pairs
    num_boxes: Any
    boxes_weight: Tensor | None


Enter = Callable[..., Any]


class Trial(NamedTuple):
    """A run of a criterion.

    Attributes:
        losses: what it returned.
        seen: what the matcher said, layer by layer.
        elements: how many numbers were computed.
    """

    losses: Any
    seen: list[Indices]
    elements: int


class Fast:
    """How the layers of a criterion are computed; found out on the first batch that has objects.

    Args:
        matching: the matcher that is called image by image; None: there is none.
        alone: layers are computed one by one.

    Attributes:
        together: whether the box losses of all layers are computed in one call; None: not known yet.
        own_scores: whether the criterion's own class loss is computed from pairs.
        waiting: the layers of the call in hand; None: they are computed at once.
        seen: what the matcher said in the call in hand; None: nobody asks.
    """

    def __init__(self, matching: MatcherPlug | None, alone: bool = False) -> None:
        self.matching, self.alone = matching, alone
        self.together: bool | None = None
        self.own_scores = False
        self.waiting: list[Any] | None = None
        self.seen: list[Indices] | None = None

    def run(
        self, losses: Losses, enter: Enter, criterion: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """What the criterion returns."""
        if self.matching is not None:
            self.matching.begin()
        if self.together is None and _objects(arguments, named):
            self._judge(losses, enter, criterion, arguments, named)
        if not self.together:
            return enter(criterion, *arguments, **named)
        returned = self._together(losses, enter, criterion, arguments, named)
        if returned is None:
            self.together = False
            _told(criterion, "layers are computed one by one, as its losses are not handed on as they are")
            return enter(criterion, *arguments, **named)
        return returned

    def wait(self, slot: BoxSlot, pairs: Pairs, num_boxes: Any, boxes_weight: Tensor | None) -> dict[str, Tensor]:
        """Places for the losses of a layer, which are computed later."""
        assert self.waiting is not None
        keys = [key for key in (slot.side_key, slot.key) if key is not None]
        places = {key: pairs.pred.new_zeros(()) for key in keys}
        self.waiting.append(Waiting(places, pairs, num_boxes, boxes_weight))
        return dict(places)

    def _together(
        self, losses: Losses, enter: Enter, criterion: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> dict[str, Any] | None:
        """The losses, those of boxes computed in one call; None: some of them are not handed on as they are."""
        self.waiting = []
        try:
            returned = enter(criterion, *arguments, **named)
            waiting = self.waiting
        finally:
            self.waiting = None
        places = {id(place): (layer, key) for layer, each in enumerate(waiting) for key, place in each.places.items()}
        if not isinstance(returned, dict) or {id(value) for value in returned.values()} & set(places) != set(places):
            return None
        assert losses.box is not None
        values = all_layers(losses.box, waiting) if waiting else []
        for name, value in returned.items():
            if id(value) in places:
                layer, key = places[id(value)]
                returned[name] = values[layer][key]
        return returned

    def _judge(
        self, losses: Losses, enter: Enter, criterion: Any, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        """Find out what gives the same assignment and the same losses, on a copy of the batch in double precision.

        A criterion with constants in single precision, which do not go with that, gets the batch as it is.
        """
        given, others = _doubled(arguments), _doubled(named)

        def trial(by_image: bool = False, own_scores: bool = False, together: bool = False) -> Trial:
            self._set(criterion, by_image, own_scores)
            self.seen = []
            with torch.no_grad(), _same_random_numbers(arguments), losses.set_apart(), Counted() as counted:
                copies = copy.deepcopy(given), copy.deepcopy(others)  # some criteria write into their arguments
                run = self._together if together else _plainly
                returned = run(losses, enter, criterion, *copies)
            return Trial(returned, self.seen, counted.elements)

        try:
            wanted = trial()
        except RuntimeError as error:
            _told(
                criterion, f"judged in the precision of the batch, as in double it says {' '.join(str(error).split())}"
            )
            given, others = _copied(arguments), _copied(named)
            wanted = trial()
        by_image = self.matching is not None and _equal(criterion, partial(trial, by_image=True), wanted, less=True)
        own_scores = losses.own is not None and _equal(criterion, partial(trial, own_scores=True), wanted)
        possible = not self.alone and losses.box is not None
        self.together = possible and _equal(criterion, partial(trial, together=True), wanted)
        self.seen = None
        self._set(criterion, by_image, own_scores)
        if not by_image:
            _told(
                criterion, "its matcher is called as it is: image by image it would match otherwise, or compute as much"
            )
        if not self.together:
            _told(criterion, "layers are computed one by one, as it weighs their losses, or adds them up, itself")

    def _set(self, criterion: Any, by_image: bool, own_scores: bool) -> None:
        """Compute so. A matcher that is called as it is has its own class, on which quicker ways of its own depend."""
        self.own_scores = own_scores
        if self.matching is not None:
            self.matching.by_image = by_image
            self.matching.take_out(criterion.matcher)
            self.matching.put_in(criterion.matcher)


def all_layers(slot: BoxSlot, waiting: list[Waiting]) -> list[dict[str, Tensor]]:
    """The losses of layers, computed in one call."""
    pairs = [each.pairs for each in waiting]
    counts = [len(each.pred) for each in pairs]
    joint = Pairs(
        where=tuple(torch.cat(parts) for parts in zip(*(each.where for each in pairs), strict=True)),  # type: ignore[arg-type]
        pred=torch.cat([each.pred for each in pairs]),
        target=torch.cat([each.target for each in pairs]),
        valid=_joint([each.valid for each in pairs], pairs),
    )
    rows = torch.split(slot.rows(joint, _joint([each.boxes_weight for each in waiting], pairs)), counts)
    found = [{slot.key: loss.sum() / each.num_boxes} for loss, each in zip(rows, waiting, strict=True)]
    if slot.side_key is None:
        return found
    sides = torch.split(side_distance(joint), counts)
    first = [{slot.side_key: loss.sum() / each.num_boxes} for loss, each in zip(sides, waiting, strict=True)]
    return [{**side, **loss} for side, loss in zip(first, found, strict=True)]


def _joint(parts: list[Tensor | None], pairs: list[Pairs]) -> Tensor | None:
    """Factors of all layers, 1 where a layer has none; None: none has."""
    if all(part is None for part in parts):
        return None
    return torch.cat(
        [each.pred.new_ones(len(each.pred)) if part is None else part for part, each in zip(parts, pairs, strict=True)]
    )


def _plainly(losses: Losses, enter: Enter, criterion: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    return enter(criterion, *arguments, **named)


def _equal(criterion: Any, trial: Callable[[], Trial], wanted: Trial, less: bool = False) -> bool:
    """Whether a run of a criterion matches the same and gives the same losses, and, if `less`, computes less."""
    try:
        losses, seen, elements = trial()
    except (RuntimeError, ValueError, TypeError, KeyError, IndexError) as error:
        _told(criterion, f"a quicker way raised {type(error).__name__}: {' '.join(str(error).split())}")
        return False
    expected, matched, most = wanted
    if less and elements >= most:
        return False
    if not isinstance(losses, Mapping) or set(losses) != set(expected) or len(seen) != len(matched):
        return False
    flat = [[part.cpu() for layer in each for pair in layer for part in pair] for each in (seen, matched)]
    same = len(flat[0]) == len(flat[1]) and all(torch.equal(a, b) for a, b in zip(*flat, strict=True))
    return same and all(_close(losses[name], expected[name]) for name in expected)


def _close(loss: Any, wanted: Any) -> bool:
    if not isinstance(wanted, Tensor):
        return bool(loss == wanted)
    return torch.allclose(loss.double(), wanted.double(), rtol=SAME, atol=SAME * 1e-3, equal_nan=True)


def _doubled(value: Any) -> Any:
    """A copy of tensors in lists and dicts, detached, floats in double precision."""
    return _copied(value, torch.float64)


def _copied(value: Any, dtype: torch.dtype | None = None) -> Any:
    """A copy of tensors in lists and dicts, detached, floats in this type."""
    if isinstance(value, Tensor):
        return value.detach().to(dtype if value.is_floating_point() else None, copy=True)
    if isinstance(value, Mapping):
        return {name: _copied(each, dtype) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(each, dtype) for each in value)
    return value


def _objects(arguments: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
    """Whether a batch has objects to match."""
    targets = arguments[1] if len(arguments) > 1 else named.get("targets", ())
    return any(len(target["boxes"]) for target in targets)


def _same_random_numbers(arguments: Any) -> Any:
    """Random numbers that are drawn inside are the same each time, and those of the training are not touched."""
    devices = {value.device for value in arguments[0].values() if isinstance(value, Tensor) and value.is_cuda}
    return torch.random.fork_rng(devices=list(devices))


def _told(criterion: Any, what: str) -> None:
    logger.info("%s: %s", stock_class(criterion).__name__, what)
