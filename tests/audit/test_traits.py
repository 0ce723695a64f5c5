"""Every trait of every loss is measured: a promise that no check of the audit reads is an error."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import loss_plugins as lp
from loss_plugins.audit import AuditReport, audit_subject, catalogued, checks_for
from loss_plugins.audit.check import run_check
from loss_plugins.audit.checks.boxes import PATHS
from loss_plugins.audit.checks.traits import CHECKS as TRAITS
from loss_plugins.audit.subject import Subject
from loss_plugins.catalog.declare import COLUMNS, Parameter, traits_of
from loss_plugins.catalog.dialects import defaults_of
from loss_plugins.catalog.entries import shipped
from loss_plugins.catalog.ranges import Choice, Interval
from loss_plugins.cli import describe
from loss_plugins.corners import centered
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


@pytest.mark.parametrize("parameters", [{"interp": 0.98}, {"d_interp": (0.6, 0.99)}], ids=str)
def test_the_traits_of_a_box_between_are_what_is_measured(parameters: dict[str, Any]) -> None:
    subject = catalogued("iou", **parameters)
    report = audit_subject(subject, [check for check in checks_for(subject.kind) if check.name in PROMISES])
    assert report.ok, str(report)


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


#: what is measured beside the checks of traits: order, slope, and what pulls
PROMISES = {each.name for each in TRAITS} | {
    "pulls boxes that are apart", "downhill lowers the loss", "gradient is the slope", *PATHS
}  # fmt: skip
#: choices by which a loss takes other tensors: what they are made of, from those of its default
TAKES: dict[tuple[str, Any], Callable[[Any, Any], tuple[Any, Any]]] = {
    ("box_format", "cxcywh"): lambda pred, target: (centered(pred), centered(target)),
    ("log_target", True): lambda pred, target: (pred, target.clamp(min=1e-30).log()),
}
#: what an epsilon or a bound changes on purpose: a length or a root beside it, the slope of ln where a channel is empty
GUARDED = {
    ("extended_iou", "dialect", "mmdet"): "scale invariant",
    ("gwd", "dialect", "mmrotate"): "zero at equality",
    ("oks", "dialect", "ultralytics"): "scale invariant",
    ("dice", "log", True): "gradient is the slope",
    ("jaccard", "log", True): "gradient is the slope",
}


def values(parameter: Parameter) -> list[Any]:
    """All choices but the default; of an interval its ends, and the default halved and doubled."""
    allowed = parameter.allowed
    if isinstance(allowed, Choice):
        return [value for value in allowed.values if value != parameter.default]
    if not isinstance(allowed, Interval) or not isinstance(parameter.default, float):
        return []
    found = (allowed.low, allowed.high, parameter.default / 2, parameter.default * 2)
    return [value for value in map(float, found) if value in allowed and value != parameter.default]


def settings(entry: lp.Entry) -> Iterator[dict[str, Any]]:
    """Each value of each parameter, in every dialect."""
    dialects = values(entry.parameters["dialect"]) if "dialect" in entry.parameters else []
    names = [name for name in entry.parameters if name not in ("dialect", "eps")]
    for dialect in (None, *dialects):
        said = {"dialect": dialect} if dialect else {}
        yield said
        yield from ({**said, name: value} for name in names for value in values(entry.parameters[name]))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "mix"])
def test_the_traits_of_every_choice_are_what_is_measured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A choice keeps what the default promises, or says by its effect what it changes; numbers stay in the range."""
    monkeypatch.setattr("loss_plugins.module.loss.fused_loss", lambda *given: None)  # recording takes longest
    entry, broken = lp.get_entry(name), []
    for setting in settings(entry):
        try:
            subject = catalogued(name, **setting)
        except ValueError:  # two of them exclude each other, or the dialect lacks one
            continue
        for said in setting.items():
            if said in TAKES:
                subject = taking(subject, TAKES[said])
        by_number = any(isinstance(value, float) for value in setting.values())
        guarded = {GUARDED.get((name, *said), "") for said in setting.items()}
        wanted = {"range"} if by_number else PROMISES - guarded
        if defaults_of(name, setting.get("dialect")).learns:  # each call of an audit changes the next
            wanted -= {"gradient is the slope"}
        for check in checks_for(subject.kind):
            found = run_check(check, subject) if check.name in wanted else None
            if found is not None and found.status == "failed":
                broken.append(f"{setting}: {check.name}: {found.detail}")
    assert not broken, "\n".join(broken)


def taking(subject: Subject, change: Callable[[Any, Any], tuple[Any, Any]]) -> Subject:
    """The subject, given the tensors of its default in the form that it takes."""
    return subject.running(lambda pred, target: subject.function(*change(pred, target)))


@pytest.mark.parametrize("lam", [0.3, 2.5, 100.0])
def test_a_weight_on_a_penalty_changes_the_range(lam: float) -> None:
    subject = catalogued("cdiou", lam=lam)
    report = audit_subject(subject, [check for check in checks_for(subject.kind) if check.name == "range"])
    assert report.ok, str(report)


@pytest.mark.parametrize("name", ["ciou", "focal", "dice"])
def test_only_what_is_measured_is_shown(name: str) -> None:
    entry = lp.get_entry(name)
    assert set(json.loads(json.dumps(describe(entry), default=str))["traits"]) == set(traits_of(entry.kind))
