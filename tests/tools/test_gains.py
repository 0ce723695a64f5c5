"""The page of the matched gains is what was measured, and what it and the refusals say of it holds."""

from __future__ import annotations

import json
import statistics

import pytest

from loss_plugins.adapters import ultralytics as lpu
from tools import gains
from tools.gains import LOSSES, Outcome

MEASURED = [Outcome(**row) for row in json.loads(gains.RESULTS.read_text(encoding="utf-8"))]


def test_the_page_is_that_of_the_measurements() -> None:
    assert gains.PAGE.read_text(encoding="utf-8") == gains.page(MEASURED)


def test_differences_are_those_of_pairs() -> None:
    """Seeds 0 and 1 of the stock losses give 0.5 and 0.7; seed 1 alone was trained with the other: 0.8 - 0.7."""
    outcomes = [
        Outcome("stock", "stock", 0, 0.5), Outcome("stock", "stock", 1, 0.7), Outcome("eiou", "match", 1, 0.8),
    ]  # fmt: skip
    assert "| eiou |  | 0.800 (+0.100) | 0 and 1 |" in gains.page(outcomes)
    assert "| stock | 0.600 | | 2 |" in gains.page(outcomes)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_matched_loss_is_no_worse_than_the_stock_loss_or_refuses(loss: str) -> None:
    slot, spec = LOSSES[loss]
    stock = {each.seed: each.map50 for each in MEASURED if each.loss == "stock"}
    found = {each.seed: each.map50 for each in MEASURED if (each.loss, each.gain) == (loss, "match")}
    difference = statistics.mean(value - stock[seed] for seed, value in found.items())
    if difference > -0.02:
        assert len(found) == len(gains.SEEDS)
        lpu.trainer("detect", **{slot: spec}, gain="match")
    else:
        with pytest.raises(ValueError, match="gain='match' would be"):
            lpu.trainer("detect", **{slot: spec}, gain="match")


def test_what_is_done_is_not_done_again() -> None:
    everything = list(gains.wanted(["eiou"]))
    assert everything[:3] == [("stock", "stock", 0), ("eiou", "keep", 0), ("eiou", "match", 0)]
    assert len(everything) == len(set(everything)) == 15
