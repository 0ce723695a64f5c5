"""What a program of the matrix found in its environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

#: begins the line that the matrix reads
RESULT = "RESULT"


class Found:
    """What was tried, by name: "ok", or the reason why not."""

    def __init__(self, **versions: str) -> None:
        self.told = dict(versions)

    def tried(self, name: str, action: Callable[..., str], *arguments: Any) -> None:
        """Note what an action says, or raises."""
        try:
            self.told[name] = action(*arguments)
        except Exception as error:  # whatever it is: it stands in the table
            self.told[name] = f"{type(error).__name__}: {error}"[:300]

    def tell(self) -> None:
        """Print it where the matrix finds it."""
        print(RESULT + json.dumps(self.told), flush=True)


def of_places(report: dict[str, Any] | None) -> str:
    """How many places a doctor found served; or those that failed."""
    if report is None:
        return "no report"
    failed = of_doctor(report)
    served = [check["name"] for check in report["checks"] if check["ok"]]
    return f"ok: {', '.join(served)}" if failed == "ok" else failed


def of_doctor(report: dict[str, Any]) -> str:
    """The checks of a doctor that failed."""
    bad = [f"{check['name']}: {check['detail']}" for check in report["checks"] if not check["ok"]]
    return "; ".join(bad) or "ok"
