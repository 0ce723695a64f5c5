# SPDX-License-Identifier: AGPL-3.0-or-later
"""The slot of semantic maps: the loss of a score per pixel and class, of YOLO26-seg's branch and of semantic models."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from loss_plugins import Loss, build_loss
from loss_plugins.labels import numbers

from .classes import classes_of
from .slots import Slot

#: label of the pixels that targets of semantic models leave out; the maps of YOLO26-seg are 0 and 1
LEFT_OUT = 255
#: forms of a target that are a label per pixel
LABELLED = {"labels", "class_map"}


class SemSlot(Slot):
    """The loss of a batch of maps, reduced by the loss's own "mean"; pixels of the label 255 are left out."""

    def __init__(self, build: Callable[[], Loss], token: str) -> None:
        self.classes = classes_of(build())
        super().__init__("sem", lambda: leaving_out(build(), LEFT_OUT), None, token)
        self.prototype = build()  # as it was asked for
        self.may_rest = True  # a region loss without a target pixel may have the gradient 0

    def compute(self, part: Any, logits: Tensor, target: Tensor, stock: Callable[[Tensor], Tensor]) -> Tensor:
        """The loss in float32.

        Args:
            part: whose maps they are.
            logits: (n, C, h, w).
            target: of that shape, or labels (n, h, w).
            stock: the stock loss of logits.
        """
        training = torch.is_grad_enabled()  # the one-to-one branch gets detached maps: no gradient, and yet training
        logits = logits.float()
        loss_module = self.loss_of(part, logits.device)
        self.calls.follow(logits)
        with torch.autocast(logits.device.type, enabled=False):
            if training and self.measure_next and logits.requires_grad:
                self.compare(loss_module, lambda given, _: stock(given), mean_of, logits, target, weighted=True)
            total = mean_of(loss_module, logits, target)
            if self.guard is not None:
                self.look(by_image(loss_module, total, logits, target), logits, target, int)
        self.calls.count(total, len(logits), training)
        return total


def mean_of(loss: Loss, logits: Tensor, target: Tensor) -> Tensor:
    """The loss of all maps as one number, times its loss_weight."""
    found: Tensor = loss(logits, target, reduction_override="mean")
    return found


def by_image(loss: Loss, total: Tensor, logits: Tensor, target: Tensor) -> Tensor:
    """What each map of a batch contributes (n,), if the loss is not finite: one of its own; else the loss, n times."""
    if total.isfinite():
        return total.expand(len(logits))
    twin = copy.deepcopy(loss).eval()
    return torch.stack([mean_of(twin, logits[at : at + 1], target[at : at + 1]) for at in range(len(logits))])


def target_of(loss: Loss, labels: Tensor, classes: int, left_out: int) -> Tensor:
    """The target of a loss: the labels (n, h, w), or else a map of each class (n, C, h, w).

    Of one class, which has no label of its own, the map is the labels' 0 and 1.

    Args:
        loss: the loss.
        labels: integers in [0, C), of one class 0 and 1; and `left_out`.
        classes: how many.
        left_out: label of pixels to leave out, which the maps have as number.
    """
    if classes == 1:
        return labels[:, None].float()
    if LABELLED.intersection(loss.entry.targets):
        return labels.long()
    beside = (labels == left_out)[:, None]
    maps = torch.zeros(len(labels), classes, *labels.shape[1:], device=labels.device)
    maps.scatter_(1, labels[:, None].long().masked_fill(beside, 0), 1)
    return maps.masked_fill_(beside, left_out)


def leaving_out(loss: Loss, label: int) -> Loss:
    """The loss without the pixels of a label, beside those that it leaves out by itself."""
    return build_loss(_leaving_out(loss.spec(), label))


def _leaving_out(spec: Mapping[str, Any], label: int) -> dict[str, Any]:
    changed = dict(spec)
    if "losses" in spec:
        changed["losses"] = [_leaving_out(each, label) for each in spec["losses"]]
    if "ignore_index" in spec:
        labels = [number for number in numbers(spec["ignore_index"]) if number >= 0 and number != label]
        changed["ignore_index"] = [*labels, label] if labels else label
    return changed
