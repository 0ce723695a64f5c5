"""Rotated boxes: closed forms against matrices, and what rotation must and must not change."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped
from loss_plugins.samples import SAMPLES

ROTATED = [entry.name for entry in shipped() if entry.kind == "rotated_box"]


def draw(count: int = 20, seed: int = 1) -> tuple[Tensor, Tensor]:
    pred, target = SAMPLES["jittered rotated boxes"](count, seed, torch.float64)
    return pred, cast(Tensor, target)


def covariance(boxes: Tensor, share: float = 4.0) -> Tensor:
    cos, sin = boxes[:, 4].cos(), boxes[:, 4].sin()
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    return turn @ torch.diag_embed(boxes[:, 2:4] ** 2 / share) @ turn.mT


def root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag_embed(values.clamp(min=0).sqrt()) @ vectors.mT


def trace(matrix: Tensor) -> Tensor:
    return matrix.diagonal(dim1=-2, dim2=-1).sum(-1)


def kl(p: Tensor, t: Tensor) -> Tensor:
    sp, st = covariance(p), covariance(t)
    offset = (t - p)[:, :2, None]
    inverse = sp.inverse()
    return (
        (offset.mT @ inverse @ offset).flatten() / 2
        + trace(inverse @ st) / 2
        + torch.log(torch.det(sp) / torch.det(st)) / 2
        - 1
    )


def test_gwd_is_the_distance_of_the_matrices() -> None:
    pred, target = draw()
    sp, st = covariance(pred), covariance(target)
    cross = root(root(sp) @ st @ root(sp))
    expected = (((pred - target)[:, :2] ** 2).sum(-1) + trace(sp + st - 2 * cross)).sqrt()
    ours = lp.gwd_loss(pred, target, fun="none", tau=0.0, normalize=False)
    torch.testing.assert_close(ours, expected, rtol=1e-7, atol=1e-7)


def test_kld_and_jd_are_those_of_the_matrices() -> None:
    pred, target = draw()
    plain: dict[str, Any] = {"fun": "none", "tau": 0.0, "sqrt": False}
    forth, back = kl(pred, target), kl(target, pred)
    torch.testing.assert_close(lp.kld_loss(pred, target, **plain), forth)
    torch.testing.assert_close(lp.jd_loss(pred, target, **plain), (forth + back) / 2)
    torch.testing.assert_close(lp.kld_loss(pred, target, symmetric="max", **plain), torch.maximum(forth, back))
    torch.testing.assert_close(lp.kld_loss(pred, target, symmetric="min", **plain), torch.minimum(forth, back))


def test_kfiou_is_that_of_the_matrices() -> None:
    pred, target = draw()
    sp, st = covariance(pred), covariance(target)
    shared = 4 * torch.det(sp - sp @ (sp + st).inverse() @ sp).sqrt()
    areas = [boxes[:, 2] * boxes[:, 3] for boxes in (pred, target)]
    overlap = shared / (areas[0] + areas[1] - shared)
    centers = torch.nn.functional.smooth_l1_loss(pred[:, :2], target[:, :2], reduction="none", beta=1 / 9).sum(-1)
    torch.testing.assert_close(lp.kfiou_loss(pred, target), centers + 1 - overlap, rtol=1e-6, atol=1e-6)


def test_prob_iou_is_the_hellinger_distance_of_the_matrices() -> None:
    pred, target = draw()
    sp, st = covariance(pred, 12), covariance(target, 12)
    offset = (target - pred)[:, :2, None]
    bhattacharyya = (offset.mT @ (sp + st).inverse() @ offset).flatten() / 4 + 0.5 * torch.log(
        torch.det(sp + st) / (4 * (torch.det(sp) * torch.det(st)).sqrt())
    )
    expected = (1 - torch.exp(-bhattacharyya)).sqrt()
    torch.testing.assert_close(lp.prob_iou_loss(pred, target), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("aspect", [False, True])
@pytest.mark.parametrize("floor", [0.0, 0.01])
def test_prob_iou_is_ultralytics_value_and_gradient(aspect: bool, floor: float) -> None:
    from ultralytics.utils.metrics import probiou

    pred, target = draw()
    leaf = pred.requires_grad_()
    losses = (
        lp.prob_iou_loss(leaf, target, aspect=aspect, floor=floor),
        1 - probiou(leaf, target, CIoU=aspect, floor=floor),
    )
    torch.testing.assert_close(losses[0], losses[1].flatten(), rtol=1e-9, atol=1e-11)
    gradients = [torch.autograd.grad(loss.sum(), leaf)[0] for loss in losses]
    torch.testing.assert_close(*gradients, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ROTATED)
def test_turning_the_world_changes_nothing(name: str) -> None:
    pred, target = draw()
    angle = 0.7
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)

    def turned(boxes: Tensor) -> Tensor:
        return torch.cat((boxes[:, :2] @ turn.T, boxes[:, 2:4], boxes[:, 4:] + angle), -1)

    if name == "kfiou":  # SmoothL1 of x and y knows its axes
        pred = torch.cat((target[:, :2], pred[:, 2:]), -1)
    function = getattr(lp, f"{name}_loss")
    torch.testing.assert_close(function(turned(pred), turned(target)), function(pred, target))


@pytest.mark.parametrize("name", ROTATED)
def test_a_half_turn_and_swapped_sides_are_the_same_box(name: str) -> None:
    pred, target = draw()
    function = getattr(lp, f"{name}_loss")
    for other in (
        pred + torch.tensor([0, 0, 0, 0, math.pi], dtype=torch.float64),
        pred[:, [0, 1, 3, 2, 4]] + torch.tensor([0, 0, 0, 0, math.pi / 2], dtype=torch.float64),
    ):
        torch.testing.assert_close(function(other, target), function(pred, target))


@pytest.mark.parametrize("name", ["gwd", "kld", "jd", "prob_iou"])
def test_boxes_of_any_unit_cost_the_same(name: str) -> None:
    # normalised coordinates of a 30 px box at 1000 px: mmrotate's clamps would rule here
    pred, target = draw()
    scale = torch.tensor([1e-3, 1e-3, 1e-3, 1e-3, 1.0], dtype=torch.float64)
    function = getattr(lp, f"{name}_loss")
    keywords = {"eps": 1e-12} if name == "prob_iou" else {}
    torch.testing.assert_close(
        function(pred * scale, target * scale, **keywords), function(pred, target, **keywords), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("fun", ["log1p", "sqrt", "none"])
def test_tau_from_1_on_bounds_the_loss(fun: str) -> None:
    pred, target = draw()
    distance = lp.gwd_loss(pred, target, fun=fun, tau=0.0)
    torch.testing.assert_close(lp.gwd_loss(pred, target, fun=fun, tau=2.0), 1 - 1 / (2 + distance))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        *((name, {}) for name in ROTATED),
        ("gwd", {"normalize": False, "fun": "sqrt", "tau": 2.0}),
        ("kld", {"symmetric": "max"}),
        ("kfiou", {"fun": "exp"}),
    ],
    ids=str,
)
def test_gradients_are_those_of_the_values(name: str, parameters: dict[str, Any]) -> None:
    pred, target = draw(5)
    leaf = pred.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: getattr(lp, f"{name}_loss")(x, target, **parameters), (leaf,), atol=1e-6)


@pytest.mark.parametrize("name", ROTATED)
@pytest.mark.parametrize("offset", [1e-7, 1e-5, 1e-4, 1e-3, 1.0])
def test_two_boxes_without_width_pull_each_other_gently(name: str, offset: float) -> None:
    pred = torch.tensor([[0.0, 0, 0, 8, 0.3], [0, 0, 0, 0, 0]], requires_grad=True)
    target = torch.tensor([[offset, 0, 0, 8, 0.3], [offset, 0, 0, 0, 0]])
    loss = getattr(lp, f"{name}_loss")(pred, target)
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert loss.isfinite().all()
    assert gradient.abs().max() < 1e4


def test_boxes_of_four_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="must be 5"):
        lp.gwd_loss(torch.zeros(2, 4), torch.zeros(2, 4))


def test_mgiou_by_hand() -> None:
    # squares of side 2 and 1 about one centre: each edge direction has an IoU of 1/2, so (1 - 1/2) / 2
    pred, target = torch.tensor([[0.0, 0, 2, 2, 0]]), torch.tensor([[0.0, 0, 1, 1, 0]])
    assert float(lp.mgiou_loss(pred, target)) == pytest.approx(0.25)
    # an eighth of a turn: the other square is sqrt(2) times as long along either's edges, so the IoU is 1 / sqrt(2)
    turned = torch.tensor([[0.0, 0, 2, 2, math.pi / 4]])
    assert float(lp.mgiou_loss(pred, turned)) == pytest.approx((1 - 1 / math.sqrt(2)) / 2)
    # sides swapped at a quarter of a turn, and half a turn more, are the same box
    box = torch.tensor([[3.0, 4, 5, 2, 0.3]])
    for same in ([3.0, 4, 2, 5, 0.3 + math.pi / 2], [3.0, 4, 5, 2, 0.3 - math.pi]):
        assert float(lp.mgiou_loss(box, torch.tensor([same]))) == pytest.approx(0, abs=1e-6)


def test_mgiou_turns_squares_and_pulls_boxes_that_are_apart() -> None:
    pred = torch.tensor([[0.0, 0, 4, 4, 0.3], [90.0, 0, 4, 4, 0.3]], requires_grad=True)
    (gradient,) = torch.autograd.grad(lp.mgiou_loss(pred, torch.tensor([[0.0, 0, 4, 4, 0.0]] * 2)).sum(), pred)
    assert gradient[0, 4] > 0
    assert gradient[1, 0] > 0
