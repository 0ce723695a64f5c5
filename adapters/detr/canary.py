"""The canary: fixed outputs through the live criterion have to come back as the loss that was asked for."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from loss_plugins import Loss, cxcywh_to_xyxy
from loss_plugins.fusion import by_autograd

from .agreement import classes_of, close, device_of, dtype_of, leaf_gradient, returned_by
from .box_slot import BoxSlot
from .class_slot import ClassSlot
from .errors import UnsupportedCriterion
from .fixed import Fixed, fixed
from .losses import Losses
from .matches import labels_of, pairs_of, where_of
from .slot import Slot

MEND = "mend the loss: `loss-plugins check` names the input"


def check_boxes(criterion: Any, losses: Losses, slot: BoxSlot) -> None:
    """Compare the box loss of fixed outputs through the live criterion with plain autograd, pair by pair.

    Raises:
        UnsupportedCriterion: value or gradient differ, are not finite, or there is no gradient.
    """
    classes = classes_of(criterion)
    given = fixed(classes, classes, device_of(criterion))
    with losses.set_apart():
        live = returned_by(criterion, criterion.loss_boxes, given)[slot.key]
        with by_autograd():
            expected = slot.factor * _box_loss(slot, given)
    slot.canary = _agreed(criterion, slot, live, expected, given.boxes)


def check_scores(criterion: Any, losses: Losses, slot: ClassSlot) -> None:
    """Likewise, of the class loss.

    Raises:
        UnsupportedCriterion: as above.
    """
    classes = classes_of(criterion)
    given = fixed(classes + slot.stock_form.softmax, classes, device_of(criterion), dtype_of(criterion))
    with losses.set_apart():
        live = returned_by(criterion, getattr(criterion, slot.method), given)[slot.key]
        with by_autograd():
            expected = slot.factor * _class_loss(criterion, slot, given)
    slot.canary = _agreed(criterion, slot, live, expected, given.logits)


def _box_loss(slot: BoxSlot, given: Fixed) -> Tensor:
    loss, total = _twin(slot.loss), given.boxes.new_zeros(())
    for image, (queries, objects) in enumerate(given.indices):
        for query, wanted in zip(queries.tolist(), objects.tolist(), strict=True):
            boxes = given.boxes[image, query], given.targets[image]["boxes"][wanted]
            height, width = slot.size or (1.0, 1.0)
            scale = given.boxes.new_tensor([width, height, width, height])
            pred, target = (cxcywh_to_xyxy(box)[None] * scale for box in boxes)
            total = total + loss.elementwise(pred, target).sum()
    return total / given.num_boxes


def _class_loss(criterion: Any, slot: ClassSlot, given: Fixed) -> Tensor:
    loss, logits, form = _twin(slot.loss), given.logits, slot.stock_form
    where, labels = where_of(given.indices), labels_of(given.targets, given.indices)
    label = torch.full(logits.shape[:2], logits.shape[-1] - form.softmax, dtype=torch.int64, device=logits.device)
    label[where] = labels
    if form.softmax:
        weights = form.weights_of(criterion, logits)[label.flatten()]
        return (loss.elementwise(logits.flatten(0, 1), label.flatten()) * weights).sum() / weights.sum()
    one_hot = (label[..., None] == torch.arange(logits.shape[-1], device=logits.device)).to(logits).flatten(0, 1)
    if not slot.of_quality:
        return loss.elementwise(logits.flatten(0, 1), one_hot).sum() / given.num_boxes
    quality = torch.zeros_like(logits[..., 0])
    quality[where] = pairs_of(given.outputs, given.targets, given.indices, padded=False).quality().to(quality)
    return loss.elementwise(logits.flatten(0, 1), one_hot * quality.flatten()[:, None]).sum() / given.num_boxes


def _twin(loss: Loss) -> Loss:
    return copy.deepcopy(loss).eval()


def _agreed(criterion: Any, slot: Slot, live: Tensor, expected: Tensor, leaf: Tensor) -> float:
    """The live value, after comparing it and its gradient with those expected."""
    gradients = [leaf_gradient(loss, leaf) for loss in (live, expected)]
    if gradients[0] is None or gradients[1] is None:
        raise UnsupportedCriterion(
            criterion,
            f"the {slot.title} comes back without gradient: it would be logged, not trained",
            "compute it from the prediction without detach(), item() or numpy",
        )
    pairs = zip(("value", "gradient"), (live.detach(), gradients[0]), (expected.detach(), gradients[1]), strict=True)
    for what, found, wanted in pairs:
        if not wanted.isfinite().all():
            raise UnsupportedCriterion(
                criterion, f"the {what} of the {slot.title} is not finite on fixed ordinary outputs", MEND
            )
        if not close(found, wanted):
            raise UnsupportedCriterion(
                criterion,
                f"it gives {float(found.norm()):.6f} as {what} (norm) of the {slot.title}, which is "
                f"{float(wanted.norm()):.6f}: the plug does not hold",
                "report it, with the versions",
            )
    return live.item()
