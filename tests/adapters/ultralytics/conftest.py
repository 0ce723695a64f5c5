"""A small detection set, and one short training run in one call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ultralytics import YOLO
from ultralytics.utils import torch_utils
from ultralytics.utils.loss import BboxLoss

from loss_plugins.demo.digits import DigitsSet, make_digits

from . import marker_losses  # noqa: F401  (registers them)
from .ultralytics_runs import Train

torch_utils.NUM_THREADS = torch.get_num_threads()  # a training takes no more threads than its worker may
# helpers: collected, they would be imported twice
collect_ignore = ["marker_losses.py", "ranks.py", "ultralytics_runs.py"]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> DigitsSet:
    return make_digits(tmp_path_factory.mktemp("digits"), train=16, val=8, progress=False)


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Any:
    """Every test leaves Ultralytics as it found it."""
    before = vars(BboxLoss)["forward"]
    yield
    assert vars(BboxLoss)["forward"] is before


@pytest.fixture
def train(digits: DigitsSet, tmp_path: Path) -> Train:
    """train(model, trainer=..., **overrides) -> run folder; `on` adds callbacks."""

    def run(model: str, *, name: str = "run", on: dict[str, Callable[..., None]] | None = None, **kwargs: Any) -> Path:
        yolo = YOLO(model)
        for event, callback in (on or {}).items():
            yolo.add_callback(event, callback)
        settings = {
            "data": str(digits.yaml),
            "epochs": 2,
            "imgsz": 64,
            "batch": 8,
            "workers": 0,
            "amp": False,
            "plots": False,
            "verbose": False,
            "device": "cpu",
            "project": str(tmp_path),
            "name": name,
            "exist_ok": True,
        }
        yolo.train(**{**settings, **kwargs})
        return Path(yolo.trainer.save_dir)

    return run
