"""Trainings go on to the last bit as they would without the canary, whatever state their heads and losses keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from loss_plugins.adapters.mmdet import LossPluginsHook
from loss_plugins.adapters.mmdet.calls import values_of
from loss_plugins.adapters.mmdet.canary import Setting
from tools.mmdet_small import build, shipped

from .runs import runner

STEPS = 5
WIOU = {"type": "loss_plugins.WIoULoss"}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    # keeps the IoU of its proposals in a list that is no buffer, and sets beta of its loss by the errors it has seen
    "Dynamic R-CNN": (
        "dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco",
        {"roi_head.bbox_head.loss_bbox": {"type": "loss_plugins.SmoothL1Loss", "beta": 1.0}},
    ),
    # asks MMEngine's message hub for the epoch
    "TOOD": ("tood/tood_r50_fpn_1x_coco", {"bbox_head.loss_bbox": {**WIOU, "loss_weight": 2.0}}),
    # running counts of its bins
    "GHM": (
        "ghm/retinanet_r50_fpn_ghm-1x_coco",
        {"bbox_head.loss_cls": {"type": "loss_plugins.GHMCLoss", "use_sigmoid": True, "bins": 30, "momentum": 0.75}},
    ),
    # a running mean, learnt once per step
    "WIoU": ("retinanet/retinanet_r50_fpn_1x_coco", {"bbox_head.loss_bbox": WIOU, "bbox_head.reg_decoded_bbox": True}),
}


def model_of(name: str) -> nn.Module:
    config, changes = CASES[name]
    cfg = shipped(config)
    for key, value in changes.items():
        *path, last = key.split(".")
        holder = cfg
        for part in path:
            holder = holder[part]
        holder[last] = value
    if name == "Dynamic R-CNN":
        cfg.train_cfg.rcnn.dynamic_rcnn.update(update_iter_interval=2, initial_beta=0.3)
    return build(cfg)


def trained(name: str, folder: Path, canary: bool) -> tuple[list[list[torch.Tensor]], Any, nn.Module]:
    """The losses of each step, what the message hub says afterwards, and the model."""
    model = model_of(name).train()
    hub = MessageHub.get_current_instance()
    hub.runtime_info.update(epoch=0, iter=0)
    torch.manual_seed(1)
    LossPluginsHook(canary=canary).before_train(runner(model, folder))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    logged = []
    for _ in range(STEPS):
        scene = Setting(128, masks=False).scene(model)
        losses = values_of(model.loss(scene.images + torch.randn_like(scene.images), scene.samples))
        optimizer.zero_grad()
        torch.stack([value.mean() for value in losses]).sum().backward()
        optimizer.step()
        logged.append([value.detach() for value in losses])
    return logged, dict(hub.runtime_info), model


@pytest.mark.parametrize("name", CASES)
def test_five_steps_are_the_same_to_the_last_bit(name: str, tmp_path: Path) -> None:
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    logged, told, model = trained(name, tmp_path / "with", canary=True)
    expected, told_without, other = trained(name, tmp_path / "without", canary=False)
    torch.testing.assert_close(logged, expected, rtol=0, atol=0)
    torch.testing.assert_close(model.state_dict(), other.state_dict(), rtol=0, atol=0)
    assert told == told_without
    if name == "Dynamic R-CNN":
        assert model.roi_head.bbox_head.loss_bbox.beta != 1.0
        assert model.roi_head.bbox_head.loss_bbox.beta == other.roi_head.bbox_head.loss_bbox.beta
