"""RT-DETR's criterion for `loss-plugins bench --criteria`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from loss_plugins.bench.criteria import CriterionCase

from ..detr.bench import CLASSES, LAYERS, QUERIES, call_of, drawn

SIZES = ((4, 7), (4, 20), (4, 100), (16, 7), (16, 20), (16, 100))
DENOISING = 100


def cases() -> list[CriterionCase]:
    """Three layers of a decoder, the encoder, and denoising queries."""
    from transformers import RTDetrConfig
    from transformers.loss.loss_rt_detr import RTDetrLoss

    config = RTDetrConfig(num_labels=CLASSES)

    def make(variant: str, images: int, objects: int, device: str) -> Callable[[], Tensor]:
        outputs, targets = batch(images, objects, device)
        return call_of(variant, RTDetrLoss(config).to(device), outputs, targets, lambda losses: sum(losses.values()))

    return [CriterionCase("transformers RT-DETR", make, SIZES)]


def batch(images: int, objects: int, device: str) -> tuple[dict[str, Any], list[dict[str, Tensor]]]:
    """Outputs of an RT-DETR as its loss function hands them over, and targets."""
    numbers = drawn(device)
    groups = max(1, DENOISING // objects)
    noised = 2 * objects * groups  # as many negatives as positives
    positive = torch.cat([torch.arange(objects) + 2 * objects * group for group in range(groups)]).to(device)
    outputs = {
        **numbers.layer(images),
        "auxiliary_outputs": [numbers.layer(images) for _ in range(LAYERS)],
        "dn_auxiliary_outputs": [numbers.layer(images, noised) for _ in range(LAYERS)],
        "denoising_meta_values": {
            "dn_positive_idx": [positive] * images,
            "dn_num_group": groups,
            "dn_num_split": [noised, QUERIES],
        },
    }
    return outputs, numbers.targets(images, objects, "class_labels")
