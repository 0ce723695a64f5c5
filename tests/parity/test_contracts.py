"""Our dialects equal the installed built-ins in every way of calling them, and what does not is found."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from typing import Any

import pytest
import torch

import loss_plugins as lp
from loss_plugins.catalog import dialects
from loss_plugins.catalog.dialects import DEFAULTS, GUARDS, Defaults
from loss_plugins.parity.cases import cases_of, values_of
from loss_plugins.parity.contract import ContractResult, compare_contract
from loss_plugins.parity.inputs import CLASSES, INPUTS, made
from loss_plugins.parity.rules import CASE_RULES
from loss_plugins.peers import find
from loss_plugins.peers.contracts import CONTRACTS, REDUCTIONS, Contract

NAMES = [f"{each.framework}-{each.title}" for each in CONTRACTS]
EVERY = pytest.mark.parametrize("contract", CONTRACTS, ids=NAMES)


def named(framework: str, title: str) -> Contract:
    return next(each for each in CONTRACTS if (each.framework, each.title) == (framework, title))


@functools.cache
def result(contract_index: int) -> ContractResult:
    return compare_contract(CONTRACTS[contract_index])


@pytest.mark.parametrize("index", range(len(CONTRACTS)), ids=NAMES)
def test_every_call_equals_the_built_in_or_is_known(index: int) -> None:
    found = result(index)
    assert found.wrong == []
    assert found.counts["equal"] > 0
    assert not CONTRACTS[index].missing()


def test_every_rule_for_calls_is_needed() -> None:
    met = Counter(case.verdict for index in range(len(CONTRACTS)) for case in result(index).cases)
    assert [rule.name for rule in CASE_RULES if not met[rule.name]] == []
    assert not CASE_RULES or len({rule.name for rule in CASE_RULES}) == len(CASE_RULES)


def test_the_names_are_different() -> None:
    assert len(set(NAMES)) == len(NAMES)


# --- what is varied -------------------------------------------------------------------------------------------------


@EVERY
def test_each_call_with_defaults_stands_in_every_combination(contract: Contract) -> None:
    calls = [case for case in cases_of(contract) if not case.parameters]
    factors = 2 if contract.avg_factor else 1
    sums = ("sum" in contract.reductions) * (factors - 1)  # no avg_factor with a sum
    weights = 1 + len(contract.weights)
    assert len(calls) == len(contract.inputs) * weights * (len(contract.reductions) * factors - sums)
    assert set(contract.inputs) <= set(INPUTS)


@EVERY
def test_each_parameter_is_tried_or_refused_by_name(contract: Contract) -> None:
    """None is taken and left unused: what ours lacks is an error, also where a mistake of ours would add it."""
    values, lacking = values_of(contract)
    theirs = contract.parameters()
    for name in lacking:
        with pytest.raises((TypeError, ValueError)):
            lp.build_loss(contract.loss, dialect=contract.framework, **{name: 7})
    assert {*values, *lacking} <= set(theirs)
    # what is neither has one value on both sides, their default
    for name in theirs.keys() - {*values, *lacking}:
        lp.build_loss(contract.loss, dialect=contract.framework, **contract.given, **{name: theirs[name]})


def test_each_class_or_region_loss_is_called_with_maps_or_has_rows_only() -> None:
    rows_only = {
        (each.framework, each.title)
        for each in CONTRACTS
        if lp.get_entry(each.loss).kind in ("classification", "region")
        and not any(made(name)[0].ndim > 2 for name in each.inputs)
    }
    assert rows_only == {
        ("mmdet", "bce_with_logits (labels)"),  # MMDetection takes labels for rows
        ("mmdet", "focal (labels)"),
        ("mmdet", "focal (probabilities)"),
        ("mmdet", "quality_focal"),
        ("mmdet", "distribution_focal"),
        ("mmdet", "ghm_c"),
        ("mmdet", "ghm_c (labels)"),
        ("ultralytics", "distribution_focal"),
        ("torch", "margin_ranking"),
        ("torch", "hinge_embedding"),
    }


def test_a_framework_with_weights_is_called_with_them() -> None:
    assert all(each.avg_factor and each.weights for each in CONTRACTS if each.framework == "mmdet")
    assert all(set(each.reductions) >= set(REDUCTIONS) for each in CONTRACTS if each.framework in ("mmdet", "torch"))


# --- a break is found -----------------------------------------------------------------------------------------------


def rows(pred: torch.Tensor, target: Any, **_: Any) -> torch.Tensor:
    return pred.new_tensor(float(max(len(pred), 1)))


@pytest.mark.parametrize(
    ("framework", "loss", "table", "change"),
    [
        ("kornia", "dice", GUARDS, {}),
        ("kornia", "tversky", GUARDS, {}),
        ("kornia", "focal", GUARDS, {}),
        ("kornia", "softmax_focal", DEFAULTS, Defaults()),
        ("monai", "focal", GUARDS, {}),
        ("monai", "focal", DEFAULTS, Defaults({"alpha": None})),
        ("smp", "focal", GUARDS, {}),
        ("smp", "dice (multilabel)", GUARDS, {}),
        ("smp", "focal_tversky (multilabel)", GUARDS, {}),
        ("smp", "softmax_focal", GUARDS, {}),
        ("mmdet", "ghm_c", DEFAULTS, Defaults(names=dialects._SIGMOID)),
        ("ultralytics", "dice", DEFAULTS, Defaults(DEFAULTS["dice"]["ultralytics"].values)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_convention_that_is_lost_is_found(
    framework: str, loss: str, table: dict[str, Any], change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = loss.partition(" ")[0]
    monkeypatch.setitem(table, name, {**table[name], framework: change})
    assert not compare_contract(named(framework, loss)).ok


def test_a_mean_over_the_wrong_number_of_labels_is_found_on_maps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows cannot tell the number of rows from the number of labels."""
    monkeypatch.setattr("loss_plugins.module.reduction.DIVISORS", {"elements": rows})
    wrong = compare_contract(named("mmdet", "cross_entropy")).wrong
    assert wrong
    assert all("maps" in case.case for case in wrong)


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_cross_entropy_of_mmdet_averages_over_all_pixels() -> None:
    loss = lp.build_loss({"type": "cross_entropy", "dialect": "mmdet"})
    labels = torch.zeros(2, 64, 64).long()
    assert loss(torch.zeros(2, 3, 64, 64), labels).item() == pytest.approx(1.0986123, abs=1e-6)  # ln 3
    labels[0] = -100  # ignored labels count
    assert loss(torch.zeros(2, 3, 64, 64), labels).item() == pytest.approx(1.0986123 / 2, abs=1e-6)


