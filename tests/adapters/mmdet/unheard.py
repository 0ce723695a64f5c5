"""A head that nobody knows: what it hands to its losses, and what it does with what they return, can be chosen."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.registry import MODELS
from torch import Tensor, nn

Losses = dict[str, Any]


class Unheard(nn.Module):
    """A detector with one head.

    Args:
        losses: slot to the config of its loss.
        boxes: what the box slot gets: "pixels", "cells", "shrunk" (sides alone over a stride), "shares", "sixths" (of
            pixels), "y first" (and sixths), "centers" (shares), "pixel centers", "eighths of centers" or "offsets".
        scores: what the class slot gets: "logits" or "probabilities".
        ending: what becomes of the box loss: "kept", "divided" by the number of boxes, or over rows "mostly empty" or
            "all empty", without a weight.
        far: whether predictions lie far from their boxes.
    """

    def __init__(
        self,
        losses: dict[str, Losses],
        boxes: str = "pixels",
        scores: str = "logits",
        ending: str = "kept",
        far: bool = False,
    ) -> None:
        super().__init__()
        self.odd_head = OddHead(losses, boxes, scores, ending)
        self.odd_head.shift = 1e3 if far else 0.0

    def loss(self, images: Tensor, samples: list[Any]) -> Losses:
        return self.odd_head.loss(images, samples)


class OddHead(nn.Module):
    num_classes = 3
    shift = 0.0

    def __init__(self, losses: dict[str, Losses], boxes: str, scores: str, ending: str) -> None:
        super().__init__()
        self.boxes, self.scores, self.ending = boxes, scores, ending
        self.history: list[float] = []  # state that is no buffer
        self.register_buffer("steps", torch.zeros(()))
        self.scale = nn.Parameter(torch.ones(1))
        for slot, loss in losses.items():
            self.add_module(slot, MODELS.build(loss))

    def loss(self, images: Tensor, samples: list[Any]) -> Losses:
        self.history.append(float(torch.rand(())))
        self.steps += 1
        target = torch.cat([HANDED[self.boxes](sample.gt_instances.bboxes, images) for sample in samples])
        labels = torch.cat([sample.gt_instances.labels for sample in samples])
        found = {}
        if hasattr(self, "loss_box"):
            found["loss_box"] = self.box_loss(target)
        if hasattr(self, "loss_class"):
            found["loss_class"] = self.class_loss(labels)
        return found

    def box_loss(self, target: Tensor) -> Tensor:
        pred = (target + 0.01 * target.abs().mean() + self.shift) * self.scale
        if self.ending == "all empty":
            return self.loss_box(pred, target, torch.zeros(len(target)), avg_factor=len(target))
        if self.ending == "mostly empty":
            empty = target.new_zeros(20 * len(target), 4)
            weight = (torch.arange(21 * len(target)) < len(target)).float()[:, None].expand(-1, 4)
            return self.loss_box(torch.cat([pred, empty]), torch.cat([target, empty]), weight)
        if self.ending == "divided":
            return self.loss_box(pred, target) / len(target)
        return self.loss_box(pred, target, avg_factor=len(target))

    def class_loss(self, labels: Tensor) -> Tensor:
        logits = self.scale * torch.linspace(-3, 3, len(labels) * self.num_classes).view(len(labels), -1)
        scores = logits if self.scores == "logits" else logits.sigmoid()
        target = nn.functional.one_hot(labels, self.num_classes).to(scores.dtype)
        return self.loss_class(scores, target, avg_factor=len(labels))


def sides(boxes: Tensor) -> Tensor:
    return boxes[:, 2:] - boxes[:, :2]


def shrunk(boxes: Tensor, images: Tensor) -> Tensor:
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = sides(boxes) / 2 / 16
    return torch.cat([middle - half, middle + half], 1)


def shares(boxes: Tensor, images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    return boxes / boxes.new_tensor([width, height, width, height])


def centers(boxes: Tensor, images: Tensor) -> Tensor:
    found = shares(boxes, images)
    return torch.cat([(found[:, :2] + found[:, 2:]) / 2, sides(found)], 1)


def offsets(boxes: Tensor, images: Tensor) -> Tensor:
    anchor = boxes.new_tensor([40.0, 30.0])
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    return torch.cat([(middle - 55) / anchor, (sides(boxes) / anchor).log()], 1)


def middles(boxes: Tensor, images: Tensor) -> Tensor:
    return torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, sides(boxes)], 1)


HANDED = {
    "pixels": lambda boxes, images: boxes,
    "sixths": lambda boxes, images: boxes / 6,
    "y first": lambda boxes, images: boxes[:, [1, 0, 3, 2]] / 6,
    "pixel centers": middles,
    "eighths of centers": lambda boxes, images: middles(boxes, images) / 8,
    "cells": lambda boxes, images: boxes / 8,
    "shrunk": shrunk,
    "shares": shares,
    "centers": centers,
    "offsets": offsets,
}
