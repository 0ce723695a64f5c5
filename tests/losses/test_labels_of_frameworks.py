"""Ignored labels, and numbers per class, as the frameworks' own losses have them."""

from __future__ import annotations

from typing import Any

import kornia.losses
import pytest
import segmentation_models_pytorch.losses as smp
import torch
from monai.losses import DiceLoss as MonaiDice
from monai.losses import FocalLoss as MonaiFocal
from monai.losses import TverskyLoss as MonaiTversky
from torch import Tensor
from torch.nn import functional

import loss_plugins as lp

N, C, H, W = 3, 4, 5, 4  # as many columns as classes: what lies along the wrong axis fits all the same
NUMBERS = [0.5, 1.0, 2.0, 4.0]
ACROSS = torch.tensor(NUMBERS, dtype=torch.float64).view(C, 1, 1)


def maps(last: int = C, ignored: int | None = None, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pred = torch.randn(N, C, H, W, generator=generator, dtype=torch.float64).requires_grad_()
    labels = torch.randint(0, last, (N, H, W), generator=generator)
    if ignored is not None:
        labels[torch.rand(N, H, W, generator=generator) < 0.3] = ignored
    return pred, labels


def assert_same(ours: Tensor, theirs: Tensor, pred: Tensor) -> None:
    torch.testing.assert_close(ours, theirs.reshape(ours.shape))
    gradients = [torch.autograd.grad(loss.sum(), pred, retain_graph=True)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients)


# --- torch -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("ignored", [-100, 255, 1])
@pytest.mark.parametrize("weight", [None, NUMBERS])
@pytest.mark.parametrize("dialect", [None, "torch"])
def test_cross_entropy_and_nll_ignore_as_torch_s(reduction: str, ignored: int, weight: Any, dialect: Any) -> None:
    pred, labels = maps(ignored=ignored)
    given = {"reduction": reduction, "ignore_index": ignored, "dialect": dialect, "class_weight": weight}
    call: dict[str, Any] = {
        "reduction": reduction,
        "ignore_index": ignored,
        "weight": None if weight is None else torch.tensor(weight, dtype=torch.float64),
    }
    for smoothing in (0.0, 0.1):
        theirs = functional.cross_entropy(pred, labels, label_smoothing=smoothing, **call)
        assert_same(lp.CrossEntropyLoss(label_smoothing=smoothing, **given)(pred, labels), theirs, pred)
    log_p = pred.log_softmax(1)
    assert_same(lp.NLLLoss(**given)(log_p, labels), functional.nll_loss(log_p, labels, **call), pred)


# --- numbers per class -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("shape", [(N, C), (N, C, C), (N, C, H, W), (2, C, 2, 3, C)])
@pytest.mark.parametrize("labelled", [False, True])
def test_numbers_per_class_lie_along_the_class_axis(compile: bool, shape: tuple[int, ...], labelled: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
    labels = torch.randint(0, C, (shape[0], *shape[2:]), generator=generator)
    dense = functional.one_hot(labels, C).movedim(-1, 1).double()
    numbers = torch.tensor(NUMBERS, dtype=torch.float64)
    theirs = functional.binary_cross_entropy_with_logits(
        pred, dense, reduction="none", pos_weight=numbers.view(C, *(1,) * (len(shape) - 2))
    )
    target = labels if labelled else dense
    module = lp.BCEWithLogitsLoss(reduction="none", pos_weight=NUMBERS, compile=compile)
    assert_same(module(pred, target), theirs, pred)
    assert_same(lp.bce_with_logits_loss(pred, target, pos_weight=numbers), theirs, pred)
    single = lp.BCEWithLogitsLoss(reduction="none", pos_weight=3.0, compile=compile)(pred, target)
    assert_same(single, torch.where(dense > 0, 3.0, 1.0) * lp.bce_with_logits_loss(pred, target), pred)


@pytest.mark.parametrize("shape", [(N, C), (N, C, 3), (N, C, 3, 3)])
@pytest.mark.parametrize(
    ("name", "parameter"),
    [("bce_with_logits", "pos_weight"), ("cross_entropy", "class_weight"), ("nll", "class_weight")],
)
def test_as_many_numbers_as_classes_are_asked_for(name: str, parameter: str, shape: tuple[int, ...]) -> None:
    labels = torch.zeros(shape[0], *shape[2:], dtype=torch.int64)
    with pytest.raises(
        ValueError, match=f"^{name}: {parameter} has 3 numbers, and pred .* has C = 4 classes; .* axis 1"
    ):
        lp.build_loss(name, **{parameter: [1.0, 2.0, 3.0]})(torch.zeros(shape), labels)


@pytest.mark.parametrize("shape", [(N, C), (N, C, H, W)])
def test_pos_weight_of_torch_may_have_the_axes_that_torch_wants(shape: tuple[int, ...]) -> None:
    pred = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    target = torch.rand(shape, dtype=torch.float64)
    numbers = torch.tensor(NUMBERS, dtype=torch.float64).view(C, *(1,) * (len(shape) - 2))
    theirs = functional.binary_cross_entropy_with_logits(pred, target, pos_weight=numbers)
    ours = lp.BCEWithLogitsLoss(dialect="torch", pos_weight=numbers)
    assert_same(ours(pred, target), theirs, pred)
    assert ours.spec()["pos_weight"] == NUMBERS
    losses = lp.bce_with_logits_loss(pred, target, dialect="torch", pos_weight=numbers)
    assert_same(losses.mean(), theirs, pred)
    with pytest.raises(ValueError, match=r"tensor of shape \(C,\)"):
        lp.bce_with_logits_loss(pred, target, pos_weight=torch.ones(C, 1, 1))


@pytest.mark.parametrize("name", ["cross_entropy", "bce_with_logits"])
def test_the_mean_counts_what_is_ignored_if_it_is_told_to(name: str) -> None:
    pred, labels = maps(ignored=-100)
    sums = lp.build_loss(name, reduction="sum")(pred, labels)
    each = 1 if name == "cross_entropy" else C
    kept = int((labels >= 0).sum()) * each
    for count, divisor in ((None, kept), (False, kept), (True, labels.numel() * each)):
        mean = lp.build_loss(name, count_ignored=count)(pred, labels)
        torch.testing.assert_close(mean, sums / divisor)
    for given, divisor in (
        ({}, labels.numel()),
        ({"avg_non_ignore": True}, kept),
        ({"avg_non_ignore": False}, labels.numel()),
    ):
        if name == "cross_entropy":
            mean = lp.build_loss(name, dialect="mmdet", **given)(pred, labels)
            torch.testing.assert_close(mean, sums / divisor, rtol=1e-7, atol=0)


@pytest.mark.parametrize("name", ["giou", "ciou", "siou"])
def test_a_loss_returns_no_iou_beside(name: str) -> None:
    lp.build_loss(name, dialect="mmyolo", return_iou=False)
    with pytest.raises(ValueError, match=f"^{name}: return_iou=True of mmyolo .*a loss returns one number"):
        lp.build_loss(name, dialect="mmyolo", return_iou=True)


# --- regions ---------------------------------------------------------------------------------------------------------


REGIONS: list[tuple[str, dict[str, Any], Any]] = [
    ("dice", {}, smp.DiceLoss),
    ("jaccard", {}, smp.JaccardLoss),
    ("focal_tversky", {}, smp.TverskyLoss),
    ("focal_tversky", {"alpha": 0.3, "beta": 0.7}, smp.TverskyLoss),
]


@pytest.mark.parametrize("ignored", [255, -1, 2])
@pytest.mark.parametrize(("name", "parameters", "theirs"), REGIONS)
@pytest.mark.parametrize("from_logits", [True, False])
def test_regions_ignore_as_smp_does(
    name: str, parameters: dict[str, Any], theirs: Any, from_logits: bool, ignored: int
) -> None:
    given = {"dialect": "smp", "ignore_index": ignored, **parameters}
    call = {"ignore_index": ignored, "from_logits": from_logits, **parameters}

    pred, labels = maps(ignored=ignored)
    inputs = pred if from_logits else pred.softmax(1)
    of_classes = lp.build_loss(name, over="batch_channel", activation="softmax" if from_logits else "none", **given)
    assert_same(of_classes(inputs, labels), theirs("multiclass", **call)(inputs, labels), pred)

    many = (
        functional.one_hot(labels.clamp(0, C - 1), C).movedim(-1, 1).masked_fill((labels == ignored)[:, None], ignored)
    )
    inputs = pred if from_logits else pred.sigmoid()
    of_labels = lp.build_loss(name, mode="multilabel", from_logits=from_logits, **given)
    one = lp.build_loss(name, mode="binary", from_logits=from_logits, **given)
    for target in (many, many.double()):
        assert_same(of_labels(inputs, target), theirs("multilabel", **call)(inputs, target), pred)
        assert_same(one(inputs[:, :1], target[:, :1]), theirs("binary", **call)(inputs[:, :1], target[:, :1]), pred)


@pytest.mark.parametrize("ignored", [None, 255])
def test_dice_ignores_as_kornia_does(ignored: int | None) -> None:
    pred, labels = maps(ignored=-100 if ignored is None else ignored)
    given = {} if ignored is None else {"ignore_index": ignored}
    theirs = kornia.losses.dice_loss(pred, labels, average="micro", **given)
    assert_same(lp.build_loss("dice", dialect="kornia", **given)(pred, labels), theirs, pred)


def test_focal_ignores_scores_as_kornia_does() -> None:
    pred, labels = maps(ignored=-100)
    target = functional.one_hot(labels.clamp(min=0), C).movedim(-1, 1).double()
    target[labels.unsqueeze(1).expand_as(target) == -100] = -100
    target[0, 2, 1] = -100
    for reduction in ("none", "mean", "sum"):
        theirs = kornia.losses.binary_focal_loss_with_logits(pred, target, alpha=0.3, reduction=reduction)
        assert_same(lp.FocalLoss(alpha=0.3, dialect="kornia", reduction=reduction)(pred, target), theirs, pred)


@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_softmax_focal_ignores_as_kornia_does(reduction: str) -> None:
    pred, labels = maps(ignored=-100)
    theirs = kornia.losses.focal_loss(pred, labels, alpha=0.3, reduction="none").sum(1)
    ours = lp.SoftmaxFocalLoss(alpha=0.3, dialect="kornia", reduction=reduction)(pred, labels)
    assert_same(ours, theirs if reduction == "none" else theirs.sum(), pred)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_regions_and_focal_ignore_as_monai_does(reduction: str) -> None:
    pred, labels = maps(ignored=255)
    call: dict[str, Any] = {"to_onehot_y": True, "reduction": reduction, "ignore_index": 255}
    given: dict[str, Any] = {"dialect": "monai", "reduction": reduction, "ignore_index": 255}
    for name, theirs in (("dice", MonaiDice), ("tversky", MonaiTversky)):
        value = theirs(softmax=True, **call)(pred, labels[:, None])
        assert_same(lp.build_loss(name, softmax=True, **given)(pred, labels), value, pred)
    labels[1] = labels[1].masked_fill(torch.arange(labels[1].numel()).view(labels[1].shape) % 3 == 0, 255)
    value = MonaiFocal(**call)(pred, labels[:, None]).double()  # which computes in float32
    torch.testing.assert_close(lp.build_loss("focal", **given)(pred, labels), value, rtol=1e-6, atol=1e-6)


def test_dice_with_label_255_is_the_dice_of_the_other_pixels() -> None:
    # softmax of equal logits: p = 1/2; pixels 0 and 1 of class 0, pixel 2 of class 1, pixel 3 ignored.
    # Class 0: 1 - 2 * 1 / (3/2 + 2) = 3/7; class 1: 1 - 2 * (1/2) / (3/2 + 1) = 3/5
    pred, labels = torch.zeros(1, 2, 1, 4, dtype=torch.float64), torch.tensor([[[0, 0, 1, 255]]])
    parameters: dict[str, Any] = {"form": "naive", "activation": "softmax", "over": "channel", "eps": 1e-12}
    loss = lp.dice_loss(pred, labels, ignore_index=255, **parameters)
    torch.testing.assert_close(loss, torch.tensor([[3 / 7, 3 / 5]], dtype=torch.float64))
    with pytest.raises(ValueError, match="label 255"):
        lp.dice_loss(pred, labels, **parameters)


@pytest.mark.parametrize("name", ["dice", "tversky", "focal_tversky"])
def test_a_score_that_is_left_out_keeps_its_share_of_the_softmax(name: str) -> None:
    """A shift of all logits of a pixel changes no probability; the score has no gradient, even where it is NaN."""
    pred = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    target = torch.rand(2, 3, 2, 2, dtype=torch.float64)
    target[0, 1], target[1, 2, 0] = 255, 255
    loss = lp.build_loss(name, activation="softmax", ignore_index=255)
    found = loss(pred, target)
    (gradient,) = torch.autograd.grad(found, pred)
    assert loss(pred + 3, target).item() == pytest.approx(found.item(), abs=1e-12)
    assert (gradient[target == 255] == 0).all()
    lost = pred.detach().masked_fill(target == 255, torch.nan).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(lost, target), lost)
    assert gradient.isfinite().all()
