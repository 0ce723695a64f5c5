"""The new members of the IoU family and the transforms that wrap any of them, by hand and by identity."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import get_entry
from loss_plugins.losses.boxes import inner_iou, pair_up
from loss_plugins.losses.family import stretched
from loss_plugins.samples import SAMPLES

FAMILY = [name for name in lp.list_losses(kind="box") if "inner_ratio" in get_entry(name).parameters]


def draw(count: int = 30, seed: int = 0) -> tuple[Tensor, Tensor]:
    pred, target = SAMPLES["jittered boxes"](count, seed, torch.float64)
    return pred, cast(Tensor, target)


def loss_of(name: str, pred: Tensor, target: Tensor, **parameters: Any) -> Tensor:
    return lp.build_loss(name, **{"reduction": "none", **get_entry(name).example, **parameters}).eval()(pred, target)


def iou_of(pred: Tensor, target: Tensor) -> Tensor:
    low, high = torch.maximum(pred[:, :2], target[:, :2]), torch.minimum(pred[:, 2:], target[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (pred, target)]
    return shared / (areas[0] + areas[1] - shared)


def scaled(boxes: Tensor, ratio: float) -> Tensor:
    center, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * ratio
    return torch.cat((center - half, center + half), -1)


# --- transforms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILY)
def test_neutral_transforms_change_nothing(name: str) -> None:
    pred, target = draw()
    plain = loss_of(name, pred, target)
    torch.testing.assert_close(loss_of(name, pred, target, inner_ratio=1.0), plain)
    torch.testing.assert_close(loss_of(name, pred, target, focaler=(0.0, 1.0)), plain)
    torch.testing.assert_close(
        loss_of(name, pred, target, power=None) if "power" in get_entry(name).parameters else plain, plain
    )


@pytest.mark.parametrize(
    "name", ["iou", "giou", "diou", "ciou", "eiou", "siou", "cdiou", "shape_iou", "piou", "mpdiou"]
)
@pytest.mark.parametrize("ratio", [0.6, 1.3])
def test_inner_replaces_the_iou_and_keeps_the_penalty(name: str, ratio: float) -> None:
    pred, target = draw()
    inner = iou_of(scaled(pred, ratio), scaled(target, ratio))
    torch.testing.assert_close(inner_iou(pair_up(pred, target, 1e-12), ratio), inner)
    expected = loss_of(name, pred, target) + iou_of(pred, target) - inner
    torch.testing.assert_close(loss_of(name, pred, target, inner_ratio=ratio), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["iou", "giou", "diou", "ciou", "eiou", "siou", "cdiou", "shape_iou", "piou", "mpdiou"]
)
def test_focaler_stretches_the_iou_and_keeps_the_penalty(name: str) -> None:
    pred, target = draw()
    iou = iou_of(pred, target)
    expected = loss_of(name, pred, target) + iou - ((iou - 0.1) / 0.6).clamp(0, 1)
    torch.testing.assert_close(loss_of(name, pred, target, focaler=(0.1, 0.7)), expected, rtol=1e-6, atol=1e-6)


def test_stretched_has_no_gradient_outside() -> None:
    iou = torch.tensor([0.0, 0.25, 0.5, 0.75, 0.9], requires_grad=True)
    (slope,) = torch.autograd.grad(stretched(iou, 0.25, 0.75).sum(), iou)
    assert slope.tolist() == [0, 0, 2, 0, 0]


def between(pred: Tensor, target: Tensor, weight: float | Tensor) -> Tensor:
    """The box whose corners are the weighted means of both."""
    return (1 - weight) * pred + weight * target


@pytest.mark.parametrize("name", FAMILY)
def test_interp_adds_the_loss_of_a_box_between(name: str) -> None:
    pred, target = draw()
    plain = loss_of(name, pred, target)
    extra = 1 - iou_of(between(pred, target, 0.9), target)
    torch.testing.assert_close(loss_of(name, pred, target, interp=0.9), plain + extra, rtol=1e-6, atol=1e-6)
    weight = (1 - iou_of(pred, target)).clamp(0.3, 0.8)[:, None]
    assert (weight > 0.3).any()
    assert (weight < 0.8).any()
    extra = 1 - iou_of(between(pred, target, weight), target)
    torch.testing.assert_close(loss_of(name, pred, target, d_interp=(0.3, 0.8)), plain + extra, rtol=1e-6, atol=1e-6)


def test_the_weight_between_has_no_gradient() -> None:
    pred, target = draw()
    leaf = pred.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of("iou", leaf, target, d_interp=(0.3, 0.8)).sum(), leaf)
    weight = (1 - iou_of(pred, target)).clamp(0.3, 0.8)[:, None]
    total = 2 - iou_of(leaf, target) - iou_of(between(leaf, target, weight), target)
    (expected,) = torch.autograd.grad(total.sum(), leaf)
    torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("parameters", "reach"), [({"interp": 0.9}, 10), ({"d_interp": (0.0, 0.98)}, 50)])
def test_interp_pulls_boxes_that_are_apart_as_far_as_the_box_between_reaches(
    parameters: dict[str, Any], reach: float
) -> None:
    # the box between is off by 1 - a of the offset, and overlaps within one side
    target = torch.tensor([[0.0, 0, 4, 4]], dtype=torch.float64)
    for offset, pulled in ((0.99 * reach, True), (1.01 * reach, False)):
        pred = (target + torch.tensor([4 * offset, 0, 4 * offset, 0])).requires_grad_()
        (gradient,) = torch.autograd.grad(loss_of("iou", pred, target, **parameters).sum(), pred)
        assert bool(gradient.abs().max() > 0) == pulled


def test_equal_boxes_without_area_cost_nothing_with_a_box_between() -> None:
    boxes = torch.tensor([[639.3, 411.7, 639.3, 411.7], [7.1, 3.3, 7.1, 9.9]])
    assert loss_of("iou", boxes, boxes, interp=0.98).tolist() == [0, 0]


@pytest.mark.parametrize("name", [name for name in FAMILY if "focal_gamma" in get_entry(name).parameters])
def test_focal_gamma_weighs_by_iou_without_gradient(name: str) -> None:
    pred, target = draw()
    leaf = pred.clone().requires_grad_()
    (plain,) = torch.autograd.grad(loss_of(name, leaf, target).sum(), leaf)
    loss = loss_of(name, leaf, target, focal_gamma=0.7)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    weight = iou_of(pred, target) ** 0.7
    torch.testing.assert_close(loss, weight * loss_of(name, pred, target), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient, weight[:, None] * plain, rtol=1e-6, atol=1e-6)


def test_transforms_compose_in_a_fixed_order() -> None:
    # inner IoU, stretched, to a power, minus the powered penalty, under the weight of the plain IoU
    pred, target = draw()
    inner = iou_of(scaled(pred, 0.8), scaled(target, 0.8))
    overlap = ((inner - 0.1) / 0.8).clamp(0, 1) ** 2
    penalty = (loss_of("diou", pred, target) - loss_of("iou", pred, target)) ** 2
    expected = iou_of(pred, target) ** 0.5 * (1 - overlap + penalty)
    composed = loss_of("diou", pred, target, inner_ratio=0.8, focaler=(0.1, 0.9), power=2.0, focal_gamma=0.5)
    torch.testing.assert_close(composed, expected, rtol=1e-5, atol=1e-5)


def test_traits_follow_the_transforms() -> None:
    assert lp.build_loss("giou").entry.traits.gradient_when_disjoint
    assert not lp.build_loss("giou", focal_gamma=0.5).entry.traits.gradient_when_disjoint
    assert lp.build_loss("giou", wise=2).entry.traits.stateful
    assert not lp.get_entry("giou").traits.stateful


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"inner_ratio": 0.0}, "inner_ratio=0.0"),
        ({"focaler": (0.5, 0.5)}, "2 rising numbers"),
        ({"focaler": 0.5}, "2 rising numbers"),
        ({"focaler": (0.0, 1.5)}, r"\[0, 1\]"),
        ({"power": 0.0}, "power=0.0"),
        ({"interp": 1.0}, r"interp=1.0.*\[0, 1\)"),
        ({"d_interp": (0.9, 0.6)}, "2 rising numbers"),
        ({"focal_gamma": -1.0}, "focal_gamma"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lp.build_loss("giou", **parameters)


@pytest.mark.parametrize("grad", [False, True])
def test_ultralytics_ciou_to_the_last_bit(grad: bool) -> None:
    from ultralytics.utils.metrics import bbox_iou

    pred, target = (boxes.float() for boxes in draw(500))
    ours, theirs = pred.clone().requires_grad_(), pred.clone().requires_grad_()
    a = lp.ciou_loss(ours, target, dialect="ultralytics")
    b = 1 - bbox_iou(theirs, target, xywh=False, CIoU=True).squeeze(-1)
    assert torch.equal(a, b)
    if grad:
        a.sum().backward()
        b.sum().backward()
        assert torch.equal(ours.grad, theirs.grad)


# --- new members --------------------------------------------------------------------------------------------------


def test_siou_s_angle_needs_no_arcsine() -> None:
    pred, target = draw()
    offset = (target[:, :2] + target[:, 2:] - pred[:, :2] - pred[:, 2:]) / 2
    sine = offset.abs().amin(-1) / offset.norm(dim=-1)
    angle = torch.sin(2 * torch.arcsin(sine))
    sides = torch.maximum(pred[:, 2:], target[:, 2:]) - torch.minimum(pred[:, :2], target[:, :2])
    distance = (1 - torch.exp(-(2 - angle[:, None]) * (offset / sides) ** 2)).sum(-1)
    size, goal = pred[:, 2:] - pred[:, :2], target[:, 2:] - target[:, :2]
    shape = ((1 - torch.exp(-(size - goal).abs() / torch.maximum(size, goal))) ** 3).sum(-1)
    expected = 1 - iou_of(pred, target) + (distance + shape) / 2
    torch.testing.assert_close(lp.siou_loss(pred, target, theta=3.0), expected, rtol=1e-6, atol=1e-6)


def test_mpdiou_takes_height_then_width_and_is_nothing_without() -> None:
    pred, target = draw()
    corners = ((pred - target) ** 2).sum(-1)
    expected = 1 - iou_of(pred, target) + corners / (480**2 + 640**2)
    torch.testing.assert_close(lp.mpdiou_loss(pred, target, image_size=(480, 640)), expected, rtol=1e-6, atol=1e-6)
    with pytest.raises(TypeError, match=r"image_size.*required.*2 numbers"):
        lp.build_loss("mpdiou")
    with pytest.raises(ValueError, match="image_size"):
        lp.build_loss("mpdiou", image_size=640)
    assert get_entry("mpdiou").traits.units == "image"


def test_shape_iou_weighs_each_axis_by_the_other_side_of_the_target() -> None:
    # target 30 x 10, scale 1: ww = 2 * 30 / 40 = 1.5, hh = 0.5; equal sizes, so only the distance remains
    target = torch.tensor([[0.0, 0, 30, 10]], dtype=torch.float64)
    for shift, weight in (([4.0, 0, 4, 0], 0.5), ([0.0, 4, 0, 4], 1.5)):
        pred = target + torch.tensor(shift, dtype=torch.float64)
        sides = torch.maximum(pred[:, 2:], target[:, 2:]) - torch.minimum(pred[:, :2], target[:, :2])
        expected = 1 - iou_of(pred, target) + weight * 16 / (sides**2).sum(-1)
        torch.testing.assert_close(lp.shape_iou_loss(pred, target, scale=1.0), expected, rtol=1e-6, atol=1e-6)


def piou_gradient(distance: float, **parameters: Any) -> float:
    """d loss / d x of a box `distance` target widths to the right of its target: above 0, it is pulled back."""
    target = torch.tensor([[0.0, 0, 10, 10]], dtype=torch.float64)
    pred = (target + torch.tensor([10 * distance, 0, 10 * distance, 0])).requires_grad_()
    (gradient,) = torch.autograd.grad(lp.piou_loss(pred, target, **parameters).sum(), pred)
    return float(gradient[0, 0] + gradient[0, 2])


def test_piou_v2_pushes_far_boxes_away_unless_its_weight_is_detached() -> None:
    # a shift of s widths is P = s / 2; for IoU 0 version 2 peaks at P = 0.943
    assert piou_gradient(1.5, version=2) > 0
    assert piou_gradient(3.0, version=2) < 0
    assert piou_gradient(3.0, version=2, detach_weight=True) > 0
    assert piou_gradient(3.0, version=1) > 0


def test_piou_v2_peaks_where_the_documentation_says() -> None:
    target = torch.tensor([[0.0, 0, 10, 10]], dtype=torch.float64)
    shift = torch.linspace(10.001, 60, 20000, dtype=torch.float64)[:, None]
    pred = target + shift * torch.tensor([1.0, 0, 1, 0])
    loss = lp.piou_loss(pred, target.expand_as(pred), version=2)
    assert float(shift[loss.argmax()] / 20) == pytest.approx(0.943, abs=1e-3)
    assert float(loss.max()) == pytest.approx(1.868, abs=1e-3)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("w2", 29.0),
        ("sqrt", math.sqrt(29)),
        ("log", math.log(30)),
        ("exp", 1 - math.exp(-math.sqrt(29) / 4)),
        ("norm_sqrt", 1 - 1 / (2 + math.sqrt(29))),
    ],
)
def test_nwd_by_hand(mode: str, expected: float) -> None:
    # centres (3, 4) apart, sides 4 and 0 apart: W^2 = 9 + 16 + 16 / 4 = 29
    pred = torch.tensor([[0.0, 0, 6, 6]], dtype=torch.float64)
    target = torch.tensor([[1.0, 4, 11, 10]], dtype=torch.float64)
    loss = lp.nwd_loss(pred, target, mode=mode, constant=4.0, gamma=2.0)
    assert float(loss) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("w2", 2.65625),
        ("sqrt", math.sqrt(2.65625)),
        ("log", math.log(3.65625)),
        ("exp", 1 - math.exp(-math.sqrt(2.65625))),
        ("norm_sqrt", 1 - 1 / (2 + math.sqrt(2.65625))),
    ],
)
def test_gcd_by_hand(mode: str, expected: float) -> None:
    # centres 2 apart, widths 2 and 1, equal heights: (1 + 1/16 + 4 + 1/4) / 2
    pred = torch.tensor([[0.0, 0, 2, 6]], dtype=torch.float64)
    target = torch.tensor([[2.5, 0, 3.5, 6]], dtype=torch.float64)
    loss = lp.gcd_loss(pred, target, mode=mode, gamma=2.0)
    assert float(loss) == pytest.approx(expected, abs=1e-9)


def test_gcd_is_smooth_beside_equal_boxes_and_has_no_gradient_at_them() -> None:
    target = torch.tensor([[0.0, 0, 4, 4]], dtype=torch.float64)
    for shift, slope in ((0.0, 0.0), (1e-9, 0.25)):  # d / dx of |dx| / w, halved per corner
        pred = (target + shift).requires_grad_()
        (gradient,) = torch.autograd.grad(lp.gcd_loss(pred, target).sum(), pred)
        assert gradient[0, 0].item() + gradient[0, 2].item() == pytest.approx(slope / math.sqrt(2) if shift else 0)


@pytest.mark.parametrize("name", ["nwd", "gcd", "piou"])
def test_far_boxes_are_pulled_in_float32_as_in_float64(name: str) -> None:
    slopes = []
    for dtype in (torch.float32, torch.float64):
        far = {"nwd": 300.0, "gcd": 150.0, "piou": 41.0}[name]
        pred = torch.tensor([[far, 0, far + 5, 5]], dtype=dtype, requires_grad=True)
        target = torch.tensor([[0.0, 0, 5, 5]], dtype=dtype)
        (gradient,) = torch.autograd.grad(loss_of(name, pred, target).sum(), pred)
        slopes.append(float(gradient[0, 0]))
    assert slopes[0] > 0
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-4)


def test_focal_eiou_gives_disjoint_boxes_no_gradient() -> None:
    pred = torch.tensor([[50.0, 50, 60, 60], [10, 0, 20, 10]], requires_grad=True)
    target = torch.tensor([[0.0, 0, 10, 10]]).repeat(2, 1)
    (gradient,) = torch.autograd.grad(lp.focal_eiou_loss(pred, target).sum(), pred)
    assert gradient.abs().max() == 0
    (gradient,) = torch.autograd.grad(lp.eiou_loss(pred, target).sum(), pred)
    assert (gradient.abs().amax(-1) > 0).all()


def test_extended_iou_is_the_plain_loss_less_half_its_smooth_point_for_boxes_that_overlap() -> None:
    pred, target = draw(200)
    iou = iou_of(pred, target)
    overlapping = (iou > 0) & (iou < 0.9)
    expected = (1 - iou - 0.05)[overlapping]
    torch.testing.assert_close(lp.extended_iou_loss(pred, target)[overlapping], expected, rtol=1e-6, atol=1e-6)


def test_balanced_l1_has_the_slopes_it_was_designed_for() -> None:
    # alpha ln(b x + 1) inside for beta 1, gamma outside
    x = torch.tensor([0.1, 0.5, 0.99, 1.01, 3.0], dtype=torch.float64).repeat(4, 1).T.requires_grad_()
    (slope,) = torch.autograd.grad(lp.balanced_l1_loss(x, torch.zeros_like(x)).sum(), x)
    b = math.exp(3) - 1
    expected = torch.where(x < 1, 0.5 * torch.log1p(b * x), 1.5)
    torch.testing.assert_close(slope, expected.detach())


def test_bounded_iou_by_hand() -> None:
    # 2 to the right of a target 10 wide: (10 - 4) / (10 + 4); half as high: 1/2; SmoothL1(l) = l - 0.1 above 0.2
    target = torch.tensor([[0.0, 0, 10, 10]], dtype=torch.float64)
    pred = torch.tensor([[2.0, 2.5, 12, 7.5]], dtype=torch.float64)
    loss = lp.bounded_iou_loss(pred, target, eps=1e-9)
    expected = torch.tensor([[1 - 6 / 14 - 0.1, 0, 0, 0.4]], dtype=torch.float64)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("width", [0.0, -1e-4, -1e-3, -1.0001e-3, -5.0])
def test_bounded_iou_stays_finite_where_an_inverted_side_cancels_its_epsilon(width: float) -> None:
    pred = torch.tensor([[0.0, 0, width, 5]], requires_grad=True)
    loss = lp.bounded_iou_loss(pred, torch.tensor([[0.0, 0, 5, 5]]), eps=1e-3)
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert loss.max() < 10
    assert gradient.isfinite().all()
    assert gradient.abs().max() < 1e3
