"""Proves `loss-plugins hardest` on spoilt digits and writes docs/hardest.md: `python -m tools.hardest_page`.

Of a set of digits 10 boxes are shifted by half a side and 10 classes swapped; a small model is trained on that set, and
the command ranks its labels. Takes about five minutes on one core; nothing is downloaded. Models that were trained are
used again: delete runs/hardest-page to train anew.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from loss_plugins.demo.digits import DigitsSet, make_digits

ROOT = Path(__file__).parents[1]
#: scenes, their side in pixels, and the labels that are spoilt in each of two ways
SCENES, SIZE, SPOILT = 250, 96, 10
SEEDS = (0, 1, 2)
#: of the first so many labels of a ranking
FIRST = (20, 40)
#: two scales of features, 39 layers: at 96 pixels most of yolo11n's time would go into layers that see nothing
MODEL: dict[str, Any] = {
    "nc": 10,
    "scales": {"n": [1.0, 1.0, 1024]},
    "backbone": [
        [-1, 1, "Conv", [16, 3, 2]],
        [-1, 1, "Conv", [32, 3, 2]],
        [-1, 1, "C2f", [32, True]],
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, "C2f", [64, True]],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 1, "C2f", [128, True]],
        [-1, 1, "SPPF", [128, 5]],
    ],
    "head": [
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]],
        [-1, 1, "C2f", [64]],
        [[10, 7], 1, "Detect", ["nc"]],
    ],
}
#: no augmentation that would make another digit of one, or leave little of it
RECIPE: dict[str, Any] = {
    "epochs": 24,
    "imgsz": SIZE,
    "batch": 16,
    "nbs": 16,
    "optimizer": "AdamW",
    "lr0": 0.005,
    "cls": 2.0,
    "warmup_epochs": 2,
    **dict.fromkeys(("mosaic", "fliplr", "hsv_h", "hsv_s", "hsv_v", "erasing"), 0.0),
    **dict.fromkeys(("val", "plots", "amp", "verbose"), False),
    "workers": 0,
    "device": "cpu",
}
#: a label: the stem of its file, and the line, from 1
Place = tuple[str, int]


@dataclass(frozen=True)
class Spoilt:
    """Which labels were made wrong.

    Attributes:
        box: those whose box was shifted.
        cls: those whose class was swapped.
        labels: how many there are, right and wrong.
    """

    box: frozenset[Place]
    cls: frozenset[Place]
    labels: int


def spoil(digits: DigitsSet, seed: int) -> Spoilt:
    """Shift 10 boxes by half a side, to one of four sides, and swap 10 classes for others; the labels of the set."""
    rng = np.random.default_rng([seed, 99])
    files = {file.stem: file.read_text().splitlines() for file in sorted((digits.root / "labels/train").glob("*.txt"))}
    places = [(stem, line) for stem, lines in files.items() for line in range(1, len(lines) + 1)]
    chosen = [places[at] for at in rng.permutation(len(places))[: 2 * SPOILT]]
    for number, (stem, line) in enumerate(chosen):
        change = shifted if number < SPOILT else swapped
        files[stem][line - 1] = change(rng, files[stem][line - 1])
    for stem, lines in files.items():
        (digits.root / "labels/train" / f"{stem}.txt").write_text("".join(f"{line}\n" for line in lines))
    return Spoilt(frozenset(chosen[:SPOILT]), frozenset(chosen[SPOILT:]), len(places))


def shifted(rng: np.random.Generator, line: str) -> str:
    """By half its width or height, to a side where it stays inside the image, if there is one."""
    number, *words = line.split()
    center, sides = np.array(words[:2], dtype=float), np.array(words[2:], dtype=float)
    moves = [center + sign * np.eye(2)[axis] * sides / 2 for axis in (0, 1) for sign in (1, -1)]
    inside = [each for each in moves if (each - sides / 2 >= 0).all() and (each + sides / 2 <= 1).all()]
    x, y = (inside or moves)[rng.integers(len(inside or moves))]
    return f"{number} {x:.8f} {y:.8f} {sides[0]:.8f} {sides[1]:.8f}"


def swapped(rng: np.random.Generator, line: str) -> str:
    """For one of the other nine."""
    number, *rest = line.split()
    return " ".join([str((int(number) + int(rng.integers(1, 10))) % 10), *rest])


def spoilt_run(folder: Path, seed: int) -> tuple[DigitsSet, Spoilt, Path]:
    """A spoilt set, what is wrong with it, and the run of a model that was trained on it; one that is there is used."""
    from ultralytics import YOLO

    digits = make_digits(folder / "digits", train=SCENES, val=4, size=SIZE, seed=seed, progress=False)
    spoilt = spoil(digits, seed)
    if not (finished := folder / "run/finished").exists():
        (model := folder / "smalln.yaml").write_text(yaml.safe_dump(MODEL))
        yolo = YOLO(str(model))
        yolo.train(data=str(digits.yaml), seed=seed, project=str(folder.resolve()), name="run", exist_ok=True, **RECIPE)
        finished.touch()
    return digits, spoilt, folder / "run"


def found(report: dict[str, Any], spoilt: Spoilt, ranking: str, first: int) -> int:
    """How many of the labels that were spoilt for a ranking are among the first of it."""
    wrong = {"box": spoilt.box, "cls": spoilt.cls}[ranking]
    return sum((Path(row["label_file"]).stem, row["line"]) in wrong for row in report[ranking][:first])


# --- the page --------------------------------------------------------------------------------------------------------

PAGE = """# Label errors, found by the loss

