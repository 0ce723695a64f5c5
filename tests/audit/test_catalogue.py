"""Every loss of the catalogue against every check of the audit, and its variants against those of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import loss_plugins as lp
from loss_plugins.audit import AuditReport, audit_subject, catalogued, checks_for
from loss_plugins.catalog.conventions import DIALECTS
from loss_plugins.catalog.entries import shipped

#: takes a compiler some seconds for each loss: one of each kind here, every one of them in the tests of the engine
COMPILED = "compiled path"
#: losses of this package; other tests register their own
NAMES = [entry.name for entry in shipped()]


@pytest.mark.parametrize("name", NAMES)
def test_every_loss_passes_every_check(name: str, audited: Callable[[str], AuditReport]) -> None:
    report = audited(name)
    assert [result.check for result in report.results] == [
        check.name for check in checks_for(report.kind) if check.name != COMPILED
    ]
    assert report.ok, str(report)
    assert len(report.of("passed")) > len(report.of("not applicable"))


@pytest.mark.parametrize("name", ["giou", "smooth_l1", "focal"])
def test_machine_code_is_that_of_autograd(name: str) -> None:
    """The other kinds have no loss that can be compiled, or share the layout of these."""
    (check,) = (check for check in checks_for(lp.get_entry(name).kind) if check.name == COMPILED)
    report = audit_subject(catalogued(name), [check])
    assert report.of("passed"), str(report.results)


def test_the_catalogue_is_covered() -> None:
    assert len(NAMES) >= 52
    assert sum(len(checks_for(lp.get_entry(name).kind)) for name in NAMES) >= 5000


@pytest.mark.parametrize("name", ["giou", "l1"])
def test_traits_are_judged_not_just_measured(name: str, audited: Callable[[str], AuditReport]) -> None:
    """Ours promise something, so the only thing that is merely measured is where an undeclared minimum lies."""
    statuses = {result.status for result in audited(name).results if result.group == "traits"}
    assert {"passed"} <= statuses <= {"passed", "not applicable"}


#: Other parameters than the defaults, each on everything that can be no number.
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {"dialect": dialect}) for name, dialects in DIALECTS.items() for dialect in dialects),
    *(("iou", {"mode": mode}) for mode in ("log", "square")),
    *(("nwd", {"mode": mode}) for mode in ("sqrt", "log", "norm_sqrt", "w2")),
    *(("gcd", {"mode": mode}) for mode in ("log", "norm_sqrt")),
    *(("wiou", {"version": version}) for version in (1, 2, 3)),
    *(("piou", {"version": 2, "detach_weight": detach}) for detach in (False, True)),
    *(("alpha_ciou", {"alpha": alpha}) for alpha in (0.5, 1.0, 2.0)),
    ("shape_iou", {"scale": 1.0}),
    ("siou", {"theta": 2.0}),
    ("sdiou", {"area": 5000.0}),
    *(("uiou", {"ratio": ratio}) for ratio in (0.5, 2.0)),
    ("uiou", {"gamma": 0.5}),
    ("focal_eiou", {"normalize": True}),
    ("ciou", {"inner_ratio": 0.7}),
    ("ciou", {"focaler": (0.0, 0.95)}),
    ("ciou", {"wise": 3}),
    ("ciou", {"interp": 0.98}),
    ("iou", {"d_interp": (0.6, 0.99)}),
    ("siou", {"focal_gamma": 0.5}),
    ("smooth_l1", {"beta": 0.1}),
    ("balanced_l1", {"beta": 0.5}),
    *(("focal", {"gamma": gamma}) for gamma in (0.0, 0.5)),
    ("focal", {"activated": True}),
    ("varifocal", {"gamma": 0.5}),
    ("matchability", {"gamma": 0.5}),
    ("ia_bce", {"dialect": "transformers"}),
    ("quality_focal", {"beta": 0.5}),
    ("quality_focal", {"activated": True}),
    ("softmax_focal", {"gamma": 0.5}),
    ("cross_entropy", {"label_smoothing": 0.1}),
    ("dice", {"form": "naive"}),
    ("dice", {"activation": "softmax"}),
    ("dice", {"log": True}),
    *(("dice", {"over": over}) for over in ("channel", "batch", "batch_channel")),
    ("tversky", {"empty": "zero"}),
    ("focal_tversky", {"gamma": 3.0}),
]
GROUPS = ("equal", "overlap", "apart", "zero size", "inverted", "scale", "precision", "saturated", "targets")


def variants() -> list[object]:
    return [
        pytest.param(name, parameters, group, id=f"{name}-{'-'.join(map(str, parameters.values()))}-{group}")
        for name, parameters in VARIANTS
        for group in GROUPS
        if any(check.group == group for check in checks_for(lp.get_entry(name).kind))
    ]


@pytest.mark.parametrize(("name", "parameters", "group"), variants())
def test_every_variant_stays_finite(name: str, parameters: dict[str, Any], group: str) -> None:
    audited = catalogued(name, **parameters)
    checks = [check for check in checks_for(audited.kind) if check.group == group]
    if "dialect" in parameters:  # which divides by about 0 where its framework does
        checks = [check for check in checks if not check.name.startswith("many inverted")]
    report = audit_subject(audited, checks)
    assert report.ok, str(report)
