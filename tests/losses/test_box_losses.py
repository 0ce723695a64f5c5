"""Losses of boxes and coordinates: shapes, gradcheck, values worked out by hand, one loss written in two ways.

What the audit proves of every loss stands in tests/audit/test_catalogue.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.audit.checks.cases import BOX_CASES, BoxCase
from loss_plugins.catalog.entries import shipped
from loss_plugins.corners import centered
from loss_plugins.samples import SAMPLES

BOX = [entry.name for entry in shipped() if entry.kind == "box"]
ELEMENTWISE = BOX + [entry.name for entry in shipped() if entry.kind == "coordinate"]
every_loss = pytest.mark.parametrize("name", ELEMENTWISE)
every_box_loss = pytest.mark.parametrize("name", BOX)


def build(name: str, **parameters: Any) -> lp.Loss:
    return lp.build_loss(name, **{"reduction": "none", **lp.get_entry(name).example, **parameters}).eval()


def sample(n: int = 200, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    pred, target = SAMPLES["jittered boxes"](n, seed, dtype)
    assert isinstance(target, Tensor)
    return pred, target


def overlapping(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Pairs with an IoU between 0.1 and 0.8, off the kinks."""
    pred, target = sample(200, seed)
    iou = 1 - lp.iou_loss(pred, target)
    rows = ((iou > 0.1) & (iou < 0.8)).nonzero().flatten()[:n]
    return pred[rows], target[rows]


#: the audit's, which bounds gradients in float32 alone, and two more
AWKWARD = (
    *BOX_CASES,
    BoxCase("far", "apart", (0, 0, 5, 5), (90000, 70000, 90030, 70045)),
    BoxCase("inverted by eps", "inverted", (0, 1e-7, 5, 0), (1, 1, 4, 5)),
)


@every_loss
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_awkward_boxes_have_finite_value_and_bounded_gradient(name: str, dtype: torch.dtype) -> None:
    module = build(name)
    cases = [case for case in AWKWARD if case.fits("box", dtype)]
    pred, target = (torch.cat(boxes) for boxes in zip(*(case.tensors("box", dtype) for case in cases), strict=True))
    loss = module(pred.requires_grad_(), target)
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert [case.name for case, row in zip(cases, loss, strict=True) if not row.isfinite().all()] == []
    assert [case.name for case, row in zip(cases, gradient, strict=True) if not row.isfinite().all()] == []
    if module.entry.traits.scale_invariant:
        largest = {case.name: float(row.abs().max()) for case, row in zip(cases, gradient, strict=True)}
        assert {name for name, size in largest.items() if size >= 1e4} <= {"1e-3 px"}


@every_loss
def test_shape_and_result_type(name: str) -> None:
    entry = lp.get_entry(name)
    for shape in ((), (1,), (5,), (2, 3), (0,)):
        pred, target = torch.rand(*shape, 4), torch.rand(*shape, 4)
        loss = build(name)(pred, target)
        assert loss.shape == ((*shape, 4) if entry.kind == "coordinate" else shape)
        assert loss.dtype == torch.float32
    for dtype, expected in ((torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float64,) * 2):
        assert build(name)(torch.rand(3, 4).to(dtype), torch.rand(3, 4).to(dtype)).dtype == expected
    assert build(name)(torch.rand(3, 4).half(), torch.rand(3, 4)).dtype == torch.float32


VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("diou", {"inner_ratio": 0.8}),
    ("siou", {"inner_ratio": 1.2, "power": 2.0}),
    ("giou", {"focaler": (0.05, 0.95)}),
    ("giou", {"interp": 0.9}),
    ("shape_iou", {"scale": 0.7}),
    ("piou", {"version": 2}),
    ("nwd", {"mode": "log"}),
]
#: Of a loss with a weight that carries no gradient, finite differences see another function: the gradients of those are
#: tested against golden numbers and, below, by hand.
DIFFERENTIATED_WHOLE = [
    (name, parameters)
    for name, parameters in (*((name, {}) for name in ELEMENTWISE), *VARIANTS)
    if not build(name, **parameters).entry.traits.detached
]


