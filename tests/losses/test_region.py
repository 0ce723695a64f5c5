"""Mask losses by hand, against MMDetection, and in the choices that frameworks make differently."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def hard(*shape: int, seed: int = 1) -> Tensor:
    return (draw(*shape, seed=seed) > 0).double()


@pytest.mark.parametrize("naive", [False, True])
def test_dice_is_mmdetection_s(naive: bool) -> None:
    from mmdet.models.losses.dice_loss import dice_loss

    pred, target = draw(3, 4, 5).requires_grad_(), hard(3, 4, 5)
    theirs = dice_loss(pred.sigmoid(), target, eps=1e-3, reduction="none", naive_dice=naive)
    form = {"form": "naive", "smooth": 1e-3, "eps": 1e-30} if naive else {"form": "vnet", "eps": 2e-3}
    ours = lp.dice_loss(pred, target, **form)
    torch.testing.assert_close(ours, theirs.to(ours), rtol=1e-6, atol=1e-6)
    gradients = [torch.autograd.grad(loss.sum(), pred)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-6)


def test_tversky_holds_dice_and_jaccard() -> None:
    pred, target = draw(3, 20), hard(3, 20)
    dice = lp.dice_loss(pred, target, form="naive", eps=1e-12)
    torch.testing.assert_close(lp.tversky_loss(pred, target, alpha=0.5, beta=0.5, eps=1e-12), dice)
    jaccard = lp.dice_loss(pred, target, form="naive", jaccard=True, eps=1e-12)
    torch.testing.assert_close(lp.tversky_loss(pred, target, alpha=1.0, beta=1.0, eps=1e-12), jaccard)


def test_alpha_weighs_false_positives_and_beta_misses() -> None:
    pred, target = torch.tensor([[1.0, 1, 1, 0]]), torch.tensor([[1.0, 0, 0, 1]])  # TP 1, FP 2, FN 1
    loss = lp.tversky_loss(pred, target, activation="none", alpha=0.25, beta=2.0)
    assert float(loss) == pytest.approx(1 - 1 / (1 + 0.25 * 2 + 2.0 * 1), abs=1e-6)


def test_focal_tversky_is_the_root_of_tversky() -> None:
    pred, target = draw(3, 20), hard(3, 20)
    base = lp.tversky_loss(pred, target)
    torch.testing.assert_close(lp.focal_tversky_loss(pred, target, gamma=4 / 3), base**0.75)
    torch.testing.assert_close(lp.focal_tversky_loss(pred, target, gamma=1.0), base)


def test_a_perfect_mask_has_a_finite_gradient_under_any_exponent() -> None:
    pred = torch.tensor([[1.0, 0, 1, 0]], requires_grad=True)
    loss = lp.focal_tversky_loss(pred, pred.detach(), activation="none", gamma=3.0, eps=1e-30)
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert float(loss) == 0
    assert gradient.isfinite().all()


def test_what_is_summed() -> None:
    pred, target = draw(2, 3, 4, 5), hard(2, 3, 4, 5)
    whole = {over: lp.dice_loss(pred, target, over=over) for over in ("image", "batch", "channel", "batch_channel")}
    assert {over: tuple(loss.shape) for over, loss in whole.items()} == {
        "image": (2,),
        "batch": (),
        "channel": (2, 3),
        "batch_channel": (3,),
    }
    torch.testing.assert_close(whole["image"][1], lp.dice_loss(pred[1:], target[1:], over="batch"))
    torch.testing.assert_close(whole["channel"][1, 2], lp.dice_loss(pred[1:, 2], target[1:, 2], over="batch"))
    torch.testing.assert_close(whole["batch_channel"][2], lp.dice_loss(pred[:, 2], target[:, 2], over="batch"))


def test_class_maps_are_one_mask_per_class() -> None:
    pred, labels = draw(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    masks = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).double()
    for activation in ("softmax", "sigmoid"):
        kinds: dict[str, Any] = {"activation": activation, "over": "channel"}
        torch.testing.assert_close(lp.dice_loss(pred, labels, **kinds), lp.dice_loss(pred, masks, **kinds))


@pytest.mark.parametrize("name", ["dice", "tversky", "focal_tversky", "jaccard", "generalized_dice"])
@pytest.mark.parametrize(("empty", "expected"), [("cost", 1.0), ("zero", 0.0), ("skip", 0.0)])
def test_an_empty_target_costs_what_was_chosen(name: str, empty: str, expected: float) -> None:
    pred, target = draw(2, 10).requires_grad_(), hard(2, 10)
    target[0] = 0
    none = lp.build_loss(name, reduction="none", empty=empty)(pred, target)
    assert float(none[0]) == pytest.approx(expected, abs=1e-3)
    mean = lp.build_loss(name, empty=empty)(pred, target)
    assert float(mean) == pytest.approx(float(none.sum()) / (1 if empty == "skip" else 2))


def test_if_all_targets_are_empty_and_skipped_it_costs_0() -> None:
    pred = draw(2, 10).requires_grad_()
    loss = lp.DiceLoss(empty="skip")(pred, torch.zeros(2, 10))
    loss.backward()
    assert loss == 0


def test_smooth_makes_an_empty_pair_free() -> None:
    nothing = torch.full((1, 10), -50.0)
    assert float(lp.dice_loss(nothing, torch.zeros(1, 10), smooth=1.0, eps=1e-12)) == pytest.approx(0, abs=1e-6)
    assert float(lp.dice_loss(nothing, torch.zeros(1, 10))) == pytest.approx(1)


def test_only_the_min_rule_lets_a_perfect_soft_mask_cost_nothing() -> None:
    soft = torch.rand(1, 20, generator=torch.Generator().manual_seed(0))
    kinds: dict[str, Any] = {"form": "naive", "activation": "none", "eps": 1e-9}
    assert float(lp.dice_loss(soft, soft, overlap="min", **kinds)) == pytest.approx(0, abs=1e-6)
    assert float(lp.dice_loss(soft, soft, overlap="product", **kinds)) > 0.1


def test_shapes_that_cannot_be_summed_so_are_refused() -> None:
    with pytest.raises(ValueError, match=r"over='channel' needs pred of shape \(n, C, ...\)"):
        lp.dice_loss(torch.zeros(2, 3), torch.zeros(2, 3), over="channel")
    with pytest.raises(ValueError, match="does not go with pred"):
        lp.dice_loss(torch.zeros(2, 3), torch.zeros(2, 4))


def test_weights_per_image() -> None:
    pred, target = draw(3, 20), hard(3, 20)
    loss = lp.dice_loss(pred, target)
    weight = torch.tensor([1.0, 0.0, 2.0])
    torch.testing.assert_close(lp.DiceLoss(reduction="none")(pred, target, weight), loss * weight)
    torch.testing.assert_close(lp.DiceLoss()(pred, target, weight, avg_factor=3.0), (loss * weight).sum() / 3)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("dice", {}),
        ("dice", {"form": "naive", "log": True}),
        ("dice", {"overlap": "min", "form": "naive"}),
        ("tversky", {}),
        ("focal_tversky", {}),
    ],
    ids=str,
)
def test_gradients_are_those_of_the_values(name: str, parameters: dict[str, Any]) -> None:
    pred, target = draw(2, 7).requires_grad_(), draw(2, 7, seed=1).sigmoid()
    assert torch.autograd.gradcheck(lambda x: getattr(lp, f"{name}_loss")(x, target, **parameters), (pred,))
