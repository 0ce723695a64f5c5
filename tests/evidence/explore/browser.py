"""The system's own browser, without a window: pages are opened as a user opens them, from disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from loss_plugins.catalog.entries import shipped

#: the losses that the page is tested with; other tests of the process register losses of their own
SHIPPED = [entry.name for entry in shipped() if entry.kind == "box"]
NAMES = ("chromium", "google-chrome", "chromium-browser")
INSTALL = "apt-get install -y --no-install-recommends chromium"
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip


def executable() -> str:
    """Where the browser is."""
    found = next((path for name in (os.environ.get("BROWSER"), *NAMES) if name and (path := shutil.which(name))), None)
    assert found, f"no browser is found ({', '.join(NAMES)}, or $BROWSER): {INSTALL}"
    return found


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser that is running."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=[*ARGUMENTS])
        try:
            yield browser
        finally:
            browser.close()


class Opened:
    """The page in a tab.

    Attributes:
        page: the tab.
        requests: what it asked for, itself left out.
        errors: what went wrong in its script.
    """

    def __init__(self, browser: Browser, file: Path, address: str = "", **context: Any) -> None:
        size = {"width": 1360, "height": 960}
        self.context = browser.new_context(**{"viewport": size, **context})
        self.page: Page = self.context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        url = file.as_uri() + address
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: said.type == "error" and self.errors.append(said.text))
        self.page.goto(url)
        self.requests.remove(file.as_uri())
        self.frame()

    def frame(self) -> None:
        """Wait until what was asked for is drawn."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def values(self) -> dict[str, float]:
        """The value of each loss, as the list has it."""
        cells = self.page.eval_on_selector_all(
            "#losses tr[data-loss]", "rows => rows.map(row => [row.dataset.loss, row.cells[2].dataset.value])"
        )
        return {name: float(value) for name, value in cells}

    def boxes(self) -> dict[str, list[float]]:
        """The coordinates of both boxes."""
        return {
            name: [float(self.page.input_value(f"#{name}-{edge}")) for edge in ("x1", "y1", "x2", "y2")]
            for name in ("pred", "target")
        }

    def middle(self, selector: str) -> tuple[float, float]:
        """The middle of an element on the screen."""
        box = self.page.locator(selector).first.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(self, selector: str, dx: float, dy: float) -> None:
        """Drag an element by so many pixels of the screen."""
        x, y = self.middle(selector)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + dx / 2, y + dy / 2)
        self.page.mouse.move(x + dx, y + dy)
        self.page.mouse.up()
        self.frame()
