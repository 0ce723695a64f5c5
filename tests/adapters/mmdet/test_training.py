"""Small detectors trained on digits: our dialects of the stock losses give the same curves."""

from __future__ import annotations

from pathlib import Path

import pytest

from loss_plugins.adapters.mmdet import training_parity
from loss_plugins.parity.training import TrainingCase, compare_training

NAMED = {case.name: case for case in training_parity.cases()}


@pytest.mark.parametrize("case", NAMED.values(), ids=NAMED)
def test_the_same_curve_to_rounding(case: TrainingCase, tmp_path: Path) -> None:
    result = compare_training(case, tmp_path, 2)
    assert result.steps == 2
    assert result.ok, result


def test_every_box_loss_is_swapped() -> None:
    for name in NAMED:
        assert any(swapped.startswith("loss_bbox") for swapped in training_parity.swapped_names(name))


def test_another_loss_gives_another_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diou(loss: dict[str, object]) -> dict[str, object] | None:
        return {**loss, "type": "loss_plugins.DIoULoss"} if loss.get("type") == "GIoULoss" else None

    monkeypatch.setattr(training_parity, "ours_of", diou)
    assert not compare_training(NAMED["ATSS"], tmp_path, 2).ok
