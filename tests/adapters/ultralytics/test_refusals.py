"""Bad input is refused before training, and training on another loss than the one asked for raises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.loss import BboxLoss

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import probe, trainers
from loss_plugins.demo.digits import DigitsSet

from .ultralytics_runs import Train, constant


@pytest.mark.parametrize(
    ("cls", "error"),
    [
        ("cross_entropy", r"gives shape \(6,\) for scores \(6, 4\)"),
        ("bce", "wants probabilities"),
        ("gaussian_focal", "wants probabilities"),
        ("nll", "does not take soft targets"),
        ("ciou", "is a loss of kind box"),
        ({"type": "focal", "gamma": -1.0}, "gamma=-1.0 is out of range"),
    ],
)
def test_class_losses_that_do_not_fit_are_refused(cls: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        lpu.trainer("detect", cls=cls)


class RenamedLoopTrainer(trainers.LossPluginMixin, DetectionTrainer):
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


def test_a_loss_without_gradient_raises(train: Train) -> None:
    with pytest.raises((RuntimeError, lpu.LossNotUsed), match=r"require.* grad|no gradient"):
        train("yolo11n.yaml", trainer=lpu.trainer("detect", box="detached"))


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
        ({"box": {"type": "eiou", "reduction": "sum"}}, "reduction is the trainer's"),
        ({}, "no loss was asked for"),
        ({"box": "eiou", "gain": "auto"}, "gain='auto' is out of range; allowed: 'keep' or 'match'"),
        ({"box": "eiou", "assigner": "stock"}, "assigner='stock' is out of range"),
        ({"config": "nowhere.yaml"}, r"is not a file; .*ready-made ones lie in configs/ultralytics/"),
        ({"task": "detection", "box": "eiou"}, "task='detection' is unknown; allowed: detect, segment, pose, world"),
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
