"""CIoU that changes: with the size of the target (SDIoU), in the course of the training (UIoU)."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.samples import SAMPLES


def draw(count: int = 30) -> tuple[Tensor, Tensor]:
    pred, target = SAMPLES["jittered boxes"](count, 0, torch.float64)
    assert isinstance(target, Tensor)
    return pred, target


def scaled(boxes: Tensor, ratio: float) -> Tensor:
    center, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * ratio
    return torch.cat((center - half, center + half), -1)


def same(value: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(value, wanted, rtol=1e-6, atol=1e-6)


# --- SDIoU --------------------------------------------------------------------------------------------------------


def test_sdiou_moves_weight_from_overlap_to_distance_for_small_targets() -> None:
    # target 6 x 3 px of area 18: g = 0.5 (1 - 18 / 81) = 7/18; 2 to the right: IoU 1/2, 4 / (64 + 9); equal shapes
    target = torch.tensor([[0.0, 0, 6, 3]], dtype=torch.float64)
    pred = target + torch.tensor([2.0, 0, 2, 0], dtype=torch.float64)
    expected = 11 / 18 * 0.5 + 25 / 18 * 4 / 73
    assert float(lp.sdiou_loss(pred, target)) == pytest.approx(expected, abs=1e-9)
    assert float(lp.sdiou_loss(pred, target, area=9 * 18)) == pytest.approx((1 - 4 / 9) / 2 + 13 / 9 * 4 / 73, abs=1e-9)


def test_sdiou_is_ciou_for_large_targets_and_without_delta() -> None:
    pred, target = draw()
    large = (target[:, 2:] - target[:, :2]).prod(-1) >= 81
    assert large.sum() > 5
    loss, ciou = lp.sdiou_loss(pred, target), lp.ciou_loss(pred, target)
    torch.testing.assert_close(loss[large], ciou[large], rtol=0, atol=0)
    torch.testing.assert_close(
        lp.sdiou_loss(pred / 100, target / 100, delta=0.0), lp.ciou_loss(pred / 100, target / 100)
    )
    assert lp.get_entry("sdiou").traits.units == "pixels"


# --- UIoU ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.7])
def test_uiou_is_ciou_of_scaled_boxes(ratio: float) -> None:
    pred, target = draw()
    wanted = lp.ciou_loss(scaled(pred, ratio), scaled(target, ratio))
    same(lp.uiou_loss(pred, target, schedule=None, ratio=ratio), wanted)
    centers = [torch.cat(((box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]), -1) for box in (pred, target)]
    same(lp.uiou_loss(*centers, schedule=None, ratio=ratio, box_format="cxcywh"), wanted)
    weight = 1 - (1 - lp.iou_loss(scaled(pred, ratio), scaled(target, ratio))) ** 0.5
    same(lp.uiou_loss(pred, target, schedule=None, ratio=ratio, gamma=0.5), weight * wanted)


def test_the_weight_of_uiou_has_no_gradient() -> None:
    pred, target = draw()
    leaf = pred.clone().requires_grad_()
    (plain,) = torch.autograd.grad(lp.uiou_loss(leaf, target).sum(), leaf)
    (gradient,) = torch.autograd.grad(lp.uiou_loss(leaf, target, gamma=0.5).sum(), leaf)
    same(gradient, plain * (1 - (1 - lp.iou_loss(pred, target)) ** 0.5)[:, None])


@pytest.mark.parametrize("schedule", ["linear", "cosine", "fraction"])
def test_the_scale_falls_with_the_progress_that_is_told(schedule: str) -> None:
    pred, target = draw()
    module = lp.build_loss("uiou", reduction="none", schedule=schedule, ratio=1.3)
    same(module(pred, target), lp.uiou_loss(pred, target, schedule=None, ratio=1.3))  # nobody has told it
    for t in (0.0, 0.25, 0.5, 1.0):
        ratio = {"linear": 2 - 1.5 * t, "cosine": 0.75 * math.cos(math.pi * t) + 1.25, "fraction": 2 / (3 * t + 1)}
        module.set_progress(t)
        module.begin_step()
        wanted = lp.uiou_loss(pred, target, schedule=None, ratio=ratio[schedule])
        for _ in range(2):  # in training, and seen again
            same(module(pred.requires_grad_(), target), wanted)
        same(module.eval()(pred, target), wanted)
        same(lp.uiou_loss(pred, target, schedule=schedule, progress=t), wanted)
        module.train()
        module.sync()


def test_the_progress_is_saved_and_without_a_schedule_it_changes_nothing() -> None:
    pred, target = draw()
    module = lp.build_loss("mix", losses=["uiou", "giou"])
    module.set_progress(0.75)
    other = lp.build_loss(module.spec())
    other.load_state_dict(module.state_dict())
    same(other(pred, target), module(pred, target))
    same(copy.deepcopy(module)(pred, target), module(pred, target))
    assert not torch.allclose(lp.build_loss(module.spec())(pred, target), module(pred, target))
    fixed = lp.build_loss("uiou", schedule=None, ratio=1.5)
    before = fixed(pred, target)
    fixed.set_progress(1.0)
    assert torch.equal(fixed(pred, target), before)


@pytest.mark.parametrize("progress", [-0.1, 1.1, math.nan, "half"])
def test_a_progress_that_is_none_is_refused(progress: Any) -> None:
    with pytest.raises(ValueError, match=r"set_progress: progress=.*\[0, 1\];.* pass epoch / epochs"):
        lp.build_loss("uiou").set_progress(progress)
