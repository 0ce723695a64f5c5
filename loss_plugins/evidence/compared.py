"""What the trainings of a comparison show together: that they differ in the loss alone, and by how much."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import refusal, shown
from .contenders import STOCK
from .grid import MEASURES, Result
from .paired import LEVEL, POWER, WORTH_SEEING, Paired, holm, paired

#: the measure whose verdict is the verdict on a loss
DECIDES = MEASURES[0]
ALONE = "results of one command, machine and set of versions"


@dataclass(frozen=True)
class Failed:
    """A cell without a result.

    Attributes:
        loss: its label.
        seed: its seed.
        why: in one line.
    """

    loss: str
    seed: int
    why: str


@dataclass(frozen=True)
class Measured:
    """One loss by one measure.

    Attributes:
        by_seed: its value of each seed that is there, in points.
        mean: of them; None: none is there.
        sd: of them, with n - 1; None: there are fewer than two.
        pairs: seeds that stock has as well.
        paired: the differences to stock, of these seeds.
        p: Holm's.
        verdict: better, worse or cannot tell.
    """

    by_seed: dict[int, float]
    mean: float | None
    sd: float | None
    pairs: tuple[int, ...]
    paired: Paired
    p: float
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        told = {"by_seed": self.by_seed, "mean": self.mean, "sd": self.sd}
        paired = {"seeds": list(self.pairs), **self.paired.to_dict(), "p_holm": self.p}
        return {**told, "difference_to_stock": paired, "verdict": self.verdict}


@dataclass(frozen=True)
class Comparison:
    """All losses by all measures.

    Attributes:
        losses: by label, stock first; by measure.
        results: the cells.
        failed: the cells without a result.
    """

    losses: dict[str, dict[str, Measured]]
    results: list[Result]
    failed: list[Failed]

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        losses = [
            {
                "loss": label,
                "verdict": measured[DECIDES].verdict,
                **{name: measured[name].to_dict() for name in MEASURES},
            }
            for label, measured in self.losses.items()
        ]
        cells = [
            {"key": each.key, "loss": each.loss, "seed": each.seed, **each.trained.measures, "seconds": each.seconds,
             "resumed": each.trained.resumed, "start": each.trained.start, "proof": each.trained.loss}
            for each in self.results
        ]  # fmt: skip
        return {"losses": losses, "failed": [vars(each) for each in self.failed], "cells": cells, "same": self.stamp()}

    def stamp(self) -> dict[str, Any]:
        """What is equal in all cells."""
        if not self.results:
            return {}
        first = self.results[-1]  # the first is stock, to which no gain applies
        return {**first.asked, "hardware": first.hardware, **first.trained.same}


def rules(losses: Sequence[str], seeds: Sequence[int]) -> list[str]:
    """How the results will be read, which is said before there are any."""
    others = len([each for each in losses if each != STOCK])
    return [
        f"{len(losses)} losses ({', '.join(losses)}), each trained with the seeds {', '.join(map(str, seeds))}; all "
        "else is equal, and looked at: data, first weights, settings, gains, assigner, threads, machine, versions",
        f"measured by the framework's own validation, with plain IoU, in points; {DECIDES} decides, {MEASURES[1]} "
        "stands beside it",
        f"each loss is compared with stock, seed by seed: mean of the differences, and its {100 - 100 * LEVEL:.0f} % "
        "interval (two-sided t over the seeds), which is of one loss alone",
        f"verdict: better or worse where p of the paired t test, by Holm's correction for {others} "
        f"{'loss' if others == 1 else 'losses'}, is below {LEVEL}; otherwise, and with one seed, cannot tell",
        f"seeds needed: how many it would take to see a difference of {WORTH_SEEING} points at {100 * POWER:.0f} % "
        "power, from the spread of the differences, for one loss alone",
        "a training that fails is named, and its pair is left out; one that was stopped goes on, and is named",
    ]


def compare_results(results: Iterable[Result], failed: Sequence[Failed] = ()) -> Comparison:
    """Join the cells of a comparison.

    Raises:
        ValueError: none of them is of stock; they are not of one command, machine and set of versions; cells of a
            seed began with other weights; two results of one cell differ; a loss was trained in two ways.
    """
    cells = distinct(results)
    require_alike(cells)
    by_loss: dict[str, dict[int, Result]] = {}
    for each in cells:
        other = by_loss.setdefault(each.loss, {}).setdefault(each.seed, each)
        if other.key != each.key:
            came = f"{_cell(each)} was trained in two ways: {other.key} and {each.key}"
            raise refusal("compare", came, ALONE, "its code or its gain has changed: take the files of one away")
    if STOCK not in by_loss:
        came = f"no training with the stock losses is there, among {len(cells)}"
        raise refusal("compare", came, "one at least", "see why they failed, and give the command again")
    labels = [STOCK, *(label for label in by_loss if label != STOCK)]
    measured = {name: _measured(name, {label: by_loss[label] for label in labels}) for name in MEASURES}
    losses = {label: {name: measured[name][label] for name in MEASURES} for label in labels}
    return Comparison(losses, cells, list(failed))


def distinct(results: Iterable[Result]) -> list[Result]:
    """Each cell once."""
    found: dict[str, Result] = {}
    for each in results:
        known = found.setdefault(each.key, each)
        if known.trained.measures != each.trained.measures:
            came = f"two results of {each.loss}, seed {each.seed}: {known.trained.measures} and {each.trained.measures}"
            raise refusal("compare", came, "one result a cell", f"take one of the files {each.key}.json away")
    return list(found.values())


def require_alike(results: Sequence[Result]) -> None:
    """Raise unless the cells differ in the loss alone."""
    starts: dict[int, Result] = {}
    gains = {each.asked["gain"]: each for each in results if each.loss != STOCK}
    if len(gains) > 1:
        came = " and ".join(f"{_cell(each)} with gain={gain}" for gain, each in gains.items())
        raise refusal("compare", came, "one gain", "take the files of one of them away")
    for each in results:
        first = results[0]
        for what, before, now in (
            ("versions", first.versions, each.versions),
            ("hardware", first.hardware, each.hardware),
            ("what was asked for", _asked(first), _asked(each)),
            ("settings", first.trained.same, each.trained.same),
        ):
            differing = difference(before, now)
            if differing:
                came = f"{_cell(first)} and {_cell(each)} differ in {what}: {differing}"
                raise refusal("compare", came, ALONE, "train the fewer of them again: take their files away")
        same_seed = starts.setdefault(each.seed, each)
        if same_seed.trained.start != each.trained.start:
            came = f"{_cell(same_seed)} and {_cell(each)} began with other weights"
            raise refusal("compare", came, "the same weights for a seed", "train both again: take their files away")


def _asked(result: Result) -> dict[str, Any]:
    """But for the gain, which stock has none of."""
    return {key: value for key, value in result.asked.items() if key != "gain"}


def difference(before: Mapping[str, Any], now: Mapping[str, Any], at: str = "") -> str:
    """The first difference of two dicts, in words; "": there is none.

    >>> difference({"a": {"b": 1}}, {"a": {"b": 2}})
    'a.b=1 and 2'
    """
    for key in sorted({*before, *now}):
        one, other = before.get(key), now.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            inner = difference(one, other, f"{at}{key}.")
            if inner:
                return inner
        elif one != other:
            return f"{at}{key}={shown(one)} and {shown(other)}"
    return ""


def _cell(result: Result) -> str:
    return f"{result.loss}, seed {result.seed},"


def _measured(name: str, by_loss: Mapping[str, Mapping[int, Result]]) -> dict[str, Measured]:
    """Every loss by one measure; Holm's correction is over all but stock."""
    values = {
        label: {seed: cells[seed].trained.measures[name] for seed in sorted(cells)} for label, cells in by_loss.items()
    }
    stock = values[STOCK]
    pairs = {label: tuple(seed for seed in each if seed in stock) for label, each in values.items()}
    found = {label: paired([values[label][seed] - stock[seed] for seed in pairs[label]]) for label in values}
    others = [label for label in values if label != STOCK]
    corrected = {STOCK: 1.0, **dict(zip(others, holm([found[label].p for label in others]), strict=True))}
    return {label: _of_loss(values[label], pairs[label], found[label], corrected[label]) for label in values}


def _of_loss(values: dict[int, float], pairs: tuple[int, ...], found: Paired, p: float) -> Measured:
    numbers = list(values.values())
    mean = statistics.fmean(numbers) if numbers else None
    sd = statistics.stdev(numbers) if len(numbers) > 1 else None
    return Measured(values, mean, sd, pairs, found, p, found.verdict(p))
