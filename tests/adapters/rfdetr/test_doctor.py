"""What the doctor says of the installed RF-DETR, and of one that is not installed whole."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from rfdetr.models import criterion as criteria
from rfdetr.training import auto_batch, module_model

from loss_plugins.adapters.detr import installed
from loss_plugins.adapters.rfdetr import patched
from loss_plugins.adapters.rfdetr.doctor import report


def test_everything_holds_in_the_installed_version() -> None:
    found = report()
    assert found is not None
    assert found["ok"]
    assert found["versions"]["rfdetr"]
    assert found["tasks"] == [
        "box loss",
        "class loss, IoU-aware BCE, the default",
        "class loss, focal",
        "class loss, varifocal",
    ]
    assert sorted(found["refused"]) == ["class loss, position-supervised"]
    assert "sought a class loss equal to" in found["refused"]["class loss, position-supervised"]


def test_a_run_of_another_framework_is_not_its_affair() -> None:
    assert report("runs/detect") is None


def test_another_box_loss_or_another_trainer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = criteria.SetCriterion.loss_boxes

    def doubled(self: Any, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> Any:
        return {name: 2 * loss for name, loss in stock(self, outputs, targets, indices, num_boxes).items()}

    monkeypatch.setattr(criteria.SetCriterion, "loss_boxes", doubled)
    monkeypatch.delattr(module_model, "build_criterion_from_config")
    found = report()
    assert found is not None
    assert not found["ok"]
    first, second = found["checks"]
    assert "sought a box loss equal to GIoU" in first["detail"]
    assert second["detail"] == "no build_criterion_from_config in rfdetr.training.module_model"
    assert auto_batch.build_criterion_from_config


@pytest.mark.parametrize("missing", ["rfdetr", "rfdetr.training.module_model"])
def test_what_is_not_installed_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    def absent(name: str) -> Any:
        if name == missing:
            raise ModuleNotFoundError("No module named 'faster_coco_eval'", name="faster_coco_eval")
        return importlib.import_module(name)

    monkeypatch.setattr(installed, "import_module", absent)
    if missing == "rfdetr":
        with pytest.raises(ModuleNotFoundError, match=r'Install it: pip install "loss-plugins\[rfdetr\]"'):
            report()
        return
    found = report()
    assert found is not None
    assert 'pip install "loss-plugins[rfdetr]"' in found["checks"][1]["detail"]
    with pytest.raises(ModuleNotFoundError, match=r"needs rfdetr\.training\.module_model"), patched(box="eiou"):
        pass
