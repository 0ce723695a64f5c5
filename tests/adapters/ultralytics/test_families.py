"""Whole trainings of rotated boxes and of RT-DETR: proof, stamp, and the task that is inferred."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ultralytics import RTDETR

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.trainers import LossPluginOBBTrainer, LossPluginRTDETRTrainer
from loss_plugins.demo.digits import DigitsSet

from .ultralytics_runs import BOX_GAIN, SETTINGS, Train, column, proof, relabelled, results


@pytest.fixture(scope="module")
def rotated_digits(digits: DigitsSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits with their boxes as four corners, as Ultralytics stores rotated ones."""
    return relabelled(digits, tmp_path_factory.mktemp("rotated"), corners)


def corners(line: str) -> str:
    number, *box = line.split()
    x, y, w, h = (float(value) for value in box)
    points = [(x - w / 2, y - h / 2), (x + w / 2, y - h / 2), (x + w / 2, y + h / 2), (x - w / 2, y + h / 2)]
    return f"{number} {' '.join(f'{value:.6f}' for point in points for value in point)}\n"


def test_rotated_boxes_train(train: Train, rotated_digits: Path) -> None:
    made: list[Any] = []
    run = train(
        "yolo11n-obb.yaml",
        trainer=lpu.trainer(box="kld", cls="ghm_c", gain="match"),
        data=str(rotated_digits),
        on={"on_train_start": made.append},
    )
    assert type(made[0]) is LossPluginOBBTrainer
    report = proof(run)["report"]
    assert proof(run)["losses"]["box"]["type"] == "kld"
    assert report["box"]["gradient_calls"] > 0
    assert report["box"]["expected_calls"] <= report["box"]["train_calls"]
    assert report["box"]["gain"] == pytest.approx(1.048, abs=0.005)
    assert all(0.01 < row["plug/box_gradient_ratio"] < 100 for row in results(run))


def test_a_constant_of_rotated_boxes_is_what_is_logged(train: Train, rotated_digits: Path) -> None:
    """Every box costs 7, weighted by its score and divided by the sum of scores: 7 times the gain of 7.5."""
    run = train(
        "yolo11n-obb.yaml", trainer=lpu.trainer("obb", box="constant_rotated", cls="focal"), data=str(rotated_digits)
    )
    for loss in column(run, "train/box_loss"):
        assert loss == pytest.approx(7 * BOX_GAIN, rel=1e-5)


def test_rtdetr_trains(digits: DigitsSet, tmp_path: Path) -> None:
    model = RTDETR("rtdetr-resnet50.yaml")
    made: list[Any] = []
    model.add_callback("on_train_start", made.append)
    model.train(
        trainer=lpu.trainer(box="eiou", cls="quality_focal"),
        data=str(digits.yaml),
        project=str(tmp_path),
        name="run",
        **SETTINGS,
    )
    assert type(made[0]) is LossPluginRTDETRTrainer
    run = tmp_path / "run"
    report = proof(run)["report"]
    for slot in ("box", "cls"):
        calls = report[slot]
        assert calls["train_calls"] == calls["expected_calls"] == calls["gradient_calls"] > 0
    assert report["canary"]["box"]
    assert all(value > 0 for value in column(run, "train/giou_loss"))
