"""Our dialects equal the installed built-ins in every way of calling them, and what does not is found."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch

import loss_plugins as lp
from loss_plugins.catalog import dialects
from loss_plugins.catalog.conventions import DIALECTS, GUARDS
from loss_plugins.catalog.dialects import DEFAULTS
from loss_plugins.catalog.foreign import Defaults
from loss_plugins.parity.case_rules import CASE_RULES, CaseRule
from loss_plugins.parity.cases import Case, cases_of, values_of
from loss_plugins.parity.contract import ContractResult, compare_case, compare_contract, contracts_of, trial_of
from loss_plugins.parity.inputs import CLASSES, made
from loss_plugins.parity.stated import Trial
from loss_plugins.peers import contract as one_contract
from loss_plugins.peers import find
from loss_plugins.peers.contract import REDUCTIONS, Contract
from loss_plugins.peers.contracts import CONTRACTS

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


def test_calls_with_defaults_are_every_combination() -> None:
    assert [str(case) for case in cases_of(named("mmdet", "bounded_iou")) if not case.parameters] == [
        f"{inputs}, {call}"
        for inputs in ("boxes", "no boxes")
        for call in (
            "none",
            "none, avg_factor 2.5",
            "none, weight one per element",
            "none, weight one per element, avg_factor 2.5",
            "mean",
            "mean, avg_factor 2.5",
            "mean, weight one per element",
            "mean, weight one per element, avg_factor 2.5",
            "sum",
            "sum, weight one per element",
        )
    ]


BOTH_REFUSE = {"mmdet-focal (labels)": {"labels, some negative"}}


@pytest.mark.parametrize("index", range(len(CONTRACTS)), ids=NAMES)
def test_every_input_reduction_weight_and_parameter_is_compared_by_number(index: int) -> None:
    """A call that both refuse compares nothing, and one without elements no number."""
    contract, refused = CONTRACTS[index], {rule.name for rule in CASE_RULES if rule.ours is rule.instead is None}
    found = [
        call
        for call, case in zip(result(index).calls, result(index).cases, strict=True)
        if case.verdict not in refused and not call.inputs.startswith("no ")
    ]
    filled = {name for name in contract.inputs if not name.startswith("no ")}
    assert filled - {call.inputs for call in found} == BOTH_REFUSE.get(NAMES[index], set())
    assert {call.reduction for call in found} == set(contract.reductions)
    assert {call.weight for call in found} == {"", *contract.weights}
    assert {call.avg_factor is not None for call in found} == {False, contract.avg_factor}
    assert {name for call in found for name in call.parameters} == set(values_of(contract)[0])


@EVERY
def test_what_can_be_ignored_is_ignored_in_some_call(contract: Contract) -> None:
    """Theirs has `ignore_index`, so some target holds it."""
    if "ignore_index" not in contract.parameters():
        return
    default = contract.parameters()["ignore_index"]
    targets = [trial_of(contract, case) for case in cases_of(contract)]
    met = {trial.parameters.get("ignore_index", default) for trial in targets if _holds_ignored(trial, default)}
    assert met >= ({-100} if default == -100 else set()) | {1}


def _holds_ignored(trial: Trial, default: int | None) -> bool:
    ignored = trial.parameters.get("ignore_index", default)
    return ignored is not None and bool((trial.dense == ignored).any())


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
        ("mmdet", "ghm_c (negative labels)"),
        ("ultralytics", "distribution_focal"),
        ("transformers", "varifocal"),  # rows are the queries of an image
        ("transformers", "varifocal (alpha 0.25, gamma 1.5)"),
        ("transformers", "varifocal (alpha 2.5, gamma 0)"),
        ("transformers", "matchability"),
        ("transformers", "matchability (focal_loss_gamma 1.5)"),
        ("transformers", "matchability (focal_loss_gamma 1.2, mal_alpha 0.25)"),
        *(
            (name, f"ia_bce (focal_alpha {alpha})")
            for name in ("transformers", "rfdetr", "libreyolo")
            for alpha in (0.25, 0.5)
        ),
        ("libreyolo", "matchability"),
        ("libreyolo", "matchability (gamma 1.5)"),
        ("libreyolo", "matchability (gamma 1.2, mal_alpha 0.25)"),
        ("torch", "margin_ranking"),
        ("torch", "hinge_embedding"),
    }


def test_a_framework_with_weights_is_called_with_them() -> None:
    whole = [each for each in CONTRACTS if each.variant not in ("negative labels", "masks")]
    assert all(each.avg_factor and each.weights for each in whole if each.framework == "mmdet")
    assert all(set(each.reductions) >= set(REDUCTIONS) for each in whole if each.framework in ("mmdet", "torch"))


# --- a break is found -----------------------------------------------------------------------------------------------


def calls_by_rule() -> dict[str, tuple[Contract, Case]]:
    """One call that meets each rule."""
    return {
        case.verdict: (contract, call)
        for index, contract in enumerate(CONTRACTS)
        for call, case in zip(result(index).calls, result(index).cases, strict=True)
    }


@pytest.mark.parametrize("rule", CASE_RULES, ids=lambda rule: rule.name)
def test_a_rule_excuses_its_own_number_alone(rule: CaseRule, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finite is not enough: a thousandth off is a break, and so is a number where ours must raise."""
    contract, case = calls_by_rule()[rule.name]
    assert compare_case(contract, case).ok

    def off(value: torch.Tensor, pred: torch.Tensor) -> torch.Tensor:
        return 1.001 * value + 1e-3 + 0 * pred.sum() if value.numel() else pred.sum().expand(7)

    side = "theirs" if rule.instead else "ours"
    right = getattr(Trial, side)

    def wrong(trial: Trial, pred: torch.Tensor, *more: Any, **changed: Any) -> torch.Tensor:
        if rule.ours is rule.instead is None:
            return pred.sum()
        return off(right(trial, pred, *more, **changed), pred)

    monkeypatch.setattr(Trial, side, wrong)
    found = compare_case(contract, case)
    assert not found.ok, found
    assert found.verdict.startswith(("DIFFERS", "refused by theirs"))


