# SPDX-License-Identifier: AGPL-3.0-or-later
"""The picture of a run's losses: value and gradient of each beside the stock loss, and how hard it pulled per epoch."""

from __future__ import annotations

import csv
import math
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from loss_plugins.fusion import by_autograd
from loss_plugins.module.curves import Curve, over_iou, over_logit
from loss_plugins.module.gain import FAIR, IOUS
from loss_plugins.module.image_size import NAME as IMAGE_SIZE
from loss_plugins.module.state import statistics_of
from loss_plugins.reports import beside

from .box_slot import BoxSlot
from .plug import Plug
from .slot_table import SLOTS
from .slots import Slot, Stock, non_defaults

#: how the columns of results.csv begin in which our trainer writes the numbers of its losses
COLUMN = "plug/"
PLOT_FILE = "loss_plugins.png"
#: targets of a class loss: a positive of this quality, and a negative
QUALITY = 0.8
#: a loss so many times as large as the other one makes that invisible, unless the axis is logarithmic
FAR = 10.0
#: so many have a tick at 3 as well
DECADES = 5
#: ticks where there are more decades, beside the first
MOST = 8
NO_CURVES = "no curves, which are of single boxes or scores"
OURS, STOCK = "C0", "0.45"


class Line(NamedTuple):
    """A curve, and how it is drawn."""

    curve: Curve
    label: str
    color: str
    style: str


class Row(NamedTuple):
    """The panels of a slot; without lines that of the ratio alone."""

    slot: Slot
    lines: list[Line]


class LossPlot:
    """The picture of the losses of a plug: curves, computed once, and ratios as results.csv has them.

    Boxes and scores have curves, of copies on fixed boxes and scores. Bins, masks and maps have none, and no class loss
    with a running statistic: that is of all scores of a training.

    Args:
        plug: whose criterion has been checked.
        folder: of the run.
    """

    def __init__(self, plug: Plug, folder: Path) -> None:
        self.file = folder / PLOT_FILE
        with by_autograd():  # nothing is compiled for it
            self.rows = [Row(slot, list(lines_of(slot, plug.stock_losses[slot.name]))) for slot in plug.slots]

    def draw(self, table: Path) -> None:
        """Save the picture.

        Args:
            table: results.csv, if there is one yet.
        """
        from matplotlib.figure import Figure

        ratios = ratios_of(table)
        columns = 3 if any(row.lines for row in self.rows) else 1
        figure = Figure(figsize=(4.6 * columns, 3.6 * len(self.rows)), layout="constrained")
        for row, plots in zip(self.rows, figure.subplots(len(self.rows), columns, squeeze=False), strict=True):
            draw_ratio(plots[-1], row.slot, ratios[row.slot.name])
            if row.lines:
                draw_curves(plots[0], plots[1], row)
            elif columns > 1:
                said = f"{row.slot.name} loss {row.slot.loss_name}: {NO_CURVES}"
                plots[0].text(0, 0.5, said).set_in_layout(False)  # it may reach into the next plot
                plots[0].set_axis_off()
                plots[1].set_axis_off()
        with beside(self.file) as part:
            figure.savefig(part, dpi=150)


def lines_of(slot: Slot, stock: Stock | None) -> Iterator[Line]:
    """The curves of a slot's loss, as the training weighs it, and of the stock loss."""
    statistics = statistics_of([slot.prototype])
    if stock is None or (statistics and not isinstance(slot, BoxSlot)):
        return
    factor = slot.calls.gain * slot.prototype.loss_weight
    loss, known = slot.prototype, ("loss_weight", IMAGE_SIZE)
    name = textwrap.shorten(f"{slot.loss_name} {non_defaults(loss, known)}", 50, placeholder=" ...")
    name += f" x {factor:.3g}" if factor != 1 else ""
    learnt = "".join(f"\n(running {each.name}: that of the fixed set)" for each in statistics)
    for target, style, (ours, theirs) in pairs_of(slot, stock):
        scaled = Curve(ours.at, factor * ours.loss, factor * ours.gradient)
        yield Line(theirs, f"stock, {stock.name}{target}", STOCK, style)
        yield Line(scaled, f"{name}{target}{learnt}", OURS, style)


