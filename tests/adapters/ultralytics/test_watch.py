# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is said where a stock trainer goes on with a run of plugged losses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from ultralytics.utils import LOGGER

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import watch


@pytest.mark.parametrize("resume", [True, False])
def test_a_warning_is_marked_once(resume: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ultralytics' logger writes WARNING before each."""
    said: list[str] = []
    monkeypatch.setattr(LOGGER, "warning", said.append)
    monkeypatch.setattr(watch, "read_record", lambda folder: {"losses": {"box": {"type": "eiou"}}})
    watch.warn_of_record(SimpleNamespace(save_dir=tmp_path, resume=resume))
    (line,) = said
    assert line.startswith("loss_plugins: ")
    assert "box loss eiou" in line


def test_a_record_that_cannot_be_read_is_marked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(LOGGER, "warning", said.append)
    (tmp_path / "loss_plugins.yaml").write_text("losses: {box")
    watch.warn_of_record(SimpleNamespace(save_dir=tmp_path, resume=False))
    (line,) = said
    assert line.startswith("loss_plugins: ")
    assert "cannot be read: no YAML" in line


@pytest.mark.parametrize("resume", [True, False])
def test_a_training_inside_of_a_context_is_not_called_one_of_the_stock_losses(
    resume: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(LOGGER, "warning", said.append)
    monkeypatch.setattr(watch, "read_record", lambda folder: {"losses": {"box": {"type": "eiou"}}})
    trainer = SimpleNamespace(save_dir=tmp_path, resume=resume)
    with pytest.raises(lpu.LossNotUsed), lpu.patched(box="giou", cls="quality_focal"):
        watch.warn_of_record(trainer)
    watch.warn_of_record(trainer)
    inside, after = said
    assert "the box loss giou and cls loss quality_focal of patched(...), unrecorded" in inside
    assert "stock losses" not in inside
    assert "stock losses" in after
