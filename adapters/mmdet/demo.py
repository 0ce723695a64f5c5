"""`loss-plugins demo-mmdet`: MMDetection's own training script, a plugged loss, its proof and a picture."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from loss_plugins.demo.pictures import Labelled, Scene, draw_scenes

from .install import COMMANDS, missing

RECIPE = '''"""ATSS with ResNet-18 from scratch and {loss}, on handwritten digits; by loss-plugins demo-mmdet."""

_base_ = "mmdet::atss/atss_r50_fpn_1x_coco.py"

custom_imports = dict(imports=["loss_plugins.adapters.mmdet"], allow_failed_imports=False)
custom_hooks = [dict(type="loss_plugins.LossPluginsHook")]

model = dict(
    backbone=dict(depth=18, init_cfg=None, frozen_stages=-1, norm_eval=False),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=64, num_outs=3),
    bbox_head=dict(
        num_classes=10,
        in_channels=64,
        feat_channels=64,
        stacked_convs=2,
        anchor_generator=dict(octave_base_scale=4, strides=[8, 16, 32]),
        loss_bbox=dict(_delete_=True, type="loss_plugins.{loss}", loss_weight=2.0),
    ),
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(128, 128)),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")),
]
train_dataloader = dict(
    _delete_=True,
    batch_size=8,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="loss_plugins.DigitsDataset", split="train", root="{digits}", pipeline=train_pipeline),
)
val_dataloader = dict(
    _delete_=True,
    batch_size=20,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="loss_plugins.DigitsDataset", split="val", root="{digits}", test_mode=True, pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type="CocoMetric", ann_file="{digits}/annotations/val.json", metric="bbox")
test_evaluator = val_evaluator

optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=0.001, weight_decay=0.0001),
    clip_grad=dict(max_norm=10),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type="CosineAnnealingLR", T_max={epochs}, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(_delete_=True, type="EpochBasedTrainLoop", max_epochs={epochs}, val_interval={epochs})
default_hooks = dict(checkpoint=dict(interval={epochs}), logger=dict(interval=25))
randomness = dict(seed=0)
'''
EPOCHS = 12
SCORES = ("coco/bbox_mAP", "coco/bbox_mAP_50")
CHECKPOINTS_BY_PICKLE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"  # mmengine's hold more than weights; this one is ours


def demo_mmdet(
    folder: Annotated[Path, typer.Option(help="Where data set, run and picture go.")] = Path("runs/demo-mmdet"),
    box: Annotated[str, typer.Option(help="Box loss to train with.")] = "eiou",
    epochs: Annotated[int, typer.Option(min=1, help="Epochs; fewer for a quick look.")] = EPOCHS,
) -> None:
    """Train ATSS with ResNet-18 from scratch on handwritten digits through mmdet's tools/train.py, and prove it."""
    absent = missing()
    if absent:
        raise ImportError("; ".join(f"{name} is missing: {COMMANDS[name]}" for name in absent))
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
    """The config of this demo, as a file that mmdet's scripts take."""
    from loss_plugins.module.build import module_class

    run = folder / f"{box}-{epochs}"
    run.mkdir(parents=True, exist_ok=True)
    file = run / "config.py"
    digits = (folder / "digits").as_posix()
    file.write_text(RECIPE.format(loss=module_class(box).__name__, digits=digits, epochs=epochs), encoding="utf-8")
    return file


def train(config: Path, run: Path) -> None:
    """Run mmdet's tools/train.py in a process of its own; leaves finished.json."""
    import mmdet

    script = Path(mmdet.__file__).parent / ".mim/tools/train.py"
    started = time.monotonic()
    command = [sys.executable, str(script), str(config), "--work-dir", str(run)]
    subprocess.run(command, check=True, env={**os.environ, CHECKPOINTS_BY_PICKLE: "1"})
    minutes = round((time.monotonic() - started) / 60, 2)
    (run / "finished.json").write_text(json.dumps({"minutes": minutes, **scores(run)}, indent=2), encoding="utf-8")


def scores(run: Path) -> dict[str, float]:
    """The last COCO scores that mmdet logged; it logs none if nothing was found on any picture."""
    log = sorted(run.glob("*/vis_data/scalars.json"))[-1]
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    found = [entry for entry in entries if SCORES[0] in entry]
    return {name: found[-1][name] if found else 0.0 for name in SCORES}


def print_result(run: Path) -> None:
    """The hook's proof and the validation scores."""
    finished = json.loads((run / "finished.json").read_text(encoding="utf-8"))
    typer.echo(f"proof ({run / 'loss_plugins.yaml'}):")
    typer.echo((run / "loss_plugins.yaml").read_text(encoding="utf-8"))
    typer.echo(
        f"validation: bbox_mAP_50 {finished['coco/bbox_mAP_50']:.3f}, bbox_mAP {finished['coco/bbox_mAP']:.3f}, "
        f"after {finished['minutes']:.1f} minutes"
    )


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
        Scene(path, truth[image["id"]], [(box, f"{number}  {score:.0%}") for box, score, number in found])
        for image, path, found in zip(images, paths, predict(config, run, paths), strict=True)
    ]
    return draw_scenes(scenes, f"predicted, box loss {run.name.rpartition('-')[0]}", file)


def predict(config: Path, run: Path, images: list[Path]) -> list[list[tuple[list[float], float, int]]]:
    """Boxes, scores and classes above 30 % of each image."""
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