@pytest.mark.parametrize(("name", "parameters"), DIFFERENTIATED_WHOLE, ids=str)
def test_gradients_are_those_of_the_values(name: str, parameters: dict[str, Any]) -> None:
    near, far = overlapping(5, seed=4), sample(12, seed=1)
    pred, target = (torch.cat(boxes) for boxes in zip(near, far, strict=True))
    module = build(name, **parameters)
    assert torch.autograd.gradcheck(lambda x: module(x, target), (pred.requires_grad_(),), atol=1e-6)


def test_losses_that_leave_a_part_of_their_gradient_out() -> None:
    known = {name for name, _ in DIFFERENTIATED_WHOLE}
    assert set(ELEMENTWISE) - known == {"ciou", "alpha_ciou", "focal_eiou", "sdiou", "uiou", "wiou", "mix"}


@every_loss
def test_a_view_with_gaps_gives_the_same_bits(name: str) -> None:
    pred, target = sample(8, dtype=torch.float32)
    strided = torch.stack([pred, pred], dim=1)[:, 0]
    assert not strided.is_contiguous()
    assert torch.equal(build(name)(strided, target), build(name)(pred, target))


@every_box_loss
def test_range_and_shift_hold_to_rounding(name: str) -> None:
    """As the audit's traits, but with more boxes and no allowance for an epsilon."""
    traits = build(name).entry.traits
    pred, target = sample(2000)
    loss = build(name)(pred, target)
    assert loss.min() >= traits.range[0] - 1e-6
    assert loss.max() <= traits.range[1] + 1e-6
    difference = (loss - build(name)(pred + 31.5, target + 31.5)).abs().max()
    assert (difference < 1e-9) == traits.translation_invariant


# --- by hand -------------------------------------------------------------------------------------------------------


def test_ciou_aspect_term_by_hand() -> None:
    # pred 2 x 4, target 4 x 2, both centred at the origin: IoU = 4 / (8 + 8 - 4) = 1/3, distance 0
    # v = 4/pi^2 (atan 2 - atan 1/2)^2 = 4/pi^2 * 0.643501^2 = 0.167823, alpha = v / (2/3 + v) = 0.201108
    pred, target = torch.tensor([[-1.0, -2, 1, 2]]), torch.tensor([[-2.0, -1, 2, 1]])
    assert lp.ciou_loss(pred, target).item() == pytest.approx(2 / 3 + 0.201108 * 0.167823, abs=1e-5)
    # mmdet counts the term above IoU 0.5 only
    assert lp.ciou_loss(pred, target, dialect="mmdet").item() == pytest.approx(2 / 3, abs=1e-5)


def test_the_weight_of_the_aspect_term_has_no_gradient() -> None:
    # d/dp of alpha * v with alpha held: alpha * dv/dp. For a concentric pair dIoU and dv add up:
    pred = torch.tensor([[-1.0, -2, 1, 2]], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[-2.0, -1, 2, 1]], dtype=torch.float64)
    (both,) = torch.autograd.grad(lp.ciou_loss(pred, target).sum(), pred)
    (distance,) = torch.autograd.grad(lp.diou_loss(pred, target).sum(), pred)
    # x2 = 1: v = 4/pi^2 D^2, D = atan 2 - atan(w/h); dD/dx2 = -h / (w^2 + h^2) = -4/20
    # so d(alpha v)/dx2 = alpha * 4/pi^2 * 2 D * (-1/5) = 0.201108 * 0.405285 * 2 * 0.643501 * -0.2 = -0.020980
    assert (both - distance)[0, 2].item() == pytest.approx(-0.020980, abs=1e-5)


def test_centre_format_is_a_change_of_variables() -> None:
    pred, target = sample()
    for name in ("iou", "giou", "diou", "ciou", "eiou", "alpha_ciou", "focal_eiou", "cdiou"):
        module = build(name, box_format="cxcywh")
        torch.testing.assert_close(module(centered(pred), centered(target)), build(name)(pred, target))


def test_the_bare_transforms_equal_the_named_losses() -> None:
    pred, target = sample()
    for name in ("iou", "giou", "diou", "ciou"):
        powered = build(name, power=2.5)(pred, target)
        assert torch.equal(powered, build(f"alpha_{name}", alpha=2.5)(pred, target))
    assert torch.equal(build("eiou", focal_gamma=0.7)(pred, target), build("focal_eiou", gamma=0.7)(pred, target))
    torch.testing.assert_close(
        build("alpha_ciou", alpha=1.0)(pred, target), build("ciou")(pred, target), atol=1e-6, rtol=0
    )
