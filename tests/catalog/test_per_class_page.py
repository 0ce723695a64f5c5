"""docs/per-class.md: its table is what the catalogue says, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.catalog.ranges import PerClass

PAGE = Path(__file__).parents[2] / "docs" / "per-class.md"
KEYS = ("class_weight", "alpha", "pos_weight", "neg_weight", "label_smoothing", "ignore_index", "classes")
KEYS += ("include_background",)


def cell(entry: Entry, key: str) -> str:
    """Whether a loss takes it, and whether as a number per class."""
    parameter = entry.parameters.get(key)
    if parameter is None or (key == "alpha" and not isinstance(parameter.allowed, PerClass)):
        return ""
    return "per class" if isinstance(parameter.allowed, PerClass) else "yes"


def table() -> list[str]:
    """One line for each class or region loss."""
    rows = [("loss", *(f"`{key}`" for key in KEYS)), ("---",) * (len(KEYS) + 1)]
    kinds = {"classification": 0, "region": 1}
    entries = sorted((each for each in shipped() if each.kind in kinds), key=lambda each: (kinds[each.kind], each.name))
    rows += [(f"`{entry.name}`", *(cell(entry, key) for key in KEYS)) for entry in entries]
    return ["| " + " | ".join(row) + " |" for row in rows]


def test_the_table_is_that_of_the_catalogue() -> None:
    written = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert written == table()


def test_the_examples_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert blocks
    for block in blocks:
        exec(block, {})
