"""The losses that a criterion computes instead of its own, and what is counted of its calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from loss_plugins import Loss
from loss_plugins.module.state import sync_losses

from .box_slot import BoxSlot
from .class_slot import ClassSlot
from .matches import Indices, Outputs, Pairs, Targets, pairs_of, tensors_of
from .slot import Slot

#: arguments beyond the four that all criteria have, which are read, or say nothing that would be lost
READ = ("boxes_weight", "values", "matched_targets", "log")


class Layers(Protocol):
    """Another way than one by one to compute the layers of a criterion.

    Attributes:
        own_scores: whether the criterion's own class loss is computed from pairs.
    """

    own_scores: bool

    @property
    def waiting(self) -> list[Any] | None:
        """The layers whose losses are computed later; None: each is computed at once."""

    @property
    def seen(self) -> list[Indices] | None:
        """What the matcher said; None: nobody asks."""

    def run(
        self,
        losses: Losses,
        enter: Callable[..., Any],
        criterion: Any,
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        """What the criterion returns."""

    def wait(self, slot: BoxSlot, pairs: Pairs, num_boxes: Any, boxes_weight: Tensor | None) -> dict[str, Tensor]:
        """Places for the losses of a layer."""


class Losses:
    """The losses of one plug.

    Args:
        box: the box loss; None: the criterion's own.
        cls: the class loss, likewise.
        steps: whether each call of the criterion in training is a step; else somebody else calls `begin_step`.

    Attributes:
        trained: calls of the criterion in training.
        validated: calls of it without gradients.
        fast: how layers are computed; None: one by one.
        own: the criterion's own class loss, computed here where that is quicker; None: it computes it itself.
        proven_at: the training calls after which use of the losses is proven; 0: by nobody here.
    """

    def __init__(self, box: BoxSlot | None, cls: ClassSlot | None, steps: bool = True) -> None:
        self.box, self.cls, self.steps = box, cls, steps
        self.trained = self.validated = 0
        self.fast: Layers | None = None
        self.own: ClassSlot | None = None
        self.proven_at = 0
        self._begun = False
        self._inside: set[int] = set()

    @property
    def slots(self) -> list[Slot]:
        """The slots in use."""
        return [slot for slot in (self.box, self.cls) if slot is not None]

    @property
    def scores(self) -> ClassSlot | None:
        """The class loss that is computed here; None: the criterion computes its own."""
        quick = self.fast is not None and self.fast.own_scores
        return self.own if self.cls is None and quick else self.cls

    @property
    def modules(self) -> list[Loss]:
        """Their losses."""
        return [slot.loss for slot in self.slots]

    def _called(self) -> None:
        """The criterion is called: in training, running statistics have learnt from the step before."""
        if not torch.is_grad_enabled():
            self.validated += 1
            return
        if self.trained and self.trained == self.proven_at:
            self.require_use()
        self.trained += 1
        if self.steps:
            self.begin_step()

    def run(self, enter: Callable[..., Any], criterion: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """What the criterion returns; `enter` is its own `forward`, which may call the criterion for each layer."""
        thread = threading.get_ident()
        if thread in self._inside:
            return enter(criterion, *arguments, **named)
        self._inside.add(thread)
        try:
            self._called()
            if self.fast is None:
                return enter(criterion, *arguments, **named)
            return self.fast.run(self, enter, criterion, arguments, named)
        finally:
            self._inside.discard(thread)

    def begin_step(self) -> None:
        """From now on, all calls are one update of the running statistics; that of the last step is ended.

        Ranks share what they have seen: each of them has to pass here once per step.
        """
        if self._begun:
            self.end_step()
        for loss in () if self._begun else self.modules:
            loss.begin_step()
        self._begun = True

    def end_step(self) -> None:
        """Share what the ranks have seen since the step began, and begin the next one."""
        if self._begun:
            sync_losses(self.modules)

    @contextmanager
    def set_apart(self) -> Iterator[None]:
        """Calls that are no training: nothing is counted or learnt."""
        counts = self.trained, self.validated, self._begun
        steps, self.steps = self.steps, False
        with ExitStack() as stack:
            for slot in (*self.slots, *([self.own] if self.own is not None else [])):
                stack.enter_context(slot.set_apart())
            try:
                yield
            finally:
                self.trained, self.validated, self._begun = counts
                self.steps = steps

    def of_boxes(
        self, outputs: Outputs, targets: Targets, indices: Indices, num_boxes: Any, more: Mapping[str, Any]
    ) -> dict[str, Tensor]:
        """What `loss_boxes` returns; there is a box loss."""
        assert self.box is not None
        indices = tensors_of(indices)
        pairs = pairs_of(outputs, targets, indices, self.box.padded)
        boxes_weight = more.get("boxes_weight") if self.box.weighed else None
        if self.fast is not None and self.fast.seen is not None:
            self.fast.seen.append(indices)
        if self.fast is not None and self.fast.waiting is not None:
            return self.fast.wait(self.box, pairs, num_boxes, boxes_weight)
        return self.box.losses(pairs, num_boxes, boxes_weight)

    def of_scores(
        self,
        criterion: Any,
        slot: ClassSlot,
        outputs: Outputs,
        targets: Targets,
        indices: Indices,
        num_boxes: Any,
        more: Mapping[str, Any],
    ) -> dict[str, Tensor]:
        """What the method of a class loss returns."""
        indices = tensors_of(indices)
        pairs = pairs_of(outputs, targets, indices, slot.padded)
        value = slot.value(criterion, outputs, targets, indices, pairs, num_boxes, more.get("values"))
        return {slot.key: value}

    def require_use(self) -> None:
        """Raise LossNotUsed unless each loss was computed and something learnt from it, or nothing was trained."""
        for slot in self.slots:
            slot.use.require(f"the {slot.title}", self.trained, slot.rests)
