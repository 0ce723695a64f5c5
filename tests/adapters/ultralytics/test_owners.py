# SPDX-License-Identifier: AGPL-3.0-or-later
"""Each criterion computes the losses of its own plug: contexts in any order, threads, models, copies, and builders."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from ultralytics import YOLO
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks
from ultralytics.utils import loss as losses
from ultralytics.utils import tal
from ultralytics.utils.loss import BboxLoss, E2ELoss, TVPDetectLoss

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import canary, owners, seams
from loss_plugins.demo.digits import DigitsSet

from .test_models import make_model
from .test_probe import visual_predictions
from .ultralytics_runs import BOX_GAIN, Train, batch_of, column, constant, train_once


def fixed(value: float) -> dict[str, Any]:
    return {"type": "constant", "value": value}


def box_of(bbox_loss: BboxLoss) -> float:
    return float(bbox_loss(**canary.fixed_arguments(bbox_loss))[0])


def class_attributes() -> dict[tuple[str, str], Any]:
    """Everything that Ultralytics' classes of losses, assigners and models hold, by name."""
    classes = [cls for module in (losses, tal, tasks) for cls in seams._classes(module)]
    return {(cls.__qualname__, name): value for cls in classes for name, value in vars(cls).items()}


def same(before: dict[tuple[str, str], Any]) -> bool:
    return all(value is before[key] for key, value in class_attributes().items())


@pytest.mark.parametrize("leaving", list(itertools.permutations(range(3))))
def test_contexts_are_left_in_any_order(leaving: tuple[int, ...]) -> None:
    before = class_attributes()
    bbox_loss = BboxLoss(16)
    stock = box_of(bbox_loss)
    contexts = [lpu.patched(box=fixed(3.0 + number)) for number in range(3)]
    for number, context in enumerate(contexts):
        context.__enter__()
        assert box_of(bbox_loss) == 3.0 + number
    inside = [0, 1, 2]
    for number in leaving:
        assert box_of(bbox_loss) == 3.0 + inside[-1], "the innermost of those that are in"
        contexts[number].__exit__(None, None, None)
        inside.remove(number)
    assert box_of(bbox_loss) == stock
    assert same(before)


def test_a_context_for_boxes_leaves_the_classes_to_the_one_around_it() -> None:
    model = make_model("yolo11n.yaml")
    with lpu.patched(cls="focal") as outer, lpu.patched(box=fixed(7.0)) as inner:
        total, items = model.loss(batch_of(model))
        total.sum().backward()
    assert outer.cls.gradient_calls == inner.box.gradient_calls == 1
    assert outer.box is None
    assert float(items["box_loss"]) != 0


def test_a_criterion_that_outlives_its_context_is_served_by_the_one_around_it() -> None:
    model = make_model("yolo11n.yaml")
    with lpu.patched(box=fixed(7.0), cls="focal") as outer:
        with lpu.patched(box=fixed(9.0), cls="quality_focal") as inner:
            model.loss(batch_of(model))[0].sum().backward()
        model.loss(batch_of(model))[0].sum().backward()
        assert outer.box.train_calls == outer.cls.train_calls == 1
    assert inner.box.train_calls == inner.cls.train_calls == 1
    assert isinstance(model.criterion.bce, nn.BCEWithLogitsLoss)


def test_a_context_that_another_thread_leaves_makes_way_for_the_one_around_it() -> None:
    model = make_model("yolo11n.yaml")
    with lpu.patched(cls="focal") as outer:
        inner = lpu.patched(cls="quality_focal")
        inner.__enter__()
        model.loss(batch_of(model))[0].sum().backward()
        leaving = threading.Thread(target=inner.__exit__, args=(None, None, None))
        leaving.start()
        leaving.join()
        model.loss(batch_of(model))[0].sum().backward()
    assert outer.cls.train_calls == outer.cls.gradient_calls == 1
    assert isinstance(model.criterion.bce, nn.BCEWithLogitsLoss)


