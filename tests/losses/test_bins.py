"""Fine-grained localisation: cross-entropy with the two bins next to the target, of bins that are not uniform."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.losses.bins import fine_bins

DOUBLE = torch.float64


def logits(rows: int, bins: int) -> Tensor:
    return 3 * torch.randn(rows, bins, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)


def test_the_bins_of_the_paper() -> None:
    # n = 8, a c = 2: the last but one at 2, the last at 4; between, powers of 3^(1/3) less 1
    found = fine_bins(torch.zeros(1, 9, dtype=DOUBLE), reg_scale=4.0, up=0.5)
    side = [3 ** (k / 3) - 1 for k in (1, 2, 3)] + [4.0]
    wanted = torch.tensor([*(-step for step in reversed(side)), 0.0, *side], dtype=DOUBLE)
    torch.testing.assert_close(found, wanted, rtol=1e-14, atol=1e-15)


def test_three_bins_are_the_ends_and_the_middle() -> None:
    found = fine_bins(torch.zeros(1, 3, dtype=DOUBLE), reg_scale=2.0, up=0.3)
    torch.testing.assert_close(found, torch.tensor([-1.2, 0.0, 1.2], dtype=DOUBLE))


@pytest.mark.parametrize(("offset", "shares"), [(1.0, {2: 0.5, 3: 0.5}), (-2.5, {0: 0.25, 1: 0.75}), (0.0, {2: 1.0})])
def test_its_least_is_at_the_shares_of_both_bins(offset: float, shares: dict[int, float]) -> None:
    # of five bins at -4, -2, 0, 2, 4 the softmax that equals the shares has the gradient 0, and costs their entropy
    probability = torch.full((1, 5), 1e-30, dtype=DOUBLE)
    for bin, share in shares.items():
        probability[0, bin] = share
    pred = probability.log().requires_grad_()
    loss = lp.fgl_loss(pred, torch.tensor([offset], dtype=DOUBLE))
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert loss.item() == pytest.approx(-sum(share * math.log(share) for share in shares.values()), abs=1e-12)
    assert gradient.abs().max() < 1e-12


def test_beyond_the_ends_the_last_bin_alone_counts() -> None:
    pred = logits(4, 5)
    loss = lp.fgl_loss(pred, torch.tensor([-4.0, -9.0, 4.0, math.inf], dtype=DOUBLE))
    torch.testing.assert_close(loss, -pred.log_softmax(1)[range(4), [0, 0, 4, 4]])


@pytest.mark.parametrize("offset", [-3.999, -1.3, 0.0, 0.7, 3.2])
def test_of_five_bins_it_is_distribution_focal_with_its_zero_in_the_middle(offset: float) -> None:
    # five bins of a c = 2 are uniform, 2 apart
    pred, target = logits(1, 5), torch.tensor([offset], dtype=DOUBLE)
    torch.testing.assert_close(lp.fgl_loss(pred, target), lp.distribution_focal_loss(pred, target / 2 + 2))


def test_up_and_reg_scale_move_the_bins() -> None:
    # seven bins of a c = 3 / 2 lie at 0, sqrt(5 / 2) - 1, 3 / 2 and 3: an offset of 2 has a third of the last
    pred, target = logits(1, 7), torch.tensor([2.0], dtype=DOUBLE)
    log_p = pred.log_softmax(1)[0]
    loss = lp.build_loss("fgl", reg_scale=3.0, up=0.5, reduction="none")(pred, target)
    torch.testing.assert_close(loss, -(2 * log_p[5:6] + log_p[6:7]) / 3)


def test_the_gradient_is_that_of_finite_differences() -> None:
    target = torch.linspace(-4.5, 4.5, 7, dtype=DOUBLE)
    assert torch.autograd.gradcheck(lambda pred: lp.fgl_loss(pred, target), logits(7, 9).requires_grad_())


def test_the_iou_of_the_box_is_the_weight_of_its_sides() -> None:
    pred, target = logits(8, 9), torch.linspace(-2, 2, 8, dtype=DOUBLE)
    iou = torch.tensor([0.0, 0.8], dtype=DOUBLE).repeat_interleave(4)
    found = lp.FGLLoss()(pred, target, iou, avg_factor=2)
    torch.testing.assert_close(found, 0.8 * lp.fgl_loss(pred[4:], target[4:]).sum() / 2)


def test_a_target_of_nan_costs_nan_in_its_row_alone() -> None:
    loss = lp.fgl_loss(logits(3, 5), torch.tensor([0.5, math.nan, 1.0], dtype=DOUBLE))
    assert loss.isnan().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("bins", "given", "said"),
    [
        (4, {}, r"fgl: pred has 4 bin\(s\) on its last axis; allowed: an odd number of 3 or more; .*even reg_max"),
        (1, {}, r"fgl: pred has 1 bin\(s\) .*3 or more"),
        (
            17,
            {"reg_max": 32},
            r"17 bin\(s\) .*, and reg_max=32 says 33; .*, which is 33; .*reg_max=16, or leave",
        ),
        (
            18,
            {"reg_max": 32},
            r"18 bin\(s\) .*allowed: reg_max \+ 1, which is 33; pass logits over an even",
        ),
    ],
)
def test_bins_that_have_no_middle_or_are_not_as_many_are_refused(bins: int, given: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        lp.build_loss("fgl", **given)(torch.zeros(3, bins), torch.zeros(3))


@pytest.mark.parametrize(("reg_max", "remedy"), [(31, "pass 30 or 32"), (3, "pass 2 or 4"), (1, "")])
def test_a_reg_max_that_no_prediction_can_have_is_refused_when_the_loss_is_built(reg_max: int, remedy: str) -> None:
    for call in (lambda: lp.FGLLoss(reg_max=reg_max), lambda: lp.build_loss({"type": "fgl", "reg_max": reg_max})):
        with pytest.raises(
            ValueError, match=rf"fgl: reg_max={reg_max} .*; allowed: an even number in \[2, inf\); {remedy}"
        ):
            call()
    assert lp.FGLLoss(reg_max=2)(torch.zeros(1, 3), torch.zeros(1)).item() == pytest.approx(math.log(3))


@pytest.mark.parametrize("name", ["fgl", "distribution_focal", "ddf"])
def test_a_bin_that_pred_rules_out_and_the_target_does_not_costs_much_and_finitely(name: str) -> None:
    pred = torch.tensor([[0.0, 1.0, -math.inf]] * 64, requires_grad=True)
    target = (torch.zeros(64, 3), torch.arange(64) % 2 == 0) if name == "ddf" else torch.full((64,), 1.7)
    loss = lp.build_loss(name)(pred, target)
    (gradient,) = torch.autograd.grad(loss, pred)
    assert 1e9 < loss.item() < 1e15
    assert gradient.isfinite().all()
