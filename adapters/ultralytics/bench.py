# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a plugged loss costs in a whole training step, for `loss-plugins bench`."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .plug import plugged
from .spec import make_spec

ROUNDS = 30


class LabelledImages(NamedTuple):
    """Random images with boxes, for one training step of a detector.

    Attributes:
        pixels: (images, 3, side, side) in [0, 1].
        boxes: (boxes, 4) centre and size, in shares of the image.
        labels: (boxes,) class of each box.
        image: (boxes,) index of the image that each box belongs to.
    """

    pixels: Tensor
    boxes: Tensor
    labels: Tensor
    image: Tensor


def labelled_images(images: int, side: int, each: int = 10, classes: int = 10, seed: int = 0) -> LabelledImages:
    """Images of side x side random pixels with `each` boxes, the same numbers for one seed.

    >>> labelled_images(2, 8, each=3).image
    tensor([0, 0, 0, 1, 1, 1])
    """
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(each * images, 4, generator=generator) * 0.4 + 0.2
    pixels = torch.rand(images, 3, side, side, generator=generator)
    labels = torch.randint(classes, (each * images,), generator=generator)
    return LabelledImages(pixels, boxes, labels, torch.arange(images).repeat_interleave(each))


def training_step(model_file: str = "yolo11n.yaml", imgsz: int = 320, batch: int = 8) -> dict[str, Any]:
    """One training step (forward, loss, backward) with the stock and with plugged box losses.

    Returns:
        Median milliseconds, and the overhead of each plugged loss in percent: the median over rounds of its step over
        the stock step of the same round, with the spread of that median (its standard error, by quartiles).
    """
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = DetectionModel(model_file, nc=10, verbose=False).train()
    model.args = get_cfg()
    data = _batch(imgsz, batch)
    wanted: dict[str, Any] = {"ciou": "ciou", "eiou": "eiou", "ciou compiled": {"type": "ciou", "compile": True}}
    specs = {"stock": None, **{name: make_spec(loss) for name, loss in wanted.items()}}
    names = list(specs)
    times: dict[str, list[float]] = {name: [] for name in specs}
    for turn in range(ROUNDS + 2):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:  # each comes first as often
            spec = specs[name]
            with contextlib.nullcontext() if spec is None else plugged(spec):
                times[name].append(_timed(model, data))
    times = {name: values[2:] for name, values in times.items()}
    return {
        "model": f"{model_file}, a whole training step on the CPU",
        "ms": {name: round(statistics.median(values), 1) for name, values in times.items()},
        "overhead_percent": {name: _overhead(times[name], times["stock"]) for name in wanted},
    }


def _overhead(plugged_ms: list[float], stock_ms: list[float]) -> str:
    """The median over rounds, in percent, with its standard error (0.93 of the interquartile range over sqrt(n))."""
    ratios = [100 * (changed / stock - 1) for changed, stock in zip(plugged_ms, stock_ms, strict=True)]
    lower, median, upper = statistics.quantiles(ratios, n=4)
    return f"{median:.2f} +- {0.93 * (upper - lower) / math.sqrt(len(ratios)):.2f}"


def _timed(model: Any, data: dict[str, torch.Tensor]) -> float:
    model.zero_grad()
    before = time.perf_counter()
    total, _ = model.loss(data)
    total.sum().backward()
    return (time.perf_counter() - before) * 1e3


def _batch(imgsz: int, batch: int) -> dict[str, torch.Tensor]:
    """A batch as Ultralytics' losses take it."""
    sample = labelled_images(batch, imgsz)
    return {
        "img": sample.pixels,
        "batch_idx": sample.image.float(),
        "cls": sample.labels[:, None].float(),
        "bboxes": sample.boxes,
    }
