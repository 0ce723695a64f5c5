"""RF-DETR's criterion for `loss-plugins bench --criteria`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from loss_plugins.bench.criteria import CriterionCase

from ..detr.bench import CLASSES, LAYERS, QUERIES, Drawn, call_of, drawn

SIZES = ((4, 7), (4, 20), (4, 100), (16, 7), (16, 20))
#: groups of queries that are matched each by itself in training, as RF-DETR has them
GROUPS = 13
LOSSES = ("labels", "boxes", "cardinality")


def cases() -> list[CriterionCase]:
    """Three layers of a decoder and the encoder, with IoU-aware scores and groups of queries."""
    from rfdetr.models.criterion import SetCriterion
    from rfdetr.models.matcher import HungarianMatcher

    weights = {"loss_ce": 1.0, "loss_bbox": 5.0, "loss_giou": 2.0}

    def make(variant: str, images: int, objects: int, device: str) -> Callable[[], Tensor]:
        matcher = HungarianMatcher(cost_class=2, cost_bbox=5, cost_giou=2)
        criterion = SetCriterion(CLASSES, matcher, weights, 0.25, list(LOSSES), group_detr=GROUPS, ia_bce_loss=True).to(
            device
        )
        outputs, targets = batch(images, objects, device)
        return call_of(variant, criterion, outputs, targets, lambda losses: _weighted(losses, weights))

    return [CriterionCase("rfdetr SetCriterion", make, SIZES)]


def _weighted(losses: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    factors = ((weights.get("_".join(name.split("_")[:2])), loss) for name, loss in losses.items())
    return torch.stack([factor * loss for factor, loss in factors if factor is not None]).sum()


def batch(images: int, objects: int, device: str) -> tuple[dict[str, Any], list[dict[str, Tensor]]]:
    """Outputs of an RF-DETR, and targets."""
    numbers = drawn(device)
    outputs = {
        **_layer(numbers, images),
        "aux_outputs": [_layer(numbers, images) for _ in range(LAYERS - 1)],
        "enc_outputs": _layer(numbers, images),
    }
    return outputs, numbers.targets(images, objects, "labels")


def _layer(numbers: Drawn, images: int) -> dict[str, Tensor]:
    layer = numbers.layer(images, QUERIES // 3 * GROUPS)
    return {"pred_logits": layer["logits"], "pred_boxes": layer["pred_boxes"]}
