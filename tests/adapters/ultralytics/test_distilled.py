# SPDX-License-Identifier: AGPL-3.0-or-later
"""`distill_model=`: the student, which Ultralytics wraps beside its teacher, trains the plugged losses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ultralytics import YOLO
from ultralytics.cfg import DEFAULT_CFG_DICT

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.runs import examine
from loss_plugins.demo.digits import DigitsSet

from .ultralytics_runs import BOX_GAIN, constant, results, train_once


@pytest.mark.skipif("distill_model" not in DEFAULT_CFG_DICT, reason="this version has no teachers")
def test_a_student_trains_the_loss_and_its_checkpoints_say_so(digits: DigitsSet, tmp_path: Path) -> None:
    teacher, kept = tmp_path / "teacher.pt", tmp_path / "first.pt"
    YOLO("yolo26n.yaml").save(teacher)

    def keep(trainer: object) -> None:
        if not kept.exists():
            shutil.copy(trainer.last, kept)  # type: ignore[attr-defined]

    settings = {"data": str(digits.yaml), "imgsz": 32, "fraction": 0.5}
    folder = train_once(
        "yolo26n.yaml", tmp_path, {"on_model_save": keep}, trainer=constant(7.0), distill_model=str(teacher), **settings
    )
    assert {"train/dis_loss"} <= results(folder)[0].keys()  # there was a teacher
    assert [row["train/box_loss"] for row in results(folder)] == pytest.approx([7 * BOX_GAIN] * 2, rel=1e-5)
    found = examine(folder)
    assert found["ok"], found["checks"]
    assert {"best.pt", "last.pt"} <= {check["name"] for check in found["checks"]}
    train_once(str(kept), tmp_path, trainer=constant(7.0), resume=True)
    assert [row["epoch"] for row in results(folder)] == [1, 2, 2]
    assert results(folder)[-1]["train/box_loss"] == pytest.approx(7 * BOX_GAIN, rel=1e-5)
    with pytest.raises(ValueError, match="trained with other losses"):
        YOLO(kept).train(trainer=lpu.trainer("detect", box="eiou"), resume=True)
