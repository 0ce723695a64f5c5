"""MGIoU of quadrilaterals: numbers of its authors' package, squares by hand, rectangles, and corners that are none."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.audit.checks.quads import ODD, odd_pairs
from loss_plugins.corners import in_form, outlined
from loss_plugins.samples import SAMPLES

from .test_golden import GOLDEN_DIR, assert_close, numbers, read

DOUBLE = torch.float64
FILE = read(GOLDEN_DIR / "rotated_mgiou_quad.json")
SQUARE = torch.tensor([[0.0, 0, 2, 2]], dtype=DOUBLE)
DENTED = torch.tensor([[0.0, 0, 4, 0, 1.5, 1.5, 0, 4]], dtype=DOUBLE)


def loss_of(pred: Tensor, target: Tensor, **given: Any) -> Tensor:
    return lp.build_loss("mgiou_quad", reduction="none", **given)(pred, target)


def rectangles(boxes: Tensor) -> Tensor:
    """The corners of rotated boxes."""
    x, y, w, h, angle = boxes.unsqueeze(-1).unbind(-2)
    across, along = w * torch.tensor([-0.5, 0.5, 0.5, -0.5]), h * torch.tensor([-0.5, -0.5, 0.5, 0.5])
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([x + cos * across - sin * along, y + sin * across + cos * along], -1).flatten(-2)


@pytest.mark.parametrize("case", FILE["cases"], ids=lambda case: f"{case['case']}-{case['params']['convex_weight']}")
def test_it_is_that_of_the_authors(case: dict[str, Any]) -> None:
    pred, target = (numbers([pair[side] for pair in FILE["pairs"]]).flatten(1) for side in ("pred", "target"))
    pred.requires_grad_()
    loss = loss_of(pred, target, **case["params"])
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    expected, slope = numbers(case["loss"]), numbers(case["grad_pred_of_sum"]).flatten(1)
    assert loss.isfinite().all()
    assert gradient.isfinite().all()
    rows = expected.isfinite()
    assert_close(loss[rows], expected[rows], exact=True)
    rows &= torch.tensor([not pair["kinks"] for pair in FILE["pairs"]]) & slope.isfinite().all(-1)
    assert rows.sum() >= 10
    assert_close(gradient[rows], slope[rows], exact=True)


@pytest.mark.parametrize(
    ("shift", "wanted"),
    [
        (0.0, 0.0),
        (1.0, 1 / 6),  # 1 of a hull of 3 in x, all of it in y: (1 - (1/3 + 1) / 2) / 2
        (2.0, 1 / 4),  # they touch: (1 - (0 + 1) / 2) / 2
        (3.0, 0.3),  # a gap of 1 in a hull of 5: (1 - (-1/5 + 1) / 2) / 2
    ],
)
def test_a_square_and_its_shift(shift: float, wanted: float) -> None:
    moved = SQUARE + torch.tensor([shift, 0, shift, 0], dtype=DOUBLE)
    found = lp.mgiou_quad_loss(outlined(moved), outlined(SQUARE))
    torch.testing.assert_close(found, torch.tensor([wanted], dtype=DOUBLE))


def test_a_square_on_its_corner() -> None:
    # the diamond of the same extents: half of the axes see [0, 2] twice, the others sqrt(2) of a hull of 2 sqrt(2)
    diamond = torch.tensor([[1.0, 0, 2, 1, 1, 2, 0, 1]], dtype=DOUBLE)
    found = lp.mgiou_quad_loss(diamond, outlined(SQUARE))
    torch.testing.assert_close(found, torch.tensor([(1 - (1 + 0.5) / 2) / 2], dtype=DOUBLE))


def test_rectangles_cost_what_they_cost_as_rotated_boxes() -> None:
    pred, target = SAMPLES["jittered rotated boxes"](200, seed=2, dtype=DOUBLE)
    assert isinstance(target, Tensor)
    flat = target.clone()
    flat[:, 2] = 0  # to which the rotated form gives some width
    for other, apart in ((target, 1e-12), (flat, 1e-3)):
        found = lp.mgiou_quad_loss(rectangles(pred), rectangles(other))
        torch.testing.assert_close(found, lp.mgiou_loss(pred, other), rtol=0, atol=apart)


def test_the_order_of_the_corners_does_not_matter() -> None:
    pred, target = SAMPLES["jittered quads"](50, seed=1, dtype=DOUBLE)
    wanted = lp.mgiou_quad_loss(pred, target)
    for order in itertools.permutations(range(4)):
        columns = [2 * corner + axis for corner in order for axis in (0, 1)]
        torch.testing.assert_close(lp.mgiou_quad_loss(pred[:, columns], target), wanted)
        torch.testing.assert_close(lp.mgiou_quad_loss(pred, target[:, columns]), wanted)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
def test_quadrilaterals_of_any_size_cost_the_same(factor: float) -> None:
    pred, target = SAMPLES["jittered quads"](50, seed=1, dtype=DOUBLE)
    wanted = lp.mgiou_quad_loss(pred, target)
    torch.testing.assert_close(lp.mgiou_quad_loss(factor * pred, factor * target), wanted)


def test_the_gradient_is_that_of_finite_differences() -> None:
    pred, target = SAMPLES["jittered quads"](12, seed=3, dtype=DOUBLE)
    for weight in (0.0, 0.5):
        given = {"convex_weight": weight}
        assert torch.autograd.gradcheck(
            lambda pred, given=given: lp.mgiou_quad_loss(pred, target, **given), pred.clone().requires_grad_()
        )


def test_a_dent_costs_its_cross_product() -> None:
    # the edges at the dent are (-5, 3) / 2 and (-3, 5) / 2, whose cross product is -4: a mean of 1 over four corners
    pred, target = DENTED, outlined(torch.tensor([[0.0, 0, 4, 4]], dtype=DOUBLE))
    plain = loss_of(pred, target)
    torch.testing.assert_close(loss_of(pred, target, convex_weight=0.25), plain + 0.25)
    torch.testing.assert_close(loss_of(3 * pred, 3 * target, convex_weight=0.25), plain + 0.25 * 9)
    torch.testing.assert_close(loss_of(target, pred, convex_weight=0.25), plain)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE], ids=str)
@pytest.mark.parametrize("name", ODD)
def test_corners_that_make_no_quadrilateral_have_a_bounded_loss(name: str, dtype: torch.dtype) -> None:
    # where an edge has no length the authors' 0 / 0 is NaN
    pred, target = (side.to(dtype).requires_grad_() for side in odd_pairs(name))
    loss = lp.mgiou_quad_loss(pred, target)
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert (loss >= -1e-5).all()
    assert (loss <= 1 + 1e-5).all()
    assert gradient.isfinite().all()
    assert gradient.abs().max() < 1e4


def test_points_that_are_apart_cost_1_and_equal_ones_nothing() -> None:
    point = torch.tensor([[5.0, 5] * 4])
    assert lp.mgiou_quad_loss(point, point).item() == 0
    assert lp.mgiou_quad_loss(point, point + 3).item() == pytest.approx(1)


def test_quadrilaterals_apart_pull() -> None:
    pred, target = (in_form("quad", torch.tensor([[x, 0.0, x + 10, 5]])) for x in (0.0, 500.0))
    (gradient,) = torch.autograd.grad(lp.mgiou_quad_loss(pred.requires_grad_(), target).sum(), pred)
    assert gradient[0, 0::2].sum() < 0  # to the right


@pytest.mark.parametrize("shape", [(3, 4), (3, 5), (3, 4, 2)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"mgiou_quad: pred has shape .*allowed: \(\.\.\., 8\)"):
        lp.mgiou_quad_loss(torch.zeros(shape), torch.zeros(shape))


@pytest.mark.parametrize("shape", [(3, 4, 2), (2, 3, 4, 2)])
def test_corners_as_points_are_refused_with_what_makes_eight_columns_of_them(shape: tuple[int, ...]) -> None:
    made = ", ".join(map(str, (*shape[:-2], 8)))
    pred = torch.zeros(shape)
    with pytest.raises(ValueError, match=rf"^mgiou_quad: pred .*; pass pred\.flatten\(-2\), .* shape \({made}\)"):
        lp.MGIoUQuadLoss()(pred, pred)
    with pytest.raises(ValueError, match=r"mgiou_quad: target has shape .*; pass target\.flatten\(-2\), which has"):
        lp.mgiou_quad_loss(pred.flatten(-2), pred)
    with pytest.raises(ValueError, match=r"ciou: pred .*; pass 4 columns, for instance pred\[\.\.\., :4\]"):
        lp.ciou_loss(torch.zeros(3, 4, 1), torch.zeros(3, 4, 1))
