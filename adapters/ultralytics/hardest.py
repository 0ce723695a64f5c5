# SPDX-License-Identifier: AGPL-3.0-or-later
"""`loss-plugins hardest MODEL_OR_RUN --data data.yaml`: label errors, found by the loss of each label."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from loss_plugins.catalog.ranges import Choice, check_value
from loss_plugins.errors import refusal
from loss_plugins.evidence.hardest import Costs, Labelled, box_loss, class_loss, matches
from loss_plugins.evidence.hardest import hardest as costs_of
from loss_plugins.evidence.hardest_rows import Row, as_table, draw_sheet, write_rows
from loss_plugins.plots.made import Made, command_line, versions
from loss_plugins.plots.style import INSTALL, can_draw
from loss_plugins.reports import require_writable, strict_json, write_whole

from .hardest_data import DataSet, Picture, read_data
from .hardest_predictions import Asked, Found, check_device, open_model, predictions, weights_of
from .mixin import ultralytics_versions

RANKINGS = {"box": "box loss", "cls": "class loss"}
#: of what could not be read, how much is printed
SHOWN = 5


def hardest(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL_OR_RUN", help="A .pt file, or a run's folder: its weights/best.pt.")
    ],
    data: Annotated[Path, typer.Option(help="The data set's data.yaml.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "train",
    count: Annotated[int, typer.Option(min=1, help="Labels of each ranking.")] = 20,
    box: Annotated[
        str, typer.Option(help="Box loss: NAME, 'NAME(key=value, ...)' or package.module:function.")
    ] = "ciou",
    cls: Annotated[
        str, typer.Option(help="Class loss, of the scores of all classes; named in the same way.")
    ] = "bce_with_logits",
    conf: Annotated[float, typer.Option(min=0, max=1, help="Predictions of a lower score do not count.")] = 0.01,
    iou: Annotated[
        float, typer.Option(min=0, max=1, help="Of predictions that overlap more than this, the best counts.")
    ] = 0.7,
    imgsz: Annotated[int | None, typer.Option(min=32, help="Side of the images, in pixels; the model's own.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda:0, ...; a GPU if there is one.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images at once.")] = 16,
    out: Annotated[Path, typer.Option(help="Folder for contact sheets, tables and JSON.")] = Path("runs/hardest"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
) -> None:
    """Rank the labels of a data set by the loss of the prediction that overlaps each most: label errors come first."""
    check_value("hardest", "--split", split, Choice("train", "val", "test"))
    losses = {"box": box_loss(box).label, "cls": class_loss(cls).label}  # refuses a wrong name before any work
    check_device(device)
    require_writable("--out", out / "hardest.json")
    options = {"split": split, "count": count, "box": box, "cls": cls, "conf": conf, "iou": iou}
    options |= {"imgsz": imgsz, "device": device, "batch": batch}
    made = Made(command_line(["hardest", str(model), "--data", str(data)], options), None, made_with())
    with quiet():
        opened, labels = opened_both(model, data, split)
        seen, problems = look(opened, labels, Asked(conf, iou, imgsz or size_of(opened), device, batch))
        costs = costs_of((each.labelled for each in seen), box, cls)
    rows = {name: rows_of(costs, seen, labels, opened.names, name, count) for name in RANKINGS}
    told = report(rows, losses, costs, labels, problems, made)
    write_whole(out / "hardest.json", told)
    titles = {
        name: f"{RANKINGS[name]} {losses[name]}: the {len(rows[name])} highest of {len(costs.iou)}" for name in rows
    }
    written = {"numbers": out / "hardest.json", **write(rows, titles, out, made)}
    if as_json:
        typer.echo(told)
        return
    console = Console()
    for name, each in rows.items():
        console.print(as_table(each, titles[name]))
    tell(console, problems, written)


def made_with() -> dict[str, str]:
    """The versions that the result depends on."""
    return {**versions(), **ultralytics_versions()}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What Ultralytics and a loss of one's own print is no part of the report."""
    from ultralytics.utils import LOGGER

    before = LOGGER.level
    LOGGER.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        LOGGER.setLevel(before)


def opened_both(model: Path, data: Path, split: str) -> tuple[Any, DataSet]:
    """The model and the labels; raises for what is not there."""
    file = weights_of(model)
    opened = open_model(file)
    found = read_data(data, split, opened.task)
    if len(found.names) != len(opened.names):
        came = f"--data={data} has {len(found.names)} classes, and the model of {file} {len(opened.names)}"
        raise refusal("hardest", came, "the classes that the model was trained for", "name its own data set")
    return opened, found


