"""One training, what it left behind, and one batch for any model."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from ultralytics import YOLO
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.nn.tasks import OBBModel

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.demo.digits import DigitsSet

#: of a short training on the CPU
SETTINGS: dict[str, Any] = {
    "epochs": 1,
    "imgsz": 64,
    "batch": 8,
    "workers": 0,
    "amp": False,
    "plots": False,
    "verbose": False,
    "device": "cpu",
}
Rows = list[dict[str, float]]
Train = Callable[..., Path]
BOTH = pytest.mark.parametrize("model", ["yolo11n.yaml", "yolo26n.yaml"])
BOX_GAIN = 7.5
STOCK_TWIN = {"type": "ciou", "dialect": "ultralytics"}
ROTATED_TWIN = {"type": "prob_iou", "dialect": "ultralytics", "floor": 0.01}


@dataclass(frozen=True)
class Run:
    """A finished training, as it was before any test resumed it.

    Attributes:
        folder: its folder; resuming writes into it.
        rows: results.csv.
        proof: loss_plugins.yaml; empty for the stock losses.
        first_epoch: the checkpoint of the first epoch, which the end of training would strip.
    """

    folder: Path
    rows: Rows
    proof: dict[str, Any]
    first_epoch: Path

    def column(self, name: str) -> list[float]:
        return [row[name] for row in self.rows]


Shared = Callable[..., Run]


def train_once(model: str, project: Path, on: dict[str, Callable[..., None]] | None = None, **overrides: Any) -> Path:
    """Two short epochs on the CPU, with callbacks `on` their events; the run folder. `data` is among the overrides."""
    yolo = YOLO(model)
    for event, callback in (on or {}).items():
        yolo.add_callback(event, callback)
    yolo.train(**{**SETTINGS, "epochs": 2, "project": str(project), "name": "run", "exist_ok": True, **overrides})
    return Path(yolo.trainer.save_dir)


def record_run(model: str, project: Path, on: dict[str, Callable[..., None]], **overrides: Any) -> Run:
    """As `train_once`, with all that tests read of it."""
    keep = Kept(project / "first-epoch.pt")
    folder = train_once(model, project, {"on_model_save": keep, **on}, **overrides)
    return Run(folder, results(folder), proof(folder), keep.file)


class Kept:
    """A callback that keeps the checkpoint of the first epoch."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, trainer: BaseTrainer) -> None:
        if not self.file.exists():
            shutil.copy(trainer.last, self.file)


def relabelled(digits: DigitsSet, root: Path, anew: Callable[[str], str]) -> Path:
    """The digits with another label for each line of theirs, below `root`; its yaml."""
    shutil.copytree(digits.root / "images", root / "images")
    for file in (digits.root / "labels").rglob("*.txt"):
        target = root / file.relative_to(digits.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(anew(line) for line in file.read_text().splitlines()))
    settings = {**yaml.safe_load(digits.yaml.read_text()), "path": str(root)}
    (root / "digits.yaml").write_text(yaml.safe_dump(settings))
    return root / "digits.yaml"


def octagon(line: str) -> str:
    """A box's label as that of an outline, an octagon inside of it."""
    number, *box = line.split()
    x, y, w, h = (float(value) for value in box)
    around = [(2, 1), (1, 2), (-1, 2), (-2, 1), (-2, -1), (-1, -2), (1, -2), (2, -1)]
    return f"{number} {' '.join(f'{x + dx * w / 4:.6f} {y + dy * h / 4:.6f}' for dx, dy in around)}\n"


def constant(value: float) -> Any:
    """A trainer with the same box loss for every box."""
    return lpu.trainer("detect", box={"type": "constant", "value": value})


def proof(run: Path) -> dict[str, Any]:
    """loss_plugins.yaml, empty if there is none."""
    file = run / "loss_plugins.yaml"
    return yaml.safe_load(file.read_text()) if file.exists() else {}


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
    if isinstance(model, OBBModel):
        batch["bboxes"] = torch.cat([batch["bboxes"], torch.rand(5, 1, generator=generator)], dim=1)
        return batch
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


def stepped(model: torch.nn.Module) -> tuple[dict[str, float], torch.Tensor]:
    """The items of one batch's loss, and the gradient of all parameters."""
    model.criterion = None
    model.zero_grad()
    loss, items = model.loss(batch_of(model))
    loss.sum().backward()
    gradients = [part.grad.flatten() for part in model.parameters() if part.grad is not None]
    model.criterion = None
    return {name: float(value) for name, value in items.items()}, torch.cat(gradients)
