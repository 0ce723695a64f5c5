"""Fixed outputs of a decoder layer, on which losses are compared and looked at."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Fixed(NamedTuple):
    """Outputs of one layer, targets, and what a matcher would say of them."""

    outputs: dict[str, Any]
    targets: list[dict[str, Tensor]]
    indices: list[tuple[Tensor, Tensor]]
    num_boxes: float

    @property
    def boxes(self) -> Tensor:
        """(3, 6, 4) predicted boxes, a leaf of the graph."""
        return self.outputs["pred_boxes"]  # type: ignore[no-any-return]

    @property
    def logits(self) -> Tensor:
        """(3, 6, channels) scores, likewise."""
        return self.outputs["logits"]  # type: ignore[no-any-return]


def fixed(
    channels: int, classes: int, device: torch.device, dtype: torch.dtype = torch.float64, padded: bool = False
) -> Fixed:
    """Three images of six queries, with two objects, none, and three.

    Args:
        channels: of the logits.
        classes: of the objects.
        device: where.
        dtype: of predictions and boxes.
        padded: the targets of all images have one length, and say which rows are valid.
    """
    boxes = torch.stack(
        [
            torch.linspace(low, high, 18, dtype=dtype)
            for low, high in ((0.3, 0.7), (0.65, 0.35), (0.2, 0.4), (0.45, 0.3))
        ],
        dim=-1,
    ).view(3, 6, 4)
    logits = torch.linspace(-2.0, 2.5, 18 * channels, dtype=dtype).sin().mul(3).view(3, 6, channels)
    objects = torch.tensor(
        [[0.33, 0.61, 0.25, 0.41], [0.42, 0.58, 0.3, 0.37], [0.64, 0.4, 0.33, 0.36], [0.7, 0.38, 0.41, 0.27],
         [0.58, 0.43, 0.4, 0.36]],
        dtype=dtype,
    )  # fmt: skip
    labels = torch.arange(5) * 7 % classes
    counts, queries = (2, 0, 3), ((4, 1), (), (5, 0, 2))
    targets, indices, first = [], [], 0
    for count, matched in zip(counts, queries, strict=True):
        found, known = objects[first : first + count], labels[first : first + count]
        first += count
        valid = torch.ones(count, dtype=torch.bool)
        extra = 4 - count if padded else 0
        if extra:
            found = torch.cat([found, torch.full((extra, 4), 0.5, dtype=dtype)])
            known, valid = torch.cat([known, known.new_zeros(extra)]), torch.cat([valid, valid.new_zeros(extra)])
        free = [query for query in range(6) if query not in matched][:extra]
        chosen = torch.tensor([*matched, *free], dtype=torch.int64), torch.arange(count + extra)
        target = {"boxes": found, "labels": known, "class_labels": known, **({"valid": valid} if padded else {})}
        targets.append({name: value.to(device) for name, value in target.items()})
        indices.append((chosen[0].to(device), chosen[1].to(device)))
    logits, boxes = (each.to(device).requires_grad_() for each in (logits, boxes))
    return Fixed({"logits": logits, "pred_logits": logits, "pred_boxes": boxes}, targets, indices, 3.5)


def without_objects(given: Fixed) -> Fixed:
    """The same predictions, and images without any object."""
    targets = [{name: value[:0] for name, value in target.items()} for target in given.targets]
    return given._replace(targets=targets, indices=[(queries[:0], objects[:0]) for queries, objects in given.indices])
