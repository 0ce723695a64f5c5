"""The table of detectors in docs/libreyolo.md is what was measured, of every family with a box loss and a trainer."""

from __future__ import annotations

import pkgutil
from dataclasses import replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import libreyolo.models
import pytest

from tests.adapters.libreyolo import parts
from tools import libreyolo_page
from tools.known_detectors import DETECTORS, WITHOUT_BOXES
from tools.libreyolo_page import Row

ROW = Row("giou", "object", "corners", 1.0, 1.0, 3, 3, 3, 2)
CELLS = ["a", "GIoU", "corners, pixels", "1", "yes"]


def test_the_page_is_what_was_measured() -> None:
    text = libreyolo_page.PAGE.read_text(encoding="utf-8")
    written = text.split(libreyolo_page.BEGIN)[1].split(libreyolo_page.END)[0].strip()
    version, rows = libreyolo_page.read()
    assert written == libreyolo_page.table(rows), "run: python -m tools.libreyolo_page"
    assert list(rows) == list(DETECTORS)
    assert version == metadata.version("libreyolo"), "run: python -m tools.libreyolo_page"
    assert f"Found in LibreYOLO {version}" in text
    assert "**" not in written


def test_no_family_is_missing() -> None:
    """A trainer of a new release is in the table, or among those that compare no boxes."""
    families = {each.name for each in pkgutil.iter_modules(libreyolo.models.__path__) if each.ispkg}
    trained = {name for name in families if find_spec(f"libreyolo.models.{name}.trainer")}
    assert trained == {detector.module for detector in DETECTORS.values()} | set(WITHOUT_BOXES)


@pytest.mark.parametrize("name", list(parts.DETECTORS))
def test_the_rows_are_those_of_the_trainings_that_are_tested(name: str) -> None:
    known, row = parts.DETECTORS[name], libreyolo_page.read()[1][name]
    assert (row.stock, row.calls, row.steps) == (known.stock, known.calls * libreyolo_page.STEPS, libreyolo_page.STEPS)


def test_a_detector_is_measured_again_as_it_stands(tmp_path: Path) -> None:
    found = libreyolo_page.measured(DETECTORS["PicoDet"], tmp_path)
    assert found.cells("PicoDet") == libreyolo_page.read()[1]["PicoDet"].cells("PicoDet")


@pytest.mark.parametrize(
    ("changes", "cells"),
    [
        ({}, {}),
        ({"stock": "iou (squared)", "boxes": "centers"}, {1: "1 - IoU^2", 2: "centers, pixels"}),
        ({"stock": "eiou", "scale": 2.0}, {1: "EIOU, times 2"}),
        ({"largest": 0.25}, {2: "corners, cells"}),
        ({"found": "loss_boxes", "largest": 0.002}, {1: "GIoU (`loss_boxes`)", 2: "sides of the image"}),
        ({"found": "function"}, {1: "GIoU, a function that the criterion calls"}),
        ({"calls": 27, "trained": 27}, {3: "9"}),
        ({"trained": 2}, {4: "**no**: 2 of 3"}),
        ({"steps": 2}, {3: "1.5", 4: "**no**: 3 of 3"}),
        ({"validated": 0}, {4: "yes; its validation computes no loss"}),
        ({"validated": 0, "failed": "ValueError: x"}, {4: "yes; its validation fails (ValueError: x)"}),
        ({"trained": 2, "failed": "ValueError: x"}, {4: "**no**: 2 of 3"}),
    ],
    ids=str,
)
def test_a_row_says_what_was_measured(changes: dict[str, object], cells: dict[int, str]) -> None:
    row = replace(ROW, **changes)  # type: ignore[arg-type]
    assert row.cells("a") == [cells.get(place, cell) for place, cell in enumerate(CELLS)]
