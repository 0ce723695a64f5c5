"""Where our defaults differ from a framework's, as it was measured last: what `loss-plugins show` reads."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import refusal

MEASURED = Path(__file__).with_name("deviations.json")


@dataclass(frozen=True)
class Deviation:
    """A measured difference between our default and theirs."""

    loss: str
    framework: str
    builtin: str
    why: str
    restores: str
    version: str
    value_max: float
    value_mean: float
    gradient_max: float
    rows: int
    not_finite: int

    def __str__(self) -> str:
        broken = f"; theirs is not finite in {self.not_finite} of {self.rows} rows" if self.not_finite else ""
        return (
            f"{self.framework} {self.builtin}: up to {self.value_max:.2g} in value, {self.gradient_max:.2g} of its own "
            f"size in the gradient{broken}. {self.why} {self.restores}"
        )


def deviations(loss: str | None = None) -> list[Deviation]:
    """What ships with this package: for one loss, or for all.

    >>> sorted({found.framework for found in deviations("ciou")})
    ['mmdet', 'torchvision', 'ultralytics']
    """
    return [found for found in _measured() if loss in (None, found.loss)]


@functools.cache
def _measured() -> tuple[Deviation, ...]:
    try:
        rows: list[dict[str, Any]] = json.loads(MEASURED.read_text(encoding="utf-8"))
        return tuple(Deviation(**row) for row in rows)
    except (OSError, ValueError, TypeError) as error:
        came = f"the table {MEASURED} cannot be read: {error}"
        raise refusal("deviations", came, "the file of this version", "install loss-plugins again") from error


def to_json(found: Iterable[Deviation]) -> str:
    """The text that `deviations` reads, with four figures."""
    rows = [{key: _rounded(value) for key, value in asdict(row).items()} for row in found]
    return json.dumps(rows, indent=1) + "\n"


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
