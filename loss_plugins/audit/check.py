"""A check: a name, a group, the kinds it applies to, and a function from subject to finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..catalog.declare import COLUMNS
from ..tensors import Target, on_target
from .report import Result, Status
from .subject import Subject, show_call

BOXES = tuple(COLUMNS)
SCORES = ("classification", "region")
POINTS = ("keypoint",)
DISTRIBUTIONS = ("distribution",)
EVERY = BOXES + SCORES + POINTS + DISTRIBUTIONS


@dataclass(frozen=True)
class Finding:
    """What one check found. `code` is the second line of the reproduction, where the check knows a better one."""

    status: Status
    detail: str
    number: float | None = None
    code: str = ""


@dataclass(frozen=True)
class Check:
    """One idea, run on any loss of the kinds named.

    Attributes:
        code: the second line of the reproduction; the first is the subject's setup.
    """

    name: str
    group: str
    run: Callable[[Subject], Finding]
    kinds: tuple[str, ...] = EVERY
    code: Callable[[Subject], str] | None = None


def judged(passed: bool, detail: str, number: float | None = None, code: str = "") -> Finding:
    """A finding that passes or fails."""
    return Finding("passed" if passed else "failed", detail, number, code)


def measured(detail: str, number: float | None = None) -> Finding:
    """A number, without a promise to judge it by."""
    return Finding("measured", detail, number)


def not_applicable(reason: str) -> Finding:
    """Why a check says nothing about this loss."""
    return Finding("not applicable", reason)


def promised(
    promise: bool | None, holds: bool, detail: str, number: float | None = None, code: str = "", trait: str = ""
) -> Finding:
    """Judge a trait both ways: what is promised must hold, what is denied must be seen not to hold."""
    if promise is None:
        return measured(f"{detail}; nothing promised", number)
    said = f"{detail}; promised: {'yes' if promise else 'no'}"
    if trait and holds and not promise:
        said += f", but it holds: declare {trait}=True"
    return judged(promise == holds, said, number, code)


def run_check(check: Check, subject: Subject) -> Result:
    """Run one check; an exception is a failure, with the exception as the detail."""
    with torch.random.fork_rng(devices=[]):
        try:
            finding = check.run(subject)
        except (Exception, SystemExit) as error:  # whatever a foreign loss does is a finding, not the end of the audit
            finding = Finding("failed", _first_line(error))
    reproduction = ""
    if finding.status == "failed":
        line = finding.code or (check.code or sample_call)(subject)
        reproduction = f"import torch; {subject.setup}\n{line}"
    return Result(check.name, check.group, finding.status, finding.detail, finding.number, reproduction)


def sample_call(subject: Subject) -> str:
    """The reproduction for a check without one of its own: two ordinary rows."""
    return show_call(*small_sample(subject))


def small_sample(subject: Subject, n: int = 2) -> tuple[Tensor, Target]:
    """Two ordinary rows, of masks only a few pixels: short enough to print."""
    pred, target = subject.sample(n, dtype=torch.float32)
    if subject.kind != "region":
        return pred, target
    return pred[..., ::4, ::4], on_target(lambda part: part[..., ::4, ::4], target)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200] if text else ''}"
