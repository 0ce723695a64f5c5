"""One page and one browser for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from ...command_line import called
from .browser import Opened, browsing


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as the command writes it."""
    written = tmp_path_factory.mktemp("explore") / "page.html"
    done = called("explore", "--out", str(written))
    assert done.returncode == 0, done.stderr
    return written


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with browsing() as started:
        yield started


@pytest.fixture(scope="session")
def opened(browser: Browser, file: Path) -> Opened:
    """The page to compute with; what moves boxes opens its own."""
    return Opened(browser, file)
