# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whose loss a part of a criterion computes: the plugs that are in, found by marks and by the thread they came from."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from torch import Tensor

from .box_slot import BoxSlot
from .class_slot import ClassSlot
from .dfl_slot import DflSlot
from .keypoint_slot import KeypointSlot
from .marks import mark_of
from .mask_slot import MaskSlot
from .sem_slot import SemSlot
from .slots import Slot
from .spec import Spec


class Owner(Protocol):
    """A plug, as the seams see it."""

    spec: Spec
    token: str
    bound: bool
    box: BoxSlot | None
    cls: ClassSlot | None
    dfl: DflSlot | None
    mask: MaskSlot | None
    sem: SemSlot | None
    keypoint: KeypointSlot | None

    def slot(self, name: str) -> Slot | None:
        """The slot of that name, if a loss was asked for there."""

    def adopt(self, criterion: Any, model: Any = None) -> None:
        """Serve a criterion, that of a model."""

    def expect(self, foreground: Tensor) -> None:
        """A branch was called."""


class OfThread(threading.local):
    """The plugs that came in from one thread, the innermost last."""

    def __init__(self) -> None:
        self.plugs: list[Owner] = []


_live: dict[str, Owner] = {}
_lists: dict[str, list[Owner]] = {}
_here = OfThread()


def add(plug: Owner) -> bool:
    """A plug comes in; whether it is the only one."""
    _live[plug.token] = plug
    _lists[plug.token] = _here.plugs
    _here.plugs.append(plug)
    return len(_live) == 1


def remove(plug: Owner) -> bool:
    """A plug leaves, in any order and from any thread; whether it was the last one."""
    del _live[plug.token]
    _lists.pop(plug.token).remove(plug)
    return not _live


def owner(part: Any) -> Owner | None:
    """The plug that the mark of a part names, if it is in."""
    mark = mark_of(part)
    return _live.get(mark.token) if mark is not None else None


def plug_for(part: Any, slot: str) -> Owner | None:
    """The plug whose loss a part computes in a slot; None: the stock loss.

    A model's own plug decides alone. Else it is the innermost of those contexts of this thread that ask for the slot.
    """
    own = owner(part)
    if own is not None and (own.bound or own.slot(slot) is not None):
        return own if own.slot(slot) is not None else None
    return context(slot)


def beside(plug: Owner) -> list[Owner]:
    """The plugs of the thread that a plug came in from."""
    return _lists[plug.token]


def context(slot: str | None = None, plugs: list[Owner] | None = None) -> Owner | None:
    """The innermost of a thread's plugs, this one's if not said, that serve criteria without a mark for the slot."""
    unbound = (plug for plug in reversed(_here.plugs if plugs is None else plugs) if not plug.bound)
    return next((plug for plug in unbound if slot is None or plug.slot(slot) is not None), None)


def builder(model: Any) -> Owner | None:
    """Whose criterion this is that a model is building."""
    return owner(model) or context()


def any_here() -> bool:
    """Whether this thread has a plug."""
    return bool(_here.plugs)
