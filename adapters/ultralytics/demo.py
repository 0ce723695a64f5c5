# SPDX-License-Identifier: AGPL-3.0-or-later
"""`loss-plugins demo`: from nothing to a trained detector with a plugged loss, its proof and a picture."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from loss_plugins.digits import DigitsSet, make_digits
from loss_plugins.parity import compare, sample_pairs

from .builtins import builtin_pairs
from .trainers import PROOF_FILE, trainer

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
console = Console()


def demo(
    folder: Annotated[Path, typer.Option(help="Where data set, run and picture go.")] = Path("runs/demo"),
    box: Annotated[str, typer.Option(help="Box loss to train with.")] = "eiou",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs; fewer for a quick look.")] = RECIPE["epochs"],
) -> None:
    """Train YOLO11n from scratch on handwritten digits with a plugged loss, and prove it."""
    folder = folder.resolve()
    place_font()
    digits = make_digits(folder / "digits")
    console.print(f"data set: {digits.root} (400 training and 100 validation scenes)")
    print_parity()
    run = folder / f"{box}-{epochs}"
    if (run / "finished.yaml").is_file():
        console.print(f"reusing the run in {run} (delete it to train again)")
    else:
        train(digits, run, box, epochs)
    print_result(run)
    picture = draw(run, digits, folder / f"{box}-{epochs}.png")
    console.print(f"picture: {picture}")


def place_font() -> None:
    """Give Ultralytics the font that it would download otherwise."""
    import shutil

    import matplotlib
    from ultralytics.utils import USER_CONFIG_DIR

    wanted = Path(USER_CONFIG_DIR) / "Arial.ttf"
    if not wanted.exists():
        shutil.copy(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", wanted)


def print_parity() -> None:
    """Our dialects beside the built-ins of what is installed."""
    pred, target = sample_pairs()
    table = Table(title=f"our losses against the installed built-ins, {len(pred)} pairs of boxes, float32")
    for heading in ("loss", "built-in", "largest difference", "of the gradient (relative)"):
        table.add_column(heading)
    for name, label, ours, theirs in builtin_pairs():
        difference = compare(ours, theirs, pred, target)
        table.add_row(name, label, f"{difference.value:.1e}", f"{difference.gradient:.1e}")
    console.print(table)


def train(digits: DigitsSet, run: Path, box: str, epochs: int) -> None:
    """Train from scratch; leaves finished.yaml with time and metrics."""
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
    (run / "finished.yaml").write_text(yaml.safe_dump(finished, sort_keys=False))


def print_result(run: Path) -> None:
    """The proof of use and the validation metrics of a finished run."""
    proof = yaml.safe_load((run / PROOF_FILE).read_text())
    finished = yaml.safe_load((run / "finished.yaml").read_text())
    report, canary = proof["report"]["box"], proof["report"]["canary"]
    console.print(
        f"proof: box loss {proof['losses']['box']['type']}; on fixed boxes {canary['box'][0]:.5f} "
        f"(stock {canary['stock']:.5f}); {report['train_calls']} training calls on {report['rows']} boxes, "
        f"gradient in {report['gradient_calls']}; {report['val_calls']} validation calls; in {run / PROOF_FILE}"
    )
    console.print(
        f"validation: mAP50 {finished['mAP50']:.3f}, mAP50-95 {finished['mAP50-95']:.3f}, "
        f"after {finished['minutes']:.1f} minutes of training"
    )


def draw(run: Path, digits: DigitsSet, file: Path, scenes: int = 6) -> Path:
    """Save predictions beside the truth for the first validation scenes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from PIL import Image
    from ultralytics import YOLO

    images = sorted(digits.val_images.glob("*.png"))[:scenes]
    predictions = YOLO(run / "weights/best.pt").predict(
        [str(image) for image in images],
        imgsz=RECIPE["imgsz"],
        conf=0.25,
        iou=0.5,
        agnostic_nms=True,
        verbose=False,
        device="cpu",
    )
    figure, axes = pyplot.subplots(2, scenes, figsize=(2.4 * scenes, 5), squeeze=False, layout="constrained")
    for column, (image, predicted) in enumerate(zip(images, predictions, strict=True)):
        pixels = Image.open(image).convert("RGB")
        for axis in axes[:, column]:
            axis.imshow(pixels)
            axis.set(xticks=[], yticks=[])
        label = digits.root / "labels/val" / f"{image.stem}.txt"
        for line in label.read_text().splitlines():
            number, x, y, w, h = map(float, line.split())
            x, w, y, h = x * pixels.width, w * pixels.width, y * pixels.height, h * pixels.height
            add_box(axes[0, column], (x - w / 2, y - h / 2, w, h), f"{number:.0f}", "tab:green")
        for x1, y1, x2, y2, confidence, number in predicted.boxes.data.tolist():
            add_box(axes[1, column], (x1, y1, x2 - x1, y2 - y1), f"{number:.0f}  {confidence:.0%}", "tab:orange")
    axes[0, 0].set_ylabel("truth", fontsize=12)
    axes[1, 0].set_ylabel(f"predicted, box loss {run.name.rpartition('-')[0]}", fontsize=12)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
    return file


def add_box(axis: Any, box: tuple[float, float, float, float], text: str, color: str) -> None:
    """A rectangle with its label above."""
    from matplotlib.patches import Rectangle

    x, y, w, h = box
    axis.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=color, linewidth=1.4))
    chip = {"facecolor": color, "edgecolor": "none", "pad": 1.0}
    axis.text(x + 1, y + 1, text, color="white", fontsize=7, va="bottom", bbox=chip, clip_on=True)
