"""gain="match": the constant that makes a loss pull as hard as the one that it replaces."""

from __future__ import annotations

from typing import Any

from loss_plugins.module.gain import IMAGE_SIZE, box_gain, fair_class_gain
from loss_plugins.module.image_size import image_sizes

from .slot import HeadSlot
from .stocks import box_stock, class_stock


def match(part: Any, slot: HeadSlot) -> None:
    """Set the gain of a slot. Losses of offsets are taken as those to an anchor that is the object's own box.

    Raises:
        ValueError: one of the losses has no gradient on the fixed set; what is right for positive scores is wrong for
            negative ones.
    """
    if slot.name == "cls":
        found = fair_class_gain(slot.loss, class_stock)
    else:
        stock, coder = box_stock(part), getattr(part, "box_coder", None)
        sizes = image_sizes(slot.loss.spec())
        side = (sum(length**2 for length in sizes[0]) / 2) ** 0.5 if sizes else IMAGE_SIZE
        found = box_gain(slot.loss, lambda pred, target: stock.rows(pred, target, target, coder), side)  # type: ignore[union-attr]
    slot.gain, slot.norms = found.factor, (found.stock, found.new)
