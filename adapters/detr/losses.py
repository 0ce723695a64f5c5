"""The losses that a criterion computes instead of its own, and what is counted of its calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from loss_plugins.errors import LossNotUsed

from .box_slot import BoxSlot
from .class_slot import ClassSlot
from .matcher import MatcherPlug, plug_of_matcher
from .matches import Indices, Outputs, Pairs, Targets, pairs_of, tensors_of
from .slot import Slot
from .steps import Call, Steps

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

    def run(self, losses: Losses, call: Call) -> Any:
        """What the criterion returns."""

    def wait(self, slot: BoxSlot, pairs: Pairs, num_boxes: Any, boxes_weight: Tensor | None) -> dict[str, Tensor]:
        """Places for the losses of a layer."""


def boxes_of(call: Call) -> list[Any]:
    """The boxes of the objects of each image: targets are a list of dicts that have them."""
    lists = [value for value in (*call.arguments, *call.named.values()) if isinstance(value, (list, tuple))]
    return [each["boxes"] for value in lists for each in value if isinstance(each, Mapping) and "boxes" in each]


class Losses(Steps):
    """The losses of a criterion of the DETR family.

    Args:
        box: the box loss; None: the criterion's own.
        cls: the class loss, likewise.
        steps: whether each call of the criterion in training is a step; else somebody else calls `begin_step`.

    Attributes:
        fast: how layers are computed; None: one by one.
        own: the criterion's own class loss, computed here where that is quicker; None: it computes it itself.
        first: the losses of another criterion, which these are, and where calls of both are counted; None: these count.
        matching: what changes in the matcher of the criterion; None: nothing.
    """

    def __init__(self, box: BoxSlot | None, cls: ClassSlot | None, steps: bool = True) -> None:
        super().__init__([slot for slot in (box, cls) if slot is not None], steps)
        self.box, self.cls = box, cls
        self.fast: Layers | None = None
        self.own: ClassSlot | None = None
        self.first: Losses | None = None
        self.matching: MatcherPlug | None = None

    def follow(self, first: Losses) -> None:
        """Be the losses of another criterion, which calls them in the same way."""
        first = first.first or first
        self.first, self.proof = first, first.proof
        self.box, self.cls, self._slots = first.box, first.cls, first.slots

    @property
    def scores(self) -> ClassSlot | None:
        """The class loss that is computed here; None: the criterion computes its own."""
        quick = self.fast is not None and self.fast.own_scores
        return self.own if self.cls is None and quick else self.cls

    def begin_call(self) -> None:
        """As `Steps.begin_call`; of a second criterion, for the losses of the first."""
        if self.first is None:
            super().begin_call()
        else:
            self.first.begin_call()

    def check_matcher(self, criterion: Any) -> None:
        """Raise where another matcher stands in the place of the one whose cost is the box loss.

        Raises:
            LossNotUsed: somebody has put it there.
        """
        if self.matching is None or self.matching.cost is None:
            return
        matcher = getattr(criterion, "matcher", None)
        if plug_of_matcher(matcher) is not self.matching:
            raise LossNotUsed(
                f"matcher='match': the matcher whose cost is {self.matching.cost.loss.entry.name} was replaced by a "
                f"{type(matcher).__name__}, whose cost is its own: replace it before the losses are plugged"
            )

    def _computed(self, call: Call) -> Any:
        if torch.is_grad_enabled():
            self.check_matcher(call.criterion)
        return call.returned() if self.fast is None else self.fast.run(self, call)

    def _is_due(self, call: Call) -> bool:
        boxes = boxes_of(call)
        return not boxes or any(len(each) for each in boxes)

    def _computing(self) -> list[Slot]:
        return [*self.slots, *([self.own] if self.own is not None else [])]

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
        return self.alone(self.box.losses(pairs, num_boxes, boxes_weight))

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
        return self.alone({slot.key: value})
