"""Does our dialect of a stock loss train the same model? Cases come from the adapters, by entry point."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

GROUP = "loss_plugins.training_parity"
Curve = list[dict[str, float]]


@dataclass(frozen=True)
class TrainingCase:
    """A model that can be trained with its stock losses or with ours.

    Attributes:
        framework: whose it is.
        name: of the model.
        losses: which are swapped, for people.
        run: (folder, ours?, steps) to the logged losses of every step; it raises if ours was not called.
        tolerance: how far apart the curves may be, relative above 1; 0 where the dialect is bit for bit.
    """

    framework: str
    name: str
    losses: str
    run: Callable[[Path, bool, int], Curve]
    tolerance: float = 1e-4


@dataclass(frozen=True)
class TrainingResult:
    """Two curves beside each other."""

    framework: str
    name: str
    losses: str
    steps: int
    largest: float
    at_step: int
    tolerance: float

    @property
    def ok(self) -> bool:
        """The same curve, to rounding."""
        return self.steps > 0 and self.largest <= self.tolerance

    @property
    def verdict(self) -> str:
        """In words."""
        if not self.ok:
            return "BROKEN"
        return "equal" if self.largest else "equal bit for bit"

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {**asdict(self), "ok": self.ok, "verdict": self.verdict}


def training_cases(framework: str = "all") -> Iterator[TrainingCase]:
    """The cases of the installed adapters."""
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
        if framework in ("all", point.name):
            yield from point.load()()


def compare_training(case: TrainingCase, folder: Path, steps: int) -> TrainingResult:
    """Train twice from the same weights on the same batches."""
    stock, ours = case.run(folder / "stock", False, steps), case.run(folder / "ours", True, steps)
    apart = [furthest(theirs, mine) for theirs, mine in zip(stock, ours, strict=True)]
    largest = max(apart, default=math.inf)
    return TrainingResult(
        framework=case.framework,
        name=case.name,
        losses=case.losses,
        steps=len(stock),
        largest=largest,
        at_step=apart.index(largest) + 1 if apart else 0,
        tolerance=case.tolerance,
    )


def furthest(theirs: dict[str, float], ours: dict[str, float]) -> float:
    """The largest difference of one step, relative above 1; infinite for other names or for NaN.

    >>> furthest({"loss": 4.0}, {"loss": 5.0})
    0.25
    """
    if theirs.keys() != ours.keys() or not theirs:
        return math.inf
    apart = [abs(ours[name] - value) / max(1.0, abs(value)) for name, value in theirs.items()]
    return math.inf if any(map(math.isnan, apart)) else max(apart)
