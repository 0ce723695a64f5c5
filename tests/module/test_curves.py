"""The curves of losses and their gradients: closed forms, the boxes of the gain, running statistics."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.module import gain
from loss_plugins.module.curves import Curve, over_iou, over_logit

from .test_gain import BCE, STOCK_BOX, registered


@pytest.mark.parametrize("size", [1.0, 640.0])
def test_a_power_of_the_iou_costs_and_pulls_as_by_hand(size: float) -> None:
    """1 - IoU^3, whose gradient is 3 IoU^2 times that of 1 - IoU, in images of any size."""
    power, stock = over_iou(lp.build_loss("alpha_iou", alpha=3.0), lp.iou_loss, size)
    assert stock.at.tolist() == pytest.approx([(5 + 2 * step) / 100 for step in range(48)])
    torch.testing.assert_close(stock.loss, 1 - stock.at, rtol=0, atol=1e-6)
    torch.testing.assert_close(power.loss, 1 - power.at**3, rtol=0, atol=1e-6)
    torch.testing.assert_close(power.gradient, 3 * power.at**2 * stock.gradient, rtol=1e-5, atol=0)
    for curve, other in zip((power, stock), over_iou(lp.build_loss("alpha_iou", alpha=3.0), lp.iou_loss), strict=True):
        torch.testing.assert_close(curve.gradient, other.gradient, rtol=1e-4, atol=0)


def test_a_squared_distance_costs_and_pulls_as_by_hand() -> None:
    """|p - t|^2 / 2 has the gradient p - t: its norm, times the side of a target, averaged over the boxes of an IoU."""

    def squared(pred: Tensor, target: Tensor) -> Tensor:
        return (pred - target).square().sum(-1) / 2

    with registered(squared):
        ours, theirs = over_iou(lp.build_loss("test_gain"), lambda pred, target: 3 * squared(pred, target), 640.0)
    for index, iou in enumerate(ours.at.tolist()):
        pred, target = gain.boxes_near_targets(640.0, [iou])
        far = (pred - target).norm(dim=-1)
        assert float(ours.loss[index]) == pytest.approx(float(far.square().mean()) / 2, rel=1e-6)
        assert float(ours.gradient[index]) == pytest.approx(float(far.mean()) * 64, rel=1e-6)
    torch.testing.assert_close(theirs.gradient, 3 * ours.gradient)


def test_near_targets_the_gradients_are_those_of_which_the_gain_is_made() -> None:
    found = over_iou(lp.build_loss("eiou"), STOCK_BOX, 64.0)
    for function, curve in zip((lp.eiou_loss, STOCK_BOX), found, strict=True):
        for iou in (0.75, 0.85, 0.95):
            norm = gain.mean_gradient_norm(function, *gain.boxes_near_targets(64.0, [iou]))
            index = int((curve.at - iou).abs().argmin())
            assert float(curve.gradient[index]) == pytest.approx(6.4 * norm, rel=1e-6)


def test_turned_boxes_cost_and_pull_as_upright_ones() -> None:
    """Distances of Gaussians do not depend on how the image is turned; the gradient is that of the lengths."""
    turned = over_iou(lp.build_loss("kld"), lp.prob_iou_loss, rotated=True)
    pred, target = (gain.turned(boxes, 640.0, angle=0.0) for boxes in gain.boxes_near_targets(640.0, [0.55]))
    for function, curve in zip((lp.kld_loss, lp.prob_iou_loss), turned, strict=True):
        index = int((curve.at - 0.55).abs().argmin())
        assert float(curve.loss[index]) == pytest.approx(float(function(pred, target).mean()), rel=1e-6)
        norm = gain.mean_gradient_norm(function, pred, target, columns=4)
        assert float(curve.gradient[index]) == pytest.approx(64 * norm, rel=1e-6)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("target", [0.0, 0.8])
def test_cross_entropy_costs_and_pulls_as_by_hand(target: float, classes: int) -> None:
    """ln(1 + e^x) - t x, whose derivative is sigmoid(x) - t; positives count (1 + 2 + 3) / 3 = 2 times with weights."""
    weights = [1.0, 2.0, 3.0][:classes]
    ours, stock = over_logit(lp.build_loss("bce_with_logits", pos_weight=weights), BCE, target, classes)
    x, p = stock.at, stock.at.sigmoid()
    assert (float(x[0]), float(x[60]), float(x[-1])) == pytest.approx((-6.0, 0.0, 6.0))
    times = sum(weights) / classes
    for curve, w in ((stock, 1.0), (ours, times)):
        positive, negative = (1 + (-x).exp()).log(), (1 + x.exp()).log()
        torch.testing.assert_close(curve.loss, w * target * positive + (1 - target) * negative, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(curve.gradient, w * target * (p - 1) + (1 - target) * p, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("version", [2, 3])
def test_a_running_mean_is_that_of_the_fixed_set_and_stays_what_it_is(version: int) -> None:
    """mean(1 - IoU) is 1 - 0.825 there."""
    loss = lp.build_loss("wiou", version=version, momentum=0.5)
    fresh, _ = over_iou(loss, STOCK_BOX)
    loss.begin_step()
    loss(torch.tensor([[0.0, 0, 2, 2]], requires_grad=True), torch.tensor([[1.0, 1, 3, 3]]))
    state = copy.deepcopy(loss.state_dict())
    ours, by_hand = over_iou(loss, lambda pred, target: lp.wiou_loss(pred, target, version=version, mean=0.175))
    for found in (fresh, by_hand):
        assert_same(ours, found)
    assert loss.training
    assert all(torch.equal(value, state[key]) for key, value in loss.state_dict().items())


def test_a_running_statistic_of_scores_stays_what_it_is() -> None:
    loss = lp.build_loss("ghm_c", momentum=0.5)
    loss(torch.tensor([[0.3], [-2.0]], requires_grad=True), torch.tensor([[1.0], [0.0]]))
    state = copy.deepcopy(loss.state_dict())
    over_logit(loss, BCE, 0.8)
    assert all(torch.equal(value, state[key]) for key, value in loss.state_dict().items())


def assert_same(one: Curve, other: Curve) -> None:
    for mine, theirs in zip(one, other, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-9)
