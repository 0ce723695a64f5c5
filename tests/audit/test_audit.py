"""The audit itself: it names faults planted in good losses, its reproductions run, its command has exit codes."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import typer
from torch import Tensor, nn
from typer.testing import CliRunner

import loss_plugins as lp
from loss_plugins.audit import AuditReport, Result, Scores, audit, audit_subject, checks_for, command, resolve
from loss_plugins.audit.checks.cases import BOX_CASES
from loss_plugins.audit.suite import CHECKS
from loss_plugins.catalog.declare import KINDS

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(command.check)


def names(report: AuditReport) -> set[str]:
    return {result.check for result in report.failed}


# --- three faults planted on purpose -------------------------------------------------------------------------------


def without_eps(pred: Tensor, target: Tensor) -> Tensor:
    """CIoU with alpha = v / (1 - IoU + v): 0 / 0 on an exact match."""
    (w, h), (wt, ht) = ((box[:, 2:] - box[:, :2]).unbind(-1) for box in (pred, target))
    v = 4 / math.pi**2 * (torch.atan2(wt, ht) - torch.atan2(w, h)) ** 2
    alpha = v.detach() / (lp.iou_loss(pred, target).detach() + v.detach())
    return lp.diou_loss(pred, target) + alpha * v


def distance_detached(pred: Tensor, target: Tensor) -> Tensor:
    """DIoU whose distance term has lost its gradient."""
    iou = lp.iou_loss(pred, target)
    return iou + (lp.diou_loss(pred, target) - iou).detach()


def distance_flipped(pred: Tensor, target: Tensor) -> Tensor:
    """DIoU that subtracts the distance term."""
    return 2 * lp.iou_loss(pred, target) - lp.diou_loss(pred, target)


PLANTED = [
    (without_eps, "ciou", {"equal: value", "equal: gradient", "fp32, every case", "bf16, every case"}),
    (distance_detached, "diou", {"pulls boxes that are apart", "gradient is the slope"}),
    (distance_flipped, "diou", {"shifted right", "shifted down", "shifted diagonally"}),
]


@functools.cache
def audit_of(broken: Callable[..., Tensor], like: str) -> AuditReport:
    return audit(broken, traits=lp.get_entry(like).traits)


@pytest.mark.parametrize(("broken", "like", "named"), PLANTED, ids=lambda value: getattr(value, "__name__", None))
def test_a_planted_fault_is_named(
    broken: Callable[..., Tensor], like: str, named: set[str], audited: Callable[[str], AuditReport]
) -> None:
    assert audited(like).ok
    assert named <= names(audit_of(broken, like))


def test_the_planted_faults_fail_nothing_unrelated() -> None:
    """A detached term breaks gradients, not values; a flipped sign breaks no single box."""
    detached = names(audit_of(distance_detached, "diou"))
    assert detached == {"pulls boxes that are apart", "gradient is the slope"}
    flipped = audit_of(distance_flipped, "diou")
    assert {result.group for result in flipped.failed} == {"order"}


# --- form ----------------------------------------------------------------------------------------------------------


def column(pred: Tensor, target: Tensor) -> Tensor:
    return (pred - target).abs().mean(-1, keepdim=True)


def test_a_column_is_a_finding_not_a_crash() -> None:
    report = audit(column)
    assert names(report) == {"one loss per box"}
    assert "n x n" in report.failed[0].detail


@pytest.mark.parametrize(
    ("loss", "check"),
    [
        (lambda p, t: (p[:, None] - t[None]).abs().mean(-1), "one loss per box"),
        (lambda p, t: (p - t).abs().mean(-1) * torch.rand(len(p)), "deterministic"),
        (lambda p, t: t.add_(0).sub(p).abs().mean(-1), "inputs untouched"),
        (lambda p, t: (p - t).abs().mean(-1) if bool((p > -1e9).all()) else p[:, 0], "compiles to one graph"),
        (lambda p, t: (p - t).abs().nan_to_num().mean(-1), "NaN coordinate shows"),
        (lambda p, t: (p - t).abs().mean(-1).half(), "fp64 stays fp64"),
        (lambda p, t: (p - t).abs().mean(-1) / len(p), "one row"),
        (lambda p, t: (p - t).abs().mean(-1) * torch.arange(1.0, len(p) + 1), "rows permuted"),
    ],
    ids=["n x n", "random", "writes", "branches", "hides NaN", "half", "batch size", "row number"],
)
def test_each_fault_of_form_is_named(loss: Callable[..., Tensor], check: str) -> None:
    assert check in names(audit(loss))


def test_state_must_be_declared() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, pred: Tensor, target: Tensor) -> Tensor:
            if self.training:
                self.calls += 1
            return (pred - target).abs().mean(-1) * (1 + self.calls)

    assert "state only where declared" in names(audit(Counting()))
    declared = audit(Counting(), traits=lp.Traits(symmetric=True, stateful=True))
    assert "state only where declared" not in names(declared)


# --- report --------------------------------------------------------------------------------------------------------


def test_without_traits_nothing_about_traits_is_judged() -> None:
    report = audit(lambda p, t: (p - t).abs().mean(-1), name="mean L1")
    assert report.ok
    traits = [result for result in report.results if result.group == "traits"]
    assert {result.status for result in traits} == {"measured"}
    assert all(result.number is not None for result in traits)


def test_a_trait_that_is_better_than_promised_is_explained() -> None:
    report = audit(lambda pred, target: lp.iou_loss(pred, target), traits=lp.Traits(range=(0, 1)))
    told = {result.check: result.detail for result in report.failed}
    for check, trait in (("symmetric", "symmetric"), ("scale invariant", "scale_invariant")):
        assert told[check].endswith(f"promised: no, but it holds: declare {trait}=True")


@pytest.mark.parametrize(("idle", "text"), [(1, "1 check does not apply"), (2, "2 checks do not apply")])
def test_checks_that_do_not_apply_are_counted(idle: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = Result("symmetric", "traits", "not applicable", "no boxes")
    command._print_report(AuditReport("own", "box", (result,) * idle))
    assert text in capsys.readouterr().out


def test_a_trait_is_judged_both_ways() -> None:
    loss = lp.GIoULoss(reduction="none")
    boasting = audit(loss, traits=lp.Traits(range=(0, 1), symmetric=True, scale_invariant=True))
    modest = audit(loss, traits=lp.Traits(range=(0, 2), symmetric=False, scale_invariant=False))
    assert names(boasting) == {"range"}
    assert names(modest) == {"symmetric", "scale invariant"}


def test_what_does_not_apply_says_why() -> None:
    report = audit(lambda p, t: (p - t).abs().mean(-1))
    assert all(result.detail for result in report.of("not applicable"))


def test_the_report_is_plain_and_printable() -> None:
    report = audit_of(without_eps, "ciou")
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["target"] == "without_eps"
    assert plain["counts"]["failed"] == len(report.failed)
    assert "FAILED equal / equal: value: value nan" in str(report)


def test_check_names_are_unique_per_kind() -> None:
    for kind in KINDS:
        found = [check.name for check in checks_for(kind)]
        assert len(found) == len(set(found))
    assert len(CHECKS) > 150
    assert len({case.name for case in BOX_CASES}) == len(BOX_CASES)


def test_a_compiler_that_leaves_its_keywords_on_the_module_fails_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch.compile does once Lightning is imported."""
    compiled = torch.compile

    def keeping_keywords(model: nn.Module, **keywords: object) -> object:
        made = compiled(model, **keywords)  # type: ignore[call-overload]
        made._compile_kwargs = keywords
        return made

    monkeypatch.setattr(torch, "compile", keeping_keywords)
    report = audit(lp.build_loss("eiou", reduction="none"))
    assert report.ok, names(report)