def pairs_of(slot: Slot, stock: Stock) -> Iterator[tuple[str, str, tuple[Curve, Curve]]]:
    """What the target is, the style of its lines, and the curves of both losses."""
    loss, function = slot.prototype, stock.function
    if isinstance(slot, BoxSlot):
        yield "", "-", over_iou(loss, function, slot.image_size, rotated=slot.kind == "rotated_box")
        return
    for quality, style in ((QUALITY, "-"), (0.0, "--")):
        yield f", target {quality:g}", style, over_logit(loss, function, quality, slot.classes or 1)


def draw_curves(value: Any, gradient: Any, row: Row) -> None:
    """Draw losses and gradients into two plots."""
    for line in row.lines:
        style = {"color": line.color, "linestyle": line.style}
        value.plot(line.curve.at, line.curve.loss, label=line.label, **style)
        gradient.plot(line.curve.at, line.curve.gradient, **style)
    boxes = isinstance(row.slot, BoxSlot)
    if boxes:
        for plot, each in ((value, "loss"), (gradient, "gradient")):
            tops = [float(getattr(line.curve, each).nan_to_num(0, 0, 0).max()) for line in row.lines]
            if min(tops) > 0 and max(tops) > FAR * min(tops):
                plot.set_yscale("log")
    if boxes and row.slot.calls.norms:
        for plot in (value, gradient):
            plot.axvspan(min(IOUS), max(IOUS), color="C2", alpha=0.15, lw=0, label='fixed set of gain="match"')
    where = "IoU: mean over boxes of 5 aspects, moved in 8 ways" if boxes else "logit"
    pull = "size of the gradient x side of the target" if boxes else "derivative by the logit"
    value.set(title=f"{row.slot.name} loss", xlabel=where, ylabel="loss")
    gradient.set(title=f"gradient of the {row.slot.name} loss", xlabel=where, ylabel=pull)
    value.legend(fontsize="small")


def draw_ratio(plot: Any, slot: Slot, ratios: dict[int, float]) -> None:
    """Draw how hard a loss pulled in each epoch."""
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, StrMethodFormatter

    plot.axhspan(*FAIR, color="C2", alpha=0.15, lw=0)
    plot.axhline(1, color=STOCK)
    plot.plot(list(ratios), list(ratios.values()), ".-", color=OURS)
    plot.set(yscale="log", xlim=(0.5, max(ratios, default=1) + 0.5), xlabel="epoch: measured on one batch of each")
    plot.set(title=f"{slot.name} loss in training", ylabel=f"gradient of {slot.loss_name} / stock loss's")
    plot.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ticks = ticks_around(ratios.values())
    plot.set_ylim(0.9 * ticks[0], 1.1 * ticks[-1])
    plot.yaxis.set(major_locator=FixedLocator(ticks), minor_locator=NullLocator())
    plot.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def ticks_around(ratios: Iterable[float]) -> list[float]:
    """..., 0.1, 0.3, 1, 3, 10, ... from below the lowest ratio to above the highest; of many decades powers of 10."""
    drawn = [ratio for ratio in ratios if ratio > 0 and math.isfinite(ratio)]
    low, high = (math.log10(end([FAIR[at], *drawn])) for at, end in enumerate((min, max)))
    first, last = math.floor(low), math.ceil(high)
    if last - first > DECADES:
        step = math.ceil((last - first) / MOST)
        return [10.0**power for power in range(first, last + step, step)]
    ticks = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in (1, 3)]
    lowest = max(tick for tick in ticks if math.log10(tick) <= low)
    highest = min(tick for tick in ticks if math.log10(tick) >= high)
    return [tick for tick in ticks if lowest <= tick <= highest]


def ratio_column(slot: str) -> str:
    """The column of results.csv that holds a slot's ratio of gradients."""
    return f"{COLUMN}{slot}_gradient_ratio"


def ratios_of(table: Path) -> dict[str, dict[int, float]]:
    """The ratio by slot and epoch, of epochs that were trained again the last one; what is not measured is left out."""
    lines = table.read_text(encoding="utf-8").splitlines() if table.is_file() else []
    head, *rows = [[value.strip() for value in row] for row in csv.reader(lines)] or [[]]
    found: dict[str, dict[int, float]] = {slot: {} for slot in SLOTS}
    for told in (dict(zip(head, row, strict=False)) for row in rows):
        for slot, ratios in found.items():
            epoch, ratio = number(told.get("epoch")), number(told.get(ratio_column(slot)))
            if math.isfinite(epoch + ratio):
                ratios[int(epoch)] = ratio
    return found


def number(text: str | None) -> float:
    """The number that a cell holds; NaN: it holds none."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
