"""The losses of one part of a model, which are no modules of it, and what they are handed beside predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..detr.rebound import rebound
from ..detr.steps import Steps
from .seams import Seam
from .slot import HeadSlot


class Seat:
    """The losses of one part.

    Args:
        slots: by the seam that each is put into.
        counted: whether they are losses of a plug; else they stand for one in a comparison.

    Attributes:
        steps: the losses, and what is counted of the calls of their part.
        handed: what the losses of the step need and their part does not get: what offsets are relative to, or
            qualities.
    """

    def __init__(self, slots: Mapping[Seam, HeadSlot], counted: bool = True) -> None:
        self.slots = dict(slots)
        self.steps = Steps(self.slots.values() if counted else ())
        self.handed: Any = None
        self._bound: dict[Any, Callable[..., Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "handed": None, "_bound": {}}

    @property
    def of_quality(self) -> bool:
        """Whether one of the losses is of qualities."""
        return any(slot.of_quality for slot in self.slots.values())

    def run(self, method: Callable[..., Any], part: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What a method of the part returns that computes losses; with these."""
        return self.steps.run(self._with_losses(method), part, arguments, named)

    def _with_losses(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """The method that calls these losses, made once."""
        if method not in self._bound:
            names = {seam.name: seam.function(slot, self._what_was_handed) for seam, slot in self.slots.items()}
            self._bound[method] = rebound(method, **names)
        return self._bound[method]

    def _what_was_handed(self) -> Any:
        assert self.handed is not None, "the part was entered by another way than its own"
        return self.handed