def test_a_patch_of_others_that_stays_does_not_make_ours_count_twice() -> None:
    bbox_loss, found = BboxLoss(16), vars(BboxLoss)["forward"]
    try:
        with lpu.patched(box=fixed(7.0)):
            box_of(bbox_loss)
            ours = BboxLoss.forward
            BboxLoss.forward = functools.wraps(ours)(lambda *given, **named: ours(*given, **named))
        theirs = box_of(bbox_loss)
        with lpu.patched(box=fixed(9.0)) as report:
            assert box_of(bbox_loss) == 9.0
        assert report.box.val_calls == 1
        assert box_of(bbox_loss) == theirs < 1
    finally:
        BboxLoss.forward = ours
        with lpu.patched(box=fixed(9.0)):
            box_of(bbox_loss)
    assert vars(BboxLoss)["forward"] is found


def test_a_thread_has_its_own_contexts() -> None:
    """Two threads with losses of their own, and one without, each in the middle of the others'."""
    together = threading.Barrier(3)
    found: dict[str, list[float]] = {}

    def run(name: str, context: Any) -> None:
        bbox_loss = BboxLoss(16)
        with context:
            together.wait(timeout=60)
            found[name] = [box_of(bbox_loss) for _ in range(20)]
            together.wait(timeout=60)

    stock = box_of(BboxLoss(16))
    work = {
        "seven": lpu.patched(box=fixed(7.0)),
        "nine": lpu.patched(box=fixed(9.0)),
        "stock": contextlib.nullcontext(),
    }
    threads = [threading.Thread(target=run, args=item) for item in work.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"seven": [7.0] * 20, "nine": [9.0] * 20, "stock": [stock] * 20}


