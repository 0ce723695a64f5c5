"""The losses of one trainer or criterion: everything in it that computes the ones asked for is plugged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loss_plugins.errors import refusal

from ..detr import Plug, UnsupportedCriterion
from ..detr.asked import Asked
from ..detr.base import BasePlug
from ..detr.examination import examined, requested
from ..detr.losses import Losses
from ..detr.steps import Steps
from .dense import DensePlug, DenseSlot, Place, compared
from .forms import STOCKS
from .found import found_in

WHERE = "libreyolo adapter"
LISTED = "`loss-plugins doctor libreyolo` lists what is served"


class Served:
    """What is plugged for one request.

    A second criterion of a trainer, as that of its validation, computes the same losses: counts and running statistics
    are one.

    Args:
        asked: the request.
        keep: called with each plug that is made.
    """

    def __init__(self, asked: Asked, keep: Callable[[BasePlug], None]) -> None:
        self.asked, self._keep = asked, keep
        self.plugs: list[Plug] = []
        self.dense: DensePlug | None = None

    @property
    def any(self) -> bool:
        """Whether something is plugged."""
        return bool(self.plugs) or self.dense is not None

    @property
    def is_told(self) -> bool:
        """Whether a loss has to be told: a running statistic of the steps of dense criteria, others of the progress."""
        slots = [slot for plug in self.plugs for slot in plug.losses.slots]
        dense = [] if self.dense is None else [self.dense.slot]
        stateful = any(slot.loss.entry.traits.stateful for slot in dense)
        return stateful or any(slot.loss.takes_progress for slot in (*slots, *dense))

    def set_progress(self, progress: float) -> None:
        """Tell the losses how much of the training is over, from 0 to 1."""
        for plug in (*self.plugs, *([self.dense] if self.dense is not None else [])):
            plug.set_progress(progress)

    def serve(self, root: Any) -> list[str]:
        """Plug all that is in an object.

        Args:
            root: a trainer, a criterion, or what a validation computes its losses with.

        Returns:
            names of other objects that look like criteria.

        Raises:
            UnsupportedCriterion: one of the criteria in it computes losses that are not known.
            ValueError: what was asked for does not go with one.
        """
        found = found_in(root)
        for criterion in found.criteria:
            self._plug_criterion(criterion)
        if found.places:
            self._plug_places(found.places)
        return found.others

    def _plug_criterion(self, criterion: Any) -> None:
        losses, matching = examined(WHERE, criterion, self.asked)
        first = next((plug.losses for plug in self.plugs if _same(plug.losses, losses)), None)
        if first is not None:
            losses.follow(first)
        made = Plug(criterion, losses, matching, WHERE)
        self.plugs.append(made)
        self._keep(made)

    def _plug_places(self, places: list[Place]) -> None:
        slots = [self._slot(place) for place in places]
        for place, slot in zip(places, slots, strict=True):
            compared(place, slot)
        if self.dense is not None:
            self.dense.add(places)
            return
        self.dense = DensePlug(Steps([slots[0]]), places)
        self._keep(self.dense)

    def _slot(self, place: Place) -> DenseSlot:
        """The slot for a place: that of the others, where there are some.

        Raises:
            UnsupportedCriterion: it replaces another loss than these.
            ValueError: what was asked for does not go with dense criteria.
        """
        if self.dense is not None:
            if self.dense.slot.stock != place.form.stock:
                found = f"its box loss is {place.form.stock}, that of the others is {self.dense.slot.stock}"
                raise UnsupportedCriterion(place.owner, found, LISTED)
            return self.dense.slot
        _check_dense(place, self.asked)
        box, _ = requested(WHERE, self.asked)
        assert box is not None
        slot = DenseSlot(box.loss, place.form)
        if self.asked.gain == "match":
            slot.match()
        return slot


def _same(one: Losses, other: Losses) -> bool:
    """Whether two criteria call their losses in the same way."""
    kinds = [
        [(slot.key, slot.stock, slot.padded, slot.others) for slot in each.slots]  # type: ignore[attr-defined]
        for each in (one, other)
    ]
    return kinds[0] == kinds[1]


def _check_dense(place: Place, asked: Asked) -> None:
    """Raise unless the request is one of a box loss alone, of boxes in any unit."""
    title = place.title
    if asked.cls is not None:
        came = f"cls={asked.cls!r}: the class loss of a dense criterion ({title}) is computed inside of it"
        raise refusal(WHERE, came, "box", "leave cls out")
    if asked.image_size is not None:
        came = f"image_size={asked.image_size!r}: {title} gets boxes in a unit that it does not say"
        raise refusal(WHERE, came, "losses that no image size belongs to", "leave image_size out")
    if asked.matcher != "keep" or asked.fast:
        name = "fast=True" if asked.fast else f"matcher={asked.matcher!r}"
        raise refusal(WHERE, f"{name}: {title} has no Hungarian matcher", "matcher='keep', fast=False", "leave it out")


def nothing_found(root: Any, others: list[str]) -> UnsupportedCriterion:
    """The error for a trainer in which nothing can be plugged."""
    found = ", ".join(dict.fromkeys(others)) or "no criterion"
    return UnsupportedCriterion(
        root, f"sought a criterion with loss_boxes, or a box loss equal to {', '.join(STOCKS)}, found {found}", LISTED
    )
