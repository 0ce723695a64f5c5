"""Small detectors trained on digits: the `mmdet` dialects of the built-in losses give the same curves."""

from __future__ import annotations

from pathlib import Path

import pytest

from loss_plugins.adapters.mmdet import training_parity
from loss_plugins.parity.training import TrainingCase, compare_training
from tools.wheel import ROOT

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


@pytest.mark.parametrize(
    ("built_in", "ours"),
    [
        *((name, name) for name in ("L1Loss", "SmoothL1Loss", "IoULoss", "GIoULoss", "DIoULoss", "CIoULoss")),
        ({"type": "FocalLoss", "use_sigmoid": True, "gamma": 1.5}, "FocalLoss"),
        ({"type": "QualityFocalLoss", "use_sigmoid": True, "beta": 2.0}, "QualityFocalLoss"),
        ({"type": "CrossEntropyLoss", "use_sigmoid": True}, "BCEWithLogitsLoss"),
        ({"type": "SIoULoss", "neg_gamma": True}, "SIoULoss"),
        ("EIoULoss", "ExtendedIoULoss"),
        ("SIoULoss", None),
        ({"type": "FocalLoss", "use_sigmoid": False}, None),
        ({"type": "CrossEntropyLoss", "bg_cls_weight": 0.1}, None),
        ("SeesawLoss", "SeesawLoss"),
        ("EQLV2Loss", "EQLV2Loss"),
    ],
    ids=str,
)
def test_a_built_in_is_swapped_where_the_table_of_peers_says_that_ours_equals_it(
    built_in: str | dict[str, object], ours: str | None
) -> None:
    config = built_in if isinstance(built_in, dict) else {"type": built_in}
    found = training_parity.equivalent({**config, "loss_weight": 2.0})
    wanted = {**config, "type": f"loss_plugins.{ours}", "dialect": "mmdet", "loss_weight": 2.0}
    assert found == (wanted if ours else None)


def test_the_losses_swapped_are_those_on_the_page() -> None:
    page = (ROOT / "docs/training-parity.md").read_text()
    for name, case in NAMED.items():
        assert f"| mmdet | {name} | {case.losses} |" in page


def test_another_loss_gives_another_curve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diou(loss: dict[str, object]) -> dict[str, object] | None:
        return {**loss, "type": "loss_plugins.DIoULoss"} if loss.get("type") == "GIoULoss" else None

    monkeypatch.setattr(training_parity, "equivalent", diou)
    assert not compare_training(NAMED["ATSS"], folder, 2).ok
