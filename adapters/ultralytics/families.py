# SPDX-License-Identifier: AGPL-3.0-or-later
"""The kinds of criteria in which losses can be replaced, and what each needs for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from .anchors import Anchors
from .classes import require_classes
from .detr import Queries
from .errors import UnsupportedUltralytics
from .probe import SERVED
from .semantic import Semantic
from .slot_table import SLOTS
from .slots import Slot, Stock
from .spec import Spec


class Family(Protocol):
    """Criteria that compute their losses in one way; a part of a criterion has one loss of each slot."""

    #: whether gain="match" and the trainer's settings reach the loss
    matches: bool

    def parts(self, criterion: Any) -> list[Any]:
        """The parts of a live criterion: one, or both branches of an end-to-end head; none if it is of another kind."""

    def require(self, criterion: Any, slots: Iterable[Slot], spec: Spec) -> None:
        """Raise UnsupportedUltralytics if one of the losses cannot be computed there."""

    def objects(self, part: Any) -> list[Any]:
        """The objects of a part that are asked whose loss to compute."""

    def put_in(self, part: Any) -> None:
        """Replace what the class loss is called through, where that is an object."""

    def take_out(self, part: Any) -> None:
        """Put it back, unless another plug needs it."""

    def gain_of(self, slot: Slot) -> str:
        """What that factor is called where it is set, for messages; "": there is none."""

    def gain(self, part: Any, slot: Slot) -> float:
        """The factor that the criterion puts on the slot's loss."""

    def stock(self, slot: Slot) -> Stock | None:
        """The loss that the slot replaces, where boxes or scores of a fixed set can be fed to it; else None."""

    def check_stock(self, part: Any) -> float:
        """The stock box loss of fixed boxes; raises UnsupportedUltralytics if it is not the one known."""

    def check(self, part: Any, slot: Slot) -> float:
        """The slot's loss of fixed inputs; raises UnsupportedUltralytics if it is not the one asked for."""


FAMILIES: tuple[Family, ...] = (Anchors(), Queries(), Semantic())


def _require_classes(criterion: Any, parts: list[Any], slots: Iterable[Slot]) -> None:
    for slot in slots:
        for part in parts if slot.classes is not None else ():
            require_classes(slot.prototype, slot.classes, part.nc, f"the model of this {type(criterion).__name__}")


def parts_of(criterion: Any, slots: Iterable[Slot], spec: Spec) -> tuple[Family, list[Any]]:
    """The family of a criterion, and its parts.

    Args:
        criterion: a live criterion.
        slots: the losses that were asked for.
        spec: how.

    Raises:
        UnsupportedUltralytics: it is of no family, or one of the losses cannot be computed there.
        ValueError: the class loss has numbers for another count of classes.
    """
    for family in FAMILIES:
        parts = family.parts(criterion)
        if parts:
            _require_classes(criterion, parts, slots)
            family.require(criterion, slots, spec)
            return family, parts
    came = f"the criterion {type(criterion).__name__} has none of the losses {', '.join(SLOTS)}"
    raise UnsupportedUltralytics(came, f"Use {SERVED}")
