"""Student and teacher of a semi-supervised detector have one config key: it is told once, and allowed for both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mmengine.registry import MODELS
from torch import Tensor, nn

from loss_plugins.adapters.mmdet import LossPluginsHook, SenselessSlot
from loss_plugins.adapters.mmdet.configs import _slot_checks
from loss_plugins.adapters.mmdet.inspection import inspect
from loss_plugins.adapters.mmdet.resuming import check_resumed
from loss_plugins.adapters.mmdet.slots import find_losses

from .runs import heard, runner
from .unheard import Unheard

GIOU = {"type": "loss_plugins.GIoULoss"}
KEY = "model.detector.odd_head.loss_box"
PATHS = {"student.odd_head.loss_box", "teacher.odd_head.loss_box"}


class Semi(nn.Module):
    """A student that is trained, and its teacher, which is not called with labels."""

    def __init__(self, detector: dict[str, Any], boxes: str = "pixels") -> None:
        super().__init__()
        self.student = Unheard({"loss_box": detector}, boxes=boxes)
        self.teacher = Unheard({"loss_box": detector}, boxes=boxes)
        self.teacher.requires_grad_(False)

    def loss(self, images: Any, samples: Any) -> dict[str, Tensor]:
        found: dict[str, Tensor] = self.student.loss(images, samples)
        return found


@pytest.mark.parametrize("path", ["detector.odd_head.loss_box", KEY, *sorted(PATHS)])
def test_the_key_of_the_messages_can_be_allowed(path: str, tmp_path: Path) -> None:
    training = runner(Semi(GIOU, "centers"), tmp_path)
    with pytest.raises(SenselessSlot, match=f"^{KEY} "):
        LossPluginsHook().before_train(training)
    hook, said = LossPluginsHook(allow=[path]), heard(training)
    hook.before_train(training)
    assert hook.allow == PATHS
    assert any(f"allowed: {KEY}: " in line for line in said)


def test_a_key_of_another_loss_is_still_unknown(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"allow=\['detector.odd_head.loss_bax'\] names no loss"):
        LossPluginsHook(allow=["detector.odd_head.loss_bax"]).before_train(runner(Semi(GIOU), tmp_path))


def test_the_doctor_tells_of_a_key_once() -> None:
    for boxes, ok in (("pixels", True), ("centers", False)):
        (check,) = _slot_checks(inspect(Semi(GIOU, boxes)), set())
        assert (check["name"], check["ok"]) == (KEY, ok)
        assert ("corners of boxes in pixels" in check["detail"]) == ok
        assert list(_slot_checks(inspect(Semi(GIOU, boxes)), {KEY})) == []


def test_a_resume_names_the_key_once(tmp_path: Path) -> None:
    before = find_losses(Semi(GIOU))
    parts = [{"where": slot.path, "loss": slot.loss.spec()} for slot in before]
    stamp = {"losses": parts, "versions": {}, "counts": {}}
    now = find_losses(Semi({"type": "loss_plugins.CIoULoss"}))
    with pytest.raises(ValueError, match="was trained with other losses") as refused:
        check_resumed(now, {"loss_plugins": stamp}, runner(Semi(GIOU), tmp_path), ())
    came = f"{KEY}.type was 'loss_plugins.GIoULoss', asked for now: 'loss_plugins.CIoULoss'"
    assert str(refused.value).count(came) == 1
    assert "student." not in str(refused.value).partition("set these keys")[0]


def test_both_are_built_of_one_config() -> None:
    assert {slot.path: slot.key for slot in find_losses(Semi(GIOU))} == dict.fromkeys(PATHS, KEY)
    assert MODELS.build(GIOU).reduction == "mean"
