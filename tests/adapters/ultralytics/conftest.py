"""A small detection set, and short trainings: of a test's own, or shared by several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ultralytics.utils import torch_utils
from ultralytics.utils.loss import BboxLoss

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.demo.digits import DigitsSet, make_digits

from . import marker_losses  # noqa: F401  (registers them)
from .prompted import Prompted, make_prompted
from .ultralytics_runs import Run, Shared, Train, record_run, train_once

torch_utils.NUM_THREADS = torch.get_num_threads()  # a training takes no more threads than its worker may
torch_utils.get_flops = lambda *_, **__: 0.0  # counted on a copy of each model, for a line that is printed


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> DigitsSet:
    return make_digits(tmp_path_factory.mktemp("digits"), train=16, val=8, progress=False)


@pytest.fixture(scope="session")
def prompted(digits: DigitsSet, tmp_path_factory: pytest.TempPathFactory) -> Prompted:
    return make_prompted(digits, tmp_path_factory.mktemp("prompted"))


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Any:
    """Every test leaves Ultralytics as it found it."""
    before = vars(BboxLoss)["forward"]
    yield
    assert vars(BboxLoss)["forward"] is before


@pytest.fixture
def own_losses() -> Iterator[None]:
    """What a test enters into the catalogue leaves it again."""
    before = set(lp.list_losses())
    yield
    for name in set(lp.list_losses()) - before:
        lp.unregister_loss(name)


@pytest.fixture
def train(digits: DigitsSet, tmp_path: Path) -> Train:
    """train(model, trainer=..., **overrides) -> run folder; `on` adds callbacks."""

    def run(model: str, *, on: dict[str, Callable[..., None]] | None = None, **overrides: Any) -> Path:
        return train_once(model, tmp_path, on, **{"data": str(digits.yaml), **overrides})

    return run


@pytest.fixture(scope="session")
def shared(digits: DigitsSet, tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """shared(model, box=..., cls=..., gain=..., **overrides) -> Run, trained once for all tests that ask for it."""
    runs: dict[str, Run] = {}

    def run(model: str, box: Any = None, cls: Any = None, gain: str | None = None, **overrides: Any) -> Run:
        key = repr((model, box, cls, gain, sorted(overrides.items())))
        if key not in runs:
            stock = box is None and cls is None
            losses = {} if stock else {"trainer": lpu.trainer("detect", box=box, cls=cls, gain=gain)}
            folder = tmp_path_factory.mktemp("shared")
            runs[key] = record_run(model, folder, {}, data=str(digits.yaml), **losses, **overrides)
        return runs[key]

    return run
