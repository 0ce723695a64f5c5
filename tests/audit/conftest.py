"""Audits are made once per session: several tests read them."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from loss_plugins.audit import AuditReport, audit_subject, catalogued, checks_for

#: takes a compiler some seconds for each loss, which the tests of the engine spend on every one of them
COMPILED = "compiled path"


@pytest.fixture(scope="session")
def audited() -> Callable[[str], AuditReport]:
    """The audit of a catalogued loss with its default parameters."""

    @functools.cache
    def report(name: str) -> AuditReport:
        subject = catalogued(name)
        return audit_subject(subject, [check for check in checks_for(subject.kind) if check.name != COMPILED])

    return report
