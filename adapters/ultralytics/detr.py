# SPDX-License-Identifier: AGPL-3.0-or-later
"""RT-DETR's criterion: matched boxes of each decoder layer, normalised, and the scores of its queries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from loss_plugins import Loss, cxcywh_to_xyxy, giou_loss, varifocal_loss
from loss_plugins.errors import refusal
from loss_plugins.fusion import by_autograd
from loss_plugins.module.image_size import given_sizes
from loss_plugins.tensors import Target, on_target

from . import probe
from .box_slot import BoxSlot
from .canary import TOLERANCE, checked, set_apart, twin, value_and_gradient
from .errors import UnsupportedUltralytics
from .slots import Slot, Stock
from .spec import Spec

#: the methods of `DETRLoss` that compute the losses of one decoder layer
METHODS = {"box": "_get_loss_bbox", "cls": "_get_loss_class"}
#: and what the gains of these losses are called
GAINS = {"box": "giou", "cls": "class"}


def stock_box_loss(pred: Tensor, target: Tensor) -> Tensor:
    """RT-DETR's box loss, one number per box."""
    return giou_loss(pred, target, dialect="ultralytics")


def stock_class_loss(logits: Tensor, target: Tensor) -> Tensor:
    """RT-DETR's class loss where there are objects, one number per score."""
    return varifocal_loss(logits, target, alpha=0.25, gamma=1.5)


def box_loss(slot: Any, criterion: Any, pred: Tensor, target: Tensor) -> Tensor:
    """The mean box loss of matched boxes in float32, with the gain that the stock GIoU loss has.

    Args:
        slot: the box slot.
        criterion: that was called.
        pred: (n, 4) cxcywh in sides of the image, n > 0.
        target: the boxes matched to them.
    """
    training = torch.is_grad_enabled() and pred.requires_grad
    pred, target = (cxcywh_to_xyxy(boxes.float()) for boxes in (pred, target))
    slot.calls.follow(pred)  # apart from the distance of the sides, which stays
    loss_module = slot.loss_of(criterion, pred.device)
    with torch.autocast(pred.device.type, enabled=False):
        if training and slot.measure_next:
            slot.measure(loss_module, stock_box_loss, pred, target, torch.ones_like(pred[:, :1]))
        loss = loss_module.elementwise(pred, target)
    slot.look(loss, pred, target, None)
    total: Tensor = loss.sum() / len(loss) * (loss_module.loss_weight * criterion.loss_gain[GAINS["box"]])
    slot.calls.count(total, len(loss), training)
    return total


