"""Bad input is refused before training, and training on another loss than the one asked for raises."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import yaml_model_load
from ultralytics.utils.loss import BboxLoss

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import mixin, probe, trainers
from loss_plugins.adapters.ultralytics.cli import split_settings
from loss_plugins.demo.digits import DigitsSet

from .ultralytics_runs import Train, constant


@pytest.mark.parametrize(
    ("cls", "error"),
    [
        ("cross_entropy", r"gives shape \(6,\) for scores \(6, 4\)"),
        ("bce", "wants probabilities"),
        ("gaussian_focal", "wants probabilities"),
        ("softmax_focal", "does not take logits with soft targets"),
        ("nll", "wants log-probabilities, and gets logits"),
        ("ciou", "is a loss of kind box"),
        ({"type": "focal", "gamma": -1.0}, "gamma=-1.0 is out of range"),
    ],
)
def test_class_losses_that_do_not_fit_are_refused(cls: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        lpu.trainer("detect", cls=cls)


class RenamedLoopTrainer(mixin.LossPluginMixin, DetectionTrainer):
    """A trainer whose loop goes by another name, as a later release might."""

    def train(self) -> None:
        self.run_callbacks("on_train_epoch_end")


def test_a_renamed_training_loop_raises(digits: DigitsSet, tmp_path: Path) -> None:
    trainer = RenamedLoopTrainer(
        overrides={"model": "yolo11n.yaml", "data": str(digits.yaml), "device": "cpu", "project": str(tmp_path)},
        loss_spec=lpu.make_spec("eiou"),
    )
    with pytest.raises(lpu.LossNotUsed, match="were never plugged in"):
        trainer.train()


def test_training_that_never_calls_the_loss_raises(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the plug after the canary: the first epoch must not pass."""
    stock = probe.stock_forward()
    with pytest.raises(lpu.LossNotUsed, match="never called during training"):
        train(
            "yolo11n.yaml",
            trainer=constant(7.0),
            on={"on_train_start": lambda trainer: setattr(BboxLoss, "forward", stock)},
        )


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda pred, target: (pred - target).abs().mean(), r"returned shape \(\) for 3 boxes; .*without mean or sum"),
        (lambda pred, target: (pred - target).abs(), r"returned shape \(3, 4\) for 3 boxes; .*one number per box"),
        (lambda pred, target: (pred - target).abs().mean(-1, keepdim=True), r"returned shape \(3, 1\) for 3 boxes"),
        (lambda pred, target: (pred.detach() - target).abs().mean(-1), "comes back without gradient"),
        (lambda pred, target: 3.0, "returned 3.0 for 3 boxes; .*return a tensor"),
        (lambda pred, target: [0.0, 1.0, 2.0], r"returned \[0.0, 1.0, 2.0\] for 3 boxes"),
        (lambda pred, target: pred @ target, "raised RuntimeError on three boxes"),
        (lambda pred, target: pred.no_such_thing(), "raised AttributeError on three boxes"),
    ],
)
def test_a_loss_of_ones_own_that_cannot_be_trained_is_refused_before_training(function: Any, error: str) -> None:
    lp.register_loss("test_own")(function)
    try:
        with pytest.raises(ValueError, match=f"test_own: {error}"):
            lpu.trainer("detect", box="test_own")
        with pytest.raises(ValueError, match=f"test_own: {error}"), lpu.patched(box="test_own"):
            pass
    finally:
        lp.unregister_loss("test_own")


MODEL_OF = {
    "detect": "yolo11n.yaml",
    "segment": "yolo11n-seg.yaml",
    "pose": "yolo11n-pose.yaml",
    "obb": "yolo11n-obb.yaml",
    "rtdetr": "rtdetr-l.yaml",
}


@pytest.mark.parametrize("task", ["detect", "segment", "pose", "obb", "rtdetr", "world", "yoloe", "yoloe-seg"])
@pytest.mark.parametrize("of_model", MODEL_OF)
def test_the_trainer_and_the_model_are_of_one_task(task: str, of_model: str) -> None:
    """A detection trainer would train a pose model without its keypoints, and say nothing."""
    model = SimpleNamespace(yaml=yaml_model_load(MODEL_OF[of_model]))
    same = task == of_model or of_model in mixin.SEEN_AS.get(task, ())
    with contextlib.nullcontext() if same else pytest.raises(ValueError, match=f"pass lpu.trainer\\({of_model!r}, "):
        mixin.check_task(trainers.TRAINERS[task], model)


def test_a_model_of_another_task_ends_before_its_first_batch(train: Train) -> None:
    with pytest.raises(ValueError, match=r"trainer: task='detect', and the model is one for 'pose'"):
        train("yolo11n-pose.yaml", trainer=lpu.trainer("detect", box="eiou"))


