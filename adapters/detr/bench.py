"""Batches of whole criteria for `loss-plugins bench --criteria`, which adapters fill for theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from loss_plugins.bench.criteria import FAST, STOCK

from .plug import plug

QUERIES, CLASSES, LAYERS = 300, 80, 3
#: the loss of the variants with a plug
PLUGGED = "eiou"


class Drawn(NamedTuple):
    """Random outputs and targets, the same for the same seed."""

    generator: torch.Generator
    device: str

    def boxes(self, *shape: int) -> Tensor:
        """cxcywh in sides of the image."""
        center = 0.25 + 0.5 * torch.rand(*shape, 2, generator=self.generator)
        return torch.cat([center, 0.05 + 0.3 * torch.rand(*shape, 2, generator=self.generator)], dim=-1).to(self.device)

    def layer(self, images: int, queries: int = QUERIES) -> dict[str, Tensor]:
        """Outputs of a layer of the decoder, which learn."""
        logits = torch.randn(images, queries, CLASSES, generator=self.generator).sub(3).to(self.device)
        return {"logits": logits.requires_grad_(), "pred_boxes": self.boxes(images, queries).requires_grad_()}

    def targets(self, images: int, objects: int, labels: str) -> list[dict[str, Tensor]]:
        """So many objects in each image."""
        return [
            {
                "boxes": self.boxes(objects),
                labels: torch.randint(CLASSES, (objects,), generator=self.generator).to(self.device),
            }
            for _ in range(images)
        ]


def drawn(device: str) -> Drawn:
    """A batch of its own for each call with the same numbers."""
    return Drawn(torch.Generator().manual_seed(0), device)


def call_of(
    variant: str, criterion: Any, outputs: Any, targets: Any, total: Callable[[Any], Tensor]
) -> Callable[[], Tensor]:
    """A step of a variant of a criterion.

    Args:
        variant: stock, plugged or fast.
        criterion: as its framework builds it.
        outputs: as it takes them.
        targets: likewise.
        total: of the losses that it returns.
    """
    if variant != STOCK:
        plug(criterion, box=PLUGGED, fast=variant == FAST)
    return lambda: total(criterion(outputs, targets))
