"""Every trait of every loss is measured: a promise that no check of the audit reads is an error."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest

import loss_plugins as lp
from loss_plugins.audit import AuditReport, audit_subject, catalogued, checks_for
from loss_plugins.catalog.declare import COLUMNS, traits_of
from loss_plugins.catalog.entries import shipped
from loss_plugins.cli import describe
from loss_plugins.losses.family import POOR_COSTS_LESS

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


#: parameters that take a weight out of the gradient, or back into it, and a value that is not their default
WEIGHTS = {"focal_gamma": 2.5, "wise": 3, "detach_focus": False}
WEIGHTED = [
    (entry.name, parameter)
    for entry in shipped()
    for parameter in WEIGHTS
    if parameter in entry.parameters and entry.name != "focal_eiou"
]


@pytest.mark.parametrize(("name", "parameter"), WEIGHTED)
def test_a_weight_without_gradient_is_declared_with_its_parameter(name: str, parameter: str) -> None:
    """Else the gradient promises to be the slope, a step against it to lower the loss, and a worse box to cost more."""
    subject = catalogued(name, **{parameter: WEIGHTS[parameter]})
    names = ("gradient is the slope", "downhill lowers the loss", *POOR_COSTS_LESS)
    report = audit_subject(subject, [check for check in checks_for(subject.kind) if check.name in names])
    assert report.ok, str(report)


@pytest.mark.parametrize("lam", [0.3, 2.5, 100.0])
def test_a_weight_on_a_penalty_changes_the_range(lam: float) -> None:
    subject = catalogued("cdiou", lam=lam)
    report = audit_subject(subject, [check for check in checks_for(subject.kind) if check.name == "range"])
    assert report.ok, str(report)


@pytest.mark.parametrize("name", ["ciou", "focal", "dice"])
def test_only_what_is_measured_is_shown(name: str) -> None:
    entry = lp.get_entry(name)
    assert set(json.loads(json.dumps(describe(entry), default=str))["traits"]) == set(traits_of(entry.kind))
