"""Audits are made once per session: several tests read them."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from loss_plugins.audit import AuditReport, audit_subject, catalogued


@pytest.fixture(scope="session")
def audited() -> Callable[[str], AuditReport]:
    """The audit of a catalogued loss with its default parameters."""

    @functools.cache
    def report(name: str) -> AuditReport:
        return audit_subject(catalogued(name))

    return report
