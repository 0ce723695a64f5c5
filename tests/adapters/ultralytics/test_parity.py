"""Our dialects of the stock losses train Ultralytics models digit for digit like them."""

from __future__ import annotations

from pathlib import Path

import pytest

from loss_plugins.adapters.ultralytics.training_parity import CASES, cases, curve
from loss_plugins.parity.training import TrainingCase, compare_training

NAMED = {f"{case.name}-{case.losses}": case for case in cases()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all cases, which then share data, warm-up and stock curves."""
    return tmp_path_factory.mktemp("parity")


@pytest.mark.parametrize("case", NAMED.values(), ids=NAMED)
def test_the_same_curve_bit_for_bit(case: TrainingCase, folder: Path) -> None:
    result = compare_training(case, folder, 4)
    assert result.steps == 4
    assert result.largest == 0, result


def test_another_loss_gives_another_curve(folder: Path) -> None:
    model, task, _ = CASES[0]
    assert curve(model, task, {"box": "eiou"}, folder / "eiou", True, 4) != curve(
        model, task, {}, folder / "stock", False, 4
    )