def test_a_mistake_in_the_call_of_theirs_is_no_refusal_of_theirs() -> None:
    def mistaken(place: Any, parameters: Any) -> Any:
        return lambda pred, target: place(pred, target, no_such_parameter=1)

    found = compare_contract(replace(named("torchvision", "giou"), bind=mistaken))
    assert not found.ok
    assert found.verdict == f"BROKEN in {len(found.cases)} calls"
    assert all("no_such_parameter" in case.verdict for case in found.wrong)


def test_calls_that_are_only_known_to_differ_are_no_equality() -> None:
    index = NAMES.index("torch-l1")
    known = tuple(case for case in result(index).cases if case.verdict != "equal")
    found = replace(result(index), cases=known)
    assert known
    assert found.wrong == []
    assert (found.ok, found.verdict) == (False, "NOT COMPARED: no call is equal")


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
        ("transformers", "focal", DEFAULTS, Defaults(DEFAULTS["focal"]["transformers"].names)),
        ("transformers", "dice", DEFAULTS, Defaults({"form": "naive", "smooth": 1.0})),
        ("transformers", "varifocal", DEFAULTS, Defaults()),
        ("transformers", "matchability", DEFAULTS, Defaults()),
        ("libreyolo", "matchability", DEFAULTS, Defaults()),
        ("transformers", "ia_bce (focal_alpha 0.5)", DEFAULTS, Defaults()),
        ("rfdetr", "ia_bce (focal_alpha 0.5)", DEFAULTS, Defaults()),
        ("libreyolo", "ia_bce (focal_alpha 0.5)", DEFAULTS, Defaults()),
        ("rfdetr", "giou", DIALECTS, DIALECTS["giou"]["mmdet"]),
        ("rfdetr", "varifocal", DEFAULTS, Defaults({"alpha": 0.25}, mean="columns")),
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


def test_a_package_that_cannot_be_imported_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def halted(place: str) -> None:
        raise ImportError(f"import of {place} halted")

    monkeypatch.setattr(one_contract, "located", halted)
    contract = named("rfdetr", "giou")
    assert contract.missing() == "import of rfdetr.utilities.box_ops:elementwise_generalized_box_iou halted"
    assert list(contracts_of("rfdetr")) == []


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
