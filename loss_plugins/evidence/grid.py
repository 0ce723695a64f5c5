"""The cells of a comparison: every loss with every seed, where each is stored, and what adapters have to bring."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch

from ..reports import strict_json, write_whole
from .contenders import Contender

#: in points, of boxes that count as found where their plain IoU is at least 0.5, and averaged over 0.5 to 0.95
MEASURES = ("mAP50-95", "mAP50")
CELLS = "cells"


@dataclass(frozen=True)
class Trained:
    """What a training has come to.

    Attributes:
        measures: by name, in points.
        same: what has to be equal in all cells but for the loss: data, settings, gains, assigner.
        start: what has to be equal in the cells of a seed: the weights that training began with.
        loss: what proves the loss that was trained.
        resumed: the epoch after which it was stopped and continued; None: it ran in one go.
    """

    measures: dict[str, float]
    same: dict[str, Any]
    start: str
    loss: dict[str, Any] = field(default_factory=dict)
    resumed: int | None = None


class Training(Protocol):
    """A training that a command line describes, as adapters bring it by the entry points `loss_plugins.comparisons`."""

    def require(self, contender: Contender, gain: str) -> None:
        """Raise for a loss that the model cannot be trained with."""

    def versions(self) -> dict[str, str]:
        """Of what results depend on."""

    def train(self, contender: Contender, seed: int, gain: str, threads: int, folder: Path) -> Trained:
        """Train in this process; a training that was stopped in that folder goes on."""


@dataclass(frozen=True)
class Plan:
    """What a comparison trains.

    Attributes:
        losses: all of them, stock first.
        seeds: of all of them.
        gain: "keep" or "match".
        threads: of the CPU, in each cell.
        words: the framework's command.
    """

    losses: tuple[Contender, ...]
    seeds: tuple[int, ...]
    gain: str
    threads: int
    words: tuple[str, ...]

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, seed by seed, so that whole pairs are there early."""
        return tuple(Cell(self, loss, seed, seed * len(self.losses) + k)
                     for seed in self.seeds for k, loss in enumerate(self.losses))  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        told = {"words": list(self.words), "gain": self.gain, "threads": self.threads, "seeds": list(self.seeds)}
        cells = [{"key": cell.key, "loss": cell.loss.label, "seed": cell.seed} for cell in self.cells]
        return {**told, "losses": [each.label for each in self.losses], "cells": cells}


@dataclass(frozen=True)
class Cell:
    """One training.

    Attributes:
        plan: that it belongs to.
        loss: its loss.
        seed: its seed.
        number: in the grid, from 0.
    """

    plan: Plan
    loss: Contender
    seed: int
    number: int

    @cached_property
    def key(self) -> str:
        """What names its files: it differs as soon as anything was asked for that may change a number."""
        gain = "" if self.loss.is_stock else self.plan.gain
        told = [self.loss.identity(), self.seed, gain, self.plan.threads, self.plan.words]
        digest = hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()[:10]
        name = re.sub(r"[^A-Za-z0-9_.]+", "-", self.loss.label).strip("-")[:60]
        return f"{name}-seed{self.seed}-{digest}"

    def __str__(self) -> str:
        return f"{self.loss.label}, seed {self.seed}"

    def file(self, out: Path) -> Path:
        """Its result."""
        return out / CELLS / f"{self.key}.json"

    def folder(self, out: Path) -> Path:
        """What its training writes."""
        return out / CELLS / self.key

    def log(self, out: Path) -> Path:
        """What its process printed."""
        return out / CELLS / f"{self.key}.log"


@dataclass(frozen=True)
class Result:
    """A cell that is done.

    Attributes:
        key: of the cell.
        loss: its label.
        seed: of the training.
        asked: words, gain (of stock: None) and threads of the plan.
        trained: what it has come to.
        seconds: that it took.
        versions: of everything that computed.
        hardware: that it ran on.
    """

    key: str
    loss: str
    seed: int
    asked: dict[str, Any]
    trained: Trained
    seconds: float
    versions: dict[str, str]
    hardware: dict[str, Any]


def hardware() -> dict[str, Any]:
    """What numbers of a training may depend on: the processor, and the GPUs that are seen."""
    gpus = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    return {"cpu": processor(), "cores": os.cpu_count(), "gpus": gpus}


def processor() -> str:
    """The model of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def done(cell: Cell, trained: Trained, seconds: float, versions: Mapping[str, str]) -> Result:
    """The result of a cell that has been trained in this process."""
    plan = cell.plan
    gain = None if cell.loss.is_stock else plan.gain
    asked = {"words": list(plan.words), "gain": gain, "threads": plan.threads}
    return Result(cell.key, cell.loss.label, cell.seed, asked, trained, seconds, dict(versions), hardware())


def store(result: Result, out: Path) -> None:
    """Write a result whole, under the key of its cell."""
    folder = out / CELLS
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{result.key}.json", strict_json(asdict(result)))


def stored(file: Path) -> Result | None:
    """The result of a file; None: there is none, or it cannot be read."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        found = Result(**{**told, "trained": Trained(**told["trained"])})
        measures = {name: float(found.trained.measures[name]) for name in MEASURES}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.key == file.stem and len(measures) == len(MEASURES) else None


def results_in(folder: Path) -> list[Result]:
    """Every result below a folder, in the order of their files."""
    found = (stored(file) for file in sorted(folder.rglob(f"{CELLS}/*.json")))
    return [each for each in found if each is not None]


def planned_in(folder: Path) -> list[Mapping[str, Any]]:
    """What the plans below a folder say of their cells."""
    found: list[Mapping[str, Any]] = []
    for file in sorted(folder.rglob("plan.json")):
        try:
            found += json.loads(file.read_text(encoding="utf-8"))["cells"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def seeds_of(count: int) -> Sequence[int]:
    """The seeds of a comparison: more of them begin with the same."""
    return range(count)
