# SPDX-License-Identifier: AGPL-3.0-or-later
"""The loops that docs/ultralytics.md shows, plain, of Lightning and of Accelerate, run as they stand there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from loss_plugins.demo.digits import DigitsSet
from tools.wheel import ROOT

PAGE = ROOT / "docs" / "ultralytics.md"
HEADING = "Loops of your own"
#: the examples are of 640 pixels, and of the batch that they say: 16 images are 2 batches, twice
SMALL = ('"imgsz": 640', '"imgsz": 64')
CALLS = 4


def blocks() -> dict[str, str]:
    """The blocks of Python of the section, by the heading that they stand under."""
    text = PAGE.read_text(encoding="utf-8")
    section = re.search(rf"^## {HEADING}\n(.*?)(?=^## )", text, re.M | re.S)
    assert section is not None
    parts = re.split(r"^### (.*)$", section[1], flags=re.M)
    found = dict(zip(["", *parts[1::2]], parts[::2], strict=True))
    return {name: "\n".join(re.findall(r"^```python\n(.*?)^```$", part, re.M | re.S)) for name, part in found.items()}


BLOCKS = blocks()


@pytest.fixture
def folder(digits: DigitsSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a user, with the data that the examples name."""
    (tmp_path / "data.yaml").write_text(digits.yaml.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert [file.name for file in tmp_path.iterdir()] == ["data.yaml"]


def test_the_three_loops_are_shown() -> None:
    assert [*BLOCKS] == ["", "Plain PyTorch", "Lightning", "Accelerate"]
    assert BLOCKS[""].count(SMALL[0]) == 1
    assert all(BLOCKS.values())


@pytest.mark.parametrize("name", [name for name in BLOCKS if name])
def test_a_loop_trains_the_plugged_loss(name: str, folder: Path) -> None:
    """The report is that of the loop, and it ends only where the loss was computed and trained."""
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(BLOCKS[""].replace(*SMALL), str(PAGE), "exec"), names)
    before = next(names["model"].parameters()).detach().clone()
    exec(compile(BLOCKS[name], str(PAGE), "exec"), names)
    calls = names["report"].box
    assert calls.train_calls == calls.expected_calls == calls.gradient_calls == CALLS
    assert calls.rows >= calls.gradient_rows > 0
    assert not torch.equal(next(names["model"].parameters()).detach().cpu(), before)
