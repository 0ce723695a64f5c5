"""Known criteria, and batches for them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tools.known_criteria import CLASSES as CLASSES
from tools.known_criteria import KNOWN as KNOWN
from tools.known_criteria import Known as Known


def batch(
    images: int = 3, queries: int = 7, channels: int = CLASSES, seed: int = 0, dtype: torch.dtype = torch.float64
) -> tuple[dict[str, Tensor], list[dict[str, Tensor]], list[tuple[Tensor, Tensor]], float]:
    """Outputs of one layer, targets, matches and the number of objects; the second image has no object."""
    drawn = torch.Generator().manual_seed(seed)

    def boxes(*shape: int) -> Tensor:
        center = 0.25 + 0.5 * torch.rand(*shape, 2, generator=drawn, dtype=dtype)
        return torch.cat([center, 0.1 + 0.3 * torch.rand(*shape, 2, generator=drawn, dtype=dtype)], dim=-1)

    pred = boxes(images, queries).requires_grad_()
    logits = torch.randn(images, queries, channels, generator=drawn, dtype=dtype).mul(2).requires_grad_()
    counts = [0 if image == 1 else 1 + (image + seed) % 3 for image in range(images)]
    targets, indices = [], []
    for count in counts:
        labels = torch.randint(CLASSES, (count,), generator=drawn)
        targets.append({"boxes": boxes(count), "labels": labels, "class_labels": labels})
        indices.append((torch.randperm(queries, generator=drawn)[:count], torch.randperm(count, generator=drawn)))
    outputs = {"logits": logits, "pred_logits": logits, "pred_boxes": pred}
    return outputs, targets, indices, float(max(sum(counts), 1))


def padded(targets: Any, indices: Any, queries: int, rows: int) -> tuple[Any, Any]:
    """Targets filled up to so many rows, of which the matcher gives the filling to queries that are left."""
    filled, matched = [], []
    for target, (found, objects) in zip(targets, indices, strict=True):
        count, left = len(target["boxes"]), [query for query in range(queries) if query not in found.tolist()]
        more = rows - count
        labels = torch.cat([target["labels"], torch.zeros(more, dtype=torch.int64)])
        boxes = torch.cat([target["boxes"], torch.full((more, 4), 0.4, dtype=target["boxes"].dtype)])
        filled.append({"boxes": boxes, "labels": labels, "valid": torch.arange(rows) < count})
        matched.append((torch.cat([found, torch.tensor(left[:more])]), torch.cat([objects, torch.arange(count, rows)])))
    return filled, matched
