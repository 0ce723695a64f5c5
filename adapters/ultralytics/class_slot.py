# SPDX-License-Identifier: AGPL-3.0-or-later
"""The class slot: the criterion's `bce`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from loss_plugins import Loss
from loss_plugins.module.gain import Gain, fair_class_gain
from loss_plugins.tensors import Target, on_target

from . import matches
from .classes import classes_of
from .slots import Slot


class ClassSlot(Slot):
    """The criterion's `bce`: logits and soft targets to one number per image, anchor and class.

    Attributes:
        reads: the form of target by which the loss reads an assignment, see `matches.read_by`.
    """

    def __init__(
        self, build: Callable[[], Loss], match_gain: bool, token: str, resumed: bool = False, box_alone: str = ""
    ) -> None:
        self.classes = classes_of(build())
        match = partial(fair_gain, classes=self.classes or 1, box_alone=box_alone)
        super().__init__("cls", build, match, token, match_gain, resumed)
        self.reads = matches.read_by(self.prototype, self.classes or 1)

    def due(self, foreground: Tensor) -> Tensor:
        """One call, of all anchors."""
        return foreground.new_ones(())

    def compute(self, bce: object, logits: Tensor, target: Tensor) -> Tensor:
        """The class loss in float32, unreduced: the trainer weights, sums and normalises it.

        Args:
            bce: the object in the criterion's `bce`.
            logits: (b, anchors, classes).
            target: soft targets of that shape.
        """
        shape = logits.shape
        logits, rows = logits.float().flatten(0, -2), target.float().flatten(0, -2)  # rows: their classes are last
        given, target = matches.beside(target, rows), rows
        training = torch.is_grad_enabled() and logits.requires_grad
        self.calls.follow_until_seen(logits)
        loss_module = self.loss_of(bce, logits.device)
        with torch.autocast(logits.device.type, enabled=False):
            if training and self.measure_next:
                self.measure_positives(loss_module, logits, target, given)
            loss = loss_module.elementwise(logits, given) * (self.calls.gain * loss_module.loss_weight)
        self.look(loss, logits, target, lambda row: row // shape[1])
        self.calls.count(loss, len(loss), training)
        return loss.view(shape)

    def measure_positives(self, loss: Loss, logits: Tensor, target: Tensor, given: Target) -> None:
        """As `measure`, on the scores of a batch that have something to find; the loss gets its own form of target."""
        found = target.amax(-1) > 0
        own = on_target(lambda part: part[found], given)

        def computed(twin: Loss, pred: Tensor, _: Tensor) -> Tensor:
            return twin.elementwise(pred, own)

        if found.any():
            rows = (target[found] > 0).float()
            self.compare(loss, stock_class_loss, computed, logits[found], target[found], rows)


def fair_gain(loss: Loss, classes: int = 1, box_alone: str = "") -> Gain:
    """The gain with which a class loss pulls as hard as the stock loss, on positives and on negatives.

    Args:
        loss: the class loss.
        classes: how many it has numbers for.
        box_alone: how the box loss beside it is matched without it, for the error.

    Raises:
        ValueError: what is right for positives is wrong for negatives.
    """
    beside = f"; to match the box loss alone, pass {box_alone} with it" if box_alone else ""
    remedy = (
        f"use gain='keep', and set loss_weight if the ratio that each epoch logs asks for it{beside} (to resume a "
        "run that has this gain, pass config='.../loss_plugins.yaml' of that run)"
    )
    return fair_class_gain(loss, stock_class_loss, classes, remedy)


def stock_class_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Ultralytics' class loss, one number per score."""
    return functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
