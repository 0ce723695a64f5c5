"""Audits are made once per session: several tests read them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from loss_plugins import Traits
from loss_plugins.audit import AuditReport, audit_subject, catalogued, checks_for

#: takes a compiler some seconds for each loss, which the tests of the engine spend on every one of them
COMPILED = "compiled path"


def noted(traits: Traits, read: set[str]) -> Traits:
    """The same traits, which note what is read of them."""
    names = {field.name for field in fields(Traits)}

    class Noted(Traits):
        def __getattribute__(self, name: str) -> Any:
            if name in names:
                read.add(name)
            return super().__getattribute__(name)

    return Noted(**{name: getattr(traits, name) for name in names})


@pytest.fixture(scope="session")
def traits_read() -> dict[str, set[str]]:
    """The traits that checks have read of each loss that was audited."""
    return {}


@pytest.fixture(scope="session")
def audited(traits_read: dict[str, set[str]]) -> Callable[[str], AuditReport]:
    """The audit of a catalogued loss with its default parameters."""

    @functools.cache
    def report(name: str) -> AuditReport:
        subject = catalogued(name)
        assert subject.traits is not None
        subject = replace(subject, traits=noted(subject.traits, traits_read.setdefault(name, set())))
        return audit_subject(subject, [check for check in checks_for(subject.kind) if check.name != COMPILED])

    return report
