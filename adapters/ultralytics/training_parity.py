# SPDX-License-Identifier: AGPL-3.0-or-later
"""Training parity: Ultralytics models on digits, with the built-in losses and with `dialect="ultralytics"`."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from loss_plugins.demo.digits import DigitsSet, make_digits
from loss_plugins.parity.training import Curve, TrainingCase
from loss_plugins.reports import write_whole

from .demo import place_font
from .trainers import trainer

BOX = {"type": "ciou", "dialect": "ultralytics"}
CLASSES = {"type": "bce_with_logits", "dialect": "ultralytics"}
IMAGES, BATCH = 16, 8
CASES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("yolo11n", "detect", {"box": BOX}),
    ("yolo11n", "detect", {"box": BOX, "cls": CLASSES}),
    ("yolo26n", "detect", {"box": BOX}),
    ("yolo26n", "detect", {"box": BOX, "cls": CLASSES}),
    ("yolo11n-seg", "segment", {"box": BOX}),
    ("yolo26n-seg", "segment", {"box": BOX}),
)


def cases() -> Iterator[TrainingCase]:
    """What `loss-plugins parity --train` runs. The dialects equal the built-ins bit for bit, so the curves must too."""
    for model, task, losses in CASES:
        names = ", ".join(f"{slot} {spec['type']}" for slot, spec in losses.items())
        yield TrainingCase("ultralytics", model, names, partial(curve, model, task, losses), tolerance=0.0)


def curve(model: str, task: str, losses: dict[str, Any], folder: Path, plugged: bool, steps: int) -> Curve:
    """The logged losses of every step, trained with `losses` plugged in or with the built-in ones.

    Raises:
        LossNotUsed: a plugged loss was not the one trained.
    """
    place_font()
    warm_up(folder.parent)
    return trained(model, task, losses, folder, steps) if plugged else stock_curve(model, task, folder, steps)


@functools.cache
def stock_curve(model: str, task: str, folder: Path, steps: int) -> Curve:
    """As `curve` with the built-in losses: trained once for all cases of a model in the same folder."""
    return trained(model, task, {}, folder, steps)


@functools.cache
def warm_up(folder: Path) -> None:
    """Train once: before 8.4.190 or so, the first training in a process differs from the next, stock losses or not."""
    trained("yolov8n", "detect", {}, folder / "warm-up", 1)


def trained(model: str, task: str, losses: dict[str, Any], folder: Path, steps: int) -> Curve:
    """The logged losses of every step of one run; without `losses`, of the built-in ones."""
    from ultralytics import YOLO

    digits = make_digits(folder.parent / "digits", train=IMAGES, val=4, progress=False)
    data = as_polygons(digits, folder.parent / "polygons") if task == "segment" else digits.yaml
    logged: Curve = []

    def note(running: Any) -> None:
        items = running.loss_items
        if not isinstance(items, dict):  # before 8.4.100 or so, a tensor
            items = dict(zip(running.loss_names, items.reshape(-1), strict=True))
        logged.append({name: float(value) for name, value in items.items()})

    yolo = YOLO(f"{model}.yaml")
    yolo.add_callback("on_train_batch_end", note)
    yolo.train(
        **({"trainer": trainer(task, **losses)} if losses else {}),
        data=str(data),
        epochs=-(-steps * BATCH // IMAGES),
        imgsz=64,
        batch=BATCH,
        workers=0,
        amp=False,
        plots=False,
        val=False,
        save=False,
        verbose=False,
        device="cpu",
        seed=0,
        project=str(folder),
        name=model,
        exist_ok=True,
    )
    return logged[:steps]


def as_polygons(digits: DigitsSet, root: Path) -> Path:
    """The data file of the same scenes, with each box labelled as a polygon of four corners."""
    file = root / "data.yaml"
    if file.is_file():
        return file
    shutil.copytree(digits.root, root, ignore=shutil.ignore_patterns("*.cache"))
    for label in (root / "labels").rglob("*.txt"):
        lines = [_corners(line.split()) for line in label.read_text(encoding="utf-8").splitlines()]
        label.write_text("\n".join(lines), encoding="utf-8")
    data = yaml.safe_load(digits.yaml.read_text(encoding="utf-8"))
    write_whole(file, yaml.safe_dump({**data, "path": str(root)}))
    return file


def _corners(line: list[str]) -> str:
    x, y, w, h = map(float, line[1:5])
    left, right, top, bottom = x - w / 2, x + w / 2, y - h / 2, y + h / 2
    corners = (left, top, right, top, right, bottom, left, bottom)
    return " ".join([line[0], *(f"{value:.6f}" for value in corners)])
