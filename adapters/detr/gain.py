"""gain="match": the constant that makes a loss pull as hard as the one that it replaces."""

from __future__ import annotations

from torch import Tensor

from loss_plugins import build_loss
from loss_plugins.errors import refusal
from loss_plugins.module.gain import IMAGE_SIZE, box_gain, fair_class_gain

from .box_slot import BoxSlot
from .class_slot import ClassSlot


def match_boxes(slot: BoxSlot) -> None:
    """Set the gain of a box loss.

    Raises:
        ValueError: one of the losses has no gradient on the fixed set.
    """
    side = IMAGE_SIZE if slot.size is None else ((slot.size[0] ** 2 + slot.size[1] ** 2) / 2) ** 0.5
    found = box_gain(slot.loss, build_loss(slot.stock).elementwise, side)
    slot.gain, slot.norms = found.factor, (found.stock, found.new)


def match_scores(slot: ClassSlot) -> None:
    """Set the gain of a class loss.

    Raises:
        ValueError: the stock loss is one of softmax; what is right for positives is wrong for negatives.
    """
    if slot.stock_form.softmax:
        came = "gain='match': the stock class loss is a softmax, and the fixed set of scores is one of sigmoids"
        raise refusal(slot.loss.entry.name, came, "gain='keep'", "set loss_weight instead")
    stock = ClassSlot(build_loss(slot.stock_form.spec, reduction="none"))

    def stock_loss(pred: Tensor, target: Tensor) -> Tensor:
        return stock.loss.elementwise(pred, target if stock.of_quality else (target > 0).to(target))

    found = fair_class_gain(slot.loss, stock_loss, labels=not slot.of_quality)
    slot.gain, slot.norms = found.factor, (found.stock, found.new)
