"""Dialects against the installed losses: modes, flags, weights and shapes, and what is refused before training."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import segmentation_models_pytorch.losses as smp
import torch
from mmdet.models.losses import QualityFocalLoss
from monai.losses import DiceLoss as MonaiDice
from monai.losses import TverskyLoss as MonaiTversky
from torch import Tensor
from torch.nn import functional
from ultralytics.utils.loss import MultiChannelDiceLoss

import loss_plugins as lp
from loss_plugins.catalog.dialects import dialects_of

N, C, H, W = 3, 4, 5, 4
SMP: list[tuple[str, Any]] = [("dice", smp.DiceLoss), ("focal_tversky", smp.TverskyLoss), ("jaccard", smp.JaccardLoss)]
MONAI: list[tuple[str, Any]] = [("dice", MonaiDice), ("tversky", MonaiTversky)]
REDUCTIONS = ["none", "mean", "sum"]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_same(ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], pred: Tensor) -> None:
    """Shape, value, and the gradient of a weighted sum."""
    leaf = pred.clone().requires_grad_()
    value, expected = ours(leaf), theirs(leaf)
    assert value.shape == expected.shape
    torch.testing.assert_close(value, expected)
    weights = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).view(value.shape)
    gradients = [torch.autograd.grad((each * weights).sum(), leaf)[0] for each in (value, expected)]
    torch.testing.assert_close(*gradients)


# --- smp: three modes, logits or probabilities -----------------------------------------------------------------------


@pytest.mark.parametrize("further", [{}, {"smooth": 1.0}, {"eps": 0.1}, {"ignore_index": 1}])
@pytest.mark.parametrize("from_logits", [None, True, False])
@pytest.mark.parametrize("mode", ["binary", "multilabel", "multiclass"])
@pytest.mark.parametrize(("name", "theirs"), SMP)
def test_the_modes_of_smp(name: str, theirs: Any, mode: str, from_logits: Any, further: dict[str, Any]) -> None:
    if mode != "multiclass" and "ignore_index" in further:
        further = {"ignore_index": 255}
    given = {**({} if from_logits is None else {"from_logits": from_logits}), **further}
    for size, shape in itertools.product((2, 5), ((N, H, W), (N, H), (N, 2, H, W))):
        channels = 1 if mode == "binary" else size
        pred = draw(shape[0], channels, *shape[1:])
        if mode == "multiclass":
            target = (draw(*shape, seed=1).abs() * 3).long().clamp(max=size - 1)
            pred = pred.softmax(1) if from_logits is False else pred
        else:
            target = (draw(*pred.shape, seed=1) > 0.5).long()
            target[0, 0, 0] = further.get("ignore_index", 0)
            pred = pred.sigmoid() if from_logits is False else pred
        module = lp.build_loss(name, dialect="smp", mode=mode, **given)
        assert_same(lambda x, t=target, m=module: m(x, t), lambda x, t=target: theirs(mode, **given)(x, t), pred)
        again = lp.build_loss(module.spec())
        assert again.spec() == module.spec()
        torch.testing.assert_close(again(pred, target), module(pred, target))


@pytest.mark.parametrize(
    ("name", "parameters", "remedy"),
    [
        ("focal", {"mode": "binary"}, "'binary' is 'multilabel' of one channel"),
        ("focal", {"mode": "multiclass"}, "'multiclass' is the loss softmax_focal"),
        ("focal", {"from_logits": False}, "pass logits"),
        ("softmax_focal", {"mode": "binary"}, "take the loss focal"),
        ("softmax_focal", {"from_logits": False}, "pass logits"),
        ("focal_tversky", {"log_loss": True}, "the loss dice has it"),
        ("dice", {"mode": "multi"}, "leave mode out"),
        ("dice", {"from_logits": True, "activation": "none"}, "pass one of them"),
        ("dice", {"mode": "binary", "over": "batch"}, "pass one of them"),
        ("focal_tversky", {"gamma": 0.0}, "leave it out for its default 1.0"),
    ],
)
def test_what_smp_has_and_ours_has_not_is_refused_when_the_loss_is_built(
    name: str, parameters: dict[str, Any], remedy: str
) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        lp.build_loss(name, dialect="smp", **parameters)
    assert str(caught.value).startswith(f"{name}: ")
    assert remedy in str(caught.value)


def test_what_the_remedy_for_smp_s_binary_focal_says_holds() -> None:
    pred, target = draw(N, 1, H, W), (draw(N, 1, H, W, seed=1) > 0).double()
    for reduction, alpha in itertools.product(("mean", "sum"), (None, 0.3)):
        given: dict[str, Any] = {"reduction": reduction, "alpha": alpha}
        ours, theirs = lp.FocalLoss(dialect="smp", **given), smp.FocalLoss("binary", **given)
        assert_same(lambda x, f=ours: f(x, target), lambda x, f=theirs: f(x, target), pred)


# --- MONAI: two flags for one activation -----------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, C])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "theirs"), MONAI)
def test_the_flags_of_monai(name: str, theirs: Any, reduction: str, channels: int) -> None:
    logits, target = draw(N, channels, H, W), (draw(N, channels, H, W, seed=1) > 0).double()
    for sigmoid, softmax in itertools.product((None, False, True), repeat=2):
        flags: dict[str, Any] = {"sigmoid": sigmoid, "softmax": softmax}
        flags = {flag: value for flag, value in flags.items() if value is not None}
        for given in (flags, dict(reversed(flags.items()))):
            if sigmoid and softmax:
                with pytest.raises(ValueError, match=f"^{name}: .* two names of one parameter; .* pass one of them"):
                    lp.build_loss(name, dialect="monai", **given)
                continue
            module = lp.build_loss(name, dialect="monai", reduction=reduction, **given)
            if softmax and channels == 1:
                continue
            pred = logits if sigmoid or softmax else logits.sigmoid()
            call = theirs(reduction=reduction, **given)
            assert_same(lambda x, f=module: f(x, target), lambda x, f=call: f(x, target), pred)


@pytest.mark.parametrize("shape", [(N, 1, H, W), (N, 1), (N, 1, 2, H, W), (0, 1, H, W)])
@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        (name, dialect)
        for name in ("dice", "tversky", "focal_tversky")
        for dialect in (None, "monai", "kornia", "smp")
        if dialect in (None, *dialects_of(name))
    ],
)
def test_a_softmax_of_one_channel_is_refused_as_it_trains_nothing(
    name: str, dialect: str | None, shape: tuple[int, ...]
) -> None:
    module = lp.build_loss(name, dialect=dialect, activation="softmax", over="image")
    with pytest.raises(ValueError, match=rf"^{name}: activation='softmax' of one channel.*pass activation='sigmoid'"):
        module(torch.zeros(shape), torch.zeros(shape))


# --- numbers that are out of range -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("dialect", "default"), [(None, 2.0), ("ultralytics", 1.5), ("smp", 2.0), ("kornia", 2.0)])
@pytest.mark.parametrize("gamma", [[0.1, 0.2, 0.3], (0.5, 0.5), torch.tensor([0.1, 0.2])])
def test_a_list_for_one_number_is_told_so_and_the_default_is_that_of_the_dialect(
    gamma: Any, dialect: str | None, default: float
) -> None:
    for call in (lp.FocalLoss, lambda **given: lp.focal_loss(torch.zeros(2, 3), torch.zeros(2, 3), **given)):
        with pytest.raises(ValueError, match=r"^focal: gamma=") as caught:
            call(gamma=gamma, dialect=dialect)
        assert f"pass one number; leave it out for its default {default}" in str(caught.value)


# --- weights of torch ------------------------------------------------------------------------------------------------

ROWS = [(C,), (N, 1), (1, C), (N, C), (1,), (), (1, 1)]
MAPS = [(W,), (H, W), (C, 1, 1), (N, 1, 1, 1), (1, C, 1, 1), (N, C, H, W), (N, 1, H, W), (), (1,)]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["bce", "bce_with_logits"])
@pytest.mark.parametrize(
    ("shape", "weighted"),
    [*(((N, C), each) for each in ROWS), *(((N, C, H, W), each) for each in MAPS), ((C, C), (C,)), ((N,), (N,))],
)
def test_weights_of_torch_s_binary_cross_entropy_are_broadcast_as_torch_does(
    shape: tuple[int, ...], weighted: tuple[int, ...], name: str, reduction: str
) -> None:
    pred, target, weight = draw(*shape).sigmoid(), draw(*shape, seed=1).sigmoid(), draw(*weighted, seed=2).abs()
    theirs = functional.binary_cross_entropy if name == "bce" else functional.binary_cross_entropy_with_logits
    module = lp.build_loss(name, dialect="torch", reduction=reduction)
    assert_same(
        lambda x: module(x, target, weight), lambda x: theirs(x, target, weight=weight, reduction=reduction), pred
    )


@pytest.mark.parametrize(("shape", "weighted"), [((N, C), (N,)), ((N, C), (2, N, C)), ((N, C, H, W), (N, H, W))])
@pytest.mark.parametrize("name", ["bce", "bce_with_logits"])
def test_weights_that_torch_does_not_take_are_refused(
    name: str, shape: tuple[int, ...], weighted: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: weight has shape .*from the last axis on"):
        lp.build_loss(name, dialect="torch")(torch.full(shape, 0.5), torch.zeros(shape), torch.ones(weighted))
    with pytest.raises(ValueError, match=f"^{name}: weight=.*when the loss is called"):
        lp.build_loss(name, dialect="torch", weight=[1.0, 2.0])


# --- the shape of "none" ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(N, C, H, W), (N, 1, H, W), (N, C, 1, 1)])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_dice_of_ultralytics_is_one_number_per_image(shape: tuple[int, ...], reduction: str) -> None:
    pred, target = draw(*shape), (draw(*shape, seed=1) > 0).double()
    module, theirs = lp.DiceLoss(dialect="ultralytics", reduction=reduction), MultiChannelDiceLoss(reduction=reduction)
    assert_same(lambda x: module(x, target), lambda x: theirs(x, target), pred)


@pytest.mark.parametrize("given", [{}, {"batch": True}, {"batch": False}], ids=str)
@pytest.mark.parametrize("shape", [(N, C, H, W), (N, C, H), (N, C, 2, H, W), (N, 1, H, W)])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "theirs"), MONAI)
def test_region_losses_of_monai_keep_the_axes_that_it_keeps(
    name: str, theirs: Any, reduction: str, shape: tuple[int, ...], given: dict[str, Any]
) -> None:
    pred, target = draw(*shape), (draw(*shape, seed=1) > 0).double()
    call = theirs(sigmoid=True, reduction=reduction, **given)
    for said in (given, *([{"over": "batch_channel"}] if given.get("batch") else [])):
        module = lp.build_loss(name, dialect="monai", sigmoid=True, reduction=reduction, **said)
        assert_same(lambda x, f=module: f(x, target), lambda x: call(x, target), pred)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("avg_factor", [None, 2.5])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_quality_focal_of_mmdet_is_one_number_per_row(reduction: str, avg_factor: float | None, weighted: bool) -> None:
    if reduction == "sum" and avg_factor:
        return
    pred, score = draw(5, C), draw(5, seed=1).sigmoid()
    labels, qualities = torch.tensor([0, 3, 4, 1, 2]), draw(5, C, seed=3).sigmoid()
    weight = draw(5, seed=2).abs() if weighted else None
    module, theirs = lp.QualityFocalLoss(dialect="mmdet", reduction=reduction), QualityFocalLoss(reduction=reduction)
    for target in ((labels, score), qualities):
        assert_same(
            lambda x, t=target: module(x, t, weight, avg_factor),
            lambda x, t=target: theirs(x, t, weight, avg_factor),
            pred,
        )


@pytest.mark.parametrize(
    ("name", "dialect", "compile"),
    [
        *(("dice", dialect, False) for dialect in ("ultralytics", "monai", None)),
        *(("quality_focal", "mmdet", compile) for compile in (False, True)),
    ],
)
def test_only_none_has_their_shape_and_the_loss_per_element_keeps_ours(
    name: str, dialect: str | None, compile: bool
) -> None:
    shape = (N, C) if name == "quality_focal" else (N, C, H, W)
    pred, target = draw(*shape).sigmoid(), draw(*shape, seed=1).sigmoid()
    module = lp.build_loss(name, dialect=dialect, reduction="none", compile=compile)
    plain = getattr(lp, f"{name}_loss")(pred, target, dialect=dialect)
    torch.testing.assert_close(module.elementwise(pred, target), plain)
    torch.testing.assert_close(module(pred, target).sum(), plain.sum() / (C if dialect == "ultralytics" else 1))


def test_none_under_one_of_two_names_says_nothing() -> None:
    """MMDetection's class_weight is our pos_weight in a loss of sigmoids; both are in a spec that was read back."""
    numbers = [1.0, 2.0, 0.5]
    pred, target = draw(4, 3), torch.eye(4, 3, dtype=torch.float64)
    wanted = lp.build_loss("bce_with_logits", dialect="mmdet", pos_weight=numbers)(pred, target)
    for given in ({"class_weight": None, "pos_weight": numbers}, {"pos_weight": numbers, "class_weight": None}):
        assert lp.build_loss("bce_with_logits", dialect="mmdet", **given)(pred, target) == wanted
    alike = lp.build_loss("bce_with_logits", dialect="mmdet", class_weight=numbers)
    for given in ({"class_weight": numbers, "pos_weight": None}, {"pos_weight": None, "class_weight": numbers}):
        twin = lp.build_loss("bce_with_logits", dialect="mmdet", **given)
        assert twin.spec() == alike.spec()
        assert twin(pred, target) == alike(pred, target)
    with pytest.raises(ValueError, match="two names of one parameter"):
        lp.build_loss("bce_with_logits", dialect="mmdet", class_weight=numbers, pos_weight=numbers)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        (
            "bce_with_logits",
            {"dialect": "smp", "smooth_factor": 0.7},
            "smooth_factor=0.7, here label_smoothing=1.4 is out",
        ),
        ("cross_entropy", {"dialect": "smp", "smooth_factor": 1.7}, "smooth_factor=1.7 is out of range"),
        ("cross_entropy", {"dialect": "torch", "weight": [-1.0, 2.0]}, r"weight=\[-1.0, 2.0\] is out of range"),
        ("dice", {"dialect": "monai", "smooth_nr": -1.0}, "smooth_nr=-1.0 is out of range"),
        ("cross_entropy", {"dialect": "smp", "label_smoothing": 1.7}, "label_smoothing=1.7 is out of range"),
    ],
)
def test_an_error_names_what_the_user_wrote(name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: {said}"):
        lp.build_loss(name, **given)
    pred, target = torch.zeros(2, 2), torch.zeros(2, 2)
    with pytest.raises(ValueError, match=f"^{name}: {said}"):
        getattr(lp, f"{name}_loss")(pred, target, **given)


def test_a_name_of_a_framework_is_told_its_dialect() -> None:
    with pytest.raises(
        TypeError, match=r"unknown parameter 'smooth_factor'.*it is the name that smp has: add dialect='smp'"
    ):
        lp.build_loss("bce_with_logits", smooth_factor=0.1)
