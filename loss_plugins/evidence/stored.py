"""Results of experiments, each written when it is done, so that a stopped run continues."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..plots.made import Made, versions
from ..reports import strict_json, write_whole
from .experiment import Map, Outcome
from .named import Named

PACKAGE = Path(__file__).parent.parent
#: the code that the numbers come from
NUMBERS = ("evidence/cases.py", "evidence/experiment.py", "evidence/published.py", "evidence/slopes.py",
           "fusion/*.py", "losses/*.py", "module/*.py")  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What was asked for, but for the loss; all that changes numbers.

    Attributes:
        setting: name of the setting.
        gradients: "exact" or "published".
        conventions: followed by the published ones.
        full: all cases.
        seed: of centres and cases.
    """

    setting: str
    gradients: str
    conventions: tuple[str, ...]
    full: bool
    seed: int


@dataclass(frozen=True)
class Simulated:
    """One loss's experiment.

    Attributes:
        loss: its label.
        asked: what was asked for.
        cases: how many were computed.
        of: how many there are.
        outcome: the numbers.
        seconds: that it took.
        made: what made it.
    """

    loss: str
    asked: Asked
    cases: int
    of: int
    outcome: Outcome
    seconds: float
    made: Made = field(default_factory=lambda: Made(""))

    @property
    def measure(self) -> str:
        """What the curve holds: "error", summed over all cases, or "mean_iou"."""
        return "error" if self.asked.setting == "diou" else "mean_iou"

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON; without the map."""
        return {
            "loss": self.loss,
            self.measure: self.outcome.curve,
            **self.outcome.summary,
            **asdict(self.asked),
            "cases": self.cases,
            "of": self.of,
            "seconds": round(self.seconds, 2),
            **self.made.to_dict(),
        }


@functools.cache
def code_of_numbers() -> str:
    """A digest of the code that the numbers come from."""
    digest = hashlib.sha256()
    for file in sorted(file for pattern in NUMBERS for file in PACKAGE.glob(pattern)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def key_of(named: Named, asked: Asked) -> str:
    """What names a stored result: it differs as soon as anything does that may change a number."""
    told = {**named.identity(), **asdict(asked), "versions": versions(), "code": code_of_numbers()}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


def file_of(folder: Path, named: Named, asked: Asked) -> Path:
    """Where a result is stored."""
    return folder / "done" / f"{key_of(named, asked)}.json"


def store(file: Path, simulated: Simulated) -> None:
    """Write a result whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "loss": simulated.loss,
        "cases": simulated.cases,
        "of": simulated.of,
        "seconds": simulated.seconds,
        "outcome": asdict(simulated.outcome),
    }
    write_whole(file, strict_json(told, indent=None))


def stored(file: Path, asked: Asked) -> Simulated | None:
    """The result of a file; None: there is none, or it cannot be read."""
    try:
        told: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        outcome, where = told["outcome"], told["outcome"]["where"]
        summary = {name: math.nan if value is None else value for name, value in outcome["summary"].items()}
        where = Map(where["x"], where["y"], where["cases"], _numbers(where["value"]))
        found = Outcome(_numbers(outcome["curve"]), where, summary)
        return Simulated(told["loss"], asked, told["cases"], told["of"], found, told["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _numbers(values: list[float | None]) -> list[float]:
    """With NaN for what JSON has no number for."""
    return [math.nan if value is None else value for value in values]
