"""Pictures of detections: what was predicted beside the truth. Needs matplotlib and pillow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..reports import beside

#: a box (x1, y1, x2, y2) in pixels and what to write on it
Labelled = tuple[Sequence[float], str]


@dataclass(frozen=True)
class DetectedScene:
    """One image with its true and its predicted boxes."""

    image: Path
    truth: list[Labelled]
    predicted: list[Labelled]


def draw_scenes(scenes: Sequence[DetectedScene], title: str, file: Path) -> Path:
    """Save a picture with one column per scene: the truth above, predictions below.

    Args:
        scenes: at least one.
        title: what to write beside the predictions.
        file: where to save; returned.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from PIL import Image

    size = (2.4 * len(scenes), 5)
    figure, axes = pyplot.subplots(2, len(scenes), figsize=size, squeeze=False, layout="constrained")
    for column, scene in enumerate(scenes):
        pixels = Image.open(scene.image).convert("RGB")
        for axis, boxes, color in zip(
            axes[:, column], (scene.truth, scene.predicted), ("tab:green", "tab:orange"), strict=True
        ):
            axis.imshow(pixels)
            axis.set(xticks=[], yticks=[])
            for box, text in boxes:
                _add_box(axis, box, text, color)
    axes[0, 0].set_ylabel("truth", fontsize=12)
    axes[1, 0].set_ylabel(title, fontsize=12)
    with beside(file) as part:
        figure.savefig(part, dpi=110)
    pyplot.close(figure)
    return file


def _add_box(axis: Any, box: Sequence[float], text: str, color: str) -> None:
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = box
    axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linewidth=1.4))
    chip = {"facecolor": color, "edgecolor": "none", "pad": 1.0}
    label = axis.text(x1 + 1, y1 + 1, text, color="white", fontsize=7, va="bottom", bbox=chip, clip_on=True)
    top = axis.transAxes.inverted().transform(label.get_window_extent().get_points())[1, 1]
    if top > 1:  # no room above the box: inside it
        label.set_va("top")
