"""A detector of one slot of boxes, and a data set of images of several sizes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch import Tensor, nn

from .runs import HOOK

#: images (height, width), one a batch, and what the network sees of each: its sides are multiples of 32
IMAGES = [(50, 70), (100, 40)]
PADDED = [(64, 96), (128, 64)]
BOXES = torch.tensor([[4.0, 6, 30, 40], [10, 8, 36, 33]])


class Sized(BaseModel):  # type: ignore[misc]
    """A model of one parameter, which keeps what its loss has said of each batch."""

    def __init__(self, loss: dict[str, Any]) -> None:
        super().__init__(data_preprocessor={"type": "mmdet.DetDataPreprocessor", "pad_size_divisor": 32})
        self.bbox_head = nn.Module()
        self.bbox_head.loss_bbox = MODELS.build(loss)
        self.shift = nn.Parameter(torch.zeros(()))
        self.said: list[float] = []

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = "tensor") -> Any:
        return self.loss(inputs, data_samples)

    def loss(self, images: Tensor, samples: list[Any]) -> dict[str, Tensor]:
        target = torch.cat([sample.gt_instances.bboxes for sample in samples])
        total = self.bbox_head.loss_bbox(shifted(target) + self.shift, target)
        self.said.append(total.item())
        return {"loss_bbox": total}


def shifted(boxes: Tensor) -> Tensor:
    """Predictions near boxes."""
    return boxes + torch.tensor([1.0, -2.0, 3.0, 2.0])


def data(images: list[tuple[int, int]]) -> list[dict[str, Any]]:
    found = []
    for size in images:
        meta = {"img_shape": size, "ori_shape": size}
        sample = DetDataSample(gt_instances=InstanceData(bboxes=BOXES.clone()), metainfo=meta)
        found.append({"inputs": torch.zeros(3, *size, dtype=torch.uint8), "data_samples": sample})
    return found


def training(
    folder: Path,
    model: BaseModel,
    images: list[tuple[int, int]],
    epochs: int = 1,
    hooks: dict[str, Any] = HOOK,
    **hook: Any,
) -> Runner:
    """MMEngine's runner around a model: an image an iteration.

    Args:
        folder: the work directory.
        model: the model.
        images: their sizes.
        epochs: how many.
        hooks: MMEngine's `default_hooks`.
        **hook: settings of LossPluginsHook.
    """
    return Runner(
        model=model,
        work_dir=str(folder),
        experiment_name=folder.name,
        log_level="WARNING",
        train_dataloader={
            "dataset": data(images),
            "batch_size": 1,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "collate_fn": {"type": "pseudo_collate"},
        },
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.0}},
        default_scope="mmdet",
        default_hooks={name: {**settings, **hook} for name, settings in hooks.items()},
    )


class Saving(Hook):  # type: ignore[misc]
    """Saves the whole model before and after each iteration."""

    def __init__(self) -> None:
        self.saved: list[bytes] = []

    def save(self, runner: Runner, **_: Any) -> None:
        torch.save(runner.model, file := io.BytesIO())
        self.saved.append(file.getvalue())

    before_train_iter = after_train_iter = save


def saved_models(runner: Runner) -> list[Any]:
    """Train, and read the models that were saved before and after each iteration."""
    runner.register_hook(saving := Saving(), priority="LOWEST")
    runner.train()
    return [torch.load(io.BytesIO(each), weights_only=False) for each in saving.saved]
