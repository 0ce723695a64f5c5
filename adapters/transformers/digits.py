"""The digits set for models of transformers: a small RT-DETR of random weights, its batches, and COCO's scores."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrImageProcessor, RTDetrResNetConfig

from loss_plugins.demo.digits import NAMES, DigitsSet

SIDE = 128  # of a scene
WIDTH = 24  # channels of the first stage
KEPT = 100  # detections per image, as COCO counts them


def small_rt_detr() -> Any:
    """RT-DETR of 1.6 million random parameters: a ResNet of one block per stage, and two decoder layers."""
    stages = [WIDTH * 2**stage for stage in range(4)]
    backbone = RTDetrResNetConfig(
        embedding_size=WIDTH,
        hidden_sizes=stages,
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = RTDetrConfig(
        backbone_config=backbone,
        freeze_backbone_batch_norms=False,  # they are random, as is all else
        encoder_hidden_dim=64,
        encoder_in_channels=stages[1:],
        encoder_ffn_dim=128,
        encoder_attention_heads=4,
        d_model=64,
        decoder_in_channels=[64, 64, 64],
        decoder_ffn_dim=128,
        decoder_layers=2,
        decoder_attention_heads=4,
        num_queries=30,
        num_denoising=50,
        id2label=dict(enumerate(NAMES)),
        label2id={name: label for label, name in enumerate(NAMES)},
    )
    return RTDetrForObjectDetection(config)


class Scenes(torch.utils.data.Dataset[dict[str, Any]]):
    """The scenes of one split, as the image processor of RT-DETR makes them.

    Args:
        annotations: COCO's file of the split.
        images: the folder of its pictures.

    Attributes:
        images: what the file says of each picture.
        paths: of each picture.
    """

    def __init__(self, annotations: Path, images: Path) -> None:
        from PIL import Image

        coco = json.loads(annotations.read_text(encoding="utf-8"))
        self.images: list[dict[str, Any]] = coco["images"]
        self.paths = [images / image["file_name"] for image in self.images]
        objects: dict[int, list[Any]] = {image["id"]: [] for image in self.images}
        for each in coco["annotations"]:
            objects[each["image_id"]].append(each)
        processor = image_processor()
        self.items = []
        for image, path in zip(self.images, self.paths, strict=True):
            told = {"image_id": image["id"], "annotations": objects[image["id"]]}
            made = processor(Image.open(path).convert("RGB"), annotations=told, return_tensors="pt")
            self.items.append({"pixel_values": made["pixel_values"][0], "labels": made["labels"][0]})

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.items[index]


def splits(digits: DigitsSet) -> tuple[Scenes, Scenes]:
    """The scenes to train with, and those to validate with."""
    return Scenes(digits.train_json, digits.train_images), Scenes(digits.val_json, digits.val_images)


def image_processor() -> Any:
    """RT-DETR's, which leaves the size of the scenes as it is."""
    return RTDetrImageProcessor(size={"height": SIDE, "width": SIDE})


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch."""
    pixels = torch.stack([item["pixel_values"] for item in items])
    return {"pixel_values": pixels, "labels": [dict(item["labels"]) for item in items]}


@torch.no_grad()
def detections(model: Any, scenes: Scenes, batch: int = 50) -> list[dict[str, Tensor]]:
    """`scores`, `labels` and `boxes` (xyxy in pixels) of each scene, best first."""
    model.eval()
    found: list[dict[str, Tensor]] = []
    for first in range(0, len(scenes), batch):
        pixels = torch.stack([item["pixel_values"] for item in scenes.items[first : first + batch]])
        outputs = model(pixel_values=pixels.to(model.device))
        sizes = [(SIDE, SIDE)] * len(pixels)
        found += image_processor().post_process_object_detection(outputs, threshold=0.0, target_sizes=sizes)
    return found


def coco_scores(scenes: Scenes, annotations: Path, found: Sequence[dict[str, Tensor]]) -> dict[str, float]:
    """COCO's mAP of detections, and mAP50."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    lines = [
        {"image_id": image["id"], "category_id": label, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
        for image, each in zip(scenes.images, found, strict=True)
        for score, label, (x1, y1, x2, y2) in zip(*(each[key][:KEPT].tolist() for key in each), strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its tables
        truth = COCO(str(annotations))
        evaluation = COCOeval(truth, truth.loadRes(lines), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {"mAP": float(evaluation.stats[0]), "mAP50": float(evaluation.stats[1])}
