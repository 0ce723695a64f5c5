"""When a loss that nobody calls ends a training, when it is warned of, and what is excused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mmdet.registry import MODELS as DETECTORS
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

from loss_plugins import EIoULoss
from loss_plugins.adapters.mmdet import LossNotUsed, LossPluginsHook, SenselessSlot
from loss_plugins.adapters.mmdet.record import RECORD_FILE

from ...two_ranks import MMDET, run_two_ranks
from . import proof_ranks
from .heads import CASES
from .heads import CONFIGS as SHIPPED
from .runs import BATCHES, heard, run, runner

EIOU = {"type": "loss_plugins.EIoULoss"}
BOXES = (torch.tensor([[0.0, 0, 4, 4]]), torch.tensor([[0.0, 0, 4, 5]]))


def call(loss: Any, rows: int = 1) -> None:
    loss(BOXES[0][:rows].requires_grad_(), BOXES[1][:rows])


def head_with(**losses: Any) -> nn.Module:
    model, head = nn.Module(), nn.Linear(1, 1)
    model.bbox_head = head
    for name, loss in losses.items():
        head.add_module(name, MODELS.build(loss))
    return model


# --- ranks ------------------------------------------------------------------------------------------------------------


def test_a_rank_without_objects_is_proven_by_the_other() -> None:
    """And a loss that neither rank calls ends both, instead of one that leaves the other waiting."""
    for said in run_two_ranks(proof_ranks.__file__, known=MMDET):
        assert said["calls"] == {"one rank": "", "no rank": "LossNotUsed"}
        assert said["counts"] == [[4, 9 * 4]]


# --- validation before the loss could be called -----------------------------------------------------------------------

VALIDATED = {
    "val_dataloader": {"dataset": [torch.zeros(1)], "batch_size": 1, "sampler": {"type": "DefaultSampler"}},
    "val_cfg": {},
}


def by_iterations(most: int) -> dict[str, Any]:
    return {"by_epoch": False, "max_iters": most, "val_interval": 1}


@pytest.fixture
def validation() -> dict[str, Any]:
    from mmengine.evaluator import BaseMetric

    class NoMetric(BaseMetric):  # type: ignore[misc]
        def process(self, data_batch: Any, data_samples: Any) -> None:
            self.results.append(0)

        def compute_metrics(self, results: list[Any]) -> dict[str, float]:
            return {"none": 0.0}

    return {**VALIDATED, "val_evaluator": [NoMetric()]}


def test_an_early_validation_ends_no_sound_training(validation: dict[str, Any], tmp_path: Path) -> None:
    """The first images have no box; the loss is called from the third iteration on."""
    training = run(tmp_path, EIOU, [[], [], [9]], by_iterations(BATCHES + 1), **validation)
    said = heard(training)
    training.train()
    (text,) = [text for text in said if "no head has called it" in text]
    assert "model.bbox_head.loss_bbox (loss_plugins.EIoULoss): no head has called it in 1 iterations" in text
    assert training.model.bbox_head.loss_bbox.calls == BATCHES - 1


def test_after_a_whole_pass_over_the_data_it_is_an_error(validation: dict[str, Any], tmp_path: Path) -> None:
    training = run(tmp_path, EIOU, [[]], by_iterations(3 * BATCHES), **validation)
    with pytest.raises(LossNotUsed, match=r"after 4 iterations no head has called model\.bbox_head\.loss_bbox"):
        training.train()
    assert training.iter == BATCHES


def test_at_the_end_of_a_loop_without_epochs_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LossNotUsed, match=r"after 2 iterations .*allow=\['bbox_head\.loss_bbox'\]"):
        run(tmp_path, EIOU, [[]], {"by_epoch": False, "max_iters": 2}).train()


def test_a_validation_alone_proves_nothing(tmp_path: Path) -> None:
    LossPluginsHook().before_val_epoch(runner(head_with(loss_bbox=EIOU), tmp_path))


def test_a_bare_core_module_that_is_allowed_is_trained_uncounted(tmp_path: Path) -> None:
    model = head_with(loss_bbox=EIOU)
    model.bbox_head.loss_other = EIoULoss()
    hook, training = LossPluginsHook(allow=["bbox_head.loss_other"]), runner(model, tmp_path)
    hook.before_train(training)
    call(model.bbox_head.loss_bbox)
    hook.after_train_epoch(training)
    hook.after_train(training)
    counts = {part["where"]: part["calls"] for part in yaml.safe_load((tmp_path / RECORD_FILE).read_text())["losses"]}
    assert counts == {"bbox_head.loss_bbox": 1, "bbox_head.loss_other": 0}


# --- calls without boxes ----------------------------------------------------------------------------------------------


def test_calls_on_no_boxes_are_warned_of_until_there_are_some(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = head_with(loss_bbox=EIOU)
    hook, training = LossPluginsHook(), runner(model, tmp_path)
    hook.before_train(training)
    for _ in range(40):
        call(model.bbox_head.loss_bbox, 0)
    with caplog.at_level("WARNING"):
        hook.after_train_epoch(training)
        hook.after_train_epoch(training)
    text = "model.bbox_head.loss_bbox (loss_plugins.EIoULoss): called 40 times on 0 boxes"
    assert caplog.text.count(text) == 1
    assert "whether the classes in metainfo are those of the annotation file" in caplog.text
    caplog.clear()
    with caplog.at_level("WARNING"):
        hook.after_train(training)  # the last word of a training that had none
    assert text in caplog.text
    call(model.bbox_head.loss_bbox)
    caplog.clear()
    with caplog.at_level("WARNING"):
        hook.after_train_epoch(training)
    assert caplog.text == ""


# --- copies that are not trained --------------------------------------------------------------------------------------

SOFT_TEACHER = "soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py"


def soft_teacher(freeze: bool) -> Any:
    cfg = Config.fromfile(SHIPPED / SOFT_TEACHER).model
    cfg.semi_train_cfg.freeze_teacher = freeze
    cfg.detector.backbone.update(depth=18, init_cfg=None)
    cfg.detector.neck.in_channels = [64, 128, 256, 512]
    cfg.detector.roi_head.bbox_head.update(reg_decoded_bbox=True, fc_out_channels=8, loss_bbox=EIOU)
    return DETECTORS.build(cfg)


@pytest.mark.parametrize("freeze", [True, False], ids=["frozen", "in evaluation mode"])
def test_the_teacher_of_a_soft_teacher_is_excused(
    freeze: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = soft_teacher(freeze)
    hook, training = LossPluginsHook(), runner(model, tmp_path)
    hook.before_train(training)
    model.train()
    model.teacher.eval()  # as each step of it does
    with pytest.raises(LossNotUsed, match=r"called model\.detector\.roi_head\.bbox_head\.loss_bbox \("):
        hook.after_train_epoch(training)
    call(model.student.roi_head.bbox_head.loss_bbox)
    caplog.clear()
    with caplog.at_level("INFO"):
        hook.after_train_epoch(training)
        hook.after_train(training)
    assert "is not trained" not in caplog.text  # said once, before


def test_what_is_excused_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = nn.Module()
    model.student, model.teacher = head_with(loss_bbox=EIOU), head_with(loss_bbox=EIOU)
    model.teacher.requires_grad_(False)
    hook, training = LossPluginsHook(), runner(model, tmp_path)
    hook.before_train(training)
    call(model.student.bbox_head.loss_bbox)
    with caplog.at_level("INFO"):
        hook.after_train_epoch(training)
    assert (
        "model.teacher.bbox_head.loss_bbox (loss_plugins.EIoULoss) is not trained: "
        "no parameter of model.teacher requires a gradient" in caplog.text
    )


def test_a_frozen_head_of_a_trained_detector_is_not_excused(tmp_path: Path) -> None:
    model = head_with(loss_bbox=EIOU)
    model.backbone = nn.Linear(1, 1)
    model.bbox_head.requires_grad_(False)
    hook, training = LossPluginsHook(), runner(model, tmp_path)
    hook.before_train(training)
    with pytest.raises(LossNotUsed):
        hook.after_train_epoch(training)


# --- losses of a later, or an earlier, phase --------------------------------------------------------------------------


TOOD = {
    "initial_loss_cls": {"type": "loss_plugins.FocalLoss", "use_sigmoid": True, "activated": True},
    "loss_cls": {"type": "loss_plugins.QualityFocalLoss", "use_sigmoid": True, "activated": True},
}


def phased(first: int, slot: str, tmp_path: Path, epochs: int) -> LossPluginsHook:
    """A TOOD whose other class loss is the stock one, after so many epochs in which the slot was not called."""
    model = CASES["TOOD"].build(EIOU)
    head = model.bbox_head
    head.initial_epoch = first
    setattr(head, slot, MODELS.build(TOOD[slot]))
    hook, training = LossPluginsHook(), runner(model, tmp_path)
    hook.before_train(training)
    call(head.loss_bbox)
    for epoch in range(epochs):
        training.epoch = epoch
        hook.after_train_iter(training, 0)
        hook.after_train_epoch(training)
        training.epoch, training.iter = epoch + 1, training.iter + BATCHES
        hook.before_val_epoch(training)
    return hook


def test_a_class_loss_of_a_later_phase_is_judged_when_it_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING"):
        phased(4, "loss_cls", tmp_path, epochs=4)
    assert "TOODHead calls initial_loss_cls in the first initial_epoch=4 epochs, and loss_cls afterwards" in caplog.text
    with pytest.raises(LossNotUsed, match=r"model\.bbox_head\.loss_cls"):
        phased(4, "loss_cls", tmp_path, epochs=5)


def test_a_class_loss_of_the_first_phase_is_judged_in_it(tmp_path: Path) -> None:
    with pytest.raises(SenselessSlot, match=r"model\.bbox_head\.initial_loss_cls .* did not call it"):
        phased(0, "initial_loss_cls", tmp_path, epochs=2)
    with pytest.raises(LossNotUsed, match=r"model\.bbox_head\.initial_loss_cls"):
        phased(4, "initial_loss_cls", tmp_path, epochs=1)


def test_yoloxs_l1_is_judged_once_it_is_switched_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = CASES["YOLOX"].build(EIOU)
    model.bbox_head.loss_l1 = MODELS.build({"type": "loss_plugins.L1Loss", "reduction": "sum"})
    hook, training = LossPluginsHook(), runner(model, tmp_path)
    hook.before_train(training)
    call(model.bbox_head.loss_bbox)
    hook.after_train_epoch(training)
    with caplog.at_level("WARNING"):
        hook.after_train(training)
    assert "YOLOXHead adds its L1 once YOLOXModeSwitchHook sets use_l1" in caplog.text
    model.bbox_head.use_l1 = True
    with pytest.raises(LossNotUsed, match=r"model\.bbox_head\.loss_l1"):
        hook.after_train_epoch(training)
