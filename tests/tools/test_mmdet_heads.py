"""The page of MMDetection's heads is what was found of them, and nothing of them is left without a verdict."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from loss_plugins.adapters.mmdet.handed import WORDS
from tools import mmdet_heads
from tools.mmdet_configs import CONFIGS, LEFT_OUT
from tools.mmdet_heads import KINDS, Found, Row

FOUND = mmdet_heads.read()
#: slots that are called with the embeddings of pairs of corners, which only a loss of MMDetection's own takes
OF_PAIRS = ("bbox_head.loss_embedding",)


def test_the_page_is_that_of_the_record() -> None:
    assert mmdet_heads.PAGE.read_text(encoding="utf-8") == mmdet_heads.page(list(FOUND.values()))


def test_every_config_is_found_out_about_or_left_out_by_name() -> None:
    assert list(FOUND) == list(CONFIGS)
    assert not set(CONFIGS) & set(LEFT_OUT)
    assert len(CONFIGS) >= 60


@pytest.mark.parametrize("config", CONFIGS)
def test_a_slot_that_its_head_calls_takes_a_loss(config: str) -> None:
    """What it gets is a word of the doctor; a kind fits, or does so after another parameter, or is refused."""
    for row in FOUND[config].rows:
        assert row.handed in WORDS
        assert set(row.works) | set(row.after) <= set(KINDS)
        assert not set(row.works) & set(row.after)
        assert bool(row.works or row.after) == (row.called and row.slot not in OF_PAIRS), row.slot
    assert FOUND[config].equal.startswith("equal, ") or not [row for row in FOUND[config].rows if row.works]


def test_a_record_is_read_as_it_was_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = [
        Row("head.loss_cls", "logits", works=["sigmoid"], refused={"box": "it is none"}),
        Row("head.loss_heat", "probabilities", after={"sigmoid": "activated=True"}),
        Row("head.loss_off", called=False),
    ]
    found = [Found(CONFIGS[0], "equal, 2 losses", rows), Found(CONFIGS[1], "no loss has a dialect", [])]
    monkeypatch.setattr(mmdet_heads, "RESULTS", tmp_path / "heads.json")
    monkeypatch.setattr(mmdet_heads, "PAGE", tmp_path / "heads.md")
    assert mmdet_heads.read() == {}
    mmdet_heads.write({each.config: each for each in found})
    rows[0] = dataclasses.replace(rows[0], refused={})
    assert list(mmdet_heads.read().values()) == found
    text = (tmp_path / "heads.md").read_text(encoding="utf-8")
    assert f"| {CONFIGS[0]} | equal, 2 losses | head.loss_cls | logits | sigmoid |" in text
    assert "|  |  | head.loss_heat | probabilities | sigmoid (with `activated=True`) |" in text
    assert "|  |  | head.loss_off | nothing: the head does not call it | none of these |" in text
    assert f"| {CONFIGS[1]} | no loss has a dialect | none: its head computes its losses itself |  |  |" in text
