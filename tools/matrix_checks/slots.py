"""Which slots of a model are served: each loss is tried on the live criterion, and all of them in one training step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
import ultralytics
from torch import Tensor, nn
from ultralytics.cfg import get_cfg
from ultralytics.nn import tasks

from loss_plugins.adapters.ultralytics import UnsupportedUltralytics
from loss_plugins.adapters.ultralytics.plug import Plug, plugged
from loss_plugins.adapters.ultralytics.slot_table import SLOTS
from loss_plugins.adapters.ultralytics.spec import make_spec

DETECTING = ("box", "cls", "dfl")
#: by model: the class of it, and the slots that it has in the newest version
MODELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "yolov8n": ("DetectionModel", DETECTING),
    "yolov10n": ("DetectionModel", DETECTING),
    "yolo11n": ("DetectionModel", DETECTING),
    "yolo26n": ("DetectionModel", DETECTING),
    "yolov8n-seg": ("SegmentationModel", (*DETECTING, "mask")),
    "yolo26n-seg": ("SegmentationModel", (*DETECTING, "mask", "sem")),
    "yolov8n-pose": ("PoseModel", (*DETECTING, "keypoint")),
    "yolo26n-pose": ("PoseModel", (*DETECTING, "keypoint")),
    "yolov8n-obb": ("OBBModel", DETECTING),
    "yolo26n-obb": ("OBBModel", DETECTING),
    "rtdetr-resnet50": ("RTDETRDetectionModel", ("box", "cls")),
    "yolo26n-sem": ("SemanticSegmentationModel", ("sem",)),
    "yolov8s-world": ("WorldModel", DETECTING),
}
CLASSES, IMAGES = 3, 3


def shipped(model: str) -> bool:
    """Whether this version has the model's file, which is one for all of its sizes."""
    files = {f"{model}.yaml", re.sub(r"(?<=\d)[ns](?=-|$)", "", model) + ".yaml"}
    folder = Path(ultralytics.__file__).parent / "cfg/models"
    return any(file.name in files for file in folder.rglob("*.yaml"))


def loss_for(model: str, slot: str) -> str:
    """A loss that fits the slot of a model."""
    rotated, without_bins = model.endswith("-obb"), "26" in model
    return {
        "box": "kld" if rotated else "eiou",
        "cls": "quality_focal",
        "dfl": "l1" if without_bins else "distribution_focal",
        "mask": "dice",
        "sem": "dice",
        "keypoint": "oks",
    }[slot]


def tried_slots(name: str) -> str:
    """ "ok" and the slots that are served, and those of the newest version that are refused here, with the reason."""
    kind, has = MODELS[name]
    torch.manual_seed(0)
    model = getattr(tasks, kind)(f"{name}.yaml", nc=CLASSES, verbose=False).train()
    model.args, model.nc = get_cfg(), CLASSES
    refused = {slot: reason for slot in SLOTS if (reason := refusal_of(model, {slot: loss_for(name, slot)}))}
    served = [slot for slot in SLOTS if slot not in refused]
    beyond = [slot for slot in served if slot not in has]
    if beyond or not served:
        return f"broken: {beyond or 'nothing'} served"
    step(model, {slot: loss_for(name, slot) for slot in served})
    reasons = "".join(f"; {slot} refused ({refused[slot]})" for slot in has if slot in refused)
    return f"ok: {', '.join(served)}{reasons}"


def refusal_of(model: nn.Module, losses: dict[str, str]) -> str:
    """Why losses are refused before training; "" if the criterion of the model computes them on fixed inputs."""
    try:
        with plugged(make_spec(**losses), bound=True) as plug:
            criterion_of(model, plug)
    except UnsupportedUltralytics as error:
        return str(error).removeprefix(f"ultralytics {ultralytics.__version__}: ")
    return ""


def criterion_of(model: Any, plug: Plug) -> Any:
    """A new criterion of a model, checked."""
    model.criterion = None
    plug.bind(model)
    criterion = model.init_criterion()
    plug.check(criterion)
    return criterion


def step(model: Any, losses: dict[str, str]) -> None:
    """One training step; it raises unless each loss was called as often as expected and sent a gradient back."""
    with plugged(make_spec(**losses), bound=True) as plug:
        model.criterion = criterion_of(model, plug)
        loss, _ = model.loss(batch_of(model))
        loss.sum().backward()
        plug.require_use()
    model.criterion = None


def batch_of(model: Any) -> dict[str, Any]:
    """Random images with two boxes each, and what else the tasks want."""
    generator = torch.Generator().manual_seed(0)
    count = 2 * IMAGES
    side = 160 if isinstance(model, tasks.RTDETRDetectionModel) else 64  # whose queries are the best of 300 and more
    corners = torch.rand(count, 2, generator=generator) * 0.3
    sides = torch.rand(count, 2, generator=generator) * 0.3 + 0.3
    boxes = torch.cat([corners + sides / 2, sides], dim=1)
    turned = torch.cat([boxes, torch.rand(count, 1, generator=generator)], dim=1)
    points = torch.rand(count, *model.yaml.get("kpt_shape", (17, 3)), generator=generator)
    masks = masks_of(boxes, side // 4)
    return {
        "img": torch.rand(IMAGES, 3, side, side, generator=generator),
        "batch_idx": torch.arange(count).float() // 2,
        "cls": (torch.arange(count).float() % CLASSES)[:, None],
        "bboxes": turned if isinstance(model, tasks.OBBModel) else boxes,
        "keypoints": points,
        "masks": masks,
        "sem_masks": (masks > 0).long(),
        "semantic_mask": torch.arange(IMAGES * side * side).view(IMAGES, side, side) % CLASSES,
        "txt_feats": torch.rand(IMAGES, CLASSES, 512, generator=generator),
        "resized_shape": [(side, side)] * IMAGES,
    }


def masks_of(boxes: Tensor, side: int) -> Tensor:
    """A map for each image (n, side, side) with the numbers of its two boxes, from 1, inside of them."""
    maps = torch.zeros(IMAGES, side, side)
    for number, (x, y, width, height) in enumerate((boxes * side).tolist()):
        rows, columns = (slice(int(at - size / 2), int(at + size / 2)) for at, size in ((y, height), (x, width)))
        maps[number // 2, rows, columns] = number % 2 + 1
    return maps
