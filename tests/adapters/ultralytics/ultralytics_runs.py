"""Reading runs, and one batch for any model; imported by name, since every folder has a conftest."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import torch

Rows = list[dict[str, float]]
Train = Callable[..., Path]


def results(run: Path) -> Rows:
    """results.csv without the clock."""
    with (run / "results.csv").open() as file:
        rows = [{key.strip(): float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    for row in rows:
        row.pop("time", None)
    return rows


def column(run: Path, name: str) -> list[float]:
    return [row[name] for row in results(run)]


def batch_of(model: torch.nn.Module, imgsz: int = 64) -> dict[str, torch.Tensor]:
    """Two random images with five boxes, and whatever else the model's task wants."""
    generator = torch.Generator().manual_seed(0)
    size = torch.rand(5, 2, generator=generator) * 0.4 + 0.2
    center = torch.rand(5, 2, generator=generator) * 0.5 + 0.25
    batch = {
        "img": torch.rand(2, 3, imgsz, imgsz, generator=generator),
        "batch_idx": torch.tensor([0.0, 0, 0, 1, 1]),
        "cls": torch.tensor([[0.0], [1], [2], [0], [1]]),
        "bboxes": torch.cat([center, size], dim=1),
    }
    masks = torch.zeros(2, imgsz // 4, imgsz // 4)
    for image, first, last in ((0, 1, 3), (1, 4, 5)):
        for number, box in enumerate(batch["bboxes"][first - 1 : last], start=1):
            x1, y1 = ((box[:2] - box[2:] / 2) * imgsz / 4).long().tolist()
            x2, y2 = ((box[:2] + box[2:] / 2) * imgsz / 4).long().tolist()
            masks[image, y1:y2, x1:x2] = number
    batch["masks"] = masks
    batch["sem_masks"] = (masks > 0).long()
    batch["txt_feats"] = torch.rand(2, 3, 512, generator=generator)
    points, dims = getattr(model, "kpt_shape", None) or model.yaml.get("kpt_shape", (17, 3))
    keypoints = torch.rand(5, points, dims, generator=generator)
    keypoints[..., 2:] = 2
    batch["keypoints"] = keypoints
    return batch
