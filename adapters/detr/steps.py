"""What the losses of a plug have in common: counted calls, steps of running statistics, and proof that they train."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, TypeVar

import torch

from loss_plugins import Loss
from loss_plugins.errors import LossNotUsed
from loss_plugins.module.state import sync_losses

from .proof import Proof
from .slot import Slot

Returned = TypeVar("Returned")
logger = logging.getLogger("loss_plugins")
UNTOLD = (
    "%s changes in the course of a training, and nobody tells it how much is over: it computes what it does without a "
    "schedule. In each step call set_progress(step / steps) of its plug"
)


class Call(NamedTuple):
    """A call of a criterion, or of another part that computes losses.

    Attributes:
        enter: its own method.
        criterion: itself.
        arguments: that it was called with.
        named: likewise, by name.
    """

    enter: Callable[..., Any]
    criterion: Any
    arguments: tuple[Any, ...]
    named: dict[str, Any]

    def returned(self) -> Any:
        """What it returns."""
        return self.enter(self.criterion, *self.arguments, **self.named)


class Steps:
    """Losses that are computed in the calls of a criterion, or of another part that computes losses.

    Args:
        slots: of the losses.
        steps: whether each call in training is a step; else somebody else calls `begin_step`.

    Attributes:
        trained: calls in training.
        validated: calls without gradients.
        proof: when use of the losses is proven before the training ends.
    """

    def __init__(self, slots: Iterable[Slot], steps: bool = True) -> None:
        self._slots, self.steps = list(slots), steps
        self.trained = self.validated = 0
        self.proof = Proof()
        self._begun = False
        self._told = False
        self._inside: set[int] = set()

    @property
    def slots(self) -> list[Slot]:
        """The slots in use."""
        return list(self._slots)

    @property
    def modules(self) -> list[Loss]:
        """Their losses."""
        return [slot.loss for slot in self._slots]

    def run(self, enter: Callable[..., Any], criterion: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What the criterion returns; `enter` is its own `forward`, which may call the criterion for each layer.

        Raises:
            LossNotUsed: a few calls were trained with, and a loss was not used in them.
        """
        thread, call = threading.get_ident(), Call(enter, criterion, arguments, named)
        if thread in self._inside:
            return call.returned()
        self._inside.add(thread)
        try:
            self.begin_call()
            returned = self._computed(call)
        finally:
            self._inside.discard(thread)
        if torch.is_grad_enabled() and self._is_due(call):
            self.proof.follow(returned)
        return returned

    def alone(self, returned: Returned) -> Returned:
        """What a loss has returned that may be computed outside of all calls of the criterion; it is returned.

        Raises:
            LossNotUsed: a few were trained with, and a loss was not used in them.
        """
        if torch.is_grad_enabled() and threading.get_ident() not in self._inside:
            self._prove_when_due()
            self.proof.follow(returned)
        return returned

    def _computed(self, call: Call) -> Any:
        return call.returned()

    def _is_due(self, call: Call) -> bool:
        """Whether each loss has to be computed in a call; one without objects may leave some out."""
        return True

    def begin_call(self) -> None:
        """The criterion is called: in training, running statistics have learnt from the step before."""
        if not torch.is_grad_enabled():
            self.validated += 1
            return
        self._prove_when_due()
        self.trained += 1
        if self.steps:
            self.begin_step()

    def begin_step(self) -> None:
        """From now on, all calls are one update of the running statistics; that of the last step is ended.

        Ranks share what they have seen: each of them has to pass here once per step.
        """
        if self._begun:
            self.end_step()
            self._warn_untold()
        for loss in () if self._begun else self.modules:
            loss.begin_step()
        self._begun = True

    def set_progress(self, progress: float) -> None:
        """Tell the losses that change in the course of a training how much of it is over, from 0 to 1."""
        self._told = True
        for loss in self.modules:
            loss.set_progress(progress)

    def _warn_untold(self) -> None:
        """After the first step, once: a loss waits to be told the progress."""
        if not self._told:
            self._told = True
            for slot in self._slots:
                if slot.loss.takes_progress:
                    logger.warning(UNTOLD, f"the {slot.title}")

    def end_step(self) -> None:
        """Share what the ranks have seen since the step began, and begin the next one."""
        if self._begun:
            sync_losses(self.modules)

    @contextmanager
    def set_apart(self) -> Iterator[None]:
        """Calls that are no training: nothing is counted or learnt."""
        counts = self.trained, self.validated, self._begun, self.steps, self.proof
        self.steps, self.proof = False, Proof(after=0)
        with ExitStack() as stack:
            for slot in self._computing():
                stack.enter_context(slot.set_apart())
            try:
                yield
            finally:
                self.trained, self.validated, self._begun, self.steps, self.proof = counts

    def _computing(self) -> list[Slot]:
        """All slots through which losses are computed."""
        return self.slots

    @property
    def was_trained(self) -> bool:
        """Whether a loss was computed in training, or the criterion called there."""
        return bool(self.trained + sum(slot.use.calls + slot.use.frozen_calls for slot in self._slots))

    def require_training(self, what: str, question: str) -> None:
        """Raise unless something was trained.

        Args:
            what: computes the losses, for the error.
            question: what may be the reason, where nothing was computed at all.

        Raises:
            LossNotUsed: it was not called; or without gradients alone.
        """
        if self.was_trained:
            return
        if self.validated + sum(slot.use.val_calls for slot in self._slots):
            raise LossNotUsed(f"{what} computed its losses without gradients alone since the plug: was it trained?")
        raise LossNotUsed(f"{what} computed no loss since the plug: {question}")

    def require_use(self) -> None:
        """Raise LossNotUsed unless each loss was computed and something learnt from it, or nothing was trained."""
        for slot in self._slots:
            slot.use.require(f"the {slot.title}", self.trained, slot.rests)

    def _prove_when_due(self) -> None:
        """Raise LossNotUsed where the first calls that were trained with did not use a loss."""
        if not self.proof.due:
            return
        try:
            for slot in self._slots:
                slot.use.require(f"the {slot.title}", self.trained if slot.always else 0, slot.rests)
        except LossNotUsed as error:
            remedy = "a loss that is to train later needs prove_after(0) of its plug, which leaves the proof to the end"
            raise LossNotUsed(f"{error} (after {self.proof.used} calls that were trained with; {remedy})") from None
        self.proof.given = True