def test_class_losses_can_be_audited_by_form() -> None:
    def cross_entropy(pred: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(pred, target, reduction="none")

    report = audit(cross_entropy, kind="classification", scores=Scores("class_map"))
    assert report.ok, str(report)
    minimum = next(result for result in report.results if result.check == "where the minimum is")
    assert minimum.number is not None
    assert minimum.number < 0.02


# --- reproductions -------------------------------------------------------------------------------------------------


def printed(reproduction: str) -> str:
    """What the two lines print, or the exception they end in."""
    lines = reproduction.splitlines()
    assert len(lines) == 2
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(io.StringIO()):
        try:
            exec(reproduction, {})
        except (NameError, SyntaxError):
            raise
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return stream.getvalue()


@pytest.mark.parametrize(
    "target", ["torchvision.ops:complete_box_iou_loss", "mmdet.models.losses:CIoULoss", "mmdet.models.losses:SIoULoss"]
)
def test_reproductions_run_and_show_the_fault(target: str) -> None:
    from loss_plugins.audit import find_subject

    report = audit_subject(find_subject(target))
    assert report.failed
    for result in report.failed:
        shown = printed(result.reproduction)
        assert shown, result.check
        if "nan" in result.detail:
            assert "nan" in shown, result.check
        if result.detail.startswith("RuntimeError"):
            assert "Error" in shown, result.check


WIDE = Result("a check", "a group", "measured", 20 * "a long remark ")


# --- targets and command -------------------------------------------------------------------------------------------


def test_resolve() -> None:
    assert resolve("torch:nn.functional.l1_loss").func is nn.functional.l1_loss
    assert resolve("torch.nn:L1Loss").reduction == "none"
    for bad, message in {
        "ciou": "package.module:callable",
        "no_such_module:f": "cannot import 'no_such_module'",
        "math:no_such": "has no 'no_such'",
        "math:pi": "not callable",
    }.items():
        with pytest.raises(ValueError, match=message):
            resolve(bad)


def test_unknown_kind() -> None:
    with pytest.raises(ValueError, match="kind='boxes'"):
        audit(column, kind="boxes")  # type: ignore[arg-type]


def test_command_passes_and_prints_a_table() -> None:
    done = CliRunner().invoke(app, ["giou"])
    assert done.exit_code == 0, done.output
    assert "giou (box)" in done.output


def test_command_fails_with_a_reproduction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_loss.py").write_text("def f(pred, target):\n    return 1 / (pred - target).abs().sum(-1)\n")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["my_loss:f", "--json"])
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    failed = {result["check"]: result for result in report["results"] if result["status"] == "failed"}
    assert {"equal: value", "shifted right"} <= set(failed)
    assert failed["equal: value"]["reproduction"].startswith("import torch; from my_loss import f; f = f\n")


def test_command_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "list_losses", lambda: ["l1", "giou"])
    done = CliRunner().invoke(app, ["--all", "--json"])
    assert done.exit_code == 0, done.output
    assert [report["target"] for report in json.loads(done.stdout)] == ["l1", "giou"]
    assert "2 losses" in CliRunner().invoke(app, ["--all"]).output


def test_the_table_is_as_wide_as_the_terminal_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    importlib.reload(command)  # as where the first import is made in another terminal
    monkeypatch.setattr(command, "audit_subject", lambda subject, progress: AuditReport(subject.name, "box", (WIDE,)))
    widths = [
        max(map(len, CliRunner().invoke(app, ["giou"], env={"COLUMNS": str(columns)}).output.splitlines()))
        for columns in (60, 200)
    ]
    assert widths[0] <= 60
    assert 120 < widths[1] <= 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["coiu"], "'coiu' is an unknown loss"),
        ([], "name one loss, or --all"),
        (["ciou", "--all"], "name one loss, or --all"),
        (["math:pi"], "not callable"),
        (["math:hypot", "--kind", "boxes"], "--kind='boxes'"),
        (["math:hypot", "--form", "denser"], "--form='denser'"),
    ],
)
def test_bad_input_is_a_value_error_that_the_command_line_turns_into_exit_code_2(
    arguments: list[str], message: str
) -> None:
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, ValueError)
    assert message in str(done.exception)
