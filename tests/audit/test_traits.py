"""Every trait of every loss is measured: a promise that no check of the audit reads is an error."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest

import loss_plugins as lp
from loss_plugins.audit import AuditReport
from loss_plugins.catalog.declare import COLUMNS, traits_of
from loss_plugins.catalog.entries import shipped
from loss_plugins.cli import describe

NAMES = [entry.name for entry in shipped()]
FIELDS = {field.name for field in dataclasses.fields(lp.Traits)}


@pytest.mark.parametrize("name", NAMES)
def test_every_trait_is_read_by_a_check(
    name: str, audited: Callable[[str], AuditReport], traits_read: dict[str, set[str]]
) -> None:
    audited(name)
    entry = lp.get_entry(name)
    # of two ranks or a distance there is no soft target to be proper for
    senseless = {"proper"} if entry.traits.scale in ("ranks", "distances") else set()
    assert set(traits_of(entry.kind)) - senseless <= traits_read[name]


def test_each_trait_belongs_to_some_kind() -> None:
    kinds = {entry.kind for entry in shipped()}
    assert set().union(*(traits_of(kind) for kind in kinds)) == FIELDS
    assert all("units" in traits_of(kind) for kind in COLUMNS)
    assert "symmetric" not in traits_of("classification")


@pytest.mark.parametrize("name", ["ciou", "focal", "dice"])
def test_only_what_is_measured_is_shown(name: str) -> None:
    entry = lp.get_entry(name)
    assert set(json.loads(json.dumps(describe(entry), default=str))["traits"]) == set(traits_of(entry.kind))
