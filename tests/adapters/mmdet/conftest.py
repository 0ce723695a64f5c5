"""A small detection set."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from loss_plugins.demo.digits import make_digits


@pytest.fixture(autouse=True)
def _quiet() -> None:
    warnings.filterwarnings("ignore", category=FutureWarning)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small digits set, composed once."""
    root = tmp_path_factory.mktemp("digits")
    make_digits(root, train=8, val=4, progress=False)
    return root
