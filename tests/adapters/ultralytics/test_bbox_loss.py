"""One `BboxLoss` with a plugged loss, checked by hand; contexts, assigner and matched gain."""

from __future__ import annotations

import re
import warnings
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from ultralytics.utils.loss import BboxLoss
from ultralytics.utils.metrics import bbox_iou
from ultralytics.utils.tal import TaskAlignedAssigner

import loss_plugins as lp
from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.adapters.ultralytics import canary
from loss_plugins.adapters.ultralytics.plug import Plug, plugged
from loss_plugins.module.gain import box_gain


def bbox_call(bins: int = 16) -> tuple[BboxLoss, dict[str, Tensor]]:
    bbox_loss = BboxLoss(bins)
    return bbox_loss, canary.fixed_arguments(bbox_loss)


@pytest.mark.parametrize("bins", [16, 1])
def test_value_equals_a_loop_over_boxes(bins: int) -> None:
    bbox_loss, call = bbox_call(bins)
    stock = bbox_loss(**call)
    with lpu.patched(box={"type": "eiou", "loss_weight": 3.0}):
        box, second = bbox_loss(**call)
    total = 0.0
    for anchor in range(3):
        loss = lp.eiou_loss(call["pred_bboxes"][0, anchor], call["target_bboxes"][0, anchor])
        total += 3.0 * float(loss) * float(call["target_scores"][0, anchor].sum())
    assert float(box) == pytest.approx(total / float(call["target_scores_sum"]), rel=1e-6)
    assert torch.equal(second, stock[1])


