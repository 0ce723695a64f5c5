"""What an installation allows: the probe, the canary, doctor, and refused models and tasks."""

from __future__ import annotations

import contextlib
import copy
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks
from ultralytics.utils.loss import BboxLoss, TVPDetectLoss
from ultralytics.utils.metrics import bbox_iou

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import canary, probe
from loss_plugins.adapters.ultralytics.anchors import BCEReplacement
from loss_plugins.adapters.ultralytics.plug import Plug, plugged

from .ultralytics_runs import batch_of


def test_a_loss_of_other_boxes_is_refused_with_the_kind_to_use() -> None:
    model = tasks.OBBModel("yolov8n-obb.yaml", nc=3, verbose=False)
    model.args = get_cfg()
    with pytest.raises(lpu.UnsupportedUltralytics, match=r"loss of axis-aligned boxes was .*--kind rotated_box"):
        probe.require_branches(model.init_criterion())


@pytest.mark.parametrize("task", ["classify", "depth"])
def test_tasks_that_cannot_be_served_are_refused_with_a_reason(task: str) -> None:
    with pytest.raises(lpu.UnsupportedUltralytics, match=f"task '{task}' cannot be served: its? "):
        lpu.trainer(task, box="eiou")


def test_visual_prompts_are_refused() -> None:
    model = tasks.YOLOEModel("yoloe-11s.yaml", nc=3, verbose=False)
    model.args = get_cfg()
    with pytest.raises(lpu.UnsupportedUltralytics, match="visual prompts"):
        probe.require_branches(TVPDetectLoss(model))


def visual_predictions(model: nn.Module) -> dict[str, Any]:
    """Predictions for five visual prompts."""
    channels, anchors = 4 * model.model[-1].reg_max, 64 + 16 + 4
    generator = torch.Generator().manual_seed(0)
    return {
        "boxes": torch.randn(2, channels, anchors, generator=generator).requires_grad_(),
        "scores": torch.randn(2, 5, anchors, generator=generator).requires_grad_(),
        "feats": [torch.zeros(2, 8, side, side) for side in (8, 4, 2)],
    }


def test_visual_prompts_are_seen_by_the_gradient_count() -> None:
    """The box loss is called and logged, but nothing comes back: calls are no proof, and that is an error."""
    model = tasks.YOLOEModel("yoloe-11s.yaml", nc=3, verbose=False).train()
    model.args = get_cfg()
    criterion = TVPDetectLoss(model)
    preds = visual_predictions(model)
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.raises(lpu.LossNotUsed, match="computed 1 times, but no gradient came back"))
        report = stack.enter_context(lpu.patched(box="constant"))
        total, _ = criterion(preds, batch_of(model))
        total.sum().backward()
    assert report.box.train_calls == 1
    assert report.box.gradient_calls == 0


def renamed(self, pred_dist, pred_bboxes, anchors, target_bboxes, target_scores, target_scores_sum, fg_mask):  # type: ignore[no-untyped-def]
    return bbox_iou(pred_bboxes, target_bboxes)


def extended(  # type: ignore[no-untyped-def]
    self, pred_dist, pred_bboxes, anchor_points, target_bboxes, target_scores, target_scores_sum, fg_mask, quality
):
    return bbox_iou(pred_bboxes, target_bboxes)


def rewritten(  # type: ignore[no-untyped-def]
    self, pred_dist, pred_bboxes, anchor_points, target_bboxes, target_scores, target_scores_sum, fg_mask
):
    return pred_bboxes.sum()


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (renamed, r"lacks the parameters \['anchor_points'\]"),
        (extended, r"unknown parameters \['quality'\]"),
        (rewritten, "does not call bbox_iou"),
    ],
)
def test_an_unknown_forward_is_refused(monkeypatch: pytest.MonkeyPatch, forward: Any, reason: str) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(BboxLoss, "forward", forward)
        with pytest.raises(lpu.UnsupportedUltralytics, match=reason):
            lpu.trainer("detect", box="eiou")
        assert not lpu.doctor()["ok"]


def test_an_unknown_parameter_can_be_allowed_but_the_canary_still_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(BboxLoss, "forward", extended)
        patch.setenv(probe.ALLOW_UNVERIFIED, "1")
        assert probe.stock_forward() is extended
        with pytest.raises((TypeError, lpu.UnsupportedUltralytics)):
            canary.check_stock_contract(BboxLoss(16))


