# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a plugged loss costs in a whole training step, for `loss-plugins bench`."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from .plug import plugged
from .spec import make_spec

STEPS = 12


def training_step(model_file: str = "yolo11n.yaml", imgsz: int = 320, batch: int = 8) -> dict[str, Any]:
    """Milliseconds of one training step (forward, loss, backward) with the stock and with a plugged box loss.

    Returns:
        Medians of interleaved steps, and the overhead of each plugged loss in percent.
    """
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = DetectionModel(model_file, nc=10, verbose=False).train()
    model.args = get_cfg()
    data = _batch(imgsz, batch)
    specs = {"stock": None, "ciou": make_spec({"type": "ciou", "dialect": "ultralytics"}), "eiou": make_spec("eiou")}
    times: dict[str, list[float]] = {name: [] for name in specs}
    for _ in range(STEPS + 1):
        for name, spec in specs.items():
            if spec is None:
                times[name].append(_timed(model, data))
            else:
                with plugged(spec):
                    times[name].append(_timed(model, data))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    overhead = {name: round(100 * (value / medians["stock"] - 1), 2) for name, value in medians.items()}
    return {"model": model_file, "ms": {k: round(v, 1) for k, v in medians.items()}, "overhead_percent": overhead}


def _timed(model: Any, data: dict[str, torch.Tensor]) -> float:
    model.zero_grad()
    before = time.perf_counter()
    total, _ = model.loss(data)
    total.sum().backward()
    return (time.perf_counter() - before) * 1e3


def _batch(imgsz: int, batch: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(10 * batch, 4, generator=generator) * 0.4 + 0.2
    return {
        "img": torch.rand(batch, 3, imgsz, imgsz, generator=generator),
        "batch_idx": torch.arange(batch).repeat_interleave(10).float(),
        "cls": torch.randint(10, (10 * batch, 1), generator=generator).float(),
        "bboxes": boxes,
    }
