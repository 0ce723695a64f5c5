"""The suite: all checks, and the audit that runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import NoneType

from ..catalog.declare import KINDS, Kind, Traits
from ..catalog.ranges import Choice, check_value
from ..errors import check_type, in_our_words
from .check import Check, run_check
from .checks import boxes as box_checks
from .checks import distributions as distribution_checks
from .checks import form as form_checks
from .checks import graph as graph_checks
from .checks import hostile as hostile_checks
from .checks import labels as label_checks
from .checks import maps as map_checks
from .checks import module as module_checks
from .checks import paths as path_checks
from .checks import points as point_checks
from .checks import precision as precision_checks
from .checks import quads as quad_checks
from .checks import scores as score_checks
from .checks import traits as trait_checks
from .find import subject_of
from .report import AuditReport, Result
from .subject import LossCallable, Scores, Subject

CHECKS: tuple[Check, ...] = (
    *box_checks.CHECKS,
    *point_checks.CHECKS,
    *score_checks.CHECKS,
    *label_checks.CHECKS,
    *map_checks.CHECKS,
    *hostile_checks.CHECKS,
    *quad_checks.CHECKS,
    *distribution_checks.CHECKS,
    *trait_checks.CHECKS,
    *precision_checks.CHECKS,
    *form_checks.CHECKS,
    *graph_checks.CHECKS,
    *path_checks.CHECKS,
    *module_checks.CHECKS,
)
Progress = Callable[[Result], None]


def checks_for(kind: str) -> tuple[Check, ...]:
    """The checks that apply to a kind of loss.

    >>> len(checks_for("box")) > 100
    True
    """
    return tuple(check for check in CHECKS if kind in check.kinds)


def audit_subject(
    subject: Subject, checks: Iterable[Check] | None = None, progress: Progress | None = None
) -> AuditReport:
    """Run checks (by default all that apply) on a subject."""
    results = []
    for check in checks_for(subject.kind) if checks is None else checks:
        result = run_check(check, subject)
        results.append(result)
        if progress is not None:
            progress(result)
    return AuditReport(subject.name, subject.kind, tuple(results))


@in_our_words
def audit(
    function: LossCallable,
    *,
    traits: Traits | None = None,
    kind: Kind = "box",
    name: str = "",
    scores: Scores | None = None,
    setup: str = "",
) -> AuditReport:
    """Audit any loss.

    Args:
        function: (pred, target) to the loss per box, (n,). A module is audited as a copy in evaluation mode.
        traits: what the loss promises; None: range, symmetry and so on are measured, not judged.
        kind: "box": (n, 4) corners to (n,); "coordinate": (n, 4) to (n, 4); "rotated_box": (n, 5) to (n,);
            "quad": (n, 8) corners to (n,); "classification": (n, C) scores; "region": (n, C, h, w) masks;
            "keypoint": (n, K, 2) points; "distribution": (n, C) logits over bins to (n,).
        name: what the report calls it.
        scores: what inputs a loss of classes, regions or key points takes; None: dense targets, scores as the traits
            say.
        setup: a line of Python that defines `f`, for the reproductions.

    Returns:
        The report: every check with its status, what was measured, and for failures two lines that reproduce them.

    Raises:
        ValueError: an unknown kind.

    >>> def loss(pred, target):
    ...     return (pred - target).abs().mean(-1)
    >>> report = audit(loss, name="mean L1")
    >>> report.groups()["equal"].clean
    True
    """
    check_value("audit", "kind", kind, Choice(*KINDS))
    check_type("audit", "function", function, Callable)
    check_type("audit", "traits", traits, Traits, NoneType)
    check_type("audit", "scores", scores, Scores, NoneType)
    check_type("audit", "name", name, str)
    check_type("audit", "setup", setup, str)
    return audit_subject(subject_of(function, name=name, kind=kind, traits=traits, scores=scores, setup=setup))
