# SPDX-License-Identifier: AGPL-3.0-or-later
"""What `tune` finds: its iterations, as objects, as a table and as YAML."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from loss_plugins.reports import markdown_table

from .space import NEEDS, Values, applied
from .spec import Spec

#: what `tune` writes into its folder
BEST_FILE, TABLE_FILE, PLOT_FILE = "best_hyperparameters.yaml", "tune_results.csv", "tune_results.png"


class IterationFailed(RuntimeError):
    """A training of `tune` raised, or has no fitness."""


@dataclass(frozen=True)
class Iteration:
    """One training of `tune`.

    Attributes:
        number: from 1; the first has the values that hold without any search.
        fitness: Ultralytics' own measure of the trained model; of several data sets their mean.
        values: by key of the space.
        folder: of the run; only that of the best iteration keeps its weights.
    """

    number: int
    fitness: float
    values: Values
    folder: Path


@dataclass(frozen=True)
class Tuning:
    """What `tune` found.

    Attributes:
        iterations: in order.
        folder: holds the trainings, the table, and the best values.
    """

    iterations: tuple[Iteration, ...]
    folder: Path

    @property
    def best(self) -> Iteration:
        """The iteration of the highest fitness; of equal ones the first."""
        return max(self.iterations, key=lambda each: each.fitness)

    @property
    def config(self) -> Path:
        """The best values as YAML, for `lpu.trainer(config=...)` and, beside it, `train(cfg=...)`."""
        return self.folder / BEST_FILE

    def __str__(self) -> str:
        rows = [
            ["**best**" if each is self.best else "", str(each.number), f"{each.fitness:.5g}", *_texts(each.values)]
            for each in self.iterations
        ]
        return markdown_table(["", "iteration", "fitness", *self.best.values], rows)


def failed(which: str, values: Values, error: BaseException) -> IterationFailed:
    """What says which training did not come to its end, and why."""
    return IterationFailed(f"tune: iteration {which} with {listed(values)} failed: {type(error).__name__}: {error}")


def table(found: Tuning) -> str:
    """The iterations as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["iteration", "fitness", *found.best.values])
    writer.writerows([each.number, each.fitness, *each.values.values()] for each in found.iterations)
    return text.getvalue()


def best_values(found: Tuning, spec: Spec, settings: Mapping[str, Any]) -> str:
    """The best values as YAML: those of the trainer by their names, the losses whole in a section of their own.

    Args:
        found: the iterations.
        spec: the losses, before any value of the space is in them.
        settings: of the trainer; those without which it ignores a value are written beside it.
    """
    losses, values = applied(found.best.values, spec)
    needed = {NEEDS[key]: settings[NEEDS[key]] for key in values if key in NEEDS}
    section = {key: value for key, value in losses.as_dict().items() if value not in (None, [])}
    head = f"# iteration {found.best.number} of {len(found.iterations)}, fitness {found.best.fitness:.5g}\n"
    return head + yaml.safe_dump({**needed, **values, "losses": section}, sort_keys=False)


def _texts(values: Values) -> Iterator[str]:
    return (f"{value:.6g}" if isinstance(value, float) else str(value) for value in values.values())


def listed(values: Values) -> str:
    """Values as messages name them: "box_loss.alpha=2.5, lr0=0.01"."""
    return ", ".join(f"{key}={text}" for key, text in zip(values, _texts(values), strict=True))
