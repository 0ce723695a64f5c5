"""Our dialects equal the installed built-ins; what does not is found, and known deviations are counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import loss_plugins as lp
from loss_plugins.catalog.conventions import DIALECTS
from loss_plugins.catalog.dialects import DEFAULTS, dialects_of, function_keywords, translated
from loss_plugins.parity import compare as parity
from loss_plugins.parity.rules import RULES
from loss_plugins.parity.training import TrainingCase, compare_training, furthest
from loss_plugins.peers import EXACT, Compared, compared, lookups, packages
from loss_plugins.peers.packages import reached
from loss_plugins.peers.uses import SINGLE, Peer

FEW = 800
ROWS = [pytest.param(row, id=f"{row.framework}-{row.name}") for row in compared()]


def named(framework: str, name: str) -> Compared:
    return next(row for row in compared(framework) if row.name == name)


CIOU, FOCAL = named("ultralytics", "ciou"), named("torchvision", "focal")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("row", ROWS)
def test_our_dialect_equals_the_built_in(row: Compared, dtype: torch.dtype) -> None:
    if dtype is torch.float64 and row.double is None:
        pytest.skip("the built-in computes in float32")
    found = parity.compare_builtin(row, FEW, seed=1, dtype=dtype)
    assert found.ok, found


def test_there_are_enough_pairs() -> None:
    rows = [(row.framework, row.name) for row in compared()]
    assert len(rows) == len(set(rows)) >= 40


def test_ciou_of_ultralytics_is_promised_bit_for_bit() -> None:
    found = parity.compare_builtin(CIOU, FEW)
    assert CIOU.promised == EXACT
    assert found.value_max == found.gradient_max == 0
    assert found.verdict == "equal bit for bit"


def test_the_promise_depends_on_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "installed", lambda framework: "8.4.120")
    assert CIOU.tolerance(single=True) == SINGLE
    monkeypatch.setattr(packages, "installed", lambda framework: "8.10.2+cpu")
    assert CIOU.tolerance(single=True) == EXACT


def test_what_a_version_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    peers = (
        Peer(
            "torchvision", function="torchvision.ops:sigmoid_focal_loss", uses=(Compared("focal", "x", {"delta": 1}),)
        ),
        Peer("torchvision", function="torchvision.ops:no_such_loss", uses=(Compared("focal", "x"),)),
        Peer("torchvision", function="torchvision.no_such_module:loss", uses=(Compared("focal", "x"),)),
    )
    monkeypatch.setattr(lookups, "PEERS", peers)
    assert list(parity.parity_of("torchvision", FEW)) == []
    assert [line.partition(": ")[2] for line in parity.absent("torchvision")] == [
        "sigmoid_focal_loss has no delta",
        "no_such_loss is not there",
        "No module named 'torchvision.no_such_module'",
    ]


# --- a break is found -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"eps": 1.5e-7}, {"union": "add"}, {"center": "difference"}], ids=str)
def test_one_changed_constant_is_caught(change: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    table = DIALECTS["ciou"]
    monkeypatch.setitem(table, "ultralytics", replace(table["ultralytics"], **change))
    found = parity.compare_builtin(CIOU, FEW)
    assert not found.ok
    assert found.verdict.startswith("BROKEN in ")


def test_a_changed_default_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    row = named("ultralytics", "focal")
    monkeypatch.setitem(DEFAULTS["focal"], "ultralytics", replace(DEFAULTS["focal"]["ultralytics"], values={}))
    assert not parity.compare_builtin(row, FEW).ok


def test_a_loss_that_turns_nan_is_caught_even_where_a_rule_excuses_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    row = named("mmdet", "ciou")
    assert parity.compare_builtin(row, FEW).excluded == {"nan-on-match": FEW // 100}
    monkeypatch.setattr(Compared, "dialect", Compared.theirs)
    found = parity.compare_builtin(row, FEW)
    assert found.excluded == {"nan-on-match": 0}
    assert not found.ok


def test_every_rule_is_needed_and_counted() -> None:
    for rule in RULES:
        rows = [row for row in compared() if rule.applies(row)]
        assert [row.name for row in rows] == list(rule.losses)
        over = bool(rule.until) and reached(rule.framework, rule.until)
        assert all((parity.compare_builtin(row, FEW).excluded[rule.name] > 0) != over for row in rows)


def test_excluded_rows_are_finite_here() -> None:
    pred = torch.tensor([[0.0, 0, 20, 20]], requires_grad=True)
    loss = lp.ciou_loss(pred, pred.detach().clone(), dialect="mmdet")
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert loss.abs().max() < 1e-6
    assert gradient.isfinite().all()


# --- names of parameters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", DEFAULTS)
def test_a_loss_in_a_dialect_can_be_built_again(loss: str) -> None:
    for dialect in DEFAULTS[loss]:
        module = lp.build_loss(loss, dialect=dialect)
        again = lp.build_loss(module.spec())
        assert again.spec() == module.spec()
        assert module.entry.arguments(module.parameters_given) == again.entry.arguments(module.parameters_given)
        assert dialect in dialects_of(loss)


def test_translation_changes_nothing_the_second_time() -> None:
    once = translated("dice", {"dialect": "mmdet", "naive_dice": False, "eps": 0.1})
    assert translated("dice", once) == once
    assert function_keywords("dice", once)["eps"] == 0.2


@pytest.mark.parametrize(
    ("loss", "parameters", "message"),
    [
        (
            "siou",
            {"dialect": "mmdet", "neg_gamma": False},
            r"neg_gamma=False of mmdet has no counterpart; allowed: True",
        ),
        ("varifocal", {"dialect": "mmdet", "use_sigmoid": False}, "use_sigmoid=False of mmdet has no counterpart"),
        (
            "dice",
            {"dialect": "mmdet", "naive_dice": True, "form": "vnet"},
            "naive_dice=True and form='vnet', two names of one parameter",
        ),
        ("dice", {"dialect": "detectron"}, "dialect='detectron' is out of range"),
    ],
)
def test_values_without_counterpart_are_refused(loss: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lp.build_loss(loss, **parameters)


def test_their_names_need_their_dialect() -> None:
    with pytest.raises(TypeError, match="naive_dice"):
        lp.build_loss("dice", naive_dice=True)


def test_functions_take_dialects_too() -> None:
    pred, target = torch.randn(8, 4), torch.rand(8, 4)
    assert torch.equal(lp.focal_loss(pred, target, dialect="ultralytics"), lp.focal_loss(pred, target, gamma=1.5))
    assert torch.equal(
        lp.dice_loss(pred, target, dialect="mmdet", activate=False),
        lp.dice_loss(pred, target, activation="none", eps=2e-3),
    )


# --- training -------------------------------------------------------------------------------------------------------


def test_training_curves_are_compared_step_by_step(tmp_path: Path) -> None:
    def run(folder: Path, ours: bool, steps: int) -> list[dict[str, float]]:
        return [{"loss": 1.0 + step + (0.5 if ours and step == 1 else 0.0)} for step in range(steps)]

    result = compare_training(TrainingCase("none", "model", "box", run), tmp_path, 3)
    assert (result.largest, result.at_step, result.ok) == (0.25, 2, False)
    assert furthest({"loss": 1.0}, {"other": 1.0}) == float("inf")
    assert furthest({"loss": float("nan")}, {"loss": float("nan")}) == float("inf")
