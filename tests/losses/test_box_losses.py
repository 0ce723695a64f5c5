"""Losses of boxes and coordinates: shapes, gradcheck, values worked out by hand, one loss written in two ways.

What the audit proves of every loss stands in tests/audit/test_catalogue.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped
from loss_plugins.samples import SAMPLES, centered

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


#: beside the audit's: pred, target, and the dtypes that can hold them
AWKWARD = {
    "far": ([0, 0, 5, 5], [90000, 70000, 90030, 70045], (torch.bfloat16, torch.float32, torch.float64)),
    "inverted by eps": (
        [0, 1e-7, 5, 0],
        [1, 1, 4, 5],
        (torch.float16, torch.bfloat16, torch.float32, torch.float64),
    ),
}


@every_loss
@pytest.mark.parametrize("case", AWKWARD)
def test_awkward_boxes_have_finite_value_and_bounded_gradient(name: str, case: str) -> None:
    *boxes, dtypes = AWKWARD[case]
    for dtype in dtypes:
        pred, target = (torch.tensor([box], dtype=dtype) for box in boxes)
        pred.requires_grad_()
        loss = build(name)(pred, target)
        assert loss.isfinite().all()
        (gradient,) = torch.autograd.grad(loss.sum(), pred)
        assert gradient.isfinite().all()
        if build(name).entry.traits.scale_invariant:
            assert gradient.abs().max() < 1e4


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


#: Losses with a weight that carries no gradient: finite differences see another function.
#: Their gradients are tested against golden numbers and, below, by hand.
DETACHED = {"ciou", "alpha_ciou", "focal_eiou", "wiou", "mix"}


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name not in DETACHED])
def test_gradcheck(name: str) -> None:
    pred, target = sample(12, seed=1)
    module = build(name)
    assert torch.autograd.gradcheck(lambda p: module(p, target), (pred.requires_grad_(),), atol=1e-5)


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
