"""The pictures of the regression experiment, and the tables beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..plots.made import Made
from ..plots.style import label_ends, line_of, picture, write_table
from .cases import SETTINGS, Setting
from .experiment import CELLS, RATES
from .stored import Simulated

#: maps beside each other
COLUMNS = 4
#: what a map covers of the factors between its best and its worst cell
DECADES = 4


def draw_curves(results: Sequence[Simulated], file: Path, made: Made) -> None:
    """The error, or the mean IoU, by the step; file.csv holds the numbers."""
    setting = SETTINGS[results[0].asked.setting]
    of_error = results[0].measure == "error"
    with picture(file, made, 7.2, 4.6) as figure:
        axis = figure.add_subplot()
        for number, each in enumerate(results):
            steps = range(1, len(each.outcome.curve) + 1)
            axis.plot(steps, each.outcome.curve, linewidth=1.6, label=each.loss, **line_of(number))
        axis.set_xlabel("step")
        axis.grid(True, alpha=0.25)
        axis.set_title(_title(results), loc="left", fontsize=9)
        axis.set_xlim(0, max(len(each.outcome.curve) for each in results))
        if of_error:
            axis.set_yscale("log")
            axis.set_ylabel(f"error, sum over {results[0].of:,} cases\n({setting.unit}, log scale)")
            _mark_rates(axis)
        else:
            axis.set_ylabel("mean IoU")
            _mark_best(axis, results)
        ends = [(len(each.outcome.curve), each.outcome.curve[-1]) for each in results]
        said = [
            (x, y, each.loss, line_of(number)["color"])
            for number, ((x, y), each) in enumerate(zip(ends, results, strict=True))
            if math.isfinite(y)
        ]
        label_ends(axis, said)
    longest = max(len(each.outcome.curve) for each in results)
    columns: dict[str, list[Any]] = {"step": list(range(1, longest + 1))}
    for each in results:
        columns[each.loss] = [*each.outcome.curve, *[""] * (longest - len(each.outcome.curve))]
    write_table(file.with_suffix(".csv"), made, columns)


def _mark_rates(axis: Any) -> None:
    """Where the step size falls."""
    for (last, _), (_, rate) in pairwise(RATES):
        axis.axvline(last, color="#888888", linewidth=0.8, linestyle=":")
        place, behind = axis.get_xaxis_transform(), {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8}
        said = {"transform": place, "va": "top", "fontsize": 6.5, "color": "#444444", "bbox": behind}
        axis.text(last + 1, 0.9, f"step size\n{rate:g}", **said)


def _mark_best(axis: Any, results: Sequence[Simulated]) -> None:
    """A dot at the best step of each."""
    for number, each in enumerate(results):
        best = each.outcome.summary["best_step"]
        axis.plot(best, each.outcome.curve[best - 1], "o", markersize=4, color=line_of(number)["color"])


def draw_maps(results: Sequence[Simulated], file: Path, made: Made) -> None:
    """The mean final error, or IoU at the best step, by the place of the anchor; file.csv holds the numbers."""
    from matplotlib.colors import LogNorm, Normalize

    setting = SETTINGS[results[0].asked.setting]
    of_error = results[0].measure == "error"
    columns = min(COLUMNS, len(results))
    lines = -(-len(results) // columns)
    values = [value for each in results for value in each.outcome.where.value if math.isfinite(value)]
    high = max(values, default=1.0)
    least = max(min(values, default=0.0), high / 10**DECADES)
    scale = LogNorm(least, high) if of_error and least < high else Normalize(0, 1) if not of_error else None
    with picture(file, made, max(2.05 * columns + 1.1, 4.6), 2.15 * lines + 1.0) as figure:
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        drawn: Any = None
        for axis, each in zip(grid.flat, results, strict=False):
            drawn = _draw_map(axis, each, setting, scale)
        for axis in list(grid.flat)[len(results) :]:
            axis.set_axis_off()
        for number, axis in enumerate(grid.flat[: len(results)]):
            if number + columns >= len(results):
                axis.set_xlabel("dx of the anchor", fontsize=8)
                axis.tick_params(labelbottom=True)
            if number % columns == 0:
                axis.set_ylabel("dy of the anchor", fontsize=8)
        what = "mean final error of a case" if of_error else "mean IoU at the best step"
        unit = f"\n({setting.unit}{', log scale' if of_error else ''})" if of_error else ""
        figure.colorbar(drawn, ax=grid, label=what + unit, extend="min" if of_error else "neither", pad=0.02)
        figure.suptitle(
            f"{_title(results)}\n dx, dy from the target's centre in {setting.unit}; + the centre", fontsize=9
        )
    _write_map(results, file.with_suffix(".csv"), made)


def _draw_map(axis: Any, each: Simulated, setting: Setting, scale: Any) -> Any:
    from matplotlib.ticker import MultipleLocator

    where = each.outcome.where
    values = [max(value, scale.vmin) if scale is not None else value for value in where.value]
    reach = setting.reach
    table = [[math.nan] * CELLS for _ in range(CELLS)]
    for x, y, value in zip(where.x, where.y, values, strict=True):
        column, row = (int((at + reach) * CELLS / (2 * reach)) for at in (x, y))
        table[row][column] = value
    drawn = axis.imshow(
        table,
        extent=(-reach, reach, -reach, reach),
        origin="lower",
        cmap="cividis",
        norm=scale,
        interpolation="nearest",
    )
    axis.plot(0, 0, "+", color="white", markersize=7, markeredgewidth=2.2)
    axis.plot(0, 0, "+", color="black", markersize=6, markeredgewidth=1.0)
    axis.set_title(each.loss, fontsize=8.5)
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(MultipleLocator(2 * 10 ** math.floor(math.log10(reach))))
    return drawn


def _write_map(results: Sequence[Simulated], file: Path, made: Made) -> None:
    first = results[0].outcome.where
    columns: dict[str, list[Any]] = {"dx": first.x, "dy": first.y, "cases": first.cases}
    write_table(file, made, {**columns, **{each.loss: each.outcome.where.value for each in results}})


def _title(results: Sequence[Simulated]) -> str:
    asked = results[0].asked
    share = "all" if asked.full else f"{results[0].cases:,} of"
    how = " and Adam" if asked.setting != "diou" else f", {asked.gradients} gradients"
    only = f" ({', '.join(asked.conventions)} alone)" if asked.conventions else ""
    return f"Boxes moved by the loss{how}{only}: {share} {results[0].of:,} cases"
