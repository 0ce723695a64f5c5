"""Our dialects equal the installed built-ins; what does not is found, and known deviations are counted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

import loss_plugins as lp
from loss_plugins import peers as builtins
from loss_plugins.catalog import dialects
from loss_plugins.catalog.dialects import DEFAULTS, defaults_of, dialects_of, meant, translated
from loss_plugins.parity import command as parity_command
from loss_plugins.parity import compare as parity
from loss_plugins.parity import deviations
from loss_plugins.parity.training import TrainingCase, compare_training, furthest
from loss_plugins.peers import BUILTINS, EXACT, SINGLE, Builtin, reached
from loss_plugins.samples import SAMPLES

FEW = 800
ROWS = [pytest.param(row, id=f"{row.framework}-{row.name}") for row in BUILTINS]
CIOU = next(row for row in BUILTINS if (row.framework, row.name) == ("ultralytics", "ciou"))
FOCAL = next(row for row in BUILTINS if (row.framework, row.name) == ("torchvision", "focal"))

app = typer.Typer()
app.command()(parity_command.parity)


def here(row: Builtin) -> Builtin:
    if not builtins.installed(row.framework):
        pytest.skip(f"{row.framework} is not installed")
    return row


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("row", ROWS)
def test_our_dialect_equals_the_built_in(row: Builtin, dtype: torch.dtype) -> None:
    if dtype is torch.float64 and row.double is None:
        pytest.skip("the built-in computes in float32")
    found = parity.compare_builtin(here(row), FEW, seed=1, dtype=dtype)
    assert found.ok, found


def test_there_are_enough_pairs() -> None:
    rows = [(row.framework, row.name) for row in BUILTINS]
    assert len(rows) == len(set(rows)) >= 40


def test_ciou_of_ultralytics_is_promised_bit_for_bit() -> None:
    found = parity.compare_builtin(here(CIOU), FEW)
    assert CIOU.promised == EXACT
    assert found.value_max == found.gradient_max == 0
    assert found.verdict == "equal bit for bit"


def test_the_promise_depends_on_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "installed", lambda framework: "8.4.120")
    assert CIOU.tolerance(single=True) == SINGLE
    monkeypatch.setattr(builtins, "installed", lambda framework: "8.10.2+cpu")
    assert CIOU.tolerance(single=True) == EXACT


def test_what_a_version_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (replace(FOCAL, parameters={"delta": 1}), replace(FOCAL, place="torchvision.ops:no_such_loss"))
    monkeypatch.setattr(builtins, "BUILTINS", rows)
    assert list(parity.parity_of("torchvision", FEW)) == []
    assert [line.partition(": ")[2] for line in parity.absent("torchvision")] == [
        "sigmoid_focal_loss has no delta",
        "no_such_loss is not there",
    ]


# --- a break is found -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"eps": 1.5e-7}, {"union": "add"}, {"center": "difference"}], ids=str)
def test_one_changed_constant_is_caught(change: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    here(CIOU)
    table = dialects.DIALECTS["ciou"]
    monkeypatch.setitem(table, "ultralytics", replace(table["ultralytics"], **change))
    found = parity.compare_builtin(CIOU, FEW)
    assert not found.ok
    assert found.verdict.startswith("BROKEN in ")


def test_a_changed_default_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    row = here(next(row for row in BUILTINS if (row.framework, row.name) == ("ultralytics", "focal")))
    monkeypatch.setitem(DEFAULTS["focal"], "ultralytics", replace(DEFAULTS["focal"]["ultralytics"], values={}))
    assert not parity.compare_builtin(row, FEW).ok


def test_a_loss_that_turns_nan_is_caught_even_where_a_rule_excuses_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    row = here(next(row for row in BUILTINS if (row.framework, row.name) == ("mmdet", "ciou")))
    assert parity.compare_builtin(row, FEW).excluded == {"nan-on-match": FEW // 100}
    monkeypatch.setattr(Builtin, "dialect", Builtin.theirs)
    found = parity.compare_builtin(row, FEW)
    assert found.excluded == {"nan-on-match": 0}
    assert not found.ok


def test_every_rule_is_needed_and_counted() -> None:
    for rule in deviations.RULES:
        rows = [row for row in BUILTINS if rule.applies(row)]
        assert [row.name for row in rows] == list(rule.losses)
        over = bool(rule.until) and reached(rule.framework, rule.until)
        assert all((parity.compare_builtin(here(row), FEW).excluded[rule.name] > 0) != over for row in rows)


def test_excluded_rows_are_finite_here() -> None:
    pred = torch.tensor([[0.0, 0, 20, 20]], requires_grad=True)
    loss = lp.ciou_loss(pred, pred.detach().clone(), dialect="mmdet")
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    assert loss.abs().max() < 1e-6
    assert gradient.isfinite().all()


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_prints_json_and_exits_0() -> None:
    result = CliRunner().invoke(app, ["--against", "torch", "--pairs", "400", "--json"])
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["ok"]
    assert told["versions"]["torch"]
    assert {row["framework"] for row in told["comparisons"]} == {"torch"}
    assert set(told["samples"]) == {row["sample"] for row in told["comparisons"]}


def test_the_command_exits_1_on_a_break(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(FOCAL, framework="torch", place="torch.nn:L1Loss", loss="mse", sample="offsets", parameters={})
    monkeypatch.setattr(builtins, "BUILTINS", (broken,))
    result = CliRunner().invoke(app, ["--against", "torch", "--pairs", "400"], env={"COLUMNS": "200"})
    assert result.exit_code == 1
    assert "0 of 1 pairs of functions are equal" in result.output
    assert "BROKEN in" in result.output


def test_the_command_writes_both_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deviations, "MEASURED", tmp_path / "deviations.json")
    deviations._measured.cache_clear()
    files = tmp_path / "parity.md", tmp_path / "deviations.md"
    arguments = ["--against", "torch", "--pairs", "400", "--report", str(files[0]), "--deviations", str(files[1])]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    page, table = (file.read_text() for file in files)
    assert "| torch | BCELoss | bce | float64 |" in page
    assert SAMPLES["offsets"].text in page
    assert "| bce | torch" in table
    assert [found.loss for found in deviations.deviations("bce")] == ["bce"]
    deviations._measured.cache_clear()


@pytest.mark.parametrize(("against", "error"), [("pytorch", ValueError), ("smp", ImportError)])
def test_the_command_refuses_what_is_not_there(
    against: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity_command, "installed", lambda name: None)
    with pytest.raises(error, match=against):
        parity_command.check_framework(against)


# --- deviations -----------------------------------------------------------------------------------------------------


def test_every_default_that_differs_has_a_reason() -> None:
    explained = {(reason.stock.framework, reason.loss) for reason in deviations.REASONS}
    for row in BUILTINS:
        first = next(one for one in BUILTINS if (one.framework, one.loss) == (row.framework, row.loss))
        if row is not first or (row.framework, row.loss) in explained or not builtins.installed(row.framework):
            continue
        # the row's own parameters, under our names: what the dialect adds to them must be explained
        given = row.parameters if row.ours is None else row.ours
        silent = defaults_of(row.loss, row.framework).values
        ours = translated(row.loss, {**given, "dialect": row.framework})
        plain = replace(row, plain={key: ours[key] for key in ours if key in given or key not in {*silent, "dialect"}})
        dtype = torch.float32 if row.double is None else torch.float64
        pred, target = SAMPLES[row.sample](FEW, 0, dtype)
        apart = (plain.default()(pred, target) - row.theirs()(pred, target)).abs().max()
        assert apart < (1e-6 if row.double is None else 1e-9), (row.framework, row.name)


def test_what_was_measured_covers_the_reasons() -> None:
    measured = {(found.framework, found.loss, found.builtin) for found in deviations.deviations()}
    assert measured == {(reason.stock.framework, reason.loss, reason.stock.builtin) for reason in deviations.REASONS}, (
        "run: loss-plugins parity --against all --deviations docs/deviations.md"
    )
    assert "NaN" in str(next(found for found in deviations.deviations("ciou") if found.framework == "mmdet"))


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
    assert meant("dice", once)["eps"] == 0.2


@pytest.mark.parametrize(
    ("loss", "parameters", "message"),
    [
        (
            "siou",
            {"dialect": "mmdet", "neg_gamma": False},
            r"neg_gamma=False of mmdet has no counterpart; allowed: True",
        ),
        ("varifocal", {"dialect": "mmdet", "use_sigmoid": False}, "use_sigmoid=False of mmdet has no counterpart"),
        ("dice", {"dialect": "mmdet", "naive_dice": True, "form": "vnet"}, "'naive_dice' is mmdet's name of 'form'"),
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
