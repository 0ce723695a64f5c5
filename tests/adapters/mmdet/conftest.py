"""A small detection set."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from mmengine.logging import MessageHub

from loss_plugins.demo.digits import make_digits


@pytest.fixture(autouse=True)
def _quiet() -> None:
    warnings.filterwarnings("ignore", category=FutureWarning)


@pytest.fixture(autouse=True)
def _no_run_is_left() -> Iterator[None]:
    """A training that ends in an error goes on for MMEngine's message hub, which losses follow."""
    yield
    MessageHub.get_current_instance().runtime_info.pop("loop_stage", None)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small digits set, composed once."""
    root = tmp_path_factory.mktemp("digits")
    make_digits(root, train=8, val=4, progress=False)
    return root