def test_boxes_arrive_in_pixels_where_the_trait_asks() -> None:
    bbox_loss, call = bbox_call()
    with lpu.patched(box="side_in_pixels"):
        box, _ = bbox_loss(**call)
    total = 0.0
    for anchor in range(3):
        distance = (call["pred_bboxes"][0, anchor] - call["target_bboxes"][0, anchor]).abs().mean()
        weight = call["target_scores"][0, anchor].sum()
        total += float(distance * call["stride"][anchor] / 640 * weight)
    assert float(box) == pytest.approx(total / float(call["target_scores_sum"]), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("loss", ["area_in_pixels", "ciou", "eiou"])
def test_half_precision_predictions_of_large_boxes(loss: str, dtype: torch.dtype) -> None:
    """A box of 600 px has an area far above the largest half: pixels must be reached in float32."""
    bbox_loss, call = bbox_call()
    call["stride"] = torch.full_like(call["stride"], 32.0)
    call["target_bboxes"] = torch.tensor([0.5, 0.5, 19.5, 19.0]).expand(1, 4, 4).clone()
    call["pred_bboxes"] = call["target_bboxes"] + torch.tensor([0.5, 0.25, -0.5, 0.5])
    with lpu.patched(box=loss):
        full = float(bbox_loss(**call)[0])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = float(bbox_loss(**{**call, "pred_bboxes": call["pred_bboxes"].to(dtype)})[0])
    assert abs(half - full) < 1e-2
    assert full > 0.01


def test_empty_foreground_costs_a_connected_zero() -> None:
    bbox_loss, call = bbox_call()
    call["fg_mask"] = torch.zeros_like(call["fg_mask"])
    call["target_scores_sum"] = torch.tensor(1.0)
    call["pred_bboxes"].requires_grad_()
    with lpu.patched(box={"type": "focal_eiou", "normalize": True}):
        box, _ = bbox_loss(**call)
        box.backward()
    assert box.item() == 0.0
    assert torch.equal(call["pred_bboxes"].grad, torch.zeros(1, 4, 4))


def test_contexts_nest_and_restore_the_same_objects() -> None:
    bbox_loss, call = bbox_call()
    stock = vars(BboxLoss)["forward"]
    with lpu.patched(box="constant") as outer:
        outer_forward = vars(BboxLoss)["forward"]
        first = float(bbox_loss(**call)[0])
        with lpu.patched(box={"type": "constant", "value": 3.0}) as inner:
            second = float(bbox_loss(**call)[0])
        assert vars(BboxLoss)["forward"] is outer_forward
        third = float(bbox_loss(**call)[0])
    assert vars(BboxLoss)["forward"] is stock
    assert (first, second, third) == (7.0, 3.0, 7.0)
    assert (outer.box.val_calls, inner.box.val_calls) == (2, 1)


def test_an_exception_restores_the_same_objects() -> None:
    stock, assign = vars(BboxLoss)["forward"], vars(TaskAlignedAssigner)["iou_calculation"]

    def fail_inside() -> None:
        with lpu.patched(box="eiou", assigner="match"):
            assert vars(BboxLoss)["forward"] is not stock
            assert vars(TaskAlignedAssigner)["iou_calculation"] is not assign
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail_inside()
    assert vars(BboxLoss)["forward"] is stock
    assert vars(TaskAlignedAssigner)["iou_calculation"] is assign


def test_a_context_in_which_nothing_was_computed_raises() -> None:
    with pytest.raises(lpu.LossNotUsed, match="no criterion had called the box loss eiou"), lpu.patched(box="eiou"):
        pass


def test_the_assigner_keeps_the_stock_overlap_unless_told() -> None:
    assigner = TaskAlignedAssigner()
    gt, pred = torch.tensor([[0.0, 0, 4, 2]]), torch.tensor([[1.0, 0, 4, 4]])
    stock = bbox_iou(gt, pred, xywh=False, CIoU=True).squeeze(-1).clamp(0)
    bbox_loss, call = bbox_call()
    with lpu.patched(box="eiou"):
        bbox_loss(**call)
        assert torch.equal(assigner.iou_calculation(gt, pred), stock)
    with lpu.patched(box="eiou", assigner="match"):
        bbox_loss(**call)
        assert not torch.equal(assigner.iou_calculation(gt, pred), stock)
    with lpu.patched(box="giou", assigner="match"):
        bbox_loss(**call)
        assert torch.equal(assigner.iou_calculation(gt, pred), (1 - lp.giou_loss(pred, gt)).clamp(min=0))


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_a_matched_gain_is_a_constant_whatever_the_first_batch_holds(shift: float) -> None:
    bbox_loss, call = bbox_call()
    call["pred_bboxes"] = call["pred_bboxes"] + shift
    twice: Any = {"type": "alpha_ciou", "loss_weight": 2.0}
    kept, matched, on_top = (
        float(gradient(bbox_loss, call, box=box, gain=gain)[0].norm(dim=-1).sum())
        for box, gain in (("alpha_ciou", "keep"), ("alpha_ciou", "match"), (twice, "match"))
    )
    factor = box_gain(lp.build_loss("alpha_ciou"), partial(lp.ciou_loss, dialect="ultralytics")).factor
    assert matched / kept == pytest.approx(factor, rel=1e-4)
    assert on_top / matched == pytest.approx(2.0, rel=1e-4)  # the matched loss, not matched away
    _, report = gradient(bbox_loss, call, box="alpha_ciou", gain="match")
    assert report.box.gain == factor == report.box.norms[0] / report.box.norms[1]


def gradient(bbox_loss: BboxLoss, call: dict[str, Tensor], **losses: Any) -> tuple[Tensor, Any]:
    leaf = call["pred_bboxes"].clone().requires_grad_()
    with lpu.patched(**losses) as report:
        bbox_loss(**{**call, "pred_bboxes": leaf})[0].backward()
    return leaf.grad, report


@pytest.mark.parametrize("gain", ["keep", "match"])
def test_the_measured_ratio_is_that_of_the_gradients(gain: str) -> None:
    """By hand: the gradients of both losses on the same boxes, each row weighted, their norms summed."""
    bbox_loss, call = bbox_call()
    leaf = call["pred_bboxes"].clone().requires_grad_()
    bbox_loss(**{**call, "pred_bboxes": leaf})[0].backward()
    spec = lpu.make_spec({"type": "alpha_ciou", "loss_weight": 2.0}, gain=gain)
    with plugged(spec) as plug:
        ours = call["pred_bboxes"].clone().requires_grad_()
        plug.begin_epoch()
        bbox_loss(**{**call, "pred_bboxes": ours})[0].backward()
        wanted = float(ours.grad.norm(dim=-1).sum() / leaf.grad.norm(dim=-1).sum())
        assert plug.box.ratio == pytest.approx(wanted, rel=1e-5)
        bbox_loss(**{**call, "pred_bboxes": (call["pred_bboxes"] + 3).requires_grad_()})[0].backward()
        assert plug.box.ratio == pytest.approx(wanted, rel=1e-5), "once in an epoch"
        plug.begin_epoch()
        bbox_loss(**{**call, "pred_bboxes": (call["pred_bboxes"] + 3).requires_grad_()})[0].backward()
        assert plug.box.ratio != pytest.approx(wanted, rel=1e-3)


def test_the_ratio_is_that_of_a_loss_with_what_it_has_learnt() -> None:
    """WIoU's weights hang on its running mean, which begins at 1."""
    bbox_loss, call = bbox_call()
    leaf = call["pred_bboxes"].clone().requires_grad_()
    bbox_loss(**{**call, "pred_bboxes": leaf})[0].backward()
    with plugged(lpu.make_spec({"type": "wiou", "version": 3, "momentum": 0.5})) as plug:
        for _ in range(20):
            bbox_loss(**{**call, "pred_bboxes": call["pred_bboxes"].clone().requires_grad_()})[0].backward()
        plug.begin_epoch()
        ours = call["pred_bboxes"].clone().requires_grad_()
        bbox_loss(**{**call, "pred_bboxes": ours})[0].backward()
        wanted = float(ours.grad.norm(dim=-1).sum() / leaf.grad.norm(dim=-1).sum())
        assert plug.box.ratio == pytest.approx(wanted, rel=1e-3)


def test_a_ratio_that_is_far_from_1_is_told_once() -> None:
    bbox_loss, call = bbox_call()
    with plugged(lpu.make_spec({"type": "eiou", "loss_weight": 50.0})) as plug:
        lines = []
        for _ in range(2):
            plug.begin_epoch()
            bbox_loss(**{**call, "pred_bboxes": call["pred_bboxes"].clone().requires_grad_()})[0].backward()
            lines.append(plug.box.news())
    first, second = lines
    assert "the gradient of the box loss eiou is" in first[0]
    assert re.search(
        r'use gain="match", with which it would be \S+, or set loss_weight=\S+ .*the trainer\'s box= by', first[1]
    )
    assert second == first[:1]


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("quality_focal", ("2.65", "0.075")),
        ("focal", ("6.91", "0.15")),
        ("varifocal", ("1.49", "0.031")),
        ("asymmetric", ("4.74", "6.6e-05")),
        ("poly_focal", ("3.43", "0.16")),
    ],
)
def test_losses_that_spare_negatives_cannot_be_matched(name: str, numbers: tuple[str, str]) -> None:
    """Trained with it they end far below the stock loss, whatever constant they are given."""
    said = rf"{name}: gain='match' would be {numbers[0]}, .* and {re.escape(numbers[1])} times as hard on negatives"
    with pytest.raises(ValueError, match=said):
        lpu.trainer("detect", cls=name, gain="match")
    lpu.trainer("detect", cls=name)


