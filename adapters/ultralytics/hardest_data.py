# SPDX-License-Identifier: AGPL-3.0-or-later
"""The labels of a data set, each with the file and the line that it is written in; nothing is downloaded or cached."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loss_plugins.errors import in_one_line, refusal

WHERE = "hardest"
#: numbers of a line: class and box; class and at least three corners of a polygon
BOX, POLYGON = 5, 7


@dataclass(frozen=True)
class Label:
    """A label as it is written, whatever a training would make of it.

    Attributes:
        line: of its file, from 1.
        number: of its class.
        box: x1, y1, x2, y2 in shares of the image; they may lie outside of 0 to 1.
    """

    line: int
    number: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Picture:
    """An image with its labels, of which there may be none."""

    image: Path
    label_file: Path
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class DataSet:
    """A split of a data set.

    Attributes:
        pictures: all images, by name.
        names: of the classes, by their number.
        problems: what could not be read, a line each: "FILE:LINE: why".
    """

    pictures: tuple[Picture, ...]
    names: Mapping[int, str]
    problems: tuple[str, ...]

    @property
    def labels(self) -> int:
        """How many there are."""
        return sum(len(each.labels) for each in self.pictures)


def read_data(file: Path, split: str, task: str) -> DataSet:
    """A split of a data set; raises where there is none, or no label in it.

    Args:
        file: data.yaml.
        split: train, val or test.
        task: of the model, which tells what a line holds: the labels of pose models go on behind the box.
    """
    data = described(file)
    places = data.get(split)
    if not places:
        known = ", ".join(name for name in ("train", "val", "test") if data.get(name))
        raise refusal(WHERE, f"--split={split}: {file} names none", known, "choose one of them")
    names = {int(number): str(name) for number, name in data["names"].items()}
    images = sorted({*images_of([places] if isinstance(places, str) else places, split)})
    pictures, problems = [], []
    for image, label_file in zip(images, label_files(images), strict=True):
        labels, wrong = read_labels(label_file, len(names), task)
        pictures.append(Picture(image, label_file, labels))
        problems += wrong
    found = DataSet(tuple(pictures), names, tuple(problems))
    if not found.labels:
        came = f"--split={split}: {len(images)} images of {file} have no label that can be read"
        first = f" ({problems[0]})" if problems else ""
        raise refusal(WHERE, came + first, "at least one label", "see that labels/ lies beside images/")
    return found


def described(file: Path) -> dict[str, Any]:
    """What data.yaml says, as Ultralytics reads it: paths resolved, classes named."""
    if file.suffix not in (".yaml", ".yml") or not file.is_file():
        came = f"--data={file} is {'no YAML file' if file.exists() else 'missing'}"
        raise refusal(WHERE, came, "the data.yaml of a data set on this machine", "name one that exists")
    from ultralytics.data.utils import check_det_dataset

    try:
        with without_fonts():
            data: dict[str, Any] = check_det_dataset(str(file.resolve()), autodownload=False)
    except Exception as error:  # whatever Ultralytics raises for what it cannot read, SyntaxError among it
        came = f"--data={file} cannot be read: {in_one_line(error)}"
        raise refusal(WHERE, came, "the data.yaml of a data set on this machine", "correct it") from error
    return data


@contextmanager
def without_fonts() -> Iterator[None]:
    """Ultralytics looks for a font whenever it reads a data.yaml, and downloads it; nothing here is written with it."""
    from ultralytics.data import utils

    before = utils.check_font
    utils.check_font = lambda *_, **__: None
    try:
        yield
    finally:
        utils.check_font = before


def images_of(places: Iterable[str], split: str) -> Iterator[Path]:
    """The images of folders, and those that text files list, one a line, from the file's folder if it begins with ./"""
    from ultralytics.data.utils import IMG_FORMATS

    for place in map(Path, places):
        if place.is_dir():
            found = [each for each in place.rglob("*") if each.suffix[1:].lower() in IMG_FORMATS]
        elif place.is_file():
            lines = place.read_text(encoding="utf-8").split("\n")
            listed = [line.strip() for line in lines if line.strip()]
            found = [place.parent / line if line.startswith("./") else Path(line) for line in listed]
        else:
            raise refusal(WHERE, f"--split={split}: {place} is missing", "a folder or a list of images", "correct it")
        yield from (each.absolute() for each in found)


def label_files(images: Iterable[Path]) -> list[Path]:
    """Where Ultralytics looks for the labels of images."""
    from ultralytics.data.utils import img2label_paths

    return [Path(each) for each in img2label_paths([str(image) for image in images])]


def read_labels(file: Path, classes: int, task: str) -> tuple[tuple[Label, ...], list[str]]:
    """The labels of a file, and what is wrong with other lines; none where there is no file."""
    if not file.is_file():
        return (), []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return (), [f"{file}: {in_one_line(error)}"]
    labels, wrong = [], []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found = read_label(line, number, classes, task)
            if isinstance(found, Label):
                labels.append(found)
            else:
                wrong.append(f"{file}:{number}: {found}")
    return tuple(labels), wrong


def read_label(line: str, number: int, classes: int, task: str) -> Label | str:
    """A label: class and box, or class and the corners of a polygon; or why it is none.

    >>> read_label("3 0.5 0.5 0.2 0.4", 1, 10, "detect").box
    (0.4, 0.3, 0.6, 0.7)
    >>> read_label("3 0.1 0.2 0.5 0.3 0.2 0.6", 1, 10, "segment").box
    (0.1, 0.2, 0.5, 0.6)
    >>> read_label("12 0.5 0.5 0.2 0.4", 1, 10, "detect")
    'class 12 is none of 0 to 9'
    """
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        return "holds what is no number"
    if not all(map(math.isfinite, values)):
        return "holds a number that is not finite"
    if values[0] not in range(classes):
        return f"class {values[0]:g} is none of 0 to {classes - 1}"
    if len(values) == BOX or (task == "pose" and len(values) > BOX):
        x, y, w, h = values[1:BOX]
        box = (round(x - w / 2, 12), round(y - h / 2, 12), round(x + w / 2, 12), round(y + h / 2, 12))
        return Label(number, int(values[0]), box)
    if len(values) >= POLYGON and len(values) % 2:
        xs, ys = values[1::2], values[2::2]
        return Label(number, int(values[0]), (min(xs), min(ys), max(xs), max(ys)))
    return f"has {len(values)} numbers, where a box has {BOX} and a polygon an odd count from {POLYGON}"
