"""The hardest labels as people read them: a table, CSV and a contact sheet of crops, each with what made it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from ..plots.made import Made
from ..plots.style import picture, write_table

Box = tuple[float, float, float, float]
#: of a sheet: crops side by side, inches of one, how far around its boxes it reaches, in shares of their extent
COLUMNS, SIDE, MARGIN = 5, 1.75, 0.35
#: letters of a line below a crop
LETTERS = 34
LABEL: dict[str, Any] = {"color": "#ffd000", "linestyle": "-", "linewidth": 2.2}
PREDICTION: dict[str, Any] = {"color": "#ff3fb4", "linestyle": (0, (3, 2)), "linewidth": 1.8}


@dataclass(frozen=True)
class Row:
    """A label, and the prediction that overlaps it most.

    Attributes:
        rank: 1 costs most.
        loss: infinite: no prediction overlaps it.
        image: its image.
        label_file: the file that it is written in.
        line: of that file, from 1.
        name: of its class.
        box: x1, y1, x2, y2 in pixels of the image.
        iou: with the prediction; 0 without.
        predicted_name: class of the prediction's highest score; None: there is no prediction.
        score: that score.
        predicted_box: of the prediction.
    """

    rank: int
    loss: float
    image: Path
    label_file: Path
    line: int
    name: str
    box: Box
    iou: float = 0.0
    predicted_name: str | None = None
    score: float | None = None
    predicted_box: Box | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON; null for what there is not, an infinite loss too."""
        said = vars(self) | {"image": str(self.image), "label_file": str(self.label_file)}
        return {**said, "loss": self.loss if math.isfinite(self.loss) else None}

    @property
    def place(self) -> str:
        """Where the label is written: file:line."""
        return f"{self.label_file.name}:{self.line}"

    @property
    def prediction(self) -> str:
        """What the prediction says."""
        return "none" if self.predicted_name is None else f"{self.predicted_name} ({self.score:.2f})"


def as_table(rows: Sequence[Row], title: str) -> Table:
    """A line a label, for a terminal."""
    table = Table("", "loss", "IoU", "label", "prediction", "where", title=escape(title))
    for each in rows:
        cells = (str(each.rank), f"{each.loss:.3f}", f"{each.iou:.2f}", each.name, each.prediction, each.place)
        table.add_row(*map(escape, cells))
    for column in table.columns[:3]:
        column.justify = "right"
    for column in table.columns:
        column.no_wrap = column is not table.columns[-1]
    table.columns[-1].overflow = "fold"
    return table


def write_rows(file: Path, made: Made, rows: Sequence[Row]) -> None:
    """The rows as CSV."""
    corners = ("x1", "y1", "x2", "y2")
    columns: dict[str, list[Any]] = {
        name: [getattr(each, name) for each in rows]
        for name in ("rank", "loss", "iou", "image", "label_file", "line", "name", "predicted_name", "score")
    }
    for name in ("box", "predicted_box"):
        boxes = [getattr(each, name) or ("",) * 4 for each in rows]
        columns |= {f"{name}_{corner}": [box[k] for box in boxes] for k, corner in enumerate(corners)}
    write_table(file, made, columns)


def draw_sheet(rows: Sequence[Row], title: str, file: Path, made: Made) -> None:
    """A crop of each label, with its box and that of its prediction, what they say, and where it is written."""
    from matplotlib.patches import Rectangle

    columns = min(COLUMNS, max(len(rows), 2))
    lines = math.ceil(len(rows) / columns)
    with picture(file, made, columns * SIDE + 0.2, lines * (SIDE + 0.55) + 0.9) as figure:
        figure.suptitle(title, fontsize=10, fontweight="bold")
        axes = figure.subplots(lines, columns, squeeze=False).ravel()
        for axis, each in zip(axes, rows, strict=False):
            draw_crop(axis, each)
        for axis in axes[len(rows) :]:
            axis.axis("off")
        keys = [Rectangle((0, 0), 1, 1, fill=False, **{**style, "linewidth": 2}) for style in (LABEL, PREDICTION)]
        figure.legend(
            keys,
            ["label", "prediction"],
            loc="outside upper right",
            ncols=2,
            fontsize=8,
            frameon=True,
            framealpha=1,
            facecolor="#555555",
            labelcolor="white",
        )


def draw_crop(axis: Any, each: Row) -> None:
    """The image around a label."""
    from matplotlib.patches import Rectangle

    left, top, right, bottom = extent_of(each)
    pixels, size = pixels_of(each.image, (left, top, right, bottom))
    axis.set_facecolor("#dddddd")
    if pixels is not None:
        axis.imshow(pixels, extent=size, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    for box, style in ((each.box, LABEL), (each.predicted_box, PREDICTION)):
        if box is not None:
            x1, y1, x2, y2 = box
            axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, **style))
    axis.set(xticks=[], yticks=[], xlim=(left, right), ylim=(bottom, top), aspect="equal")
    for spine in axis.spines.values():
        spine.set_visible(True)
        spine.set_color("#999999")
    loss = f"loss {each.loss:.3g}" if math.isfinite(each.loss) else "nothing overlaps it"
    words = (f"{each.rank}: label {each.name}, predicted {each.prediction}", f"{loss}, IoU {each.iou:.2f}", each.place)
    axis.set_xlabel("\n".join(shortened(line) for line in words), fontsize=6.5)


def extent_of(each: Row) -> Box:
    """The square around both boxes, with a margin: left, top, right, bottom."""
    boxes = [each.box, *([each.predicted_box] if each.predicted_box else [])]
    xs, ys = ([box[k + j] for box in boxes for j in (0, 2)] for k in (0, 1))
    half = max(max(xs) - min(xs), max(ys) - min(ys), 4.0) * (0.5 + MARGIN)
    x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    return x - half, y - half, x + half, y + half


def pixels_of(image: Path, extent: Box) -> tuple[Any, Box]:
    """The part of an image that an extent reaches, None if nothing; and where it lies: left, right, bottom, top."""
    from PIL import Image, ImageOps

    with Image.open(image) as opened:
        turned = ImageOps.exif_transpose(opened)
        left, top = (max(0, math.floor(each)) for each in extent[:2])
        right, bottom = (min(side, math.ceil(each)) for side, each in zip(turned.size, extent[2:], strict=True))
        if left >= right or top >= bottom:
            return None, (0, 0, 0, 0)
        part = turned.crop((left, top, right, bottom))
        part = part.convert("L" if part.mode in ("1", "L", "LA") else "RGB")
        part.load()
    return part, (left, right, bottom, top)


def shortened(line: str) -> str:
    """A line with as much of its middle left out as makes it fit.

    >>> shortened("a_very_long_name_of_a_file_from_a_camera.txt:17")
    'a_very_long_name...a_camera.txt:17'
    """
    cut = LETTERS - 3
    return line if len(line) <= LETTERS else f"{line[: cut - cut // 2]}...{line[-(cut // 2) :]}"
