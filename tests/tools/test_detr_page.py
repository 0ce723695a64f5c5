"""The table of criteria in docs/detr.md is what is measured of those that are installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from tests.adapters.detr import own
from tools import detr_page
from tools.known_criteria import KNOWN, Known
from tools.wheel import ROOT


def test_the_page_says_what_is_measured() -> None:
    text = detr_page.PAGE.read_text(encoding="utf-8")
    written = text.split(detr_page.BEGIN)[1].split(detr_page.END)[0].strip()
    assert written == detr_page.table(), "run: python -m tools.detr_page"
    assert "**" not in written
    assert len(written.splitlines()) - 2 == len(KNOWN) >= 20
    assert f"; {len(KNOWN)} criteria do" in " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


class Slippery(own.Criterion):
    """Gives another loss each time it is called."""

    calls = 0

    def loss_boxes(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:
        self.calls += 1
        found = super().loss_boxes(outputs, targets, indices, num_boxes)
        return {name: loss * (1 + 1e-7 * self.calls) for name, loss in found.items()}


def test_what_does_not_come_back_is_told() -> None:
    row = detr_page.measured("torch of one's own", Known(own.Criterion))
    assert (row.restored, row.matcher, row.cls) == (True, True, "focal (alpha=0.25, gamma=2)")
    assert row.giou < 1e-6
    assert row.eiou > detr_page.OTHER
    assert row.turned > 1e-3
    assert not detr_page.measured("torch of one's own", Known(Slippery)).restored
    assert "**no**" in detr_page.measured("torch of one's own", Known(Slippery)).cells()


def test_the_table_is_written_between_the_markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detr_page, "table", lambda: "| a table |")
    file = tmp_path / "page.md"
    file.write_text(f"before\n{detr_page.BEGIN}\nold\n{detr_page.END}\nafter\n", encoding="utf-8")
    detr_page.update(file)
    assert file.read_text(encoding="utf-8") == f"before\n{detr_page.BEGIN}\n| a table |\n{detr_page.END}\nafter\n"
