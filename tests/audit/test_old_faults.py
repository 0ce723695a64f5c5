"""The audit names the faults that this package once had, in losses of a user, and finds none in sound ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from torch import Tensor
from typer.testing import CliRunner

import loss_plugins as lp
from loss_plugins.audit import AuditReport, Result, Subject, audit_subject, catalogued, checks_for, command
from loss_plugins.catalog.entries import shipped
from tests.audit.planted import PLANTED, SOUND, Loss

#: takes long, and says nothing of these faults
LEFT_OUT = ("20 000 classes",)


@pytest.fixture
def audit_of() -> Iterator[Callable[[Loss], AuditReport]]:
    """Registers a loss, audits it as `loss-plugins check` does, and takes it out of the catalogue again."""
    names = []

    def report(loss: Loss) -> AuditReport:
        loss.register()
        names.append(loss.name)
        subject = catalogued(loss.name)
        return audit_subject(subject, [check for check in checks_for(subject.kind) if check.name not in LEFT_OUT])

    yield report
    for name in names:
        lp.unregister_loss(name)


@pytest.mark.parametrize("loss", SOUND, ids=lambda loss: loss.name)
def test_a_sound_loss_passes(loss: Loss, audit_of: Callable[[Loss], AuditReport]) -> None:
    report = audit_of(loss)
    assert report.ok, str(report)


@pytest.mark.parametrize("loss", PLANTED, ids=lambda loss: loss.name)
def test_a_fault_is_named(loss: Loss, audit_of: Callable[[Loss], AuditReport]) -> None:
    report = audit_of(loss)
    said = {result.check: result.detail for result in report.failed}
    assert loss.faults, "a planted loss has a fault"
    for check, words in loss.faults.items():
        assert words in said.get(check, "passed"), str(report)
    assert set(said) <= {*loss.faults, *loss.also}, str(report)


def looked_up(pred: Tensor, target: Tensor) -> Tensor:
    """Separable, and with a branch on a number in Python, so that no recording of it can be used."""
    power = 2.0 if float(pred.detach().sum()) == 12345.0 else 1.0
    return ((pred - target).abs().sum(-1).sqrt() + (pred - target).square().sum(-1)).pow(power)


def paths_of(subject: Subject) -> dict[str, Result]:
    names = ("fused path", "compiled path")
    report = audit_subject(subject, [check for check in checks_for(subject.kind) if check.name in names])
    return {result.check: result for result in report.results}


@pytest.mark.filterwarnings("ignore:loss_plugins")
def test_a_path_that_is_not_taken_is_not_passed() -> None:
    """The engine gave up: autograd on both sides is equal, and nothing was compared."""
    lp.register_loss("looked_up", pure=True)(looked_up)
    try:
        subject = catalogued("looked_up")
        for result in paths_of(subject).values():
            assert result.status == "not applicable"
            assert "reads the numbers in its tensors" in result.detail
        for result in paths_of(replace(subject, shipped=True)).values():
            assert (result.status, result.detail.partition(":")[0]) in [
                ("failed", "not fused"),
                ("failed", "not compiled"),
            ]
    finally:
        lp.unregister_loss("looked_up")


def test_every_box_loss_of_this_package_is_fused(audited: Callable[[str], AuditReport]) -> None:
    for entry in shipped():
        if entry.kind in ("box", "rotated_box", "quad"):
            found = next(result for result in audited(entry.name).results if result.check == "fused path")
            assert found.status == "passed", (entry.name, found)


MODULE = """
import loss_plugins as lp
from tests.audit.planted import SOFTMAX, clamped_softmax, counted

users_own = lp.register_loss("users_own", **SOFTMAX, denominator=counted)(clamped_softmax)
"""


def test_the_command_names_the_fault_of_a_loss_in_a_users_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is registered is held to its entry, whether it is called by its name or by its place."""
    (tmp_path / "users_module.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    app = typer.Typer()
    app.command()(command.check)
    try:
        done = CliRunner().invoke(app, ["users_module:users_own", "--json"])
        assert done.exit_code == 1
        report = json.loads(done.stdout)
        assert (report["target"], report["kind"]) == ("users_own", "classification")
        failed = {row["check"]: row["detail"] for row in report["results"] if row["status"] == "failed"}
        words = "label 5 of 5 classes is accepted and trained as class 4"
        assert failed == {"labels out of range, rows": words, "labels out of range, maps": words}
    finally:
        lp.unregister_loss("users_own")
