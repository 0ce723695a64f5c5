"""Ordinary inputs for every kind of loss: boxes, scores, masks. Random, seeded, without ties."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..catalog.declare import Kind, Scale
from ..tensors import Target

CLASSES = 5


@dataclass(frozen=True)
class Scores:
    """What a class or region loss takes.

    Attributes:
        form: form of the target, see `loss_plugins.tensors.FORMS`.
        scale: what pred is.
    """

    form: str = "dense"
    scale: Scale = "logits"


def draw(kind: Kind, scores: Scores, n: int, seed: int, dtype: torch.dtype) -> tuple[Tensor, Target]:
    """n rows of input for a loss of that kind."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "region":
        return draw_masks(scores, n, generator, dtype)
    if kind == "classification":
        return draw_scores(scores, n, CLASSES, generator, dtype)
    pred, target = draw_boxes(n, generator)
    if kind == "rotated_box":
        angles = math.pi * (torch.rand(2, n, 1, generator=generator, dtype=torch.float64) - 0.5)
        pred, target = rotated(pred, angles[0]), rotated(target, angles[1])
    return pred.to(dtype), target.to(dtype)


def draw_boxes(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pairs of valid boxes of 8 to 216 px: jittered, nested, and every third far apart."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, 2, generator=generator, dtype=torch.float64)

    corner, size = uniform(0, 200), uniform(8, 120)
    target = torch.cat([corner, corner + size], dim=-1)
    corner = corner + uniform(-1, 1) * size * torch.where(torch.arange(n) % 3 == 2, 3.0, 0.4)[:, None]
    return torch.cat([corner, corner + size * uniform(0.4, 1.8)], dim=-1), target


def rotated(boxes: Tensor, angle: Tensor | float) -> Tensor:
    """Corner boxes as (cx, cy, w, h, angle)."""
    center, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    angles = torch.as_tensor(angle, dtype=boxes.dtype).expand(*boxes.shape[:-1], 1)
    return torch.cat([center, size, angles], dim=-1)


def draw_scores(
    scores: Scores, n: int, classes: int, generator: torch.Generator, dtype: torch.dtype
) -> tuple[Tensor, Target]:
    """Scores of n rows and C classes, with hard targets."""
    logits = 2 * torch.randn(n, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, classes, (n,), generator=generator)
    quality = torch.rand(n, generator=generator, dtype=torch.float64)
    pred = as_scale(logits, scores.scale).to(dtype)
    return pred, hard_target(scores, labels, quality, classes, dtype)


def as_scale(logits: Tensor, scale: Scale) -> Tensor:
    """Logits as what the loss takes."""
    if scale == "probabilities":
        return logits.sigmoid()
    if scale == "log_probabilities":
        return logits.log_softmax(1)
    return logits.abs() if scale == "distances" else logits


def hard_target(scores: Scores, labels: Tensor, quality: Tensor, classes: int, dtype: torch.dtype) -> Target:
    """Labels in the form that the loss takes; `quality` in (0, 1) fills forms that have a score too."""
    one_hot = torch.nn.functional.one_hot(labels.clamp(0, classes - 1), classes).to(dtype)
    one_hot = one_hot * (labels < classes)[..., None]
    if scores.form in ("labels", "class_map"):
        return labels
    if scores.form == "score":
        return (quality * (classes - 1)).to(dtype)
    if scores.form == "label_score":
        return labels, quality.to(dtype)
    if scores.form == "input_sign":
        return (one_hot * 2 - 0.5 + quality[:, None]).to(dtype), 1 - 2 * one_hot
    return 2 * one_hot - 1 if scores.scale == "distances" else one_hot


def draw_masks(scores: Scores, n: int, generator: torch.Generator, dtype: torch.dtype) -> tuple[Tensor, Target]:
    """Masks (n, 3, 8, 8) with a rectangle or two in each."""
    pred = 2 * torch.randn(n, 3, 8, 8, generator=generator, dtype=torch.float64)
    classes = torch.randint(0, 3, (n, 2, 2), generator=generator).repeat_interleave(4, 1).repeat_interleave(4, 2)
    if scores.form == "class_map":
        return pred.to(dtype), classes
    masks = torch.nn.functional.one_hot(classes, 3).movedim(-1, 1)
    return pred.to(dtype), masks.to(dtype).contiguous()
