"""What `loss-plugins doctor` shows of an adapter: what was tried on the installed framework, and what came."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .installed import versions

Check = dict[str, Any]


class Examined(NamedTuple):
    """What an adapter found out of the installed framework.

    Attributes:
        checks: each of them has to hold.
        refused: what is not served, each with the reason.
        tasks: what is served; None: what the checks that hold are called.
    """

    checks: list[Check]
    refused: Mapping[str, str]
    tasks: list[str] | None = None


def checked(name: str, action: Callable[[], str], *refusals: type[Exception]) -> Check:
    """What an action says; a refusal is what the check found."""
    try:
        return {"name": name, "ok": True, "detail": action()}
    except refusals as error:
        return {"name": name, "ok": False, "detail": str(error)}


def reported(
    package: str, told_by: Callable[[Path], list[Check] | None] = lambda _: None
) -> Callable[[Callable[[], Examined]], Callable[..., dict[str, Any] | None]]:
    """Decorator of what examines a framework: a function of what the doctor is asked about.

    What it returns has the keys "ok", "versions", "checks", "tasks" and "refused", in plain types; None where the
    doctor is asked about a config, a run or a checkpoint that is not the adapter's affair.

    Args:
        package: of the framework.
        told_by: what is found in a folder or a file; None: it is not the adapter's affair.
    """

    def decorated(examine: Callable[[], Examined]) -> Callable[..., dict[str, Any] | None]:
        @functools.wraps(examine)
        def report(what: str | None = None) -> dict[str, Any] | None:
            if what is None:
                return _in_plain_types(package, examine())
            found = told_by(Path(what))
            return None if found is None else _in_plain_types(package, Examined(found, {}, []))

        return report

    return decorated


def _in_plain_types(package: str, found: Examined) -> dict[str, Any]:
    served = [check["name"] for check in found.checks if check["ok"]]
    return {
        "ok": all(check["ok"] for check in found.checks),
        "versions": versions(package),
        "checks": found.checks,
        "tasks": served if found.tasks is None else found.tasks,
        "refused": dict(found.refused),
    }