def test_two_trainings_at_once_and_a_stock_one_after_them(digits: DigitsSet, tmp_path: Path) -> None:
    """Each logs its own loss in every epoch, whatever weights the threads draw; the run after them logs the stock's."""
    epochs = threading.Barrier(2)
    slots: dict[float, Any] = {}

    def run(value: float) -> None:
        on = {
            "on_train_epoch_start": lambda _: epochs.wait(timeout=300),
            "on_train_end": lambda trainer: slots.setdefault(value, trainer.loss_plug.box),
        }
        train_once("yolo11n.yaml", tmp_path / str(value), on, data=str(digits.yaml), trainer=constant(value))

    threads = [threading.Thread(target=run, args=(value,)) for value in (1e-3, 1e12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # a batch weighs its boxes by sum(t) / max(sum(t), 1), at most 1; that of an untrained model may be 1e-5
    assert all(0 < value <= 1e-3 * BOX_GAIN for value in column(tmp_path / "0.001" / "run", "train/box_loss"))
    assert all(
        1e3 < value <= 1e12 * BOX_GAIN for value in column(tmp_path / "1000000000000.0" / "run", "train/box_loss")
    )
    assert not torch.is_anomaly_enabled()
    assert len(slots) == 2
    for slot in slots.values():
        assert slot.calls.expected_calls == slot.calls.train_calls == slot.calls.gradient_calls == 4
    after = train_once("yolo11n.yaml", tmp_path / "after", data=str(digits.yaml))
    assert all(1e-3 * BOX_GAIN < value < 1e3 for value in column(after, "train/box_loss"))


def test_a_model_of_ones_own_is_served_and_no_other() -> None:
    mine, other = make_model("yolo26n.yaml"), make_model("yolo26n.yaml")
    for model in (mine, other):
        model.loss(batch_of(model))  # the criterion is built before the context
    stock = float(other.loss(batch_of(other))[1]["box_loss"])
    found = [branch.bce for branch in (mine.criterion.one2many, mine.criterion.one2one)]
    with lpu.patched(box=fixed(7.0), cls="focal", model=mine) as report:
        values = {}
        for name, model in (("mine", mine), ("other", other), ("ema", copy.deepcopy(mine))):
            total, items = model.loss(batch_of(model))
            total.sum().backward()
            values[name] = float(items["box_loss"])
        mine.criterion = None
        total, items = mine.loss(batch_of(mine))
        values["anew"] = float(items["box_loss"])
        mine.criterion = None
        mine.loss(batch_of(mine))
        twin = mine.criterion
    assert values["other"] == stock
    assert values["mine"] == values["ema"] == values["anew"] != stock
    assert report.box.train_calls == report.cls.train_calls == 2 * 4
    assert isinstance(twin.one2many.bce, nn.BCEWithLogitsLoss)
    assert float(mine.loss(batch_of(mine))[1]["box_loss"]) == stock
    assert all(isinstance(bce, nn.BCEWithLogitsLoss) for bce in found)


def test_leaving_puts_the_class_loss_back_that_was_found() -> None:
    model = make_model("yolo11n.yaml")
    model.loss(batch_of(model))
    bce = model.criterion.bce
    before = set(vars(model)), set(vars(model.criterion))
    outer = lpu.patched(cls="focal", model=model)
    outer.__enter__()
    with lpu.patched(cls="quality_focal"):  # of this thread: the model has a plug of its own
        copied = copy.deepcopy(model.criterion)
        total, _ = model.loss(batch_of(model))
        total.sum().backward()
        other = make_model("yolo11n.yaml")
        total, _ = other.loss(batch_of(other))
        total.sum().backward()
    outer.__exit__(None, None, None)
    assert model.criterion.bce is bce
    assert (set(vars(model)), set(vars(model.criterion))) == before
    logits, target = torch.randn(1, 3, 3), torch.rand(1, 3, 3)
    assert torch.equal(copied.bce(logits, target), bce(logits, target)), "a copy computes the stock loss afterwards"
    assert b"loss_plugins" not in pickle.dumps(copied.bce)


def test_a_model_has_one_plug() -> None:
    yolo = YOLO("yolo11n.yaml")
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.raises(lpu.LossNotUsed))
        stack.enter_context(lpu.patched(box="eiou", model=yolo))
        with pytest.raises(ValueError, match="one plug for each model"), lpu.patched(box="giou", model=yolo.model):
            pass
    with pytest.raises(TypeError, match=r"model=.* has no criterion"), lpu.patched(box="giou", model=nn.Linear(1, 1)):
        pass


@pytest.mark.parametrize("copies", [1, 2])
def test_the_branches_of_a_model_share_their_statistics_with_its_copies(copies: int) -> None:
    model = make_model("yolo26n.yaml")
    spec = {"type": "wiou", "version": 3}
    with lpu.patched(box=spec, model=model) as report:
        for part in (model, *(copy.deepcopy(model) for _ in range(copies))):
            part.criterion = None
            total, _ = part.loss(batch_of(part))
            total.sum().backward()
        plug = owners.owner(model)
        assert len(plug.box.losses) == 2
    assert report.box.train_calls == 2 * (1 + copies)


# --- criteria that cannot be served ----------------------------------------------------------------------------------

UNSERVED = {
    "yolo11n-obb.yaml": (tasks.OBBModel, "rotated boxes"),
    "yolo26n-obb.yaml": (tasks.OBBModel, "rotated boxes"),
    "yolo11n-cls.yaml": (tasks.ClassificationModel, "v8ClassificationLoss has none of the losses box, cls"),
    "yolo26n-sem.yaml": (tasks.SemanticSegmentationModel, "SemanticSegmentationLoss has no box loss"),
}


@pytest.mark.parametrize("file", UNSERVED)
@pytest.mark.parametrize("bound", [True, False])
def test_a_criterion_that_cannot_be_served_is_refused_when_it_is_built(file: str, bound: bool) -> None:
    cls, reason = UNSERVED[file]
    model = cls(file, nc=3, verbose=False)
    model.args, model.nc = get_cfg(), 3
    context = lpu.patched(box="eiou", model=model if bound else None)
    with pytest.raises(lpu.UnsupportedUltralytics, match=reason), context:
        model.init_criterion()
    model.init_criterion()


def test_visual_prompts_are_served_in_the_class_slot_alone() -> None:
    """Its criterion drops the box loss, and trains the class loss."""
    model = tasks.YOLOEModel("yoloe-11s.yaml", nc=3, verbose=False).train()
    model.args = get_cfg()
    with pytest.raises(lpu.UnsupportedUltralytics, match="visual prompts"), lpu.patched(box="eiou"):
        TVPDetectLoss(model)
    with lpu.patched(cls="focal") as report:
        total, _ = TVPDetectLoss(model)(visual_predictions(model), batch_of(model))
        total.sum().backward()
    assert report.cls.train_calls == report.cls.gradient_calls == 1


def test_visual_prompts_of_end_to_end_heads_are_refused_in_the_box_slot() -> None:
    model = tasks.YOLOEModel("yoloe-26n.yaml", nc=3, verbose=False).train()
    model.args = get_cfg()
    with pytest.raises(lpu.UnsupportedUltralytics, match="visual prompts"), lpu.patched(box="eiou"):
        E2ELoss(model, TVPDetectLoss)


# --- proof -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [2, 3])
def test_a_plug_that_is_lost_on_the_way_is_noticed_in_the_same_epoch(
    batch: int, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = vars(BboxLoss)["forward"]
    batches: list[int] = []

    def lose(trainer: Any) -> None:
        batches.append(trainer.epoch)
        if len(batches) == batch:
            monkeypatch.setattr(BboxLoss, "forward", found)

    try:
        with pytest.raises(lpu.LossNotUsed, match=r"called \d times in training where \d calls were due"):
            train("yolo11n.yaml", trainer=constant(7.0), on={"on_train_batch_start": lose})
    finally:
        monkeypatch.undo()
        BboxLoss.forward = found
    assert batches[-1] == (batch - 1) // 2


def test_without_boxes_there_is_nothing_to_train_on() -> None:
    """A call on no box is no proof that something was trained, and no fault of the plug."""
    model = make_model("yolo26n.yaml")
    batch = {name: value[:0] if len(value) == 5 else value for name, value in batch_of(model).items()}
    batch["masks"] = torch.zeros_like(batch["masks"])
    with lpu.patched(box=fixed(7.0), cls="focal", model=model) as report:
        plug = owners.owner(model)
        model.loss(batch)[0].sum().backward()
        plug.sync()
        plug.require_use()
    assert (report.box.rows, report.box.gradient_rows, report.box.expected_calls) == (0, 0, 0)
    assert report.box.branch_calls == report.cls.gradient_calls == 2
    assert "nothing to train on, no box in 2 calls of the criterion" in plug.box.outcome()
    assert "was trained: 2 training calls" in plug.cls.outcome()


def test_what_was_due_in_a_step_that_began_again_is_forgotten() -> None:
    """Out of memory, Ultralytics begins the step again: its batch end never comes."""
    model = make_model("yolo11n.yaml")
    with lpu.patched(box=fixed(7.0), model=model) as report:
        plug = owners.owner(model)
        plug.expect(torch.ones(1, 4, dtype=torch.bool))  # the assigner has run, and the box loss has not
        assert report.box.expected_calls == 1
        plug.begin_step()
        model.loss(batch_of(model))[0].sum().backward()
        plug.sync()
        plug.require_use()
        assert report.box.expected_calls == report.box.filled_calls == 1
        plug.expect(torch.ones(1, 4, dtype=torch.bool))
        with pytest.raises(lpu.LossNotUsed, match="called 1 times in training where 2 calls were due"):
            plug.require_use()
