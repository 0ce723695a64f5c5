"""The table of detectors in docs/libreyolo.md, made by training each: `python -m tools.libreyolo_page [NAME ...]`.

What was measured lies beside the page, in libreyolo.json; with names, only those detectors are trained again.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.adapters.libreyolo import patched
from loss_plugins.adapters.libreyolo.dense import DensePlug
from loss_plugins.demo.digits import make_digits
from loss_plugins.errors import in_one_line
from loss_plugins.reports import markdown_table, strict_json, write_whole

from .known_detectors import DETECTORS, Detector

PAGE = Path(__file__).parents[1] / "docs" / "libreyolo.md"
RESULTS = PAGE.with_suffix(".json")
BEGIN = "<!-- detectors: begin (made by python -m tools.libreyolo_page) -->"
END = "<!-- detectors: end -->"
HEADINGS = ("detector", "its own box loss", "boxes as", "box losses a step", "trained")
STEPS, IMAGES = 3, 2
QUICK: dict[str, Any] = {
    "epochs": 1,
    "batch": IMAGES,
    "workers": 0,
    "device": "cpu",
    "exist_ok": True,
    "val_loss": True,
}
#: as papers write them; others in capitals
WRITTEN = {"giou": "GIoU", "ciou": "CIoU", "iou (squared)": "1 - IoU^2"}
#: boxes in pixels come near the far side of an image, which is at most this share of it in cells of a map
IN_CELLS = 0.5


@dataclass(frozen=True)
class Row:
    """What was measured of a detector.

    Attributes:
        stock: the box loss of its own.
        found: "loss_boxes" of a criterion, "object", or "function".
        boxes: "corners" or "centers".
        scale: what the box loss is multiplied by.
        largest: the largest coordinate of a target, over the side of the images.
        steps: of the training.
        calls: box losses in all of them.
        trained: calls that got a gradient.
        validated: box losses of the validation.
        failed: why the training ended before its end; "": it did not.
    """

    stock: str
    found: str
    boxes: str
    scale: float
    largest: float
    steps: int
    calls: int
    trained: int
    validated: int
    failed: str = ""

    @property
    def unit(self) -> str:
        """What coordinates are measured in, if not in sides of the image."""
        return "pixels" if self.largest > IN_CELLS else "cells"

    def cells(self, name: str) -> list[str]:
        """The row of the page."""
        loss = WRITTEN.get(self.stock, self.stock.upper()) + (f", times {self.scale:g}" if self.scale != 1 else "")
        how = {"loss_boxes": " (`loss_boxes`)", "function": ", a function that the criterion calls"}
        where = "sides of the image" if self.found == "loss_boxes" else f"{self.boxes}, {self.unit}"
        calls = f"{self.calls / max(self.steps, 1):g}"
        return [name, loss + how.get(self.found, ""), where, calls, self._told()]

    def _told(self) -> str:
        """Whether every call of every step got a gradient, and what of the validation."""
        if self.steps != STEPS or self.trained != self.calls:
            return f"**no**: {self.trained} of {self.calls}"
        if self.failed:
            return f"yes; its validation fails ({self.failed})"
        return "yes" if self.validated else "yes; its validation computes no loss"


@contextmanager
def noted(largest: list[float]) -> Iterator[str]:
    """The name of a loss that is GIoU while inside, and notes the largest coordinate of each call's targets.

    Fixed boxes, which are compared before, are in double precision.
    """
    name = "giou_of_noted_targets"

    def loss(pred: Tensor, target: Tensor) -> Tensor:
        if len(target) and target.dtype is torch.float32:
            largest.append(float(target.detach().max()))
        return lp.giou_loss(pred, target)

    lp.register_loss(name, kind="box", traits=lp.Traits(range=(0, 2), symmetric=True, scale_invariant=True))(loss)
    try:
        yield name
    finally:
        lp.unregister_loss(name)


def measured(detector: Detector, folder: Path) -> Row:
    """A detector trained for three steps of two images, and validated.

    Args:
        detector: of a family.
        folder: for data set and run.
    """
    data = make_digits(folder / "digits", train=STEPS * IMAGES, val=2, progress=False)
    torch.manual_seed(0)
    largest: list[float] = []
    with noted(largest) as name, patched(box=name) as used:
        failed = _trained(detector, {**QUICK, "data": str(data.yaml), "project": str(folder / "runs")})
    plug, report = used.plugs[-1], used.report
    assert report.box is not None
    form = plug.slot.form if isinstance(plug, DensePlug) else None
    return Row(
        stock=report.box.stock,
        found=_found(plug),
        boxes="centers" if form is not None and form.box_format == "cxcywh" else "corners",
        scale=form.scale if form is not None else 1.0,
        largest=max(largest) / detector.imgsz,
        steps=report.trained,
        calls=report.box.calls,
        trained=report.box.gradient_calls,
        validated=report.box.val_calls,
        failed=failed,
    )


def _trained(detector: Detector, settings: dict[str, Any]) -> str:
    """Train; the first line of the error that ended it."""
    try:
        detector.build().train(imgsz=detector.imgsz, **settings)
    except (RuntimeError, ValueError) as error:
        return in_one_line(error)
    return ""


def _found(plug: Any) -> str:
    if not isinstance(plug, DensePlug):
        return "loss_boxes"
    return "function" if plug.places[0].function else "object"


def table(rows: dict[str, Row]) -> str:
    """One Markdown row for each detector."""
    return markdown_table(HEADINGS, (row.cells(name) for name, row in rows.items()))


def read() -> tuple[str, dict[str, Row]]:
    """The version of LibreYOLO, and what was measured with it."""
    told = json.loads(RESULTS.read_text(encoding="utf-8"))
    return told["libreyolo"], {name: Row(**row) for name, row in told["detectors"].items()}


def write(rows: dict[str, Row]) -> None:
    """Results, and the table between the markers of the page."""
    ordered = {name: rows[name] for name in DETECTORS if name in rows}
    told = {
        "libreyolo": metadata.version("libreyolo"),
        "detectors": {name: asdict(row) for name, row in ordered.items()},
    }
    write_whole(RESULTS, strict_json(told) + "\n")
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    write_whole(PAGE, f"{before}{BEGIN}\n{table(ordered)}\n{END}{rest.split(END)[1]}")


def main(names: list[str]) -> None:
    """Measure some detectors, or all."""
    if unknown := set(names) - set(DETECTORS):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(DETECTORS)}")
    warnings.filterwarnings("ignore")
    rows = read()[1] if RESULTS.is_file() else {}
    for name in names or DETECTORS:
        with tempfile.TemporaryDirectory() as folder:
            rows[name] = measured(DETECTORS[name], Path(folder))
        print(" | ".join(rows[name].cells(name)), flush=True)
        write(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
