# SPDX-License-Identifier: AGPL-3.0-or-later
"""What no model of a task can train is refused when the trainer is made; a gain that a message names is one."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ultralytics.cfg import get_cfg
from ultralytics.models.rtdetr.train import RTDETRTrainer
from ultralytics.models.utils.loss import RTDETRDetectionLoss
from ultralytics.models.yolo.obb import OBBTrainer

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics.anchors import Anchors
from loss_plugins.adapters.ultralytics.detr import Queries
from loss_plugins.adapters.ultralytics.plug import Plug
from loss_plugins.adapters.ultralytics.semantic import Semantic
from loss_plugins.adapters.ultralytics.slot_table import SLOTS
from loss_plugins.adapters.ultralytics.trainers import TRAINERS

from .test_cells import CELLS, ROWS, mark_of
from .test_semantic import criterion as semantic_criterion
from .test_yoloe import WAYS

#: by task: the slots that some model of it trains, as the tables of cells show, which are compared with trainings
TRAINED: dict[str, set[str]] = {task: set() for task in TRAINERS}
for (model, slot), says in CELLS.items():
    TRAINED[ROWS[model].task] |= {slot} if says == "yes" else set()
for way in WAYS.values():
    TRAINED["yoloe-seg" if "-seg" in way.model else "yoloe"] |= {*way.slots}
TRAINED["world"] = TRAINED["detect"]  # the same criterion


def loss_for(task: str, slot: str) -> str:
    return mark_of("yolo11n-obb.yaml" if task == "obb" else "yolo11n.yaml", slot)


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize("task", TRAINERS)
def test_a_slot_that_no_model_of_a_task_has_is_refused_when_the_trainer_is_made(task: str, slot: str) -> None:
    losses: dict[str, Any] = {slot: loss_for(task, slot)}
    if slot in TRAINED[task]:
        lpu.trainer(task, **losses)
        return
    with pytest.raises(ValueError, match=rf"trainer: task='{task}' has no {slot} loss, and {slot}=\S+ was asked for"):
        lpu.trainer(task, **losses)


@pytest.mark.parametrize("base", sorted({way.base for way in WAYS.values() if way.base}, key=str))
def test_a_base_of_yoloe_is_refused_maps_when_the_trainer_is_made(base: type) -> None:
    with pytest.raises((ValueError, lpu.UnsupportedUltralytics), match="sem"):
        lpu.trainer(base=base, sem="dice")


@pytest.mark.parametrize(
    ("task", "base", "losses", "reason"),
    [
        ("obb", OBBTrainer, {"box": "eiou"}, "task='obb' has rotated boxes, and eiou is a loss of axis-aligned boxes"),
        ("rtdetr", RTDETRTrainer, {"box": "kld"}, "kld is a loss of rotated"),
        ("rtdetr", RTDETRTrainer, {"box": "nwd"}, "task='rtdetr' has boxes in sides of the image, and nwd needs"),
        ("rtdetr", RTDETRTrainer, {"box": "eiou", "gain": "match"}, "gain='match' .* known for anchor-based models"),
        ("rtdetr", RTDETRTrainer, {"cls": "focal", "gain": "match"}, "gain='match'"),
        ("rtdetr", RTDETRTrainer, {"box": "eiou", "assigner": "match"}, "task='rtdetr' is none"),
        ("rtdetr", RTDETRTrainer, {"box": {"type": "mpdiou", "image_size": [64, 64]}}, "image_size"),
        ("segment", None, {"mask": "dice", "gain": "match"}, "and mask=dice was asked for; .* loss_weight of mask if"),
        ("detect", None, {"dfl": "distribution_focal", "gain": "match"}, "and dfl=distribution_focal was asked for"),
        ("semantic", None, {"sem": "dice", "gain": "match"}, "and sem=dice was asked for; allowed: gain='keep'"),
        (
            "segment",
            None,
            {"box": "eiou", "mask": "dice", "sem": "dice", "gain": "match"},
            "mask=dice and sem=dice",
        ),
    ],
)
def test_what_a_task_cannot_compute_is_refused_when_the_trainer_is_made(
    task: str, base: type | None, losses: dict[str, Any], reason: str
) -> None:
    for asked in ({"task": task}, *([{"base": base}] if base else [])):
        with pytest.raises((ValueError, lpu.UnsupportedUltralytics), match=reason):
            lpu.trainer(**asked, **losses)


# --- what a gain is called -------------------------------------------------------------------------------------------


def part_of(family: str) -> Any:
    """Of a criterion of each family; of anchor points what has the settings alone, which no plug adopts."""
    made = {
        "anchors": lambda: SimpleNamespace(hyp=get_cfg()),
        "queries": lambda: RTDETRDetectionLoss(nc=3, use_vfl=True),
        "semantic": lambda: semantic_criterion(3),
    }
    return made[family]()


@pytest.mark.parametrize(
    ("family", "losses"),
    [
        *(("anchors", {slot: loss}) for slot, loss in
          {"box": "eiou", "cls": "focal", "dfl": "l1", "mask": "dice", "sem": "dice"}.items()),
        ("queries", {"box": "eiou"}), ("queries", {"cls": "focal"}), ("semantic", {"sem": "dice"}),
    ],
)  # fmt: skip
def test_a_loss_without_gradient_names_the_gain_that_its_criterion_has(
    family: str, losses: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is named is looked up and changed: the factor on the loss follows it. Maps of semantic models have none."""
    part = part_of(family)
    plug = Plug(lpu.make_spec(**losses))
    (slot,) = plug.slots
    found: Any = Anchors()
    if family != "anchors":
        plug.adopt(part)
        found = Queries() if family == "queries" else Semantic()
    slot.calls.branch_calls = 1
    slot.calls.count(torch.ones(()), 1, training=True)
    slot.calls.end_step()
    with pytest.raises(lpu.LossNotUsed, match="logged, not trained") as caught:
        slot.require_use()
    said = str(caught.value)
    before = found.gain(part, slot)
    if family == "semantic":
        assert "gain" not in said
        assert "trainer" not in said
        assert before == 1
        return
    if family == "queries":
        (key,) = re.findall(r"is the criterion's loss_gain\['(\w+)'\] 0", said)
        monkeypatch.setitem(part.loss_gain, key, 2 * before)
    else:
        (key,) = re.findall(r"is the trainer's (\w+) 0", said)
        monkeypatch.setattr(part.hyp, key, 2 * before)
    assert found.gain(part, slot) == 2 * before
