"""Small detectors trained on digits: the `mmdet` dialects of the built-in losses give the same curves."""

from __future__ import annotations

from pathlib import Path

import pytest

from loss_plugins.adapters.mmdet import training_parity
from loss_plugins.parity.training import TrainingCase, compare_training

NAMED = {case.name: case for case in training_parity.cases()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all cases, so that the digits are composed once."""
    return tmp_path_factory.mktemp("parity")


@pytest.mark.parametrize("case", NAMED.values(), ids=NAMED)
def test_the_same_curve_to_rounding(case: TrainingCase, folder: Path) -> None:
    result = compare_training(case, folder, 2)
    assert result.steps == 2
    assert result.ok, result


def test_every_box_loss_is_swapped() -> None:
    for name in NAMED:
        assert any(swapped.startswith("loss_bbox") for swapped in training_parity.swapped_names(name))


def test_another_loss_gives_another_curve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diou(loss: dict[str, object]) -> dict[str, object] | None:
        return {**loss, "type": "loss_plugins.DIoULoss"} if loss.get("type") == "GIoULoss" else None

    monkeypatch.setattr(training_parity, "equivalent", diou)
    assert not compare_training(NAMED["ATSS"], folder, 2).ok
