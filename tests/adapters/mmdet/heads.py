"""Fifteen of MMDetection's heads, small, from its shipped configs, with random features and a loss of choice."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import mmdet
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData
from torch import Tensor, nn

CONFIGS = Path(mmdet.__file__).parent / ".mim" / "configs"
SIDE, CHANNELS, CLASSES, BATCH = 128, 32, 4, 2
BOXES = [
    [[8.0, 10, 70, 90], [60, 20, 120, 60], [5, 90, 40, 122]],
    [[30, 30, 110, 115], [2, 4, 25, 30], [80, 5, 125, 50]],
]
SMALL = {
    **dict.fromkeys(("in_channels", "feat_channels", "out_channels", "fc_out_channels", "embed_dims"), CHANNELS),
    "num_classes": CLASSES,
    "stacked_convs": 1,
    "with_cp": False,
}
Losses = dict[str, Any]
Run = Callable[[Any, list[Tensor], list[DetDataSample]], Losses]

register_all_modules(init_default_scope=True)


@dataclass(frozen=True)
class Case:
    """A head: where its config is, what to change, which slots hold an IoU loss."""

    config: str
    slots: tuple[str, ...] = ("bbox_head.loss_bbox",)
    changes: dict[str, Any] = field(default_factory=dict)
    run: Run | None = None
    strides: tuple[int, ...] = (8, 16, 32, 64, 128)
    reduction: str = "mean"

    def build(self, loss: dict[str, Any]) -> Heads:
        """The heads of the detector, without backbone and neck, same weights every time."""
        model = shrunk(shipped(self.config))
        for key, value in self.changes.items():
            put(model, key, value)
        for slot in self.slots:
            put(model, slot, {"reduction": self.reduction, **loss})
        torch.manual_seed(0)
        heads = Heads(model, self.run or dense, self.strides)
        for parameter in heads.parameters():  # the shipped initialisation predicts one box everywhere
            parameter.data.add_(torch.randn_like(parameter) * 0.02)
        MessageHub.get_current_instance().update_info("epoch", 0)  # TOOD's assigner depends on it
        return heads.train()

    def step(self, heads: Heads, boxes: list[list[list[float]]]) -> tuple[Losses, list[Tensor]]:
        """The losses of one iteration and the gradient of their sum in parameters and features."""
        losses, gradients = self.all_gradients(heads, boxes)
        return losses, [gradient for gradient in gradients.values() if gradient is not None]

    def all_gradients(self, heads: Heads, boxes: list[list[list[float]]]) -> tuple[Losses, dict[str, Tensor | None]]:
        """As `step`, by name; None for what the losses do not depend on."""
        torch.manual_seed(1)
        features = [
            torch.randn(BATCH, CHANNELS, SIDE // stride, SIDE // stride, requires_grad=True) for stride in self.strides
        ]
        losses = heads.run(heads, features, samples(boxes))
        inputs = {**dict(heads.named_parameters()), **{f"feature {level}": map_ for level, map_ in enumerate(features)}}
        gradients = torch.autograd.grad(total(losses), list(inputs.values()), allow_unused=True)
        return losses, dict(zip(inputs, gradients, strict=True))


class Heads(nn.Module):
    """What of a detector's config has losses: `bbox_head`, or `rpn_head` with or without `roi_head`."""

    def __init__(self, model: Config, run: Run, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.run, self.strides = run, strides
        train, test = model.get("train_cfg") or {}, model.get("test_cfg") or {}
        self.proposals = train.get("rpn_proposal")
        parts = {"bbox_head": (train, test), "rpn_head": (train.get("rpn"), test.get("rpn"))}
        parts["roi_head"] = (train.get("rcnn"), test.get("rcnn"))
        for name, (training, testing) in parts.items():
            if name in model:
                cfg = {**model[name], "train_cfg": training or None, "test_cfg": testing or None}
                self.add_module(name, MODELS.build(cfg))

    def loss(self, images: Tensor, data: list[DetDataSample]) -> Losses:
        """The losses on noise in place of features."""
        height, width = images.shape[-2:]
        features = [
            torch.randn(len(images), CHANNELS, max(height // stride, 1), max(width // stride, 1), requires_grad=True)
            for stride in self.strides
        ]
        return self.run(self, features, data)


def dense(heads: nn.Module, features: list[Tensor], data: list[DetDataSample]) -> Losses:
    return dict(heads.bbox_head.loss(tuple(features), data))


def proposals(heads: nn.Module, features: list[Tensor], data: list[DetDataSample]) -> Losses:
    return dict(heads.rpn_head.loss(tuple(features), without_classes(data)))


def two_stage(heads: nn.Module, features: list[Tensor], data: list[DetDataSample]) -> Losses:
    losses, found = heads.rpn_head.loss_and_predict(
        tuple(features), without_classes(data), proposal_cfg=heads.proposals
    )
    losses = {f"rpn_{name}": value for name, value in losses.items()}
    return {**losses, **heads.roi_head.loss(tuple(features[:4]), found, data)}


def detr(heads: nn.Module, features: list[Tensor], data: list[DetDataSample]) -> Losses:
    return dict(heads.bbox_head.loss(queries(features[0], 6, 20), data))


def dino(heads: nn.Module, features: list[Tensor], data: list[DetDataSample]) -> Losses:
    most = max(len(sample.gt_instances) for sample in data)
    denoising = {"num_denoising_queries": 4 * most, "num_denoising_groups": 2}
    count = 20 + denoising["num_denoising_queries"]
    references = [torch.rand(BATCH, count, 4) * 0.5 + 0.2 for _ in range(7)]
    scores = torch.randn(BATCH, 20, CLASSES, requires_grad=True)
    boxes = torch.rand(BATCH, 20, 4, requires_grad=True) * 0.5 + 0.2
    return dict(heads.bbox_head.loss(queries(features[0], 6, count), references, scores, boxes, data, denoising))


def queries(feature: Tensor, layers: int, count: int) -> Tensor:
    """(layers, batch, count, channels), cut from a feature map so that gradients reach it."""
    flat = feature.flatten(2).transpose(1, 2)[:, :count]
    return torch.stack([flat.roll(layer, dims=-1) for layer in range(layers)])


def samples(boxes: list[list[list[float]]]) -> list[DetDataSample]:
    meta = {
        "img_shape": (SIDE, SIDE),
        "ori_shape": (SIDE, SIDE),
        "pad_shape": (SIDE, SIDE),
        "batch_input_shape": (SIDE, SIDE),
        "scale_factor": (1.0, 1.0),
    }
    found = []
    for rows in boxes:
        instances = InstanceData(
            bboxes=torch.tensor(rows, dtype=torch.float32).reshape(-1, 4), labels=torch.arange(len(rows)) % CLASSES
        )
        ignored = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
        found.append(DetDataSample(metainfo=meta, gt_instances=instances, ignored_instances=ignored))
    return found


def without_classes(data: list[DetDataSample]) -> list[DetDataSample]:
    data = deepcopy(data)
    for sample in data:
        sample.gt_instances.labels.zero_()
    return data


def total(losses: Losses) -> Tensor:
    """What `parse_losses` sums."""
    values = [value for name, value in losses.items() if "loss" in name]
    return torch.stack(
        [part.mean() for value in values for part in (value if isinstance(value, list) else [value])]
    ).sum()


@cache
def shipped(config: str) -> Config:
    return Config.fromfile(CONFIGS / config).model


def shrunk(cfg: Any) -> Any:
    """A copy with few channels and classes."""
    cfg = deepcopy(cfg)
    _shrink(cfg)
    return cfg


def _shrink(cfg: Any) -> None:
    for key, value in cfg.items():
        if isinstance(value, dict):
            _shrink(value)
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    _shrink(item)
        elif key in SMALL and isinstance(value, int):
            cfg[key] = SMALL[key]


def put(cfg: Any, key: str, value: Any) -> None:
    """Set a.b.0.c."""
    *path, last = key.split(".")
    for name in path:
        cfg = cfg[int(name)] if name.isdigit() else cfg[name]
    cfg[last] = value


FEW = {
    "train_cfg.rpn_proposal": {
        "nms_pre": 40,
        "max_per_img": 20,
        "nms": {"type": "nms", "iou_threshold": 0.7},
        "min_bbox_size": 0,
    }
}
RPN = ("rpn_head.loss_bbox",)
STAGES = tuple(f"roi_head.bbox_head.{stage}" for stage in range(3))
DINO = {"bbox_head.embed_dims": CHANNELS, "bbox_head.share_pred_layer": False, "bbox_head.num_pred_layer": 7}
DINO["bbox_head.as_two_stage"] = True
IOU = ("bbox_head.loss_iou",)
BN = {"bbox_head.norm_cfg": {"type": "BN"}}

CASES = {
    "RetinaNet": Case("retinanet/retinanet_r50_fpn_1x_coco.py", changes={"bbox_head.reg_decoded_bbox": True}),
    "RPN": Case("rpn/rpn_r50_fpn_1x_coco.py", RPN, {"rpn_head.reg_decoded_bbox": True}, proposals),
    "Faster R-CNN": Case(
        "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
        (*RPN, "roi_head.bbox_head.loss_bbox"),
        {"rpn_head.reg_decoded_bbox": True, "roi_head.bbox_head.reg_decoded_bbox": True, **FEW},
        two_stage,
        (4, 8, 16, 32, 64),
    ),
    "Cascade R-CNN": Case(
        "cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py",
        (*RPN, *(f"{stage}.loss_bbox" for stage in STAGES)),
        {"rpn_head.reg_decoded_bbox": True, **{f"{stage}.reg_decoded_bbox": True for stage in STAGES}, **FEW},
        two_stage,
        (4, 8, 16, 32, 64),
    ),
    "ATSS": Case("atss/atss_r50_fpn_1x_coco.py"),
    "VFNet": Case("vfnet/vfnet_r50_fpn_1x_coco.py", ("bbox_head.loss_bbox", "bbox_head.loss_bbox_refine")),
    "FCOS": Case("fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py"),
    "GFL": Case("gfl/gfl_r50_fpn_1x_coco.py"),
    "TOOD": Case("tood/tood_r50_fpn_1x_coco.py", changes={"train_cfg.initial_epoch": 0}),
    "RTMDet": Case("rtmdet/rtmdet_tiny_8xb32-300e_coco.py", changes=BN, strides=(8, 16, 32)),
    "YOLOX": Case("yolox/yolox_tiny_8xb8-300e_coco.py", strides=(8, 16, 32), reduction="sum"),
    "DETR": Case("detr/detr_r50_8xb2-150e_coco.py", IOU, run=detr),
    "DINO": Case("dino/dino-4scale_r50_8xb2-12e_coco.py", IOU, DINO, dino),
    "PAA": Case("paa/paa_r50_fpn_1x_coco.py"),
    "AutoAssign": Case("autoassign/autoassign_r50-caffe_fpn_1x_coco.py"),
}
BATCHES: dict[str, list[list[list[float]]]] = {"gt": BOXES, "empty": [[], []]}
