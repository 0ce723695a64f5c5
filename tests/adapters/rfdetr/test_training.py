"""RF-DETR's own trainer, on scenes of digits: the loss that is asked for is trained, and only inside of the context."""

from __future__ import annotations

import csv
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from rfdetr import RFDETRNano
from rfdetr.config import RFDETRNanoConfig
from rfdetr.models.criterion import SetCriterion
from rfdetr.training import auto_batch, module_model
from torch import Tensor

from loss_plugins import EIoULoss, State, giou_loss, register_loss, unregister_loss
from loss_plugins.adapters.rfdetr import LossNotUsed, Patched, UnsupportedCriterion, patched, plug, unplug

from .parts import QUICK, SMALL, criterion, digits, outputs, targets, train_config

#: counts its own updates
STEPS = State(
    lambda parameters: torch.zeros(()),
    lambda parameters: torch.zeros(1),
    lambda pred, target, weight: pred.new_ones(1),
    lambda value, summary: value + (summary > 0).to(value).squeeze(0),
)
FOUND = module_model.build_criterion_from_config


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Patched, Path]]:
    """One epoch of a few steps, and a validation, with a loss that counts its own updates."""
    folder = tmp_path_factory.mktemp("rfdetr")
    register_loss("test_counting_iou", kind="box")(counting)
    try:
        with patched(box="test_counting_iou") as used:
            assert module_model.build_criterion_from_config is not FOUND
            RFDETRNano(**SMALL).train(dataset_dir=str(digits(folder)), output_dir=str(folder / "out"), **QUICK)
        yield used, folder / "out"
    finally:
        unregister_loss("test_counting_iou")


def counting(pred: Tensor, target: Tensor, *, steps: Annotated[Tensor | float, STEPS] = 0.0) -> Tensor:
    """GIoU, the same in every step."""
    return giou_loss(pred, target)


def test_every_layer_of_every_step_is_trained_with_it(trained: tuple[Patched, Path]) -> None:
    report = trained[0].report
    assert report.box is not None
    assert report.box.loss == "test_counting_iou"
    steps = report.trained
    assert steps >= 3
    assert report.box.calls == report.box.gradient_calls == 3 * steps  # two layers and the encoder
    assert report.box.rows > 0
    assert report.box.gradient_rows > 0
    assert report.validated == 1
    assert report.box.val_calls == 3


def test_its_running_statistic_learns_once_a_step(trained: tuple[Patched, Path]) -> None:
    (made,) = trained[0].plugs
    assert made.state_dict()["box"]["statistics"]["steps.value"] == trained[0].report.trained


def test_what_was_found_is_put_back(trained: tuple[Patched, Path]) -> None:
    assert module_model.build_criterion_from_config is auto_batch.build_criterion_from_config is FOUND
    assert not trained[0].plugs[0].plugged


def test_logs_and_checkpoints_are_those_of_rf_detr(trained: tuple[Patched, Path]) -> None:
    folder = trained[1]
    rows = list(csv.DictReader((folder / "metrics.csv").open(encoding="utf-8")))
    losses = [float(row["train/loss_giou"]) for row in rows if row.get("train/loss_giou")]
    assert losses
    assert all(math.isfinite(loss) for loss in losses)
    for file in ("last.ckpt", "checkpoint_best_total.pth"):
        assert b"loss_plugins" not in (folder / file).read_bytes()
    assert not [key for key in torch.load(folder / "last.ckpt", weights_only=False)["state_dict"] if "criterion" in key]


def built(**more: Any) -> Any:
    """A criterion as the module of the trainer gets it."""
    found, _ = module_model.build_criterion_from_config(RFDETRNanoConfig(**SMALL), train_config(**more))
    return found


def test_every_criterion_of_the_thread_is_plugged_and_unplugged() -> None:
    context = patched(box=EIoULoss())
    with context:
        first = built()
        second, _ = auto_batch.build_criterion_from_config(RFDETRNanoConfig(**SMALL), train_config())
        elsewhere: list[Any] = []
        thread = threading.Thread(target=lambda: elsewhere.append(built()))
        thread.start()
        thread.join()
        assert [isinstance(each, SetCriterion) for each in (first, second)] == [True, True]
        assert [type(each) is SetCriterion for each in (first, second, *elsewhere)] == [False, False, True]
        sum(value for name, value in first(outputs(), targets(2, 1)).items() if "giou" in name).backward()
    assert type(first) is type(second) is SetCriterion
    assert context.report.trained == 1


def test_nothing_built_or_nothing_called_is_an_error() -> None:
    with pytest.raises(LossNotUsed, match="no criterion was built in this context by this thread"), patched(box="eiou"):
        pass
    with pytest.raises(LossNotUsed, match="no criterion that was built here was trained"), patched(box="eiou"):
        built()
    assert module_model.build_criterion_from_config is FOUND


def test_an_error_inside_is_told_and_everything_is_put_back() -> None:
    context = patched(box="eiou")
    with pytest.raises(ZeroDivisionError), context:
        print(built(), 1 / 0)
    assert not context.plugs[0].plugged
    assert module_model.build_criterion_from_config is FOUND


def test_contexts_do_not_nest_and_are_entered_once() -> None:
    with (
        pytest.raises(ValueError, match=r"rfdetr adapter: another context is in force, or was; allowed: one at a time"),
        patched(box="eiou"),
        patched(box="ciou"),
    ):
        pass
    assert module_model.build_criterion_from_config is FOUND


def test_mistakes_are_told_before_anything_is_built() -> None:
    with pytest.raises(ValueError, match="did you mean 'eiou'"):
        patched(box="eiuo")
    with pytest.raises(TypeError, match=r"patched: unknown argument boxes='eiou'; allowed: box"):
        patched(boxes="eiou")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"pass image_size=\(height, width\) in pixels"):
        patched(box="mpdiou")
    with pytest.raises(ValueError, match=r"rfdetr adapter: matcher='match' with box='wiou'"):
        patched(box="wiou", matcher="match")


def test_the_default_class_loss_is_recognised() -> None:
    module = module_model.RFDETRModelModule(RFDETRNanoConfig(**SMALL), train_config())
    made = plug(module, cls="matchability")
    assert made.report.cls is not None
    assert made.report.cls.stock == "IA-BCE (alpha=0.25, gamma=2)"
    made.unplug()


def test_processes_whose_calls_are_not_seen_are_refused() -> None:
    with pytest.raises(UnsupportedCriterion, match="strategy='ddp_spawn' trains copies"), patched(box="eiou"):
        built(strategy="ddp_spawn")


def test_a_module_in_hand_is_served_and_a_whole_detector_told_what_to_do() -> None:
    module = module_model.RFDETRModelModule(RFDETRNanoConfig(**SMALL), train_config())
    made = plug(module, box="eiou")
    assert made.plugged
    assert type(module.criterion) is not SetCriterion
    with pytest.raises(ValueError, match=r"rfdetr adapter: the losses of criterion=SetCriterion are plugged already"):
        plug(module, box="giou")
    unplug(module)
    assert type(module.criterion) is SetCriterion
    assert not made.plugged
    with pytest.raises(TypeError, match=r"RFDETRNano, whose train\(\) builds a criterion of its own"):
        plug(RFDETRNano(**SMALL), box="eiou")
    with pytest.raises(UnsupportedCriterion, match="pass the criterion, not the model"):
        plug(module.model, box="eiou")
    assert type(criterion()) is SetCriterion