def test_a_missing_class_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.delattr("ultralytics.utils.loss.BboxLoss")
        with pytest.raises(lpu.UnsupportedUltralytics, match=r"no ultralytics\.utils\.loss\.BboxLoss"):
            probe.stock_forward()


def test_a_changed_stock_reduction_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = BboxLoss.forward

    def heavier(  # type: ignore[no-untyped-def]
        self,
        pred_dist,
        pred_bboxes,
        anchor_points,
        target_bboxes,
        target_scores,
        target_scores_sum,
        fg_mask,
        imgsz,
        stride,
    ):
        assert bbox_iou is not None
        return stock(
            self, pred_dist, pred_bboxes, anchor_points, target_bboxes, target_scores**2, target_scores_sum, fg_mask,
            imgsz, stride,
        )  # fmt: skip

    with monkeypatch.context() as patch:
        patch.setattr(BboxLoss, "forward", heavier)
        with pytest.raises(lpu.UnsupportedUltralytics, match="the contract has changed"):
            canary.check_stock_contract(BboxLoss(16))


def test_a_plug_that_does_not_hold_is_noticed() -> None:
    """The live criterion must return the plugged loss, not merely be called."""
    plug = Plug(lpu.make_spec("eiou", "bce_with_logits"))  # built, but not plugged in
    branch = SimpleNamespace(bbox_loss=BboxLoss(16), bce=lambda logits, target: 0 * logits)
    with pytest.raises(lpu.UnsupportedUltralytics, match=r"where eiou is .* the plug does not hold"):
        canary.check_box(branch, plug.box)
    with pytest.raises(lpu.UnsupportedUltralytics, match=r"where bce_with_logits is .* the plug does not hold"):
        canary.check_cls(branch, plug.cls)


def test_pixel_losses_need_the_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(probe, "OPTIONAL", ("imgsz", "stride"))
        patch.setattr(probe, "has_stride", lambda kind: False)
        with pytest.raises(lpu.UnsupportedUltralytics, match="needs boxes in pixels"):
            lpu.trainer("detect", box="side_in_pixels")
        lpu.trainer("detect", box="eiou")


def test_doctor_reports_what_it_tried() -> None:
    report = lpu.doctor()
    assert report["ok"]
    assert report["tasks"] == ["detect", "segment", "pose", "obb", "rtdetr", "world", "yoloe", "yoloe-seg", "semantic"]
    assert {check["name"] for check in report["checks"]} >= {
        "a plugged eiou arrives (reg_max 1)",
        "a plugged kld arrives (reg_max 16)",
        "a plugged dice arrives (semantic maps)",
        "trainer for pose",
    }


def test_no_callback_that_runs_on_one_rank_only() -> None:
    """on_pretrain_routine_start runs on rank 0 alone: a plug put in there would leave the other ranks stock.

    Loggers are told the settings there, and a stock trainer is warned.
    """
    files = sorted(Path(probe.__file__).parent.glob("*.py"))
    assert len(files) > 20
    in_one_process = ("compare", "training_parity")
    source = "".join(file.read_text() for file in files if file.stem not in in_one_process)
    places = [file.stem for file in files if '"on_pretrain_routine_start"' in file.read_text()]
    assert places == ["mixin", "watch"]
    assert 'if event == "on_pretrain_routine_start"' not in source
    assert "add_callback" not in source


def test_a_criterion_that_is_pickled_holds_the_stock_class_loss() -> None:
    """Older versions put the criterion into last.pt; nothing of ours may be found there."""
    with plugged(lpu.make_spec(cls="quality_focal")):
        bce = BCEReplacement(nn.BCEWithLogitsLoss(reduction="none"))
        assert isinstance(copy.deepcopy(bce), BCEReplacement)
        plain = pickle.loads(pickle.dumps(bce))
    assert type(plain) is nn.BCEWithLogitsLoss
    assert plain.reduction == "none"
    logits, target = torch.randn(2, 3, 4), torch.rand(2, 3, 4)
    assert torch.equal(bce(logits, target), plain(logits, target)), "outside of the context it is the stock loss"
