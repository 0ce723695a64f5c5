"""What the doctor says of the installed LibreYOLO, and of one that is not installed."""

from __future__ import annotations

from typing import Any

import pytest
from libreyolo.models.yolo9 import loss as yolo9
from libreyolo.training.trainer import BaseTrainer

from loss_plugins.adapters.detr import installed
from loss_plugins.adapters.libreyolo import patched
from loss_plugins.adapters.libreyolo.doctor import report

#: losses of boxes, in every family that brings its own
LOSSES = {
    "deim.loss.DEIMCriterion", "deimv2.loss.DEIMv2Criterion", "dfine.loss.DFINECriterion", "ec.loss.ECCriterion",
    "domedetr.loss.DomeCriterion", "ec.seg_loss.ECSegCriterion", "gtr.criterion.GTRCriterion", "picodet.loss.giou_loss",
    "picodet.loss.PICODETLoss",
    "rfdetr.loss.SetCriterion", "rtdetr.loss.SetCriterion", "rtdetrv2.loss.RTDETRCriterionv2", "rtmdet.loss.GIoULoss",
    "yolo9.loss.BoxLoss", "yolonas.loss.CIoULoss", "yolonas.loss.GIoULoss", "yolox.loss.IoULoss",
}  # fmt: skip


def test_every_family_s_losses_are_served_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = report()
    assert found is not None
    assert found["ok"]
    assert set(found["tasks"]) == LOSSES
    assert list(found["refused"]) == ["gtr.obb_criterion.OBBGTRCriterion"]
    assert report("runs/detect") is None

    monkeypatch.setattr(yolo9.BoxLoss, "forward", lambda self, *given: given[0].sum())
    monkeypatch.delattr(BaseTrainer, "setup")
    changed = report()
    assert changed is not None
    assert not changed["ok"]
    assert LOSSES - set(changed["tasks"]) == {"yolo9.loss.BoxLoss"}


def test_what_is_not_installed_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(installed, "import_module", absent)
    says = r'needs libreyolo.*: No module .* pip install "loss-plugins\[libreyolo\]"'
    for call in (report, lambda: patched(box="eiou")):
        with pytest.raises(ModuleNotFoundError, match=says):
            call()
