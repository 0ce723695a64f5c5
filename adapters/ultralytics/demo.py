# SPDX-License-Identifier: AGPL-3.0-or-later
"""`loss-plugins demo`: from nothing to a trained detector with a plugged loss, its proof and a picture."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
import yaml
from rich.console import Console
from rich.table import Table

from loss_plugins import cxcywh_to_xyxy
from loss_plugins.demo.digits import DigitsSet, make_digits
from loss_plugins.demo.pictures import DetectedScene, Labelled, draw_scenes
from loss_plugins.errors import refusal
from loss_plugins.parity.compare import compare_builtin
from loss_plugins.peers import compared
from loss_plugins.reports import write_whole

from .record import PROOF_FILE
from .spec import make_spec
from .trainers import trainer
from .yaml12 import yaml_file

MODEL = "yolo11n.yaml"
#: mirrored digits are other digits, and at 128 px a mosaic of four scenes leaves little of each
RECIPE: dict[str, Any] = {
    "epochs": 30,
    "imgsz": 128,
    "batch": 16,
    "optimizer": "SGD",
    "lr0": 0.02,
    "warmup_epochs": 2,
    "mosaic": 0.0,
    "fliplr": 0.0,
}


def demo(
    folder: Annotated[Path, typer.Option(help="Where data set, run and picture go.")] = Path("runs/demo"),
    box: Annotated[str, typer.Option(help="Box loss to train with.")] = "eiou",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs; fewer for a quick look.")] = RECIPE["epochs"],
) -> None:
    """Train YOLO11n from scratch on handwritten digits with a plugged loss, and prove it."""
    make_spec(box=box)  # refuses a wrong name before any work
    console = Console()
    folder = folder.resolve()
    place_font()
    digits = make_digits(folder / "digits")
    console.print(f"data set: {digits.root} (400 training and 100 validation scenes)")
    print_parity(console)
    run = folder / f"{box}-{epochs}"
    if (run / "finished.yaml").is_file():
        console.print(f"reusing the run in {run} (delete it to train again)")
    else:
        train(digits, run, box, epochs)
    print_result(run, console)
    picture = draw(run, digits, folder / f"{box}-{epochs}.png")
    console.print(f"picture: {picture}")


def place_font() -> None:
    """Copy matplotlib's font to where Ultralytics would otherwise download one."""
    import matplotlib
    from ultralytics.utils import USER_CONFIG_DIR

    wanted = Path(USER_CONFIG_DIR) / "Arial.ttf"
    if not wanted.exists():
        shutil.copy(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", wanted)


def print_parity(console: Console) -> None:
    """Compare losses in the dialects of Ultralytics and torchvision with the installed built-ins."""
    rows = [row for row in (*compared("ultralytics"), *compared("torchvision")) if row.sample == "boxes"]
    found = [compare_builtin(row) for row in rows]
    table = Table(title=f"our losses against the installed built-ins, {found[0].rows} pairs of boxes, float32")
    for heading in ("loss", "built-in", "largest difference", "of the gradient (relative)"):
        table.add_column(heading)
    for result in found:
        table.add_row(result.loss, result.framework, f"{result.value_max:.1e}", f"{result.gradient_max:.1e}")
    console.print(table)


def train(digits: DigitsSet, run: Path, box: str, epochs: int) -> None:
    """Train from scratch, and write finished.yaml with time and metrics."""
    from ultralytics import YOLO

    model = YOLO(MODEL)
    started = time.monotonic()
    metrics = model.train(
        trainer=trainer("detect", box=box),
        data=str(digits.yaml),
        project=str(run.parent),
        name=run.name,
        exist_ok=True,
        plots=False,
        amp=False,
        seed=0,
        **{**RECIPE, "epochs": epochs},
    )
    finished = {
        "minutes": round((time.monotonic() - started) / 60, 2),
        "mAP50": round(float(metrics.box.map50), 4),
        "mAP50-95": round(float(metrics.box.map), 4),
    }
    write_whole(run / "finished.yaml", yaml.safe_dump(finished, sort_keys=False))


def print_result(run: Path, console: Console) -> None:
    """Print the proof of use and the validation metrics of a finished run."""
    try:
        lines = result(run)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        came = f"the record of the run in {run} cannot be read: {error!r}"
        raise refusal("demo", came, "what the demo wrote", "delete that folder to train again") from error
    for line in lines:
        console.print(line)


def result(run: Path) -> list[str]:
    """The proof and the metrics of a finished run, a line each."""
    proof, finished = (yaml_file(run / name, name) for name in (PROOF_FILE, "finished.yaml"))
    report, canary = proof["report"]["box"], proof["report"]["canary"]
    return [
        f"proof: box loss {proof['losses']['box']['type']}; on fixed boxes {canary['box'][0]:.5f} "
        f"(stock {canary['stock']:.5f}); {report['train_calls']} training calls on {report['rows']} boxes, "
        f"gradient in {report['gradient_calls']}; {report['val_calls']} validation calls; in {run / PROOF_FILE}",
        f"validation: mAP50 {finished['mAP50']:.3f}, mAP50-95 {finished['mAP50-95']:.3f}, "
        f"after {finished['minutes']:.1f} minutes of training",
    ]


def draw(run: Path, digits: DigitsSet, file: Path, count: int = 6) -> Path:
    """Save predictions beside the truth for the first validation scenes."""
    from ultralytics import YOLO

    images = sorted(digits.val_images.glob("*.png"))[:count]
    predictions = YOLO(run / "weights/best.pt").predict(
        [str(image) for image in images],
        imgsz=RECIPE["imgsz"],
        conf=0.25,
        iou=0.5,
        agnostic_nms=True,
        verbose=False,
        device="cpu",
    )
    scenes = [
        DetectedScene(image, truth_of(digits, image), predicted(rows))
        for image, rows in zip(images, (found.boxes.data.tolist() for found in predictions), strict=True)
    ]
    return draw_scenes(scenes, f"predicted, box loss {run.name.rpartition('-')[0]}", file)


def predicted(rows: list[list[float]]) -> list[Labelled]:
    """Boxes in pixels with digit and score, from Ultralytics' rows (x1, y1, x2, y2, score, digit)."""
    return [(box, f"{number:.0f}  {score:.0%}") for *box, score, number in rows]


def truth_of(digits: DigitsSet, image: Path) -> list[Labelled]:
    """Box and digit of each object of a validation scene, in pixels, from its YOLO label file."""
    found: list[Labelled] = []
    for line in (digits.root / "labels/val" / f"{image.stem}.txt").read_text(encoding="utf-8").splitlines():
        number, *center = line.split()
        box = cxcywh_to_xyxy(torch.tensor([float(value) for value in center]) * RECIPE["imgsz"])
        found.append((box.tolist(), number))
    return found
