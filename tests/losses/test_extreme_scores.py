"""Class losses at logits and probabilities of any size: finite wherever their limit is finite."""

from __future__ import annotations

import math

import pytest
import torch

from loss_plugins import build_loss
from loss_plugins.catalog.entries import get_entry, shipped
from loss_plugins.tensors import BETWEEN_BINS

INF = math.inf
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
SIZES = (3e38, -3e38, 1e4, -1e4, 88.0, -88.0, 0.0)
LOGITS = sorted(entry.name for entry in shipped() if entry.kind == "classification" and entry.traits.scale == "logits")
SOFTMAX = [name for name in LOGITS if get_entry(name).targets[0] in ("class_map", "labels", *BETWEEN_BINS)]


def targets(name, rows):
    form = get_entry(name).targets[0]
    if form in ("class_map", "labels"):
        return [torch.full((rows,), label) for label in (0, 1, 2)]
    if form == "score":
        return [torch.full((rows,), bins, dtype=torch.float64) for bins in (0.0, 1.25, 2.0)]
    if form == "offset":  # of the first bin, between the last two, of the last
        return [torch.full((rows,), offset, dtype=torch.float64) for offset in (-4.0, 1.0, 4.0)]
    return [torch.full((rows, 3), score, dtype=torch.float64) for score in (0.0, 0.5, 1.0)]


def value_and_gradient(name, rows, target, dtype, maps=False):
    pred, largest = torch.tensor(rows, dtype=torch.float64), torch.finfo(dtype).max
    pred = torch.where(pred.isinf(), pred, pred.clamp(-largest, largest)).to(dtype).requires_grad_()
    target = target.to(dtype) if target.is_floating_point() else target
    given = pred.t()[None, :, :, None] if maps else pred
    if maps:
        target = target[None, :, None] if target.ndim == 1 else target.t()[None, :, :, None]
    loss = build_loss(name, reduction="none")(given, target)
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    loss = loss.flatten() if loss.numel() == len(rows) else loss
    return loss, gradient


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", LOGITS)
def test_logits_of_any_size_have_a_loss_and_a_slope(name, dtype):
    rows = [[first, second, 0.0] for first in SIZES for second in SIZES if abs(first) < 3e38 or abs(second) < 3e38]
    for target in targets(name, len(rows)):
        loss, gradient = value_and_gradient(name, rows, target, dtype)
        assert not loss.isnan().any()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("maps", [False, True], ids=["rows", "maps"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", SOFTMAX)
def test_a_masked_class_that_is_not_true_is_a_class_of_probability_0(name, dtype, maps):
    maps = maps and BETWEEN_BINS.isdisjoint(get_entry(name).targets)  # whose bins lie on the last axis
    others = [[1.0, 2.0], [-3.0, 88.0], [0.0, 0.0]]
    for target in targets(name, len(others)):
        first = float(target[0])
        if "offset" in get_entry(name).targets:  # of three bins 4 apart
            first = first / 4 + 1
        for masked in {0, 1, 2} - {math.floor(first), math.ceil(first)}:
            # the limit: a logit so low that its probability is 0
            rows, low = ([[*row[:masked], at, *row[masked:]] for row in others] for at in (-INF, -1e4))
            loss, gradient = value_and_gradient(name, rows, target, dtype, maps)
            wanted, slope = value_and_gradient(name, low, target, dtype, maps)
            torch.testing.assert_close(loss, wanted)
            torch.testing.assert_close(gradient, slope)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("outside", [-1e-6, -0.0, 1.0, 1 + 1e-6])
@pytest.mark.parametrize(
    ("name", "parameter", "more"),
    [
        ("gaussian_focal", "alpha", {}),
        ("focal", "gamma", {"activated": True}),
        ("quality_focal", "beta", {"activated": True}),
        ("varifocal", "gamma", {"activated": True}),
    ],
)
def test_probabilities_just_outside_of_0_to_1_have_a_loss_and_a_slope(name, parameter, more, outside, exponent):
    for target in (0.0, 1.0):
        pred = torch.tensor([[outside, 0.5]], dtype=torch.float64, requires_grad=True)
        loss = build_loss(name, reduction="none", **{parameter: exponent}, **more)(pred, torch.full_like(pred, target))
        (gradient,) = torch.autograd.grad(loss.sum(), pred)
        assert loss.isfinite().all()
        assert gradient.isfinite().all()


def test_one_bin_is_refused_by_name_and_a_target_of_nan_costs_nan():
    loss = build_loss("distribution_focal")
    with pytest.raises(ValueError, match=r"distribution_focal: pred has 1 bin.*allowed: 2 or more.*reg_max"):
        loss(torch.zeros(3, 1), torch.zeros(3))
    found = build_loss("distribution_focal", reduction="none")(torch.zeros(3, 4), torch.tensor([0.0, math.nan, 1.0]))
    assert found.isnan().tolist() == [False, True, False]