def test_macro_dice_of_kornia_averages_over_the_classes_of_each_image() -> None:
    # one pixel, two classes, p = 1/2 each; two pixels with one class each, and p = 1/2: 1 - 2 (1/2) / (1/2 + 1) = 1/3
    # of image 0, which has class 0 alone, is counted only that: 1 - 2 (1) / (1 + 2); of image 1 both, 1 - 1 / 2 each
    labels = torch.tensor([[[0, 0]], [[0, 1]]])
    logits = torch.zeros(2, 2, 1, 2, dtype=torch.float64)
    found = lp.build_loss("dice", dialect="kornia", average="macro")(logits, labels)
    assert found.item() == pytest.approx((1 / 3 + 1 / 2) / 2, abs=1e-7)
    tversky = lp.build_loss("tversky", dialect="kornia", alpha=0.5, beta=0.5)(logits, labels)
    assert tversky.item() == pytest.approx((1 / 3 + 1 / 2) / 2, abs=1e-7)


def test_focal_tversky_of_smp_is_a_power_of_the_mean() -> None:
    logits, target = torch.zeros(1, 2, 1, 2, dtype=torch.float64), torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]]]).double()
    loss = lp.build_loss("focal_tversky", dialect="smp", mode="multilabel", gamma=2.0)
    # channel 0: TP 1, FN 1, FP 0: 1 - 1 / (1 + 1/2) = 1/3; channel 1 is empty: 0; the mean is 1/6
    assert loss(logits, target).item() == pytest.approx(1 / 36, abs=1e-9)


