"""Our dialects of the stock losses train Ultralytics models digit for digit like them."""

from __future__ import annotations

from pathlib import Path

import pytest

from loss_plugins.adapters.ultralytics.training_parity import CASES, cases, curve
from loss_plugins.parity.training import TrainingCase, compare_training

NAMED = {f"{case.name}-{case.losses}": case for case in cases()}


@pytest.mark.parametrize("case", NAMED.values(), ids=NAMED)
def test_the_same_curve_bit_for_bit(case: TrainingCase, tmp_path: Path) -> None:
    result = compare_training(case, tmp_path, 4)
    assert result.steps == 4
    assert result.largest == 0, result


def test_another_loss_gives_another_curve(tmp_path: Path) -> None:
    model, task, _ = CASES[0]
    ours = curve(model, task, {"box": "eiou"}, tmp_path / "ours", True, 2)
    assert ours != curve(model, task, {}, tmp_path / "stock", False, 2)
