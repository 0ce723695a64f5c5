"""One page and one browser for all tests of this folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from loss_plugins.evidence.explore import command

from ...command_line import called
from .browser import SHIPPED, Opened, browsing

#: seconds that one worker waits for another
LONGEST = 400


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as the command writes it, once for all workers."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    written = folder / "explore.html"
    try:
        (folder / "explore").mkdir()
    except FileExistsError:  # another worker writes it
        end = time.monotonic() + LONGEST
        while not written.exists() and time.monotonic() < end:
            time.sleep(0.2)
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(command, "list_losses", lambda kind: SHIPPED)
            done = called("explore", "--out", str(written))
        assert done.returncode == 0, done.stderr
    assert written.exists()
    return written


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with browsing() as started:
        yield started


@pytest.fixture(scope="session")
def opened(browser: Browser, file: Path) -> Opened:
    """The page to compute with; what moves boxes opens its own."""
    return Opened(browser, file)
