"""A user's loss can say all that ours say: a copy of any of ours, registered under another name, has the same audit."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

import loss_plugins as lp
from loss_plugins.audit import AuditReport, Scores, audit_subject, catalogued, checks_for, subject_of
from loss_plugins.audit.checks.boxes import PATHS
from loss_plugins.catalog.entries import shipped
from loss_plugins.losses.family import iou_family
from loss_plugins.module.build import module_class

NAMES = [entry.name for entry in shipped()]
#: the number of this check is a time
TIMED = "20 000 classes"
#: take a compiler some seconds, and read the code of the function that is copied, not its name: one copy of each kind
TRACED = ("compiles to one graph", "export")
ONE_OF_EACH_KIND = ("ciou", "smooth_l1", "gwd", "focal", "dice", "oks", "mgiou_quad", "ddf")
#: the same of machine code, which the catalogue's audit has for one loss of each kind
COMPILED = "compiled path"


def inherited(entry: lp.Entry) -> dict[str, Any]:
    """The arguments that say whose keywords `**options` stands for, and which of them the loss sets itself."""
    signature = inspect.signature(entry.function).parameters
    if "options" not in signature:
        return {}
    family = {name for name, p in inspect.signature(iou_family).parameters.items() if p.kind is p.KEYWORD_ONLY}
    return {"options": iou_family, "without": tuple(family.difference(entry.keywords))}


def register_copy(entry: lp.Entry, **changes: Any) -> str:
    """Register the function of a loss under another name, as a user would, and return that name."""
    name = f"copied_{entry.name}"
    said = {
        "kind": entry.kind,
        "traits": entry.traits,
        "targets": entry.targets,
        "denominator": entry.denominator,
        "example": entry.example,
        "pure": entry.pure,
    }
    lp.register_loss(name, **inherited(entry), **{**said, **changes})(entry.function)
    shipped_class = module_class(entry.name)
    if shipped_class.__init__ is not lp.Loss.__init__:  # its module is no plain one, so the copy brings one too
        own = type(f"Copied{shipped_class.__name__}", (shipped_class,), {"__module__": __name__}, name=name)
        globals()[own.__name__] = own  # pickle looks a class up by module and name
    return name


@pytest.fixture
def copied() -> Iterator[Callable[..., str]]:
    """Registers copies, and takes them out of the catalogue after the test."""
    names = []

    def copy(name: str, **changes: Any) -> str:
        names.append(register_copy(lp.get_entry(name), **changes))
        return names[-1]

    yield copy
    for name in names:
        lp.unregister_loss(name)


def outcome(report: AuditReport) -> dict[str, tuple[str, float | None]]:
    """Status and number of each check."""
    return {
        result.check: (result.status, None if result.check == TIMED else result.number) for result in report.results
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_under_another_name_passes_the_same_audit(
    name: str, copied: Callable[..., str], audited: Callable[[str], AuditReport]
) -> None:
    subject = catalogued(copied(name))
    left_out = (COMPILED,) if name in ONE_OF_EACH_KIND else (COMPILED, *TRACED)
    checks = [check for check in checks_for(subject.kind) if check.name not in left_out]
    copy, twin = outcome(audit_subject(subject, checks)), outcome(audited(name))
    assert twin.keys() - copy.keys() <= {*TRACED}
    assert {check: copy[check] for check in copy if copy[check] != twin.get(check)} == {}


def test_one_copy_of_each_kind_is_traced() -> None:
    assert {lp.get_entry(name).kind for name in ONE_OF_EACH_KIND} == {entry.kind for entry in shipped()}


@pytest.mark.parametrize(
    ("name", "forgotten", "found"),
    [
        ("ciou", {"detached": ""}, {"gradient is the slope"}),
        ("bce", {"scale": "logits"}, {"gradient is the slope", "where the minimum is"}),
        ("focal_eiou", {"not_monotone": {}}, set(PATHS)),
        ("extended_iou", {"not_mirrored": ""}, {"mirrored in x", "mirrored in y"}),
        ("focal", {"proper": True}, {"where the minimum is"}),
    ],
)
def test_what_a_copy_does_not_say_is_found_out(
    name: str, forgotten: dict[str, Any], found: set[str], copied: Callable[..., str]
) -> None:
    entry = lp.get_entry(name)
    subject = catalogued(copied(name, traits=replace(entry.traits, **forgotten)))
    report = audit_subject(subject, [check for check in checks_for(entry.kind) if check.name in found])
    assert {result.check for result in report.failed} == found


@pytest.mark.parametrize("name", ["bce", "nll", "hinge_embedding", "ghm_c", "extended_iou"])
def test_traits_given_to_a_callable_are_used_like_those_of_the_catalogue(
    name: str, audited: Callable[[str], AuditReport]
) -> None:
    entry = lp.get_entry(name)
    loss = lp.build_loss(name, reduction="none", **entry.example)
    scores = Scores(entry.targets[0]) if entry.targets else None
    subject = subject_of(loss, kind=entry.kind, traits=entry.traits, scores=scores)
    groups = ("traits", "order", "form", "saturated", "targets", "minimum")
    alone = outcome(audit_subject(subject, [check for check in checks_for(entry.kind) if check.group in groups]))
    twin = outcome(audited(name))
    assert {check: alone[check] for check in alone if alone[check] != twin[check]} == {}
