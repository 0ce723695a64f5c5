"""What an audit says: one result per check, and the report that holds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["passed", "failed", "measured", "not applicable"]


@dataclass(frozen=True)
class Result:
    """One check on one loss.

    Attributes:
        check: name of the check.
        group: what it belongs to; a column of the public audit.
        status: "passed" and "failed" are judgements; "measured" has a number but nothing was promised;
            "not applicable" says in `detail` why.
        detail: what was seen, or the reason.
        number: what was measured, if it is a number.
        reproduction: two lines of Python that show the failure; "" unless failed.
    """

    check: str
    group: str
    status: Status
    detail: str
    number: float | None = None
    reproduction: str = ""


@dataclass(frozen=True)
class AuditReport:
    """All results for one loss."""

    target: str
    kind: str
    results: tuple[Result, ...]

    @property
    def failed(self) -> tuple[Result, ...]:
        """The checks that failed."""
        return tuple(result for result in self.results if result.status == "failed")

    @property
    def ok(self) -> bool:
        """No judged check failed."""
        return not self.failed

    def of(self, status: Status) -> tuple[Result, ...]:
        """Results with that status."""
        return tuple(result for result in self.results if result.status == status)

    def groups(self) -> dict[str, Score]:
        """Passed and judged checks per group, in the order of the suite."""
        names = dict.fromkeys(result.group for result in self.results)
        return {name: score(result for result in self.results if result.group == name) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {
            "target": self.target,
            "kind": self.kind,
            "ok": self.ok,
            "counts": {status: len(self.of(status)) for status in ("passed", "failed", "measured", "not applicable")},
            "results": [asdict(result) for result in self.results],
        }

    def __str__(self) -> str:
        total = score(self.results)
        lines = [f"{self.target} ({self.kind}): {total} checks passed"]
        for result in self.failed:
            lines += [f"  FAILED {result.group} / {result.check}: {result.detail}"]
            lines += [f"    {line}" for line in result.reproduction.splitlines()]
        return "\n".join(lines)


@dataclass(frozen=True)
class Score:
    """How many of the judged checks passed.

    >>> print(Score(3, 4))
    3/4
    """

    passed: int
    judged: int

    @property
    def clean(self) -> bool:
        """Nothing failed."""
        return self.passed == self.judged

    def __str__(self) -> str:
        return f"{self.passed}/{self.judged}" if self.judged else "-"


def score(results: Iterable[Result]) -> Score:
    """Passed and judged among results."""
    statuses = [result.status for result in results]
    passed = statuses.count("passed")
    return Score(passed, passed + statuses.count("failed"))
