"""The picture of a comparison: the difference to stock of every seed, its mean and interval; and its table."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..plots.made import Made
from ..plots.style import line_of, picture, write_table
from .compared import DECIDES, Comparison, Measured
from .contenders import STOCK
from .grid import MEASURES

#: how far seeds of one loss stand apart, of the distance between losses
SPREAD = 0.36


def draw_comparison(found: Comparison, file: Path, made: Made) -> None:
    """One panel a measure, one line a loss, one point a seed; file.csv holds the numbers."""
    others = [label for label in found.losses if label != STOCK]
    seeds = sorted({seed for measured in found.losses.values() for seed in measured[MEASURES[0]].pairs})
    with picture(file, made, 9.0, 1.9 + 0.62 * max(1, len(others))) as figure:
        axes = figure.subplots(1, len(MEASURES), sharey=True)
        for axis, name in zip(axes, MEASURES, strict=True):
            _zero(axis)
            for place, label in enumerate(others):
                _draw_loss(axis, place, found.losses[label][name], seeds)
            axis.set_title(f"{name} (decides)" if name == DECIDES else name, loc="left", fontsize=9)
            axis.set_xlabel("difference to stock, same seed (points)")
            axis.set_ylim(len(others) - 0.4, -0.6)
            axis.grid(True, axis="x", alpha=0.25)
        axes[0].set_yticks(range(len(others)), [_name(label, found) for label in others])
        _legend(figure, axes[0], seeds)
    write_table(file.with_suffix(".csv"), made, _columns(found))


def _zero(axis: Any) -> None:
    axis.axvline(0, color="#555555", linewidth=1)


def _draw_loss(axis: Any, place: int, measured: Measured, seeds: list[int]) -> None:
    """A point a seed, below them the mean with its interval."""
    for seed, difference in zip(measured.pairs, measured.paired.differences, strict=True):
        number = seeds.index(seed)
        up = SPREAD * (number / max(1, len(seeds) - 1) - 0.5)
        marker = {"marker": _marker(number), "color": line_of(number)["color"], "markersize": 5, "linestyle": ""}
        axis.plot(difference, place - 0.08 + up, **marker)
    found = measured.paired
    if math.isfinite(found.mean):
        reach = [[found.mean - found.low], [found.high - found.mean]] if math.isfinite(found.low) else None
        below = place + SPREAD / 2 + 0.06
        axis.errorbar(found.mean, below, xerr=reach, fmt="|", markersize=9, color="black", capsize=3, linewidth=1.2)


def _marker(number: int) -> str:
    return "osD^v<>PX*"[number % 10]


def _name(label: str, found: Comparison) -> str:
    short = label if len(label) <= 28 else f"{label[:27]}…"
    return f"{short}\n{found.losses[label][MEASURES[0]].verdict}"


def _legend(figure: Any, axis: Any, seeds: list[int]) -> None:
    for number, seed in enumerate(seeds):
        color = line_of(number)["color"]
        axis.plot([], [], marker=_marker(number), color=color, markersize=5, linestyle="", label=f"seed {seed}")
    axis.errorbar([], [], xerr=[], fmt="|", color="black", capsize=3, label="mean, 95 % interval")
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=min(len(labels), 6), frameon=False, fontsize=8)


def _columns(found: Comparison) -> dict[str, list[Any]]:
    """A row a loss and seed."""
    rows = [(label, seed) for label, each in found.losses.items() for seed in each[MEASURES[0]].by_seed]
    columns: dict[str, list[Any]] = {"loss": [label for label, _ in rows], "seed": [seed for _, seed in rows]}
    for name in MEASURES:
        measured = {label: each[name] for label, each in found.losses.items()}
        columns[f"{name} (points)"] = [measured[label].by_seed[seed] for label, seed in rows]
        columns[f"{name} - stock (points)"] = [_difference(measured[label], seed) for label, seed in rows]
    return columns


def _difference(measured: Measured, seed: int) -> float | str:
    """To stock; empty where stock was not trained with the seed."""
    differences = dict(zip(measured.pairs, measured.paired.differences, strict=True))
    return differences.get(seed, "")
