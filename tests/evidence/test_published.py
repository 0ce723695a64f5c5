"""The published updates: each rule in a case worked out by hand, and without them the derivatives of the losses."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.evidence.cases import DIOU, draw_cases
from loss_plugins.evidence.published import FOLLOWED, Conventions, ascent, conventions_of, told
from loss_plugins.evidence.slopes import corners

ALL = Conventions()
NONE = Conventions(**{field.name: False for field in fields(Conventions)})


def boxes(*rows: tuple[float, float, float, float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64).t()


def only(name: str) -> Conventions:
    return conventions_of([], [name])


def step(loss: str, box: Tensor, target: Tensor, conventions: Conventions = ALL) -> list[float]:
    return ascent(loss, box, target, conventions)[:, 0].tolist()


@pytest.mark.parametrize("loss", FOLLOWED)
def test_without_conventions_they_are_the_derivatives(loss: str) -> None:
    cases = draw_cases(DIOU, 0, full=False)
    leaf = cases.anchors[:, ::7].clone().requires_grad_()
    targets = cases.targets[:, ::7]
    value = getattr(lp, f"{loss}_loss")(corners(leaf).t(), corners(targets).t())
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    found = ascent(loss, leaf.detach(), targets, NONE)
    assert torch.allclose(found, -gradient, rtol=1e-10, atol=1e-12)
    for name in FOLLOWED[loss]:
        if name != "ties":
            assert not torch.allclose(ascent(loss, leaf.detach(), targets, only(name)), -gradient), name


def test_iou_doubles_what_changes_a_side() -> None:
    """A box of 2 x 2 around a target of 1 x 1: IoU is 1 / (w h), dIoU/dw = -1 / (w^2 h) = -1/8, here twice."""
    around = boxes((10, 10, 2, 2)), boxes((10, 10, 1, 1))
    assert step("iou", *around, NONE) == pytest.approx([0, 0, -1 / 8, -1 / 8])
    assert step("iou", *around) == pytest.approx([0, 0, -1 / 4, -1 / 4])


def test_iou_moves_nothing_that_does_not_overlap() -> None:
    for x, y in ((12.0, 10.0), (10.0, 12.0), (12.0, 12.0), (11.0, 10.0)):
        assert step("iou", boxes((x, y, 1, 1)), boxes((10, 10, 1, 1))) == [0, 0, 0, 0]


def test_at_a_tie_the_slope_is_0() -> None:
    """Two boxes of 1 x 1, half over each other in x: in y all edges coincide. Derivatives take the mean of both sides.

    IoU = o / (2 - o) for the overlap o = 1/2 in x; dIoU/do = 2 / (2 - o)^2 = 8/9. The box lies to the right: only its
    left edge bounds the overlap, so x changes o by -1 and w by 1/2; the area grows with w: -I / U^2 = -2/9, where
    I = 1/2 and U = 3/2.
    """
    pair = boxes((10.5, 10, 1, 1)), boxes((10, 10, 1, 1))
    tied, exact = step("iou", *pair, only("ties")), step("iou", *pair, NONE)
    assert tied[:3:2] == exact[:3:2] == pytest.approx([-8 / 9, (8 / 9) / 2 - 2 / 9])
    # in y the overlap shrinks with h on one side and does not grow on the other: 0, or the mean, 1/2 of both edges
    assert tied[3] == pytest.approx(-2 / 9)
    assert exact[3] == pytest.approx(1 / 2 * (1 / 2) * (8 / 9) - 2 / 9)


def test_giou_takes_a_product_of_signed_overlaps_for_the_union() -> None:
    """Apart by 1 in x and in y: the signed overlaps are -1 and -1, their product 1 counts as an intersection.

    Two boxes of 1 x 1, the box to the right and below: C = 3 * 3, U = 2 - 1 by signed lengths and 2 else. To the right
    the enclosing side grows by 1, C by 3; the overlap in x falls by 1, the product by -1 * -1 = 1 more: U falls by 1.
    d(U / C)/dx = (-1 * 9 - 1 * 3) / 81 signed, (0 - 2 * 3) / 81 else.
    """
    pair = boxes((12, 12, 1, 1)), boxes((10, 10, 1, 1))
    assert step("giou", *pair, NONE)[:2] == pytest.approx([-6 / 81] * 2)
    assert step("giou", *pair)[:2] == pytest.approx([-12 / 81] * 2)


def test_diou_shifts_by_the_enclosing_box_with_the_opposite_sign_and_by_both_sides() -> None:
    """Boxes of 1 x 1, 2 apart in x: ew = 3, eh = 1, D = 10, d = 4, o = 1: the right edge is outside alone.

    dx is (2 * -2 * 10 + 2 * ew * d) / D^2 = (-40 + 24) / 100; opposed -64; by the sum of the sides -40 + 32;
    both -40 - 32.
    """
    pair = boxes((12, 10, 1, 1)), boxes((10, 10, 1, 1))
    found = [
        step("diou", *pair, each)[0] for each in (NONE, only("opposed_shift"), only("summed_sides"), Conventions())
    ]
    assert found == pytest.approx([-0.16, -0.64, -0.08, -0.72])


def test_diou_counts_a_box_larger_on_both_sides_as_shrinking_what_encloses_it() -> None:
    """A box of 4 x 1 around a target of 1 x 1, 1 to the right: ew = 4, eh = 1, D = 17, d = 1, s = 1, or -1.

    dw is that of IoU, 1 / w: -1/16, plus 2 ew s d / D^2 = 8/289; with -1 it is minus that.
    """
    pair = boxes((11, 10, 4, 1)), boxes((10, 10, 1, 1))
    assert step("diou", *pair, NONE)[2] == pytest.approx(-1 / 16 + 8 / 289)
    assert step("diou", *pair, only("shrinking"))[2] == pytest.approx(-1 / 16 - 8 / 289)
    assert step("diou", *pair)[2] == pytest.approx(-1 / 8 - 8 / 289), "IoU's part alone is doubled"


def test_ciou_leaves_the_sides_out_of_the_slope_of_the_aspect() -> None:
    """Around the same centre DIoU adds nothing; a box of 2 x 2 in a target of 8 x 2: delta = atan(4) - atan(1)."""
    pair = boxes((10, 10, 2, 2)), boxes((10, 10, 8, 2))
    delta = math.atan(4) - math.pi / 4
    v = 4 * delta**2 / math.pi**2
    term = v / (1 - 1 / 4 + v) * 8 / math.pi**2 * delta * 2
    beside = [a - b for a, b in zip(step("ciou", *pair), step("diou", *pair), strict=True)]
    assert beside == pytest.approx([0, 0, term, -term], rel=1e-6)
    scaled = [a - b for a, b in zip(step("ciou", *pair, NONE), step("diou", *pair, NONE), strict=True)]
    assert scaled == pytest.approx([0, 0, term / 8, -term / 8], rel=1e-6), "w^2 + h^2 is 8"


def test_conventions_are_chosen_by_name() -> None:
    assert conventions_of(["iou"], []) == Conventions()
    assert conventions_of(["diou"], ["opposed-shift"]) == only("opposed_shift") != NONE
    assert told(conventions_of(["diou"], ["opposed-shift", "ties"]), "diou") == ["ties", "opposed_shift"]
    assert told(Conventions(), "iou") == ["ties", "doubled_sides"]
    with pytest.raises(ValueError, match="--convention='opposed' is unknown"):
        conventions_of(["diou"], ["opposed"])
    with pytest.raises(ValueError, match="bare_aspect: the published update of diou does not follow it"):
        conventions_of(["ciou", "diou"], ["bare_aspect"])