def class_loss(slot: Any, criterion: Any, logits: Tensor, labels: Tensor, quality: Tensor, objects: int) -> Tensor:
    """The summed class loss in float32 over the number of objects, with the gain of the stock loss.

    Args:
        slot: the class slot.
        criterion: that was called.
        logits: (b, queries, classes).
        labels: (b, queries) class of the object of each query, the number of classes where it has none.
        quality: (b, queries) IoU of matched boxes.
        objects: how many there are.
    """
    training, queries = torch.is_grad_enabled() and logits.requires_grad, logits.shape[1]
    target = soft_targets(labels, quality, logits.shape[-1]).float().flatten(0, -2)
    logits = logits.float().flatten(0, -2)
    given = in_form(slot.reads, target, labels.flatten(), quality.float().flatten())
    slot.calls.follow_until_seen(logits)
    loss_module = slot.loss_of(criterion, logits.device)
    with torch.autocast(logits.device.type, enabled=False):
        if training and slot.measure_next and objects:
            found = target.amax(-1) > 0
            rows = (target[found] > 0).float()
            own = on_target(lambda part: part[found], given)
            slot.compare(
                loss_module,
                stock_class_loss,
                lambda twin, pred, _: twin.elementwise(pred, own),
                logits[found],
                target[found],
                rows,
            )
        loss = loss_module.elementwise(logits, given)
    slot.look(loss, logits, target, lambda row: row // queries)
    total: Tensor = loss.sum() / max(objects, 1) * (loss_module.loss_weight * criterion.loss_gain[GAINS["cls"]])
    slot.calls.count(total, len(loss), training)
    return total


def soft_targets(targets: Tensor, scores: Tensor, classes: int) -> Tensor:
    """(b, queries) classes, `classes` where nothing was matched, and qualities, to (b, queries, classes)."""
    return scores[..., None] * (targets[..., None] == torch.arange(classes, device=targets.device))


def require_losses(name: str, slots: Iterable[Slot], spec: Spec) -> None:
    """Raise unless RT-DETR computes all losses that were asked for.

    Args:
        name: of the criterion or task, for the error.
        slots: the losses.
        spec: how.

    Raises:
        UnsupportedUltralytics: it does not compute one, or not so.
        ValueError: the size of the images was given.
    """
    for slot in slots:
        if slot.name not in METHODS:
            raise UnsupportedUltralytics(f"{name} has no {slot.name} loss", "Use one of box and cls")
        entry = slot.prototype.entry
        if slot.name == "box" and entry.kind != "box":
            raise UnsupportedUltralytics(
                f"{name} computes on axis-aligned boxes, and {entry.name} is a loss of rotated ones",
                "Pass one of those that `loss-plugins list --kind box` shows",
            )
        sizes = given_sizes(slot.asked.spec()) if isinstance(slot, BoxSlot) and not slot.size_known else []
        if sizes:
            came = f"image_size={list(sizes[0])}, and {name} has boxes in sides of the image, not its size"
            raise refusal(entry.name, came, "no image_size", "leave image_size out: it is that of each image")
        parts = reversed(list(slot.prototype.modules()))  # each loss of a mix, and then the mix
        for each in parts if slot.name == "box" else ():
            if isinstance(each, Loss) and each.entry.traits.units == "pixels":
                raise UnsupportedUltralytics(
                    f"{name} has boxes in sides of the image, and {each.entry.name} needs them in pixels",
                    "Use a scale-invariant loss, or mpdiou",
                )
    if "match" in (spec.gain, spec.assigner):
        raise UnsupportedUltralytics(
            f"gain='match' and assigner='match' are known for anchor-based models, and {name} is none: its stock "
            "losses are GIoU and varifocal, and its matcher has a cost of its own",
            "Use 'keep', and set loss_weight if the ratio that each epoch logs asks for it",
        )


def in_form(form: str, target: Tensor, labels: Tensor, quality: Tensor) -> Target:
    """What a class loss gets: soft targets, with the IoUs beside them, or labels and IoUs; see `matches.read_by`."""
    if form == "dense":
        return target
    return (target if form == "target_iou" else labels), quality


class Queries:
    """Criteria of decoders whose queries are matched with the objects: RT-DETR."""

    matches = False

    def parts(self, criterion: Any) -> list[Any]:
        """The criterion itself, or nothing."""
        from ultralytics.models.utils.loss import DETRLoss

        return [criterion] if isinstance(criterion, DETRLoss) else []

    def require(self, criterion: Any, slots: Iterable[Slot], spec: Spec) -> None:
        """Raise UnsupportedUltralytics if one of the losses cannot be computed there."""
        require_losses(type(criterion).__name__, slots, spec)

    def objects(self, part: Any) -> list[Any]:
        """The criterion."""
        return [part]

    def put_in(self, part: Any) -> None:
        """Nothing: the methods of the class are changed."""

    def take_out(self, part: Any) -> None:
        """Nothing."""

    def gain_of(self, slot: Slot) -> str:
        """An entry of a dict of the criterion."""
        return f"the criterion's loss_gain['{GAINS[slot.name]}']"

    def gain(self, part: Any, slot: Slot) -> float:
        """The criterion's own: the trainer's settings do not reach it."""
        return float(part.loss_gain[GAINS[slot.name]])

    def stock(self, slot: Slot) -> Stock | None:
        """GIoU, varifocal loss."""
        return {"box": Stock("GIoU", stock_box_loss), "cls": Stock("varifocal", stock_class_loss)}[slot.name]

    def check_stock(self, part: Any) -> float:
        """The stock box loss of fixed boxes, after checking that it is the mean GIoU loss, times its gain."""
        from ultralytics.models.utils.loss import DETRLoss

        pred, target = fixed_boxes()
        method = probe.unplugged(getattr(DETRLoss, METHODS["box"]))
        stock = float(method(part, pred.clone(), target.clone())["loss_giou"])
        expected = (
            float(stock_box_loss(cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target)).mean()) * part.loss_gain[GAINS["box"]]
        )
        if abs(stock - expected) > TOLERANCE:
            raise UnsupportedUltralytics(
                f"its own box loss gives {stock:.6f} where the mean GIoU loss gives {expected:.6f}: the contract has "
                "changed",
                probe.REMEDY,
            )
        return stock

    def check(self, part: Any, slot: Slot) -> float:
        """The loss of fixed boxes or scores through the live criterion, after comparing it with a plain one."""
        return self._check_box(part, slot) if slot.name == "box" else self._check_cls(part, slot)

    def _check_box(self, part: Any, slot: Slot) -> float:
        pred, target = fixed_boxes()
        plain = twin(slot, part)

        def through(loss: Any) -> tuple[Tensor, Tensor]:
            boxes = pred.clone().requires_grad_()
            return value_and_gradient(slot, loss(boxes, target.clone()), boxes)

        with set_apart(slot, part):
            live = through(lambda boxes, wanted: getattr(part, METHODS["box"])(boxes, wanted)["loss_giou"])
        with by_autograd():
            expected = through(
                lambda boxes, wanted: (
                    part.loss_gain[GAINS["box"]]
                    * plain.elementwise(cxcywh_to_xyxy(boxes), cxcywh_to_xyxy(wanted)).mean()
                )
            )
        return checked(slot, live, expected)

    def _check_cls(self, part: Any, slot: Any) -> float:
        logits = torch.linspace(-3, 3, 4 * part.nc).view(1, 4, part.nc)
        classes = torch.tensor([[0, part.nc, part.nc - 1, part.nc]])
        scores = torch.tensor([[0.8, 0.0, 0.3, 0.0]])
        plain = twin(slot, part)

        def through(loss: Any) -> tuple[Tensor, Tensor]:
            given = logits.clone().requires_grad_()
            return value_and_gradient(slot, loss(given), given)

        def by_hand(given: Tensor) -> Tensor:
            target = torch.zeros(4, part.nc)
            target[0, 0], target[2, part.nc - 1] = 0.8, 0.3
            wanted = in_form(slot.reads, target, classes[0], scores[0])
            loss: Tensor = part.loss_gain[GAINS["cls"]] * plain.elementwise(given[0], wanted).sum() / 2
            return loss

        with set_apart(slot, part):
            live = through(lambda given: getattr(part, METHODS["cls"])(given, classes, scores, 2)["loss_class"])
        with by_autograd():
            expected = through(by_hand)
        return checked(slot, live, expected)


def fixed_boxes() -> tuple[Tensor, Tensor]:
    """Three matched boxes, cxcywh in sides of the image."""
    pred = torch.tensor([[0.40, 0.50, 0.20, 0.30], [0.60, 0.30, 0.30, 0.10], [0.20, 0.80, 0.10, 0.10]])
    target = torch.tensor([[0.45, 0.48, 0.25, 0.28], [0.62, 0.35, 0.25, 0.15], [0.50, 0.60, 0.20, 0.20]])
    return pred, target
