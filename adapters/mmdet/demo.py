"""`loss-plugins demo-mmdet`: MMDetection's own training script, a plugged loss, its proof and a picture."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from loss_plugins.catalog.entries import meaning_of
from loss_plugins.demo.pictures import DetectedScene, Labelled, draw_scenes
from loss_plugins.errors import refusal
from loss_plugins.module.build import module_class
from loss_plugins.reports import strict_json, write_whole

from .install import COMMANDS, missing

CONFIG = '''"""Handwritten digits, with {loss}; by loss-plugins demo-mmdet."""

_base_ = ["{base}"]

model = dict(bbox_head=dict(loss_bbox=dict(type="loss_plugins.{loss}")))
train_dataloader = dict(dataset=dict(root="{digits}"))
val_dataloader = dict(dataset=dict(root="{digits}"))
test_dataloader = dict(dataset=dict(root="{digits}"))
val_evaluator = dict(ann_file="{digits}/annotations/val.json")
test_evaluator = dict(ann_file="{digits}/annotations/val.json")
param_scheduler = _base_.param_scheduler
param_scheduler[1].T_max = {epochs}
train_cfg = dict(max_epochs={epochs}, val_interval={epochs})
default_hooks = dict(checkpoint=dict(interval={epochs}))
'''
BASE = "loss_plugins.adapters.mmdet._base_"  # the folder configs/mmdet/_base_, installed under this name
EPOCHS = 12
SCORES = ("coco/bbox_mAP", "coco/bbox_mAP_50")
CHECKPOINTS_BY_PICKLE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"  # mmengine's hold more than weights


def demo_mmdet(
    folder: Annotated[Path, typer.Option(help="Where data set, run and picture go.")] = Path("runs/demo-mmdet"),
    box: Annotated[str, typer.Option(help="Box loss to train with.")] = "eiou",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs; fewer for a quick look.")] = EPOCHS,
) -> None:
    """Train ATSS with ResNet-18 from scratch on handwritten digits through mmdet's tools/train.py, and prove it."""
    absent = missing()
    if absent:
        raise ImportError("; ".join(f"{name} is missing: {COMMANDS[name]}" for name in absent))
    if meaning_of(box, "demo-mmdet", "--box").entry.kind != "box":
        remedy = "see loss-plugins list --kind box"
        raise refusal("demo-mmdet", f"--box={box!r} is a loss of another kind", "losses of kind box", remedy)
    folder = folder.resolve()
    config = write_config(folder, box, epochs)
    run = config.parent
    if (run / "finished.json").is_file():
        typer.echo(f"reusing the run in {run} (delete it to train again)")
    else:
        train(config, run)
    print_result(run)
    typer.echo(f"picture: {draw(config, run, folder, folder / f'{run.name}.png')}")


def write_config(folder: Path, box: str, epochs: int) -> Path:
    """Write the config of this demo, as a file that mmdet's scripts take; its path."""
    run = folder / f"{box}-{epochs}"
    run.mkdir(parents=True, exist_ok=True)
    file = run / "config.py"
    base = Path(str(files(BASE) / "demo.py")).as_posix()
    digits = (folder / "digits").as_posix()
    loss = module_class(box).__name__
    write_whole(file, CONFIG.format(loss=loss, base=base, digits=digits, epochs=epochs))
    return file


def train(config: Path, run: Path) -> None:
    """Run mmdet's tools/train.py in a process of its own, and write finished.json with time and scores."""
    import mmdet

    script = Path(mmdet.__file__).parent / ".mim/tools/train.py"
    started = time.monotonic()
    command = [sys.executable, str(script), str(config), "--work-dir", str(run)]
    subprocess.run(command, check=True, env={**os.environ, CHECKPOINTS_BY_PICKLE: "1"})
    minutes = round((time.monotonic() - started) / 60, 2)
    write_whole(run / "finished.json", strict_json({"minutes": minutes, **scores(run)}))


def scores(run: Path) -> dict[str, float]:
    """The last COCO scores that mmdet logged; 0 where it logged none, as when no object was found at all."""
    log = sorted(run.glob("*/vis_data/scalars.json"))[-1]
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    found = [entry for entry in entries if SCORES[0] in entry]
    return {name: found[-1][name] if found else 0.0 for name in SCORES}


def print_result(run: Path) -> None:
    """Print the proof of the hook and the validation scores of a finished run."""
    try:
        finished = json.loads((run / "finished.json").read_text(encoding="utf-8"))
        scored = (
            f"validation: bbox_mAP_50 {finished['coco/bbox_mAP_50']:.3f}, bbox_mAP {finished['coco/bbox_mAP']:.3f}, "
            f"after {finished['minutes']:.1f} minutes"
        )
    except (KeyError, TypeError, ValueError) as error:
        came = f"the record {run / 'finished.json'} cannot be read: {error!r}"
        raise refusal("demo-mmdet", came, "what the demo wrote", "delete that folder to train again") from error
    typer.echo(f"proof ({run / 'loss_plugins.yaml'}):")
    typer.echo((run / "loss_plugins.yaml").read_text(encoding="utf-8"))
    typer.echo(scored)


def draw(config: Path, run: Path, folder: Path, file: Path, count: int = 6) -> Path:
    """Save predictions beside the truth for the first validation scenes."""
    annotated = json.loads((folder / "digits/annotations/val.json").read_text(encoding="utf-8"))
    images = annotated["images"][:count]
    paths = [folder / "digits/images/val" / image["file_name"] for image in images]
    truth: dict[int, list[Labelled]] = {image["id"]: [] for image in images}
    for label in annotated["annotations"]:
        if label["image_id"] in truth:
            x, y, w, h = label["bbox"]
            truth[label["image_id"]].append(([x, y, x + w, y + h], str(label["category_id"])))
    scenes = [
        DetectedScene(path, truth[image["id"]], [(box, f"{number}  {score:.0%}") for box, score, number in found])
        for image, path, found in zip(images, paths, predict(config, run, paths), strict=True)
    ]
    return draw_scenes(scenes, f"predicted, box loss {run.name.rpartition('-')[0]}", file)


def predict(config: Path, run: Path, images: list[Path]) -> list[list[tuple[list[float], float, int]]]:
    """Box, score and class of each object found with a score above 30 %, by image."""
    os.environ.setdefault(CHECKPOINTS_BY_PICKLE, "1")
    from mmdet.apis import inference_detector, init_detector

    checkpoint = (run / "last_checkpoint").read_text(encoding="utf-8").strip()
    model = init_detector(str(config), checkpoint, device="cpu")
    results = []
    for result in inference_detector(model, [str(image) for image in images]):
        found = result.pred_instances
        found = found[found.scores > 0.3]
        results.append(list(zip(found.bboxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)))
    return results