def size_of(model: Any) -> int:
    """The side of the images that a model was trained with, in pixels."""
    trained = model.overrides.get("imgsz", 640)
    return int(max(trained) if isinstance(trained, (list, tuple)) else trained)


@dataclass(frozen=True)
class Seen:
    """An image with its labels, which was predicted in."""

    picture: Picture
    labelled: Labelled


def look(model: Any, data: DataSet, asked: Asked) -> tuple[list[Seen], list[str]]:
    """The predictions in all images that have labels; and what could not be read."""
    wanted = [each for each in data.pictures if each.labels]
    seen, problems = [], [*data.problems]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        images = [each.image for each in wanted]
        found = zip(wanted, predictions(model, images, asked), strict=True)
        for picture, (size, predicted) in progress.track(found, len(wanted), description="predicting in images"):
            if isinstance(predicted, str):
                problems.append(predicted)
            else:
                seen.append(Seen(picture, in_pixels(picture, size, predicted)))
    return seen, problems


def in_pixels(picture: Picture, size: tuple[int, int], found: Found) -> Labelled:
    """Labels of an image of that height and width, and of the predictions those that overlap one of them most."""
    height, width = size
    boxes = torch.tensor([each.box for each in picture.labels]) * torch.tensor([width, height, width, height])
    match = torch.unique(matches(boxes, found.boxes)[1])
    kept = match[match >= 0]
    classes = torch.tensor([each.number for each in picture.labels])
    return Labelled(boxes, classes, found.boxes[kept], found.scores[kept])


def rows_of(
    costs: Costs, seen: Sequence[Seen], data: DataSet, names: dict[int, str], ranking: str, count: int
) -> list[Row]:
    """The labels that cost most, as they are shown."""
    losses = {"box": costs.box, "cls": costs.cls}[ranking]
    rows = []
    for rank, at in enumerate(costs.hardest(ranking, count), start=1):
        each = seen[int(costs.image[at])]
        number, match = int(costs.row[at]), int(costs.match[at])
        label, labelled = each.picture.labels[number], each.labelled
        row = Row(
            rank=rank,
            loss=float(losses[at]),
            image=each.picture.image,
            label_file=each.picture.label_file,
            line=label.line,
            name=data.names[label.number],
            box=corners(labelled.boxes[number]),
            iou=float(costs.iou[at]),
        )
        if match >= 0:
            score, best = labelled.scores[match].max(dim=0)
            told = {"predicted_name": names[int(best)], "score": round(float(score), 6)}
            row = replace(row, **told, predicted_box=corners(labelled.predicted[match]))  # type: ignore[arg-type]
        rows.append(row)
    return rows


def corners(box: torch.Tensor) -> Any:
    """x1, y1, x2, y2, to a hundredth of a pixel."""
    return tuple(round(float(each), 2) for each in box)


def report(
    rows: dict[str, list[Row]], losses: dict[str, str], costs: Costs, data: DataSet, problems: list[str], made: Made
) -> str:
    """The result as JSON."""
    told = {
        "made": made.to_dict(),
        "losses": losses,
        "images": len(data.pictures),
        "labels": len(costs.iou),
        "unmatched": int((costs.match < 0).sum()),
        "problems": problems,
        **{name: [each.to_dict() for each in ranked] for name, ranked in rows.items()},
    }
    return strict_json(told)


def write(rows: dict[str, list[Row]], titles: dict[str, str], out: Path, made: Made) -> dict[str, Any]:
    """Tables and contact sheets, by what they are."""
    for name, each in rows.items():
        write_rows(out / f"{name}.csv", made, each)
    if not can_draw():
        return {"contact sheets": f"none without matplotlib: {INSTALL}"}
    for name, each in rows.items():
        draw_sheet(each, titles[name], out / f"{name}.png", made)
    return {RANKINGS[name]: out / f"{name}.png" for name in rows}


def tell(console: Console, problems: Sequence[str], written: dict[str, Any]) -> None:
    """What could not be read, and where the results are."""
    for line in problems[:SHOWN]:
        console.print(f"[yellow]left out:[/yellow] {escape(line)}", soft_wrap=True, highlight=False)
    if len(problems) > SHOWN:
        console.print(f"and {len(problems) - SHOWN} more: see the numbers", soft_wrap=True, highlight=False)
    for label, file in written.items():
        console.print(f"{label}: {escape(str(file))}", soft_wrap=True, highlight=False)