@pytest.mark.parametrize("cls", ["ghm_c", {"type": "bce_with_logits", "pos_weight": [2.0, 1.0, 0.5]}])
def test_losses_that_keep_the_balance_are_matched(cls: Any) -> None:
    assert Plug(lpu.make_spec(cls=cls, gain="match")).slots[0].calls.gain == pytest.approx(1, rel=0.3)


def test_a_loss_that_cannot_be_matched_says_so_before_training() -> None:
    def flat(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Without gradient in the middle of the image, where the boxes of the fixed set are."""
        return torch.where(pred[:, 0] < 100, 0.01, 0.0) * (pred - target).abs().sum(-1)

    with pytest.raises(ValueError, match=r"flat: mean gradient 0 .*the stock loss's is 0\.\d+; .*use gain='keep'"):
        lpu.trainer("detect", box=flat, gain="match")


def test_the_first_inverted_target_is_named_once() -> None:
    bbox_loss, call = bbox_call()
    call["target_bboxes"] = call["target_bboxes"].clone()
    call["target_bboxes"][0, 1] = torch.tensor([9.0, 2.0, 3.0, 8.0])
    with lpu.patched(box="eiou"):
        with pytest.warns(UserWarning, match=r"eiou: target 1 of 3 is inverted: \[9\.0, 2\.0, 3\.0, 8\.0\]"):
            bbox_loss(**call)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            bbox_loss(**call)


def test_the_gain_of_rotated_boxes_is_matched() -> None:
    assert Plug(lpu.make_spec("kld", gain="match")).slots[0].calls.gain == pytest.approx(1.048, abs=0.005)
