# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a search is refused for before its first training, beside the wrong spaces of test_tuning, and what not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ultralytics import YOLO

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.space import read_space
from loss_plugins.demo.digits import DigitsSet

from .ultralytics_runs import SETTINGS


def test_numbers_per_class_are_not_searched() -> None:
    for numbers in ([2.0, 1.0], 2.0):
        spec = lpu.make_spec(cls={"type": "bce_with_logits", "pos_weight": numbers})
        if isinstance(numbers, float):
            assert read_space({"cls_loss.pos_weight": (0.5, 3)}, spec, {"optimizer": "SGD"})
        else:
            with pytest.raises(ValueError, match="'cls_loss\\.pos_weight', which is no number"):
                read_space({"cls_loss.pos_weight": (0.5, 3)}, spec, {"optimizer": "SGD"})


def test_a_slot_that_the_model_lacks_is_refused_before_the_first_training() -> None:
    with pytest.raises(ValueError, match="has no mask loss"):
        lpu.tune("yolo11n.yaml", mask="dice", space={"lrf": (0.1, 0.2)})


@pytest.fixture
def best(tmp_path: Path) -> Path:
    """The file of a search, which the next one begins with."""
    file = tmp_path / "best_hyperparameters.yaml"
    losses = lpu.make_spec(box={"type": "alpha_iou", "alpha": 2.5}).as_dict()
    file.write_text(yaml.safe_dump({"lrf": 0.5, "losses": {key: each for key, each in losses.items() if each}}))
    return file


def test_a_search_begins_with_the_best_of_another(
    best: Path, digits: DigitsSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its trainings have other losses than the file of settings has, as they should."""
    trained: list[Any] = []

    def made(model: YOLO, trainer: Callable[..., Any], **settings: Any) -> dict[str, float]:
        """As Ultralytics' own `train` makes the trainer: the file's keys are settings."""
        of_file = yaml.safe_load(Path(settings["cfg"]).read_text(encoding="utf-8"))
        trained.append(trainer(overrides={**of_file, "model": "yolo11n.yaml", "task": "detect", **settings}))
        return {"fitness": 1.0}

    monkeypatch.setattr(YOLO, "train", made)
    found = lpu.tune(
        "yolo11n.yaml", config=best, cfg=str(best), space={"box_loss.alpha": (1, 5)}, iterations=2,
        data=str(digits.yaml), project=str(tmp_path), **SETTINGS
    )  # fmt: skip
    first, second = ([each.loss_spec.box["alpha"], each.args.lrf] for each in trained)
    assert [first, second] == [[each.values["box_loss.alpha"], 0.5] for each in found.iterations]
    assert first[0] == 2.5 != second[0]


def test_a_file_of_settings_with_other_losses_is_refused_before_the_first_training(best: Path) -> None:
    with pytest.raises(ValueError, match=r"cfg= and the trainer have different losses.*alpha was 2\.5"):
        lpu.tune("yolo11n.yaml", "alpha_iou", cfg=str(best), space={"lrf": (0.1, 0.2)})
