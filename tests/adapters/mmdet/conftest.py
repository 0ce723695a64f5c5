"""These tests need MMDetection: a missing part is a failure, with the line that installs it."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from loss_plugins.adapters.mmdet.install import COMMANDS, missing

collect_ignore = ["heads.py", "ranks.py"]  # helpers: collected, they would be imported twice

absent = missing()
if absent:
    raise RuntimeError(
        "the tests of the MMDetection adapter may not be skipped; install "
        + "; ".join(f"{name}: {COMMANDS[name]}" for name in absent)
    )


@pytest.fixture(autouse=True)
def _quiet() -> None:
    warnings.filterwarnings("ignore", category=FutureWarning)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small digits set, composed once."""
    from loss_plugins.demo.digits import make_digits

    root = tmp_path_factory.mktemp("digits")
    make_digits(root, train=8, val=4, progress=False)
    return root
