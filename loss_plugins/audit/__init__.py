"""A conformance suite for any loss: awkward boxes, precision, promises, graphs, reductions.

>>> import loss_plugins as lp
>>> report = audit(lp.GIoULoss(reduction="none"), traits=lp.get_entry("giou").traits)
>>> report.ok
True
"""

from __future__ import annotations

from ..module.imported import resolve
from .find import catalogued, find_subject, subject_of
from .report import AuditReport, Result, Score
from .subject import Scores, Subject
from .suite import CHECKS, audit, audit_subject, checks_for

__all__ = [
    "CHECKS",
    "AuditReport",
    "Result",
    "Score",
    "Scores",
    "Subject",
    "audit",
    "audit_subject",
    "catalogued",
    "checks_for",
    "find_subject",
    "resolve",
    "subject_of",
]
