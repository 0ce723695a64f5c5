"""Jaccard, log-cosh Dice, generalised Dice and the Lovasz losses: by hand, and as installed frameworks have them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import kornia.losses
import pytest
import segmentation_models_pytorch.losses as smp
import torch
from monai.losses import DiceLoss as MonaiDice
from monai.losses import GeneralizedDiceLoss as MonaiGeneralizedDice
from torch import Tensor

import loss_plugins as lp

N, C, H, W = 3, 4, 5, 4


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def labels(*shape: int, seed: int = 1) -> Tensor:
    return torch.randint(0, C, shape, generator=torch.Generator().manual_seed(seed))


def same(ours: Tensor, theirs: Tensor, pred: Tensor, error: float = 1e-9) -> None:
    """Value, shape and gradient of the sum."""
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, rtol=error, atol=error)
    gradients = [torch.autograd.grad(each.sum(), pred)[0] for each in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=error, atol=error)


# --- Jaccard and log-cosh Dice ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [{}, {"smooth": 1.0}, {"over": "channel"}, {"overlap": "min"}], ids=str)
def test_jaccard_is_tversky_and_dice_of_ones(parameters: dict[str, Any]) -> None:
    pred, target = draw(N, C, H, W), draw(N, C, H, W, seed=1).sigmoid()
    loss = lp.jaccard_loss(pred, target, **parameters)
    torch.testing.assert_close(loss, lp.tversky_loss(pred, target, alpha=1.0, beta=1.0, **parameters))
    torch.testing.assert_close(lp.jaccard_loss(pred, target, log=True, **parameters), -(1 - loss).log())


@pytest.mark.parametrize("flags", itertools.product((False, True), repeat=2), ids=str)
@pytest.mark.parametrize("smooth", [(1e-5, 1e-5), (0.5, 2.0), (1.0, 1.0)])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_jaccard_of_monai(flags: tuple[bool, bool], smooth: tuple[float, float], reduction: str) -> None:
    batch, soft = flags
    given: dict[str, Any] = {"batch": batch, "soft_label": soft, "smooth_nr": smooth[0], "smooth_dr": smooth[1]}
    given |= {"sigmoid": True, "reduction": reduction}
    pred, target = draw(N, C, H, W).requires_grad_(), draw(N, C, H, W, seed=1).sigmoid()
    target[0, 1] = 0
    ours = lp.build_loss("jaccard", dialect="monai", **given)(pred, target)
    same(ours, MonaiDice(jaccard=True, **given)(pred, target), pred)


def test_log_cosh_dice_by_dice() -> None:
    pred, target = draw(N, H, W), draw(N, H, W, seed=1).sigmoid()
    dice = lp.dice_loss(pred, target, form="naive", smooth=1.0, eps=1e-30)
    torch.testing.assert_close(lp.log_cosh_dice_loss(pred, target), dice.cosh().log())
    # near 0 half the square, of which ln cosh in float32 would leave nothing
    mask = torch.cat((torch.ones(1, 5000), torch.zeros(1, 5000)), 1)
    nearly = mask.clone()
    nearly[0, 0] = 0.5
    missed = 1 - (2 * 4999.5 + 1) / (4999.5 + 5000 + 1)
    assert float(lp.log_cosh_dice_loss(nearly, mask, activation="none")) == pytest.approx(missed**2 / 2, rel=0.01)


# --- generalised Dice ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighting", ["square", "simple", "uniform"])
@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize(
    "further", [{"sigmoid": True}, {"softmax": True, "smooth_dr": 0.3, "soft_label": True}], ids=str
)
def test_generalized_dice_of_monai(weighting: str, batch: bool, reduction: str, further: dict[str, Any]) -> None:
    given = {"w_type": weighting, "batch": batch, "reduction": reduction, **further}
    pred = draw(N, C, H, W).requires_grad_()
    target = (draw(N, C, H, W, seed=1) > 0.5).double()
    target[0, 1], target[2] = 0, 0  # a class that is not there, and an image without any
    ours = lp.build_loss("generalized_dice", dialect="monai", **given)(pred, target)
    same(ours, MonaiGeneralizedDice(**given)(pred, target), pred, 1e-6)  # whose weights are float32


def test_generalized_dice_counts_a_small_class_as_much_as_a_large_one() -> None:
    # 2 and 8 pixels, all of one class missed: weights 1/4 and 1/64, so 1 - 2 (2/4) / (4/4 + 8/64) or 1 - 2 (8/64) / ...
    target = torch.zeros(1, 2, 10, dtype=torch.float64)
    target[0, 0, :2], target[0, 1, 2:] = 1, 1
    for missed, expected in ((1, 1 - 1 / (1 + 1 / 8)), (0, 1 - (1 / 4) / (1 / 2 + 1 / 4))):
        pred = target.clone()
        pred[0, missed] = 0
        loss = lp.generalized_dice_loss(pred, target, activation="none")
        assert float(loss) == pytest.approx(expected)


def test_generalized_dice_of_rows_is_dice() -> None:
    pred, target = draw(N, 20), (draw(N, 20, seed=1) > 0).double()
    loss = lp.generalized_dice_loss(pred, target)
    torch.testing.assert_close(loss, lp.dice_loss(pred, target, form="naive", eps=1e-30))


# --- Lovasz -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_image", [False, True])
def test_lovasz_of_smp(per_image: bool) -> None:
    """It takes labels in float32 only."""
    pred, target = draw(N, C, H, W, dtype=torch.float32).requires_grad_(), labels(N, H, W)
    given = {"per_image": per_image, "dialect": "smp"}
    ours = lp.build_loss("lovasz_softmax", mode="multiclass", **given)(pred, target)
    same(ours, smp.LovaszLoss("multiclass", per_image)(pred, target), pred, 1e-5)
    target[0, 1], target[1, :2] = 255, 255
    ours = lp.build_loss("lovasz_softmax", ignore_index=255, **given)(pred, target)
    same(ours, smp.LovaszLoss("multiclass", per_image, 255)(pred, target), pred, 1e-5)
    for mode in ("binary", "multilabel"):
        masks = (draw(N, C, H, W, seed=1) > 0.5).long()
        masks[1] = 0
        ours = lp.build_loss("lovasz_hinge", mode=mode, **given)(pred, masks)
        same(ours, smp.LovaszLoss(mode, per_image)(pred, masks), pred, 1e-5)
        masks[0, 0] = 255
        ours = lp.build_loss("lovasz_hinge", mode=mode, ignore_index=255, **given)(pred, masks)
        same(ours, smp.LovaszLoss(mode, per_image, 255)(pred, masks), pred, 1e-5)


def test_lovasz_of_kornia() -> None:
    pred, target = draw(N, C, H, W).requires_grad_(), labels(N, H, W).clamp(max=C - 2)  # the last class is not there
    ours = lp.build_loss("lovasz_softmax", dialect="kornia")(pred, target)
    same(ours, kornia.losses.lovasz_softmax_loss(pred, target), pred)
    pred, mask = draw(N, 1, H, W).requires_grad_(), (draw(N, H, W, seed=1) > 0).long()
    ours = lp.build_loss("lovasz_hinge", dialect="kornia")(pred, mask)
    same(ours, kornia.losses.lovasz_hinge_loss(pred, mask), pred)


def test_the_steps_of_lovasz_are_exact_in_many_pixels() -> None:
    """As differences of 1 - intersection / union, the steps of 4 million pixels would be lost in float32."""
    target = (torch.arange(4_000_000) % 2).float()[None]
    pred = 1 - 2 * target  # the margin of each is -1, and the error 2
    (gradient,) = torch.autograd.grad(lp.lovasz_hinge_loss(pred.requires_grad_(), target).sum(), pred)
    steps = gradient.abs()[0].double()
    assert float(steps.sum()) == pytest.approx(1, rel=1e-3)
    assert float(steps[1]) == pytest.approx(1 / 2_000_001, rel=1e-6)


def test_lovasz_over_other_regions() -> None:
    pred, target = draw(N, C, H, W), (draw(N, C, H, W, seed=1) > 0).double()
    whole = {
        over: lp.lovasz_hinge_loss(pred, target, over=over) for over in ("image", "batch", "channel", "batch_channel")
    }
    assert {over: tuple(loss.shape) for over, loss in whole.items()} == {
        "image": (N,), "batch": (), "channel": (N, C), "batch_channel": (C,),
    }  # fmt: skip
    torch.testing.assert_close(whole["image"][1], lp.lovasz_hinge_loss(pred[1:2], target[1:2], over="batch"))
    torch.testing.assert_close(whole["channel"][1, 2], lp.lovasz_hinge_loss(pred[1:2, 2], target[1:2, 2], over="batch"))
    torch.testing.assert_close(whole["batch_channel"][2], lp.lovasz_hinge_loss(pred[:, 2], target[:, 2], over="batch"))
    with pytest.raises(ValueError, match=r"lovasz_hinge: over='channel' needs pred of shape \(n, C, ...\)"):
        lp.lovasz_hinge_loss(pred[0, 0], target[0, 0], over="channel")


def test_lovasz_leaves_absent_classes_out_or_not() -> None:
    pred = torch.zeros(1, 4, 2, dtype=torch.float64)  # p is 1/4 throughout
    target = torch.tensor([[0, 1]])
    # classes 0 and 1: errors 3/4 and 1/4, steps 1/1 and 0, or the other way round; 2 and 3: 1/4 once each
    assert float(lp.lovasz_softmax_loss(pred, target)) == pytest.approx(3 / 4)
    assert float(lp.lovasz_softmax_loss(pred, target, classes="all")) == pytest.approx(
        (3 / 4 + 3 / 4 + 1 / 4 + 1 / 4) / 4
    )


def test_right_pixels_of_a_margin_cost_nothing_and_an_empty_mask_its_worst_pixel() -> None:
    pred = torch.tensor([[1.5, -2.0, 1.0], [0.5, -3.0, 2.5]])
    target = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    assert lp.lovasz_hinge_loss(pred, target).tolist() == [0.0, 3.5]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("jaccard", {}),
        ("jaccard", {"log": True, "overlap": "min"}),
        ("log_cosh_dice", {}),
        ("generalized_dice", {"activation": "softmax"}),
        ("lovasz_hinge", {}),
        ("lovasz_softmax", {"classes": "all"}),
    ],
    ids=str,
)
def test_gradients_are_those_of_the_values(name: str, parameters: dict[str, Any]) -> None:
    pred = draw(2, C, 7).requires_grad_()
    target = labels(2, 7) if "lovasz" in name else draw(2, C, 7, seed=1).sigmoid()
    assert torch.autograd.gradcheck(lambda x: getattr(lp, f"{name}_loss")(x, target, **parameters), (pred,))


def test_the_largest_log_cosh_dice() -> None:
    loss = lp.log_cosh_dice_loss(torch.tensor([[-90.0] * 50]), torch.ones(1, 50), smooth=0.0)
    assert float(loss) == pytest.approx(math.log(math.cosh(1)))
