# SPDX-License-Identifier: AGPL-3.0-or-later
"""Criteria of anchor points: each branch has a `BboxLoss`, an assigner and a `bce`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from . import canary, dfl_canary, keypoint_canary, mask_canary, owners, probe, sem_canary
from .box_slot import STOCK_NAMES, BoxSlot
from .class_slot import stock_class_loss
from .dfl_fits import require_bins
from .dfl_slot import DflSlot, bins_of, require_known
from .keypoint_slot import KeypointSlot
from .sem_slot import SemSlot
from .slot_table import SLOTS
from .slots import Slot, Stock
from .spec import Spec


class Anchors:
    """YOLO's criteria: of detection, segmentation, pose and rotated boxes, and end-to-end heads of them."""

    matches = True

    def parts(self, criterion: Any) -> list[Any]:
        """The branches."""
        return probe.find_branches(criterion)

    def require(self, criterion: Any, slots: Iterable[Slot], spec: Spec) -> None:
        """Raise UnsupportedUltralytics if one of the losses cannot be computed there."""
        wanted = {slot.name: slot.prototype.entry.kind for slot in slots}
        probe.require_branches(criterion, wanted)
        if "mask" in wanted:
            probe.require_masks(criterion)
        for slot in slots:
            if isinstance(slot, DflSlot):
                for branch in self.parts(criterion):
                    require_known(branch.bbox_loss)
                    require_bins(slot.prototype, slot.of_bins, bins_of(branch.bbox_loss), type(branch).__name__)
            if isinstance(slot, SemSlot):
                sem_canary.require_branch(criterion, slot)
            if isinstance(slot, KeypointSlot):
                keypoint_canary.require_branch(criterion, slot)

    def objects(self, part: Any) -> list[Any]:
        """The branch, its `BboxLoss` and assigner, what stands in for its `bce`, and the losses of maps and points."""
        ours = [part.bce] if isinstance(part.bce, BCEReplacement) else []
        others = [getattr(part, name) for name in ("bcedice_loss", "keypoint_loss") if hasattr(part, name)]
        return [part, part.bbox_loss, part.assigner, *ours, *others]

    def put_in(self, part: Any) -> None:
        """Replace `bce`, which is called by its name alone."""
        stock = part.bce.stock if isinstance(part.bce, BCEReplacement) else part.bce
        part.bce = BCEReplacement(stock)

    def take_out(self, part: Any) -> None:
        """Put `bce` back, unless another plug needs it."""
        if isinstance(part.bce, BCEReplacement) and owners.owner(part.bce) is None:
            part.bce = part.bce.stock

    def gain_of(self, slot: Slot) -> str:
        """A setting of the trainer."""
        return f"the trainer's {SLOTS[slot.name].gain}"

    def gain(self, part: Any, slot: Slot) -> float:
        """The trainer's `box`, which is that of masks and of semantic maps too, or `cls`, or `pose`."""
        return float(getattr(part.hyp, SLOTS[slot.name].gain))

    def stock(self, slot: Slot) -> Stock | None:
        """CIoU, of rotated boxes ProbIoU; binary cross-entropy."""
        if isinstance(slot, BoxSlot):
            return Stock(STOCK_NAMES[slot.kind], slot.stock)
        return Stock("BCE", stock_class_loss) if slot.name == "cls" else None

    def check_stock(self, part: Any) -> float:
        """The stock box loss of fixed boxes."""
        return canary.check_stock_contract(part.bbox_loss)

    def check(self, part: Any, slot: Slot) -> float:
        """The slot's loss of fixed boxes, scores, masks, maps or points."""
        checks: dict[str, Callable[[Any, Any], float]] = {
            "box": canary.check_box,
            "cls": canary.check_cls,
            "dfl": dfl_canary.check_dfl,
            "mask": mask_canary.check_mask,
            "sem": sem_canary.check_sem,
            "keypoint": keypoint_canary.check_keypoint,
        }
        return checks[slot.name](part, slot)


class BCEReplacement:
    """What a criterion holds in `bce` in place of `BCEWithLogitsLoss(reduction="none")`.

    Where no plug is in, and once unpickled, it is that stock loss.

    Args:
        stock: the loss that was found.
    """

    def __init__(self, stock: nn.Module) -> None:
        self.stock = stock

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """(b, anchors, classes) logits and soft targets to a loss of that shape."""
        plug = owners.plug_for(self, "cls")
        if plug is None or plug.cls is None:
            stock: Tensor = self.stock(logits, target)
            return stock
        return plug.cls.compute(self, logits, target)

    def __reduce__(self) -> tuple[Any, ...]:
        # some versions pickle the criterion into last.pt, which must load where loss_plugins is not installed
        return nn.BCEWithLogitsLoss, (None, None, None, "none")

    def __deepcopy__(self, memo: dict[int, Any]) -> BCEReplacement:
        twin = BCEReplacement(self.stock)
        twin.__dict__.update(self.__dict__)
        return twin