@pytest.mark.parametrize(
    ("task", "model"),
    [
        ("detect", "yolo11n.yaml"),
        ("segment", "yolo11n-seg.yaml"),
        ("pose", "yolo11n-pose.yaml"),
        ("obb", "yolo11n-obb.yaml"),
        ("rtdetr", "rtdetr-l.yaml"),
        ("world", "yolov8s-worldv2.yaml"),
        ("yoloe", "yoloe-11n.yaml"),
        ("yoloe-seg", "yoloe-26n-seg.yaml"),
    ],
)
def test_the_task_is_that_of_the_model_where_none_is_said(
    task: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    for name in trainers.TRAINERS:
        monkeypatch.setitem(trainers.TRAINERS, name, lambda name=name, **given: made.append((name, given)))
    given = {"model": model, "task": {"segment": "segment", "pose": "pose", "obb": "obb"}.get(task, "detect")}
    monkeypatch.setattr(trainers, "check_trainer", lambda _: None)
    lpu.trainer(box="eiou")(overrides=given, _callbacks=None)
    assert [(name, each["overrides"], each["loss_spec"].box["type"]) for name, each in made] == [(task, given, "eiou")]


def test_a_model_that_cannot_be_served_is_refused_where_no_task_is_said() -> None:
    with pytest.raises(lpu.UnsupportedUltralytics, match="task 'classify' cannot be served"):
        lpu.trainer(box="eiou")(overrides={"model": "yolo11n-cls.yaml", "task": "classify"})


def test_a_loss_of_a_notebook_cannot_reach_the_processes_of_several_gpus() -> None:
    spec = dataclasses.replace(lpu.make_spec("eiou"), imports=("__main__",))
    with pytest.raises(lpu.UnsupportedUltralytics, match=r"registered in __main__, .*Move it to a module of its own"):
        mixin.check_imports(spec)


def test_a_box_gain_of_zero_raises(train: Train) -> None:
    with pytest.raises(lpu.LossNotUsed, match="logged, not trained"):
        train("yolo11n.yaml", trainer=lpu.trainer("detect", box="eiou"), box=0.0)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"box": "eoiu"}, "box='eoiu' is an unknown loss; allowed: .*; did you mean"),
        ({"box": {"type": "eiou", "gamma": 1}}, "unknown parameter 'gamma'"),
        ({"box": {"type": "alpha_iou", "alpha": -1.0}}, r"alpha=-1.0 is out of range; allowed: \(0, 10\]"),
        ({"box": {"alpha": 1.0}}, "has no 'type'"),
        ({"box": {"type": "eiou", "loss_weight": 0}}, "loss_weight=0: nothing would be trained"),
        ({"box": {"type": "eiou", "loss_weight": -1}}, "loss_weight=-1 would train for a larger loss"),
        ({"cls": {"type": "bce_with_logits", "loss_weight": 0.0}}, "loss_weight=0: nothing would be trained"),
        ({"box": {"type": "mix", "losses": [{"type": "ciou", "loss_weight": 0.0}]}}, "nothing would be trained"),
        ({"box": {"type": "mix", "losses": ["giou", {"type": "ciou", "loss_weight": -0.5}]}}, "loss_weight=-0.5"),
        ({"box": 3}, "spec must be a name or a dict with 'type', got int"),
        ({"box": "l1"}, "a loss per coordinate"),
        ({"box": "mgiou_quad"}, "a loss per quad; the box slot takes one number per box"),
        ({"box": {"type": "eiou", "reduction": "sum"}}, "reduction is the trainer's"),
        ({}, "no loss was asked for"),
        ({"box": "eiou", "gain": "auto"}, "gain='auto' is out of range; allowed: 'keep' or 'match'"),
        ({"box": "eiou", "assigner": "stock"}, "assigner='stock' is out of range"),
        ({"config": "nowhere.yaml"}, r"is not a file; .*one of the ready-made ones: alpha_ciou, "),
        (
            {"task": "detection", "box": "eiou"},
            "task='detection' is unknown; allowed: detect, segment, pose, obb, rtdetr, world",
        ),
    ],
)
def test_bad_input_is_refused_before_training(arguments: dict[str, Any], error: str) -> None:
    with pytest.raises((ValueError, TypeError), match=error):
        lpu.trainer(**{"task": "detect", **arguments})


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("box: eiou", "has no section 'losses:'"),
        ("losses: {bax: eiou}", r"unknown key losses\.bax; .*did you mean 'box'"),
        ("losses: {gain: match}", "no loss was asked for"),
    ],
)
def test_bad_config_files_are_refused(text: str, error: str, tmp_path: Path) -> None:
    file = tmp_path / "losses.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=error):
        lpu.trainer("detect", config=file)


@pytest.mark.parametrize("slot", ["kobj", "rle", "angle"])
def test_losses_without_a_slot_are_refused_by_name(slot: str, tmp_path: Path) -> None:
    """In each way of asking: Ultralytics has a gain of that name, and would be trained with its own loss."""
    (tmp_path / "losses.yaml").write_text(f"losses:\n  {slot}: l1\n", encoding="utf-8")
    for ask in (
        lambda: lpu.trainer("pose", **{slot: "l1"}),
        lambda: lpu.patched(**{slot: "l1"}),
        lambda: lpu.make_spec(box="eiou", **{slot: "l1"}),
        lambda: lpu.trainer("pose", config=tmp_path / "losses.yaml"),
        lambda: split_settings([f"{slot}_loss=l1"]),
        lambda: split_settings([f"{slot}=l1"]),
    ):
        with pytest.raises((TypeError, ValueError), match=rf"{slot}.*leave it out: the loss of .* stays the stock one"):
            ask()


def test_a_callback_as_other_frameworks_take_it_is_told_with_the_line_to_write() -> None:
    for each in (lpu.patched(box="eiou"), lpu.Report()):
        with pytest.raises(AttributeError, match=r"no attribute 'callback': .*\.train\(trainer=lpu\.trainer\("):
            _ = each.callback
        with pytest.raises(AttributeError, match=r"no attribute 'nosuch'$"):
            _ = each.nosuch
    assert copy.deepcopy(lpu.Report()) == lpu.Report()


def test_the_trainers_name_of_the_gain_of_key_points_is_told_with_that_of_the_slot() -> None:
    with pytest.raises(TypeError, match=r"^make_spec: unknown argument pose='oks'; allowed: .*, config; call it keypo"):
        lpu.make_spec(pose="oks")
