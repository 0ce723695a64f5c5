"""Trainings that take no time: what a cell measures is a rule of its loss and seed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from loss_plugins.errors import refusal
from loss_plugins.evidence import cells
from loss_plugins.evidence import compare as command
from loss_plugins.evidence.contenders import Contender
from loss_plugins.evidence.grid import Result, Trained

WORDS = ("--", "yolo", "detect", "train", "model=m.yaml", "data=d.yaml")


class Quick:
    """A training of which each loss adds points to those of the seed.

    Attributes:
        adds: by label.
        fails: labels and seeds of trainings that raise.
        trained: labels and seeds, in the order in which they were trained.
        version: of the framework.
    """

    def __init__(self) -> None:
        self.adds: dict[str, list[float]] = {"ciou": [1.0, 2.0, 3.0], "giou": [-0.1, 0.2, 0.1]}
        self.fails: set[tuple[str, int]] = set()
        self.trained: list[tuple[str, int]] = []
        self.version = "1.0"
        self.value: float | None = None

    def require(self, contender: Contender, gain: str) -> None:
        if contender.label == "focal":
            raise refusal("quick", "focal is refused", "other losses", "name another")

    def versions(self) -> dict[str, str]:
        return {"quick": self.version}

    def train(self, contender: Contender, seed: int, gain: str, threads: int, folder: Path) -> Trained:
        self.trained.append((contender.label, seed))
        if (contender.label, seed) in self.fails:
            raise RuntimeError(f"no {contender.label} with {seed}")
        value = self.value if self.value is not None else 40 + seed + self.adds.get(contender.label, [0] * 9)[seed]
        return Trained({"mAP50-95": value, "mAP50": value + 10}, {"box": 7.5}, f"weights {seed}")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Quick:
    """Every command trains with this one, in this process; a cell that raises ends as its own process would."""
    training = Quick()

    def run(line: Sequence[str], stdout: Any, **_: Any) -> subprocess.CompletedProcess[str]:
        assert line[:3] == [sys.executable, "-m", "loss_plugins"]
        app = typer.Typer()
        app.command()(command.compare)
        done = CliRunner().invoke(app, list(line[4:]))
        stdout.write(f"epoch 1\n{done.exception or ''}\n\n")
        return subprocess.CompletedProcess(line, done.exit_code)

    monkeypatch.setattr(command, "training_of", lambda words: training)
    monkeypatch.setattr(cells.subprocess, "run", run)
    monkeypatch.setattr(command, "can_draw", lambda: False)  # which takes longer than all else
    return training


def told(*arguments: str) -> Any:
    """What the command prints."""
    app = typer.Typer()
    app.command()(command.compare)
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def result(loss: str, seed: int, value: float, **changed: Any) -> Result:
    """A cell that is done."""
    same, start = changed.pop("same", {"box": 7.5}), changed.pop("start", f"weights {seed}")
    trained = Trained({"mAP50-95": value, "mAP50": value + 10}, same, start, resumed=changed.pop("resumed", None))
    asked = {"words": ["yolo"], "gain": None if loss == "stock" else "keep", "threads": 1}
    said = {"asked": asked, "versions": {"torch": "2"}, "hardware": {"cpu": "x"}, "key": f"{loss}-{seed}", **changed}
    return Result(loss=loss, seed=seed, trained=trained, seconds=60.0, **said)
