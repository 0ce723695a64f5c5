"""Losses of key points: by hand, what is not visible, instances without area, dialects, gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.losses.keypoints import COCO
from loss_plugins.samples import ordinary

DOUBLE = torch.float64
#: two instances of two points in one place: the first is off by (3, 4) and (0, 1), the second by (6, 8) and (0, 0)
PRED = torch.tensor([[[3.0, 4.0], [0.0, 1.0]], [[6.0, 8.0], [0.0, 0.0]]], dtype=DOUBLE)
POINTS = torch.zeros_like(PRED)
ALL = torch.ones(2, 2, dtype=torch.bool)
AREA = torch.tensor([25.0, 100.0], dtype=DOUBLE)


def oks(visible: Tensor = ALL, area: Tensor = AREA, reduction: str = "none", **parameters: object) -> Tensor:
    return lp.build_loss("oks", reduction=reduction, **parameters)(PRED, (POINTS, visible, area))


def similarity(*exponents: float) -> float:
    """The mean of e^-x."""
    return sum(math.exp(-x) for x in exponents) / len(exponents)


#: two points have sigma 1/2: d^2 / (8 / 4 * area)
FIRST, SECOND = similarity(25 / 50, 1 / 50), similarity(100 / 200, 0)


def close(found: Tensor, *expected: float) -> None:
    torch.testing.assert_close(found.flatten(), torch.tensor(expected, dtype=found.dtype))


def test_oks_by_hand() -> None:
    close(oks(), 1 - FIRST, 1 - SECOND)
    close(oks(mode="square"), 1 - FIRST**2, 1 - SECOND**2)
    close(oks(mode="log"), -math.log(FIRST), -math.log(SECOND))
    close(oks(sigmas=[0.25, 1.0]), 1 - similarity(25 / 12.5, 1 / 200), 1 - similarity(100 / 50, 0))
    close(oks(reduction="mean"), 1 - (FIRST + SECOND) / 2)


def test_the_similarity_is_that_of_what_is_visible_or_of_all() -> None:
    visible = torch.tensor([[True, False], [True, True]])
    close(oks(visible), 1 - math.exp(-0.5), 1 - SECOND)
    close(oks(visible, over="all"), 1 - math.exp(-0.5) / 2, 1 - SECOND)
    close(oks(visible, over="all", mode="log"), -math.log(math.exp(-0.5) / 2), -math.log(SECOND))


def test_weights_of_points_are_those_of_their_mean() -> None:
    weights = torch.tensor([[3.0, 1.0], [1.0, 1.0]], dtype=DOUBLE)
    close(oks(weights), 1 - (3 * math.exp(-0.5) + math.exp(-0.02)) / 4, 1 - SECOND)


@pytest.mark.parametrize("mode", ["linear", "square", "log"])
@pytest.mark.parametrize("over", ["visible", "all"])
def test_what_cannot_be_measured_costs_0_and_does_not_count(mode: str, over: str) -> None:
    nothing, flat = torch.tensor([[False, False], [True, True]]), torch.tensor([0.0, 100.0], dtype=DOUBLE)
    expected = oks(mode=mode, over=over)[1]
    for visible, area in ((nothing, AREA), (ALL, flat), (ALL, flat - torch.tensor([4.0, 0.0]))):
        pred = PRED.clone().requires_grad_()
        loss = lp.build_loss("oks", mode=mode, over=over, reduction="none")(pred, (POINTS, visible, area))
        close(loss, 0.0, float(expected))
        (gradient,) = torch.autograd.grad(loss.sum(), pred)
        assert not gradient[0].any()
        assert gradient[1].any()
        close(oks(visible, area, reduction="mean", mode=mode, over=over), float(expected))
        weighed = lp.build_loss("oks", mode=mode, over=over)(PRED, (POINTS, visible & False, area))
        assert float(weighed) == 0


def test_the_dialects_charge_what_cannot_be_measured_as_their_frameworks_do() -> None:
    """Ultralytics 0 for nothing visible, 1 for no area; MMPose 1 for both; both count the instance in their mean."""
    nothing, flat = torch.tensor([[False, False], [True, True]]), torch.tensor([0.0, 100.0], dtype=DOUBLE)
    for dialect, charged in (("ultralytics", 0.0), ("mmpose", 1.0)):
        close(oks(nothing, dialect=dialect), charged, 1 - SECOND)
        close(oks(ALL, flat, dialect=dialect), 1.0, 1 - SECOND)
        close(oks(nothing, dialect=dialect, reduction="mean"), (charged + 1 - SECOND) / 2)
        close(oks(nothing, dialect=dialect, mode="log"), 0.0, -math.log(SECOND))
        assert float(oks(nothing, dialect=dialect, over="all")[0]) == 1
    assert lp.build_loss("oks", dialect="mmpose", norm_target_weight=True).resolved()["over"] == "visible"
    assert lp.build_loss("oks", dialect="mmpose").resolved()["over"] == "all"


def test_sigmas_are_cocos_of_17_points_and_equal_shares_of_others() -> None:
    pred, target = torch.rand(2, 3, 17, 2, dtype=DOUBLE).unbind()
    full = target, torch.ones(3, 17), torch.ones(3, dtype=DOUBLE)
    close(lp.OKSLoss()(pred, full), float(lp.OKSLoss(sigmas=list(COCO))(pred, full)))
    assert len(COCO) == 17
    assert (min(COCO), max(COCO)) == (0.025, 0.107)
    close(oks(sigmas=[0.5, 0.5]), *oks().tolist())
    with pytest.raises(
        ValueError, match=r"oks: sigmas has 3 numbers, and pred \(2, 2, 2\) has K = 2 key points; allow"
    ):
        oks(sigmas=[0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match=r"oks: sigmas has 1 number, and pred"):
        oks(sigmas=[0.1])


def test_far_points_have_a_gradient_by_the_logarithm_alone() -> None:
    gradients = {}
    for mode in ("linear", "square", "log"):
        pred = (PRED + 1000).requires_grad_()
        loss = lp.build_loss("oks", mode=mode, reduction="sum")(pred, (POINTS, ALL, AREA))
        assert loss.isfinite()
        (gradients[mode],) = torch.autograd.grad(loss, pred)
    assert not gradients["linear"].any()
    assert not gradients["square"].any()
    assert bool((gradients["log"].sum((1, 2)) > 1).all())


def test_wing_by_hand() -> None:
    distances = torch.tensor([[[0.0, 2.0], [10.0, -30.0]]], dtype=DOUBLE)
    loss = lp.WingLoss(reduction="none")
    close(loss(distances, torch.zeros_like(distances)), 0, 10 * math.log(2), 10 * math.log(6), 20 + 10 * math.log(6))
    short = lp.build_loss("wing", reduction="none", width=4, curvature=1)
    close(short(distances, 0 * distances), 0, 4 * math.log(3), 6 + 4 * math.log(5), 26 + 4 * math.log(5))


def test_the_mean_of_wing_is_that_of_the_coordinates_of_visible_points() -> None:
    visible = torch.tensor([[True, False], [False, False]])
    each = lp.wing_loss(PRED, POINTS)
    close(lp.WingLoss()(PRED, (POINTS, visible)), float(each[0, 0].mean()))
    close(lp.WingLoss()(PRED, (POINTS, visible, AREA)), float(each[0, 0].mean()))
    close(lp.WingLoss()(PRED, POINTS), float(each.mean()))
    close(lp.WingLoss(dialect="smp", width=10, curvature=2)(PRED, (POINTS, visible)), float(each[0, 0].sum() / 8))
    close(lp.WingLoss(dialect="mmpose")(PRED, POINTS), float(each.sum() / 2))
    assert lp.WingLoss(dialect="smp").resolved()["width"] == 5
    assert lp.build_loss("wing", dialect="mmpose", omega=7, epsilon=3).resolved() == {
        "width": 7, "curvature": 3, "dialect": "mmpose"
    }  # fmt: skip


def test_rle_by_hand() -> None:
    """ln s - phi + ln 2s + |z| of both coordinates, z = offset / s."""
    sigma = torch.tensor([[[0.5, 0.25], [1.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]], dtype=DOUBLE)
    density = torch.tensor([[-1.0, 0.5], [0.0, 2.0]], dtype=DOUBLE)
    target = POINTS, ALL, sigma, density
    first = math.log(0.5) + math.log(1) + 3 / 0.5 + math.log(0.25) + math.log(0.5) + 4 / 0.25 + 2
    loss = lp.rle_loss(PRED, target)
    assert loss.shape == (2, 2)
    torch.testing.assert_close(float(loss[0, 0]), first, rtol=0, atol=1e-6)  # 1e-9 stands beside each sigma
    bare = lp.rle_loss(PRED, target, residual=False)
    torch.testing.assert_close(float(bare[0, 0]), math.log(0.5) + math.log(0.25) + 2)
    visible = torch.tensor([[True, False], [False, False]])
    close(lp.RLELoss()(PRED, (POINTS, visible, sigma, density)), float(loss[0, 0]))
    close(lp.RLELoss(dialect="ultralytics")(PRED, (POINTS, visible, sigma, density)), float(loss[0, 0]) / 4)


def test_rle_has_gradients_for_deviations_and_densities_of_what_is_visible_alone() -> None:
    pred, (points, visible, sigma, density) = ordinary("keypoint", "points_visible_flow")(12, dtype=DOUBLE)
    sigma, density = sigma.requires_grad_(), density.requires_grad_()
    loss = lp.RLELoss(reduction="sum")(pred.requires_grad_(), (points, visible, sigma, density))
    for gradient in torch.autograd.grad(loss, (pred, sigma, density)):
        assert bool(gradient[visible].any())
        assert not gradient[~visible].any()
    broken = sigma.detach().masked_fill(~visible[..., None], math.nan), density.detach().masked_fill(~visible, math.nan)
    torch.testing.assert_close(lp.RLELoss(reduction="sum")(pred, (points, visible, *broken)), loss)
    assert lp.rle_loss(pred, (points, visible, 0 * sigma, density)).isfinite().all()


@pytest.mark.parametrize(
    ("name", "form"),
    [("oks", "points_visible_area"), ("wing", "points_visible"), ("wing", "dense"), ("rle", "points_visible_flow")],
)
@pytest.mark.parametrize("dialect", [None, "ultralytics", "mmpose", "smp"])
def test_gradients_are_slopes(name: str, form: str, dialect: str | None) -> None:
    if dialect not in (None, *lp.get_entry(name).parameters["dialect"].allowed.values):
        assert dialect not in lp.catalog.dialects.dialects_of(name)
        return
    loss = lp.build_loss(name, dialect=dialect)
    pred, target = ordinary("keypoint", form)(6, seed=2, dtype=DOUBLE)
    wanted = target if isinstance(target, tuple) else (target,)

    def value(pred: Tensor, *parts: Tensor) -> Tensor:
        return loss(pred, parts if len(parts) > 1 else parts[0])

    assert torch.autograd.gradcheck(value, (pred.requires_grad_(), *wanted))


@pytest.mark.parametrize(
    ("pred", "target", "came"),
    [
        (torch.zeros(4, 2)[0], torch.zeros(2), r"pred has shape \(2,\)"),
        (torch.zeros(3, 4, 3), torch.zeros(3, 4, 3), r"pred has shape \(3, 4, 3\)"),
        (torch.zeros(3, 4, 2), torch.zeros(3, 4), r"target \(3, 4\) float32 does not go with pred \(3, 4, 2\)"),
        (
            torch.zeros(3, 4, 2),
            (torch.zeros(3, 4, 2), torch.ones(3)),
            r"target \(\(3, 4, 2\) float32, \(3,\) float32\)",
        ),
        (torch.zeros(1, 1, 2), (torch.zeros(1, 1, 2), torch.full((1, 1), -1.0)), "visible of target holds -1.0"),
        (torch.zeros(1, 1, 2), (torch.zeros(1, 1, 2), torch.full((1, 1), math.nan)), "visible of target holds nan"),
    ],
)
def test_what_is_no_target_of_points_is_refused(pred: Tensor, target: object, came: str) -> None:
    with pytest.raises(ValueError, match=rf"^wing: {came}.*; allowed: "):
        lp.wing_loss(pred, target)


@pytest.mark.parametrize(
    ("name", "target", "said"),
    [
        (
            "oks",
            (POINTS, ALL),
            r"2 tensors where 3 .*points \(2, 2, 2\), visible \(2, 2\), area \(2,\); pass target=",
        ),
        (
            "oks",
            (POINTS[:1], ALL, AREA),
            r"points of shape \(1, 2, 2\) where \(2, 2, 2\) is .*; reshape or index points",
        ),
        (
            "oks",
            (POINTS, ALL, AREA[:, None]),
            r"area of shape \(2, 1\) where \(2,\) is .*; .* index area to \(2,\)",
        ),
        ("oks", POINTS, r"1 tensor where 3 are wanted; .*; pass target=\(points, visible, area\)"),
        ("rle", (POINTS, ALL, ALL, ALL), r"sigma of shape \(2, 2\) where \(2, 2, 2\) is .*reshape or index sigma to"),
        ("rle", (POINTS, ALL, POINTS, POINTS), r"log density of shape \(2, 2, 2\) where \(2, 2\) is wanted"),
        ("rle", (POINTS, ALL), r"2 tensors where 4 .*; pass target=\(points, visible, sigma, log_density\)"),
        ("wing", (POINTS, ALL[:1]), r"visible of shape \(1, 2\) where \(2, 2\) is wanted"),
        ("wing", POINTS[:1], r"; allowed.*; pass points of shape \(2, 2, 2\), or \(points, visible\)"),
    ],
)
def test_an_error_names_the_part_of_the_target_its_shape_the_right_one_and_the_remedy(
    name: str, target: object, said: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: target .* does not go with pred \(2, 2, 2\).*{said}"):
        lp.build_loss(name)(PRED, target)


@pytest.mark.parametrize("small", [0.0, 1e-30, 1e-9, 1e-5])
def test_a_deviation_near_0_counts_as_a_ten_thousandth_with_its_gradient(small: float) -> None:
    """Of an offset of 1 |z| = 1 / s and ln s + ln 2s with s = 1e-4; their slope is 2 / s - 1 / s^2."""
    pred, points, visible = torch.ones(1, 1, 2), torch.zeros(1, 1, 2), torch.ones(1, 1)
    sigma = torch.full((1, 1, 2), small, requires_grad=True)
    loss = lp.rle_loss(pred, (points, visible, sigma, torch.zeros(1, 1)))
    assert loss.item() == pytest.approx(2 * (1e4 + math.log(1e-4) + math.log(2e-4)), rel=1e-4)
    (gradient,) = torch.autograd.grad(loss.sum(), sigma)
    assert gradient.flatten().tolist() == pytest.approx([2e4 - 1e8] * 2, rel=1e-4)


def test_in_the_dialect_of_ultralytics_small_deviations_are_taken_as_they_are() -> None:
    """An offset of 1e-6 is one sigma: 1, and ln 1e-6 and ln 2e-6."""
    pred, points, visible = torch.full((1, 1, 2), 1e-6), torch.zeros(1, 1, 2), torch.ones(1, 1)
    target = points, visible, torch.full((1, 1, 2), 1e-6), torch.zeros(1, 1)
    loss = lp.RLELoss(dialect="ultralytics")(pred, target)
    assert loss.item() == pytest.approx(2 * (1 + math.log(1e-6) + math.log(2e-6)), rel=1e-3)
    assert lp.RLELoss(dialect="ultralytics")(pred, (points, visible, 0 * pred, torch.zeros(1, 1))).isfinite()


def test_a_deviation_below_0_of_a_visible_point_is_refused() -> None:
    sigma = torch.full_like(PRED, 0.5)
    sigma[0, 1, 0] = -2.5
    for loss in (lp.rle_loss, lp.RLELoss(), lp.RLELoss(dialect="ultralytics")):
        with pytest.raises(ValueError, match=r"^rle: sigma of target holds -2\.5; .* 0 on.*; pass .*\.sigmoid\(\)"):
            loss(PRED, (POINTS, ALL, sigma, torch.zeros(2, 2)))
    unseen = torch.tensor([[True, False], [True, True]])
    assert lp.RLELoss()(PRED, (POINTS, unseen, sigma, torch.zeros(2, 2))).isfinite()
    compiled = lp.losses.keypoints.rle_loss.__wrapped__  # as where nothing is read: no error, and finite
    assert compiled(PRED, (POINTS, ALL, 1e30 * sigma, torch.zeros(2, 2))).isfinite().all()


def test_sigmas_are_said_to_be_per_key_point() -> None:
    allowed = lp.get_entry("oks").parameters["sigmas"].allowed
    assert str(allowed) == "one number in [0.000976562, 10] per key point"
    with pytest.raises(ValueError, match=r"oks: sigmas=.*; allowed: one number .* per key point; pass .* shape \(K,\)"):
        lp.oks_loss(PRED, (POINTS, ALL, AREA), sigmas=torch.ones(2, 2))


def test_a_form_that_a_loss_does_not_take_is_refused_with_the_one_that_it_takes() -> None:
    for name, wanted in (("oks", r"a tuple \(points, visible, area\)"), ("rle", r"\(points, visible, sigma, log dens")):
        with pytest.raises(ValueError, match=rf"{name}: target .*; allowed: .*{wanted}"):
            lp.build_loss(name)(PRED, POINTS)


def test_points_of_any_number_of_axes() -> None:
    for name in ("oks", "wing", "rle"):
        form = lp.get_entry(name).targets[0]
        pred, target = ordinary("keypoint", form)(6)
        loss = lp.build_loss(name, reduction="none")
        expected = loss(pred, target)
        parts = target if isinstance(target, tuple) else (target,)
        split = tuple(part.unflatten(0, (2, 3)) for part in parts)
        found = loss(pred.unflatten(0, (2, 3)), split if len(split) > 1 else split[0])
        torch.testing.assert_close(found, expected.unflatten(0, (2, 3)))
        one = tuple(part[0] for part in parts)
        torch.testing.assert_close(loss(pred[0], one if len(one) > 1 else one[0]), expected[0])


@pytest.mark.parametrize("name", ["oks", "wing", "rle"])
def test_instances_without_key_points_cost_0(name: str) -> None:
    pred = torch.zeros(3, 0, 2, requires_grad=True)
    others = {"oks": (torch.ones(3),), "wing": (), "rle": (torch.ones(3, 0, 2), torch.zeros(3, 0))}[name]
    loss = lp.build_loss(name)(pred, (torch.zeros(3, 0, 2), torch.ones(3, 0), *others))
    loss.backward()
    assert loss.item() == 0
    assert pred.grad is not None


def test_a_mix_of_similarity_and_distances() -> None:
    pred, target = ordinary("keypoint", "points_visible_area")(8)
    parts = [{"type": "oks"}, {"type": "wing", "loss_weight": 0.1}]
    expected = lp.OKSLoss()(pred, target) + 0.1 * lp.WingLoss()(pred, target)
    torch.testing.assert_close(lp.build_loss("mix", losses=parts)(pred, target), expected)
    with pytest.raises(ValueError, match="no target in common"):
        lp.build_loss("mix", losses=["oks", "rle"])


def test_a_weight_per_instance_or_point() -> None:
    for name in ("oks", "wing", "rle"):
        pred, target = ordinary("keypoint", lp.get_entry(name).targets[-1])(8)
        loss = lp.build_loss(name, reduction="none")
        plain, rows = loss(pred, target), torch.arange(8.0)
        torch.testing.assert_close(loss(pred, target, rows), plain * rows.view(-1, *(1,) * (plain.ndim - 1)))
        if plain.ndim > 1:
            points = torch.rand(8, 5)
            torch.testing.assert_close(loss(pred, target, points), plain * points.view(8, 5, *(1,) * (plain.ndim - 2)))


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_wing_is_the_installed_one_of_smp(reduction: str) -> None:
    from segmentation_models_pytorch.losses import _functional

    pred, target = ordinary("keypoint", "dense")(20, dtype=DOUBLE)
    pred = pred.requires_grad_()
    for given in ({}, {"width": 10, "curvature": 2}):
        ours = lp.build_loss("wing", dialect="smp", reduction=reduction, **given)(pred, target)
        theirs = _functional.wing_loss(pred, target, reduction=reduction, **given)
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)
        gradients = (torch.autograd.grad(loss.sum(), pred)[0] for loss in (ours, theirs))
        torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["oks", "wing", "rle"])
def test_what_is_not_visible_may_be_anything(name: str) -> None:
    pred, (points, visible, *others) = ordinary("keypoint", lp.get_entry(name).targets[-1])(8)
    loss = lp.build_loss(name, reduction="sum")
    expected = loss(pred, (points, visible, *others))
    for bad in (math.nan, math.inf):
        wild, anywhere = (part.masked_fill(~visible[..., None], bad) for part in (pred, points))
        found = loss(wild.requires_grad_(), (anywhere, visible, *others))
        torch.testing.assert_close(found, expected)
        (gradient,) = torch.autograd.grad(found, wild)
        assert gradient.isfinite().all()
        assert not gradient[~visible].any()