def test_sums_of_focal_losses() -> None:
    logits, target = torch.randn(2, 3, 4, 5, dtype=torch.float64), torch.zeros(2, 3, 4, 5, dtype=torch.float64)
    plain = lp.focal_loss(logits, target, alpha=None).sum()
    for dialect, divisor in (("monai", 20), ("smp", 3)):
        found = lp.build_loss("focal", dialect=dialect, reduction="sum")(logits, target)
        assert found.item() == pytest.approx(plain.item() / divisor)


def test_multiclass_focal_of_smp_is_one_class_against_the_rest() -> None:
    logits, labels = torch.randn(2, 3, 4, 5, dtype=torch.float64), torch.randint(0, 3, (2, 4, 5))
    theirs = find("smp", "FocalLoss").loss(lambda place, given: place(**given), mode="multiclass")(logits, labels)
    assert lp.build_loss("softmax_focal", dialect="smp")(logits, labels).item() == pytest.approx(theirs.item())


# --- parameters -------------------------------------------------------------------------------------------------------


@EVERY
def test_a_dialect_takes_the_defaults_of_its_framework(contract: Contract) -> None:
    values, _ = values_of(contract)
    for name, default in contract.parameters().items():
        if name in values and default is not inspect.Parameter.empty:
            lp.build_loss(contract.loss, dialect=contract.framework, **contract.given, **{name: default})


#: what users write, beyond the defaults
USED: list[tuple[str, str, dict[str, Any]]] = [
    ("dice", "mmdet", {"eps": 2.0}),
    ("dice", "mmdet", {"eps": 1.0, "naive_dice": True}),  # Mask2Former
    ("dice", "mmdet", {"eps": 5.0, "activate": False}),
    ("dice", "smp", {"smooth": 1.0, "mode": "multilabel"}),
    ("dice", "smp", {"smooth": 100.0, "eps": 1.0, "mode": "binary"}),
    ("dice", "monai", {"smooth_nr": 0.0, "smooth_dr": 1e-5, "squared_pred": True, "sigmoid": True}),
    ("dice", "monai", {"smooth_nr": 1.0, "smooth_dr": 1.0}),
    ("dice", "monai", {"smooth_nr": 1.0, "smooth_dr": 1e-6}),
    ("dice", "kornia", {"eps": 1.0}),
    ("dice", "kornia", {"eps": 0.0}),
    ("dice", "ultralytics", {"smooth": 1.0}),
    ("tversky", "monai", {"alpha": 1.0, "beta": 1.0, "smooth_nr": 1.0, "smooth_dr": 1.0}),
    ("tversky", "kornia", {"alpha": 0.3, "beta": 0.7, "eps": 1.0}),
    ("focal_tversky", "smp", {"gamma": 0.75, "smooth": 1.0, "mode": "multilabel"}),
    ("smooth_l1", "mmdet", {"beta": 3.0}),
    ("balanced_l1", "mmdet", {"alpha": 0.5, "gamma": 1.5, "beta": 1.0}),
    ("ghm_c", "mmdet", {"bins": 30, "momentum": 0.75}),
    ("varifocal", "mmdet", {"alpha": 1.5}),
    ("focal", "torchvision", {"alpha": -1}),
]


@pytest.mark.parametrize(("loss", "dialect", "given"), USED, ids=lambda value: str(value))
def test_a_dialect_takes_what_users_of_its_framework_write(loss: str, dialect: str, given: dict[str, Any]) -> None:
    module = lp.build_loss(loss, dialect=dialect, **given)
    assert lp.build_loss(module.spec()).spec() == module.spec()


@pytest.mark.parametrize("smooth", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize("eps", [0.0, 1e-6, 1.0])
def test_an_empty_prediction_of_an_empty_target_is_finite_whatever_the_smoothing(smooth: float, eps: float) -> None:
    for loss in ("dice", "tversky", "focal_tversky"):
        pred = torch.zeros(2, 3, 2, 2, requires_grad=True)
        value = lp.build_loss(loss, activation="none", smooth=smooth, eps=eps)(pred, torch.zeros(2, 3, 2, 2))
        value.backward()
        assert value.isfinite()
        assert pred.grad is not None
        assert not pred.grad.isnan().any()


def test_maps_have_their_width_equal_to_the_classes() -> None:
    """Numbers per class along a wrong axis are then wrong, not refused."""
    assert made("soft targets, maps")[0].shape[-1] == made("soft targets, maps")[0].shape[1] == CLASSES
