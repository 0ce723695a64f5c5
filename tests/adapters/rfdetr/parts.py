"""Small models of RF-DETR with random weights, criteria as its trainer builds them, and a data set of digits."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from rfdetr.config import RFDETRNanoConfig, TrainConfig
from rfdetr.models import criterion as criteria
from rfdetr.models.lwdetr import build_criterion_from_config

from loss_plugins.demo.digits import make_digits

#: a nano model of a few queries; nothing is downloaded for it
SMALL: dict[str, Any] = {
    "pretrain_weights": None, "resolution": 64, "num_queries": 12, "group_detr": 2, "num_classes": 10, "device": "cpu",
}  # fmt: skip
#: trainer settings that need no package beyond those of the tests, and no time
QUICK: dict[str, Any] = {
    "epochs": 1, "batch_size": 2, "num_workers": 0, "tensorboard": False, "use_ema": False, "multi_scale": False,
    "augmentation_backend": "torchvision", "eval_backend": "faster_coco_eval", "compute_val_loss": True,
}  # fmt: skip


def train_config(**more: Any) -> Any:
    return TrainConfig(dataset_dir="nowhere", **{**QUICK, **more})


def criterion(keypoints: bool = False, **flags: Any) -> Any:
    """As the trainer builds it."""
    built, _ = build_criterion_from_config(RFDETRNanoConfig(**SMALL), train_config())
    for name, value in flags.items():
        setattr(built, name, value)
    assert type(built) is criteria.SetCriterion
    return built


def outputs(images: int = 2, queries: int = 24, seed: int = 0) -> dict[str, Any]:
    """Predictions of three layers and an encoder, leaves of the graph."""
    drawn = torch.Generator().manual_seed(seed)

    def layer() -> dict[str, Any]:
        boxes = torch.rand(images, queries, 4, generator=drawn, dtype=torch.float64) * 0.3 + 0.2
        logits = torch.randn(images, queries, 11, generator=drawn, dtype=torch.float64)
        return {"pred_logits": logits.requires_grad_(), "pred_boxes": boxes.requires_grad_()}

    return {**layer(), "aux_outputs": [layer(), layer()], "enc_outputs": layer()}


def targets(*counts: int, padded_to: int = 0, seed: int = 1) -> list[dict[str, Any]]:
    """Objects of images; with `padded_to`, rows up to that number which are not valid."""
    drawn = torch.Generator().manual_seed(seed)
    found = []
    for count in counts:
        boxes = torch.rand(count, 4, generator=drawn, dtype=torch.float64) * 0.3 + 0.3
        each = {"boxes": boxes, "labels": torch.randint(10, (count,), generator=drawn)}
        extra = padded_to - count
        if padded_to:
            each = {
                "boxes": torch.cat([boxes, torch.full((extra, 4), 0.5, dtype=torch.float64)]),
                "labels": torch.cat([each["labels"], each["labels"].new_zeros(extra)]),
                "valid": torch.arange(padded_to) < count,
            }
        found.append(each)
    return found


def digits(root: Path, train: int = 6, val: int = 2) -> Path:
    """Scenes of digits in the folders of Roboflow's COCO export."""
    made = make_digits(root / "digits", train=train, val=val, progress=False)
    assert made
    for ours, theirs in (("train", "train"), ("val", "valid")):
        folder = root / "roboflow" / theirs
        shutil.copytree(root / "digits" / "images" / ours, folder)
        shutil.copy(root / "digits" / "annotations" / f"{ours}.json", folder / "_annotations.coco.json")
    return root / "roboflow"