`loss-plugins hardest MODEL_OR_RUN --data data.yaml` ranks the labels of a data set by what they cost a trained model of
Ultralytics. A label that is wrong costs much, also where the model was trained on it: the others taught it better.

```bash
pip install "loss-plugins[ultralytics,plots]"
loss-plugins hardest runs/detect/train --data data.yaml
```

Each label takes the prediction of its image with the highest IoU, whatever its class. Box loss (of the two boxes, in
pixels) and class loss (of all class scores of that prediction, against the label's class) are ranked apart; a label
that no prediction overlaps costs most in both. For each ranking there are a table, a CSV, and a contact sheet of crops
with both boxes, both classes, the loss, and the file and line of the label. Nothing is downloaded, and nothing is
written outside of `--out`.

![The ten highest box losses: boxes beside their digits](hardest-box.png)

*`{command}` on the digits of the proof below, seed 0. {box} of these ten boxes were shifted on purpose.*

![The ten highest class losses: digits of other classes](hardest-class.png)

*The ranking by class loss of the same call. {cls} of these ten classes were swapped on purpose.*

## Proof

`python -m tools.hardest_page` composes {scenes} scenes of handwritten digits of {size} pixels, shifts {spoilt} boxes by
half a side, swaps {spoilt} classes, trains a small model for {epochs} epochs on that very set, and ranks its labels by
`loss-plugins hardest RUN --data digits.yaml --count 40`. The table counts the shifted boxes among the first of the box
ranking, and the swapped classes among the first of the class ranking. Precision is their share of the first 20 or 40:
with {spoilt} to be found, 0.5 and 0.25 are the most that can be had.

{table}

A test trains with seed 0, and asks for 15 of the 20 within the first 40.

The same models with other thresholds: found within the first 40, shifted boxes + swapped classes.

{thresholds}

`--conf` is {conf} unless said otherwise. Below it stray predictions of hardly any score take part, which may overlap a
wrong box better than that of the object does; far above it objects that are hard to see have no prediction any more.

Made with {versions}.

## What to know

- `--box` takes any box or coordinate loss (`mpdiou` and `nwd` with their size in the call), `--cls` those of single
  scores: `bce_with_logits`, `focal`, `quality_focal` and others. Ultralytics' heads give each class the probability of
  a sigmoid; its logit is what the loss gets (`bce` gets the probability), against 1 for the label's class and 0 for the
  others, summed over the classes. Losses of a softmax are refused.
- Predictions are thinned out whatever their class (`--iou`), so that one prediction of an object is left, with all of
  its scores. End-to-end models (YOLOv10, YOLO26) give the best classes of each box alone; the others count as 0.
- Detection, segmentation and pose models are served. A polygon counts as the box around it. Rotated boxes and RT-DETR
  are refused.
- A label outside of its image is ranked as it is written; Ultralytics would leave the whole image out. Lines that
  cannot be read, classes that data.yaml does not name, and images that cannot be opened are told and left out.
- Images without labels are not looked at: an object that nobody labelled is not found.
- In other frameworks, `loss_plugins.evidence.hardest.hardest(images)` takes boxes, classes, predictions and scores of
  each image, and returns what each label costs.
"""


def main() -> None:
    """Train, rank, and write docs/hardest.md with its pictures."""
    os.environ.update(YOLO_OFFLINE="1", YOLO_AUTOINSTALL="0", YOLO_CONFIG_DIR=tempfile.mkdtemp())
    from loss_plugins.adapters.ultralytics.demo import place_font
    from loss_plugins.adapters.ultralytics.hardest import hardest
    from loss_plugins.reports import markdown_table, write_whole

    place_font()
    rows, tried = [], dict[float, list[str]]()
    base = Path("runs/hardest-page")
    for seed in SEEDS:
        folder = base / f"seed-{seed}"
        _, spoilt, run = spoilt_run(folder, seed)
        data = folder / "digits/digits.yaml"
        for conf in (0.001, 0.01, 0.05):
            hardest(run, data, count=max(FIRST), conf=conf, out=folder / f"conf-{conf}")
            report = json.loads((folder / f"conf-{conf}/hardest.json").read_text())
            counts = {(name, first): found(report, spoilt, name, first) for name in ("box", "cls") for first in FIRST}
            tried.setdefault(conf, []).append(f"{counts['box', 40]} + {counts['cls', 40]}")
            if conf == 0.01:
                rows += [row(seed, name, counts, spoilt.labels) for name in ("box", "cls")]
        if seed == SEEDS[0]:
            hardest(run, data, count=10, out=folder / "ten")
            ten = json.loads((folder / "ten/hardest.json").read_text())
            for name, picture in {"box": "hardest-box.png", "cls": "hardest-class.png"}.items():
                shutil.copy(folder / f"ten/{name}.png", ROOT / "docs" / picture)
            words = {name: found(ten, spoilt, name, 10) for name in ("box", "cls")}
            made = ten["made"]
    headings = ("seed", "ranking", "found in 20", "found in 40", "precision at 20", "at 40", "of a random order")
    text = PAGE.format(
        command=made["command"],
        **words,
        scenes=SCENES,
        size=SIZE,
        spoilt=SPOILT,
        epochs=RECIPE["epochs"],
        table=markdown_table(headings, rows),
        thresholds=markdown_table(
            ("`--conf`", *(f"seed {seed}" for seed in SEEDS)), [[str(conf), *each] for conf, each in tried.items()]
        ),
        conf=0.01,
        versions=", ".join(f"{name} {version}" for name, version in made["versions"].items()),
    )
    write_whole(ROOT / "docs/hardest.md", text)


def row(seed: int, name: str, counts: dict[tuple[str, int], int], labels: int) -> list[str]:
    """A line of the table."""
    said = {"box": "box loss, shifted boxes", "cls": "class loss, swapped classes"}[name]
    few, many = (counts[name, first] for first in FIRST)
    random = f"{SPOILT / labels:.3f} ({SPOILT} of {labels})"
    return [str(seed), said, str(few), str(many), f"{few / FIRST[0]:.3f}", f"{many / FIRST[1]:.3f}", random]


if __name__ == "__main__":
    main()
