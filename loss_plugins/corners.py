"""Corner boxes (x1, y1, x2, y2) in the forms that losses of each kind take."""

from __future__ import annotations

import torch
from torch import Tensor


def centered(boxes: Tensor) -> Tensor:
    """Corner boxes as (cx, cy, w, h)."""
    return torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], dim=-1)


def rotated(boxes: Tensor, angle: Tensor | float) -> Tensor:
    """Corner boxes as (cx, cy, w, h, angle)."""
    angles = torch.as_tensor(angle, dtype=boxes.dtype).expand(*boxes.shape[:-1], 1)
    return torch.cat([centered(boxes), angles], dim=-1)


def outlined(boxes: Tensor) -> Tensor:
    """The four corners (x1, y1, ..., x4, y4) of corner boxes."""
    return boxes[..., [0, 1, 2, 1, 2, 3, 0, 3]]


def in_form(kind: str, boxes: Tensor, angle: Tensor | float = 0.0) -> Tensor:
    """Corner boxes as a loss of that kind takes them; only rotated boxes have the angle."""
    if kind == "rotated_box":
        return rotated(boxes, angle)
    return outlined(boxes) if kind == "quad" else boxes
