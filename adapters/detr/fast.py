"""fast=True: the same losses in fewer steps, each taken only where a first batch shows that it changes nothing.

The matcher is called image by image, on the host and without the checks of its GIoU; the box losses of all layers are
one call, where the criterion hands the losses of layers on as they are; its own class loss takes the IoU of pairs, not
the diagonal of a matrix.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from loss_plugins.errors import in_one_line
from loss_plugins.operators import Counted

from .agreement import FAILURES
from .box_slot import BoxSlot, side_distance
from .doors import standing_in
from .losses import Losses, boxes_of
from .making import stock_class
from .matcher import MatcherPlug
from .matches import Indices, Pairs
from .proof import tensors_in
from .steps import Call

#: how far losses may lie apart, relative, in double precision
SAME = 1e-5
#: batches on which it is found out, where the criterion raises on those before
TRIES = 3
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


class Run(NamedTuple):
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
    """How the layers of a criterion are computed; found out on the first batch with objects that does not raise.

    Args:
        matching: the matcher that is called image by image; None: there is none.
        alone: layers are computed one by one.

    Attributes:
        together: whether the box losses of all layers are computed in one call; None: not known yet.
        own_scores: whether the criterion's own class loss is computed from pairs.
    """

    def __init__(self, matching: MatcherPlug | None, alone: bool = False) -> None:
        self.matching, self.alone = matching, alone
        self.together: bool | None = None
        self.own_scores = False
        self._tries = 0
        self._waiting: dict[int, list[Any]] = {}
        self._seen: dict[int, list[Indices]] = {}

    @property
    def waiting(self) -> list[Any] | None:
        """The layers of the call that this thread has in hand; None: they are computed at once."""
        return self._waiting.get(threading.get_ident())

    @property
    def seen(self) -> list[Indices] | None:
        """What the matcher said in that call; None: nobody asks."""
        return self._seen.get(threading.get_ident())

    def run(self, losses: Losses, call: Call) -> Any:
        """What the criterion returns."""
        if self.matching is not None:
            self.matching.begin()
        if self.together is None and any(len(boxes) for boxes in boxes_of(call)):
            self._judge(losses, call)
        if not self.together:
            return call.returned()
        returned = self._together(losses, call)
        if returned is None:
            self.together = False
            _told(call.criterion, "layers are computed one by one, as its losses are not handed on as they are")
            return call.returned()
        return returned

    def wait(self, slot: BoxSlot, pairs: Pairs, num_boxes: Any, boxes_weight: Tensor | None) -> dict[str, Tensor]:
        """Places for the losses of a layer, which are computed later."""
        assert self.waiting is not None
        keys = [key for key in (slot.side_key, slot.key) if key is not None]
        places = {key: pairs.pred.new_zeros(()) for key in keys}
        self.waiting.append(Waiting(places, pairs, num_boxes, boxes_weight))
        return dict(places)

    def _together(self, losses: Losses, call: Call) -> dict[str, Any] | None:
        """The losses, those of boxes computed in one call; None: some of them are not handed on as they are."""
        waiting = self._waiting[threading.get_ident()] = []
        try:
            returned = call.returned()
        finally:
            del self._waiting[threading.get_ident()]
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

    def _judge(self, losses: Losses, call: Call) -> None:
        """Find out what gives the same assignment and the same losses, on a copy of the batch.

        In double precision, or as it came, where the criterion has numbers that do not go with that.
        """
        self.together = False  # for other threads, meanwhile
        judged = False
        try:
            with _unchanged(call.criterion):
                judged = self._try(losses, call)
        finally:
            self._tries += 1
            if not judged:
                self._set(call.criterion, by_image=False, own_scores=False)
                self.together = None if self._tries < TRIES else False

    def _try(self, losses: Losses, call: Call) -> bool:
        """Whether the criterion could be run for that."""
        for doubled in (True, False):
            try_out = partial(self._trial, losses, _apart(call, doubled))
            try:
                wanted = try_out()
            except FAILURES as error:
                as_it_is = (
                    "judged in the precision of the batch, as in double it" if doubled else "computed as it is: it"
                )
                _told(call.criterion, f"{as_it_is} says {in_one_line(error)}")
                continue
            self._compare(losses, call.criterion, try_out, wanted)
            return True
        return False

    def _compare(self, losses: Losses, criterion: Any, trial: Callable[..., Run], wanted: Run) -> None:
        by_image = self.matching is not None and _equal(criterion, partial(trial, by_image=True), wanted, less=True)
        own_scores = losses.own is not None and _equal(criterion, partial(trial, own_scores=True), wanted)
        possible = not self.alone and losses.box is not None
        self.together = possible and _equal(criterion, partial(trial, together=True), wanted)
        self._set(criterion, by_image, own_scores)
        if not by_image:
            _told(
                criterion, "its matcher is called as it is: image by image it would match otherwise, or compute as much"
            )
        if not self.together:
            _told(criterion, "layers are computed one by one, as it weighs their losses, or adds them up, itself")

    def _trial(
        self, losses: Losses, call: Call, by_image: bool = False, own_scores: bool = False, together: bool = False
    ) -> Run:
        """A run that is no training, of which other processes do not hear."""
        self._set(call.criterion, by_image, own_scores)
        seen = self._seen[threading.get_ident()] = []
        given = call.arguments, call.named
        try:
            with ExitStack() as stack:
                counted = Counted()
                for each in (torch.no_grad(), _same_random_numbers(given), _alone(), losses.set_apart(), counted):
                    stack.enter_context(each)
                arguments, named = copy.deepcopy(given)  # some criteria write into their arguments
                again = call._replace(arguments=arguments, named=named)
                returned = self._together(losses, again) if together else again.returned()
        finally:
            del self._seen[threading.get_ident()]
        return Run(returned, seen, counted.elements)

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


@contextmanager
def _unchanged(criterion: Any) -> Iterator[None]:
    """The numbers that a criterion keeps, as running means, are in the end what they were."""
    plain = {name: value for name, value in vars(criterion).items() if isinstance(value, (int, float, Tensor))}
    buffers = dict(criterion.named_buffers(recurse=False)) if isinstance(criterion, torch.nn.Module) else {}
    kept = {**plain, **buffers}
    before = [(value.data, value.data.clone()) for value in kept.values() if isinstance(value, Tensor)]
    try:
        yield
    finally:
        for changed, old in before:
            changed.copy_(old)
        for name, value in kept.items():
            setattr(criterion, name, value)


def _equal(criterion: Any, trial: Callable[[], Run], wanted: Run, less: bool = False) -> bool:
    """Whether a run of a criterion matches the same and gives the same losses, and, if `less`, computes less."""
    try:
        losses, seen, elements = trial()
    except FAILURES as error:
        _told(criterion, f"a quicker way raised {in_one_line(error)}")
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


def _apart(call: Call, doubled: bool) -> Call:
    """A call with copies of tensors, detached; `doubled`: floats in double precision."""
    return call._replace(arguments=_copied(call.arguments, doubled), named=_copied(call.named, doubled))


def _copied(value: Any, doubled: bool) -> Any:
    if isinstance(value, Tensor):
        return value.detach().double() if doubled and value.is_floating_point() else value.detach().clone()
    if isinstance(value, Mapping):
        return {name: _copied(each, doubled) for name, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_copied(each, doubled) for each in value)
    return value


def _same_random_numbers(given: Any) -> Any:
    """Random numbers that are drawn inside are the same each time, and those of the training are not touched."""
    return torch.random.fork_rng(devices=list({tensor.device for tensor in tensors_in(given) if tensor.is_cuda}))


def _alone() -> AbstractContextManager[None]:
    """Sums over processes are left out: another one may have found out already, or have no object in its batch."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return nullcontext()
    return standing_in(torch.distributed, "all_reduce", lambda found, *_, **named: _Done())


class _Done:
    """What stands for a sum over processes that is complete."""

    def wait(self) -> None:
        """Return at once."""


def _told(criterion: Any, what: str) -> None:
    logger.info("%s: %s", stock_class(criterion).__name__, what)
