"""The picture of `loss-plugins plot`: value and gradient along each sweep, and surfaces of box losses below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..plots.made import Made
from ..plots.panels import factors, field, outline
from ..plots.style import line_of, picture, write_table
from .curves import REACH, SIDES, Curve, Surface
from .sweeps import SIDE, Sweep

#: inches: of a panel of lines, of a surface with its colour bar
WIDTH, HEIGHT = 3.6, 2.3
WIDE, HIGH = 3.6, 3.0
SURFACES_A_ROW = 3
ABOVE = 0.5  # for the legend
NAMES_A_ROW = 6
SURFACES = (
    "The value while the centre of the dotted box lies at each place around the dashed target.\n"
    "Arrows point along minus the gradient at the centre; their length is its square root."
)


def draw(curves: Sequence[Curve], surfaces: Sequence[Surface], file: Path, made: Made, dark: bool = False) -> Path:
    """Save the picture, and its numbers beside it; the path of the numbers.

    Args:
        curves: of all losses along all sweeps; the losses of a sweep share a panel.
        surfaces: of the losses that have one.
        file: of the picture.
        made: what made it.
        dark: on a dark ground.
    """
    sweeps = list({each.sweep.name: each.sweep for each in curves}.values())
    columns = 2 if len(surfaces) == 4 else min(SURFACES_A_ROW, len(surfaces))
    rows = -(-len(surfaces) // max(columns, 1))
    width = max(WIDTH * max(len(sweeps), 2), WIDE * columns)
    heights = [2 * HEIGHT + ABOVE, *([HIGH * rows + ABOVE] if rows else [])]
    with picture(file, made, width, sum(heights) + ABOVE, dark) as figure:
        above, *below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        _draw_curves(above, curves, sweeps, dark)
        for part in below:
            _draw_surfaces(part, surfaces, rows, columns)
    table = file.with_suffix(".csv")
    write_table(table, made, numbers(curves))
    return table


def numbers(curves: Sequence[Curve]) -> dict[str, list[Any]]:
    """The columns of the table."""
    columns: dict[str, list[Any]] = {name: [] for name in ("loss", "sweep", "place", "value", "gradient")}
    for each in curves:
        columns["loss"] += [each.label] * len(each.places)
        columns["sweep"] += [each.sweep.name] * len(each.places)
        for name, values in (("place", each.plain_places), ("value", each.value), ("gradient", each.gradient)):
            columns[name] += values.tolist()
    return columns


def _draw_curves(figure: Any, curves: Sequence[Curve], sweeps: Sequence[Sweep], dark: bool) -> None:
    from matplotlib.lines import Line2D

    labels = dict.fromkeys(each.label for each in curves)
    styles = {label: line_of(number, dark) for number, label in enumerate(labels)}
    axes = figure.subplots(2, len(sweeps), squeeze=False, sharex="col")
    for (top, bottom), sweep in zip(axes.T, sweeps, strict=True):
        for each in (each for each in curves if each.sweep.name == sweep.name):
            top.plot(each.places, each.value, **styles[each.label])
            bottom.plot(each.places, each.gradient, **styles[each.label])
        top.set(title=sweep.title, ylabel="value")
        bottom.set(xlabel=sweep.label, ylabel=f"gradient ({sweep.per})")
        if sweep.doublings:
            factors(bottom, sweep.low, sweep.high)
        for axis in (top, bottom):
            axis.margins(x=0)
            axis.grid(True)
    handles = [Line2D([], [], label=label, **style) for label, style in styles.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=NAMES_A_ROW, handlelength=3)


def _draw_surfaces(figure: Any, surfaces: Sequence[Surface], rows: int, columns: int) -> None:
    axes = figure.subplots(rows, columns, squeeze=False)
    corner = (SIDES[0] / 2 + 4 - REACH, REACH - SIDES[1] / 2 - 4)
    for axis, each in zip(axes.flat, surfaces, strict=False):
        filled = field(axis, each.offsets, each.value, each.gradient)
        outline(axis, (0, 0), (SIDE, SIDE), color="white", linestyle="--")
        outline(axis, corner, SIDES, color="white", linestyle=":")
        axis.set(title=each.label, xlabel="shift of the centre in x (px)", ylabel="shift in y (px)")
        figure.colorbar(filled, ax=axis, label="value")
    for axis in list(axes.flat)[len(surfaces) :]:
        axis.set_axis_off()
    figure.suptitle(SURFACES, fontsize=8)
