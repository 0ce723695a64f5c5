"""The audit names the faults that this package once had, in losses of a user, and finds none in sound ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import loss_plugins as lp
from loss_plugins.audit import AuditReport, audit_subject, catalogued, checks_for
from loss_plugins.audit.checks import labels, maps
from tests.audit.planted import PLANTED, SOUND, Loss

#: takes long, and says nothing of these faults
LEFT_OUT = ("20 000 classes",)
#: checks that are not part of the suite yet
MORE = (*labels.CHECKS, *maps.CHECKS)


@pytest.fixture
def audit_of() -> Iterator[Callable[[Loss], AuditReport]]:
    """Registers a loss, audits it as `loss-plugins check` does, and takes it out of the catalogue again."""
    names = []

    def report(loss: Loss) -> AuditReport:
        loss.register()
        names.append(loss.name)
        subject = catalogued(loss.name)
        checks = [*checks_for(subject.kind), *(check for check in MORE if subject.kind in check.kinds)]
        return audit_subject(subject, [check for check in checks if check.name not in LEFT_OUT])

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
