"""How pictures look: lines that can be told apart in grey, labels that do not touch, and what made each picture."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..reports import beside, write_whole
from .made import Made

#: colours from dark to light, which stay apart in grey and for the colour-blind, each with a dash of its own
COLOURS = ("#1b1b3a", "#b5179e", "#0077b6", "#e85d04", "#2a9d8f", "#9a8c98", "#e9b000")
LIGHTEST = "#d0d7de"
DASHES: tuple[Any, ...] = (
    "-", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)), (0, (10, 3)), (0, (1, 1)), (0, (4, 1.5, 1.5, 1.5, 1.5, 1.5)),
)  # fmt: skip
#: dots per inch of a picture
RESOLUTION = 110
#: of the line below a picture that says what made it
SMALL = 6.5
INSTALL = 'pip install "loss-plugins[plots]"'


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def line_of(number: int, dark: bool = False) -> dict[str, Any]:
    """Colour and dash of the n-th line of a picture; on a dark ground the darkest colour becomes the lightest."""
    turn = number // len(COLOURS)
    colour = COLOURS[number % len(COLOURS)]
    colour = LIGHTEST if dark and colour == COLOURS[0] else colour
    return {"color": colour, "linestyle": DASHES[(number + turn) % len(DASHES)]}


@contextmanager
def picture(file: Path, made: Made, width: float, height: float, dark: bool = False) -> Iterator[Any]:
    """A figure to draw on, in inches, which is saved as a file at the end, with what made it below and inside."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context(_look(dark)):
        figure = pyplot.figure(figsize=(width, height), layout="constrained")
        try:
            yield figure
            figure.supxlabel(_wrapped(str(made), width), fontsize=SMALL, x=0.01, ha="left", alpha=0.7)
            with beside(file) as part:
                key = "Subject" if file.suffix == ".pdf" else "Description"
                figure.savefig(part, dpi=RESOLUTION, metadata={key: str(made)})
                if file.suffix == ".png":
                    _make_small(part)
        finally:
            pyplot.close(figure)


def _make_small(file: Path) -> None:
    """Store a picture with 256 colours, a third of the bytes; what it says of itself stays."""
    from PIL import Image, PngImagePlugin

    with Image.open(file) as drawn:
        told = PngImagePlugin.PngInfo()
        for key, value in drawn.info.items():
            if isinstance(value, str):
                told.add_text(key, value)
        small = drawn.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(file, optimize=True, pnginfo=told, dpi=(RESOLUTION, RESOLUTION))


def _look(dark: bool) -> dict[str, Any]:
    """Colours of ground and letters, by matplotlib's names."""
    ground, letters = ("#0d1117", "#e6edf3") if dark else ("white", "#1f2328")
    of_letters = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    return {
        "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10,
        "grid.alpha": 0.25, "grid.linewidth": 0.6, "legend.frameon": False,
        "figure.facecolor": ground, "axes.facecolor": ground, **dict.fromkeys(of_letters, letters),
    }  # fmt: skip


def _wrapped(text: str, width: float) -> str:
    """The lines of a text, broken where they would be wider than a picture of that many inches."""
    import textwrap

    letters = int(width * 72 / (SMALL * 0.56))
    return "\n".join(
        part for line in text.splitlines() for part in textwrap.wrap(line, letters, break_long_words=False)
    )


def label_ends(axis: Any, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write a label beside the end of each line, moved up or down where two would touch.

    Args:
        axis: of the picture; its scales and limits stand.
        ends: x, y, text and colour of each.
    """
    axis.figure.canvas.draw()  # the places of the axes are known only then
    to_pixels = axis.transData.transform
    line = 9.5 * axis.figure.dpi / 72
    wanted = sorted((float(to_pixels((x, y))[1]), x, y, text, color) for x, y, text, color in ends)
    for place, (_, x, y, text, color) in zip(spread([each[0] for each in wanted], line), wanted, strict=True):
        up = (place - float(to_pixels((x, y))[1])) * 72 / axis.figure.dpi
        axis.annotate(
            text,
            (x, y),
            xytext=(22, up),
            textcoords="offset points",
            va="center",
            color=color,
            fontweight="bold",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.6, "relpos": (0, 0.5), "shrinkB": 2},
        )


def spread(places: Sequence[float], least: float) -> list[float]:
    """Rising places, moved as little as keeps neighbours `least` apart.

    >>> spread([0, 1, 2, 10], 2)
    [-1.0, 1.0, 3.0, 10.0]
    """
    groups: list[list[float]] = []  # of each the middle, and how many it holds
    for place in places:
        groups.append([float(place), 1])
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < least * (groups[-1][1] + groups[-2][1]) / 2:
            (middle, count), (before, many) = groups.pop(), groups.pop()
            groups.append([(middle * count + before * many) / (count + many), count + many])
    return [middle + (k - (count - 1) / 2) * least for middle, count in groups for k in range(int(count))]


def write_table(file: Path, made: Made, columns: Mapping[str, Sequence[Any]]) -> None:
    """The numbers of a picture as CSV, below lines that begin with # and say what made them."""
    text = io.StringIO()
    text.writelines(f"# {line}\n" for line in str(made).splitlines())
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([f"{cell:.10g}" if isinstance(cell, float) else cell for cell in row])
    write_whole(file, text.getvalue())
