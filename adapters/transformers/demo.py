"""`loss-plugins demo-transformers`: transformers' own Trainer, a plugged loss, its proof and a picture."""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

from loss_plugins.catalog.entries import meaning_of
from loss_plugins.demo.digits import DigitsSet, make_digits
from loss_plugins.demo.pictures import DetectedScene, Labelled, draw_scenes
from loss_plugins.errors import refusal
from loss_plugins.reports import strict_json, write_whole

from .digits import Scenes, coco_scores, collate, detections, small_rt_detr, splits
from .plug import plug
from .record import RECORD_FILE

INSTALL = 'pip install "loss-plugins[digits,transformers]" accelerate pycocotools'
#: modules that the demo imports when it needs them, which may be after the training
NEEDED = ("accelerate", "matplotlib", "pycocotools", "sklearn")
EPOCHS = 20
FINISHED = "finished.json"
SURE = 0.3  # score from which a detection is drawn


def demo_transformers(
    folder: Annotated[Path, typer.Option(help="Where data set, run and picture go.")] = Path("runs/demo-transformers"),
    box: Annotated[str, typer.Option(help="Box loss to train with.")] = "eiou",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs; fewer for a quick look.")] = EPOCHS,
) -> None:
    """Train a small RT-DETR from scratch on handwritten digits through transformers' Trainer, and prove the loss."""
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        raise ImportError(f"{', '.join(absent)} is missing: {INSTALL}")
    if meaning_of(box, "demo-transformers", "--box").entry.kind != "box":
        remedy = "see loss-plugins list --kind box"
        raise refusal("demo-transformers", f"--box={box!r} is a loss of another kind", "losses of kind box", remedy)
    folder = folder.resolve()
    run = folder / f"{box}-{epochs}"
    if (run / FINISHED).is_file():
        typer.echo(f"reusing the run in {run} (delete it to train again)")
    else:
        train(make_digits(folder / "digits"), run, box, epochs)
    print_result(run)
    typer.echo(f"picture: {run.with_suffix('.png')}")


def train(digits: DigitsSet, run: Path, box: str, epochs: int) -> None:
    """Train, score and draw; the folder of the run gets the model, its record, and finished.json with the scores."""
    started = time.monotonic()
    set_seed(0)
    model = small_rt_detr()
    training, validation = splits(digits)
    plugged = plug(model, box=box)
    trainer = Trainer(
        model,
        arguments(run, epochs),
        train_dataset=training,
        data_collator=collate,
        callbacks=[plugged.callback(), Progress()],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    trainer.save_model()
    found = detections(model, validation)
    scores = coco_scores(validation, digits.val_json, found)
    draw(validation, digits, found, f"predicted, box loss {box}", run.with_suffix(".png"))
    minutes = round((time.monotonic() - started) / 60, 2)
    write_whole(run / FINISHED, strict_json({"minutes": minutes, "proof": str(plugged.report), **scores}))


def arguments(run: Path, epochs: int) -> TrainingArguments:
    """What the Trainer is told: batches of 8, a rate of 1e-3 that falls as a cosine."""
    return TrainingArguments(
        output_dir=str(run),
        num_train_epochs=epochs,
        per_device_train_batch_size=8,
        learning_rate=1e-3,
        weight_decay=1e-4,
        lr_scheduler_type="cosine",
        warmup_steps=50,
        max_grad_norm=1.0,
        logging_strategy="epoch",
        save_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        report_to=[],
    )


class Progress(TrainerCallback):  # type: ignore[misc]
    """Prints a line per epoch."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the time."""
        self.started = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Epoch, loss and minutes."""
        if "loss" in logs:
            minutes = (time.monotonic() - self.started) / 60
            loss = float(logs["loss"])
            typer.echo(f"epoch {round(state.epoch)} of {args.num_train_epochs}: loss {loss:.2f}, {minutes:.1f} minutes")


def print_result(run: Path) -> None:
    """Print the proof of the plug and the validation scores of a finished run."""
    try:
        finished = json.loads((run / FINISHED).read_text(encoding="utf-8"))
        scored = (
            f"validation: mAP50 {finished['mAP50']:.3f}, mAP {finished['mAP']:.3f}, "
            f"after {finished['minutes']:.1f} minutes"
        )
        proof = f"proof ({run / RECORD_FILE}): {finished['proof']}"
    except (KeyError, TypeError, ValueError) as error:
        came = f"the record {run / FINISHED} cannot be read: {error!r}"
        remedy = "delete that folder to train again"
        raise refusal("demo-transformers", came, "what the demo wrote", remedy) from error
    typer.echo(proof)
    typer.echo(scored)


def draw(
    scenes: Scenes, digits: DigitsSet, found: list[dict[str, Any]], title: str, file: Path, count: int = 6
) -> None:
    """Save predictions beside the truth for the first scenes."""
    annotated = json.loads(digits.val_json.read_text(encoding="utf-8"))["annotations"]
    drawn = []
    for image, path, each in zip(scenes.images[:count], scenes.paths, found, strict=False):
        boxes = [(label["bbox"], str(label["category_id"])) for label in annotated if label["image_id"] == image["id"]]
        truth: list[Labelled] = [([x, y, x + w, y + h], text) for (x, y, w, h), text in boxes]
        sure = zip(*(each[key].tolist() for key in ("boxes", "scores", "labels")), strict=True)
        predicted = [(box, f"{label}  {score:.0%}") for box, score, label in sure if score > SURE]
        drawn.append(DetectedScene(path, truth, predicted))
    draw_scenes(drawn, title, file)
