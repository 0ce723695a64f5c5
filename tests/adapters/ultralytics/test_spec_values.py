"""A spec made by hand is looked at; a slot that the models of a task lack is refused when the trainer is made."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor
from ultralytics.models.yolo.detect import DetectionTrainer

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.slot_table import SLOTS
from loss_plugins.adapters.ultralytics.trainers import TRAINERS

from ...house.wrong_values import refused

WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"imports": 5}, "imports", "5"), ({"imports": "mylosses"}, "imports", "'mylosses'"),
    ({"imports": (5,)}, "imports", "5"), ({"gain": 3}, "gain", "3"), ({"gain": "Match"}, "gain", "'Match'"),
    ({"assigner": None}, "assigner", "None"), ({"nan_guard": "no"}, "nan_guard", "'no'"),
    ({"bx": {"type": "ciou"}}, "bx", "'ciou'"),
    *(({slot: value}, slot, repr(value)) for slot in SLOTS for value in (5, "ciou", ["ciou"])),
]  # fmt: skip


@pytest.mark.parametrize(("given", "argument", "value"), WRONG)
def test_a_spec_of_wrong_values_is_refused(given: dict[str, Any], argument: str, value: str) -> None:
    refused(lambda: lpu.Spec(**given), "Spec", argument, value)


MARKS = {
    "box": "eiou", "cls": "bce_with_logits", "dfl": "distribution_focal", "mask": "dice", "sem": "dice",
    "keypoint": "oks",
}  # fmt: skip
#: what each task has, written down by hand
HAS = {
    "detect": {"box", "cls", "dfl"}, "pose": {"box", "cls", "dfl", "keypoint"}, "obb": {"box", "cls", "dfl"},
    "world": {"box", "cls", "dfl"}, "yoloe": {"box", "cls", "dfl"}, "rtdetr": {"box", "cls"}, "semantic": {"sem"},
    "segment": {"box", "cls", "dfl", "mask", "sem"}, "yoloe-seg": {"box", "cls", "dfl", "mask"},
}  # fmt: skip


@pytest.mark.parametrize("task", TRAINERS)
@pytest.mark.parametrize("slot", SLOTS)
def test_a_slot_that_a_task_lacks_is_refused_when_the_trainer_is_made(task: str, slot: str) -> None:
    loss = "prob_iou" if (task, slot) == ("obb", "box") else MARKS[slot]
    given: Any = {slot: loss}
    if slot in HAS[task]:
        lpu.trainer(task, **given)
        return
    parts = refused(lambda: lpu.trainer(task, **given), "trainer", slot, loss)
    assert repr(task) in parts["came"]
    assert set(parts["allowed"].split(" or ")) == HAS[task]


def test_a_base_has_the_slots_of_its_task() -> None:
    refused(lambda: lpu.trainer(mask="dice", base=DetectionTrainer), "trainer", "mask", "dice")


def test_of_a_function_with_two_names_that_of_a_box_loss_is_meant() -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return (pred - target).abs().sum(-1)

    names = {"aaa_rotated": "rotated_box", "bbb_boxes": "box"}
    for name, kind in names.items():
        lp.register_loss(name, kind=kind)(own)  # type: ignore[arg-type]
    try:
        box = lpu.make_spec(box=own).box
        assert box is not None
        assert box["type"] == "bbb_boxes"
    finally:
        for name in names:
            lp.unregister_loss(name)
