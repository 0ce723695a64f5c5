"""The losses of one part of a model, which are no modules of it, and what is counted of its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from loss_plugins.module.state import sync_losses

from ..detr.rebound import rebound
from .seams import Seam
from .slot import HeadSlot


class Seat:
    """The losses of one part.

    Args:
        slots: by the seam that each is put into.
        apart: nothing is counted or learnt.

    Attributes:
        trained: steps in training.
        validated: losses that were computed without gradients.
        handed: what the losses of the step need and their part does not get: what offsets are relative to, or
            qualities.
    """

    def __init__(self, slots: Mapping[Seam, HeadSlot], apart: bool = False) -> None:
        self.slots = dict(slots)
        self.trained = self.validated = 0
        self.handed: Any = None
        self._begun = False
        self._apart = apart
        self._bound: dict[Any, Callable[..., Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "handed": None, "_bound": {}}

    @property
    def of_quality(self) -> bool:
        """Whether one of the losses is of qualities."""
        return any(slot.of_quality for slot in self.slots.values())

    def called(self) -> None:
        """The part computes its losses: in training, running statistics have learnt from the step before."""
        if self._apart:
            return
        if not torch.is_grad_enabled():
            self.validated += 1
            return
        self.trained += 1
        self.end_step()
        for slot in () if self._begun else self.slots.values():
            slot.loss.begin_step()
        self._begun = True

    def end_step(self) -> None:
        """Share what the ranks have seen since the step began, and begin the next one."""
        if self._begun:
            sync_losses([slot.loss for slot in self.slots.values()])

    def bound(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """The method that calls these losses, made once."""
        if method not in self._bound:
            names = {seam.name: seam.function(slot, self._what_was_handed) for seam, slot in self.slots.items()}
            self._bound[method] = rebound(method, **names)
        return self._bound[method]

    def _what_was_handed(self) -> Any:
        assert self.handed is not None, "the part was entered by another way than its own"
        return self.handed

    @contextmanager
    def set_apart(self) -> Iterator[None]:
        """Calls that are no training: nothing is counted or learnt."""
        with ExitStack() as stack:
            for slot in self.slots.values():
                stack.enter_context(slot.set_apart())
            self._apart = True
            try:
                yield
            finally:
                self._apart = False
