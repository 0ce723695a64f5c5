"""Values of another order than those of the loss that the head usually has."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from torch import nn

from loss_plugins.adapters.mmdet import LossPluginsHook
from loss_plugins.adapters.mmdet.canary import Trial, canary
from loss_plugins.adapters.mmdet.configs import Examined, _slot_checks
from loss_plugins.adapters.mmdet.edits import Edited
from loss_plugins.adapters.mmdet.fits import FITTING, misfit
from loss_plugins.adapters.mmdet.inspection import inspect
from loss_plugins.adapters.mmdet.magnitude import out_of_scale
from loss_plugins.adapters.mmdet.remedies import loss_called
from loss_plugins.adapters.mmdet.slots import find_losses
from loss_plugins.catalog.entries import shipped as losses_of_this_package
from loss_plugins.module.build import module_class
from tools.mmdet_heads import swap_all
from tools.mmdet_small import build, shipped

from .runs import heard, runner

SLOT = "bbox_head.loss_mask"
#: one number per mask is usual there, and this gives one per pixel
PIXELS = {"type": "loss_plugins.BCEWithLogitsLoss", "use_sigmoid": True}
ORDINARY = (
    "atss/atss_r50_fpn_1x_coco",
    "centernet/centernet_r18_8xb16-crop512-140e_coco",
    "fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco",
    "retinanet/retinanet_r50_fpn_1x_coco",
    "yolo/yolov3_d53_8xb8-320-273e_coco",
    "yolox/yolox_tiny_8xb8-300e_coco",
)


def config_with(**more: Any) -> Any:
    edited = Edited(shipped("rtmdet/rtmdet-ins_tiny_8xb32-300e_coco"))
    edited.set(f"model.{SLOT}", {**PIXELS, **more})
    return edited.config


def warned(folder: Path, model: nn.Module, **settings: Any) -> list[str]:
    training = runner(model, folder)
    messages = heard(training)
    LossPluginsHook(**settings).before_train(training)
    return messages


def test_the_hook_warns_with_both_numbers_and_a_weight_that_helps(tmp_path: Path) -> None:
    (message,) = warned(tmp_path, build(config_with()))
    found = re.search(rf"model.{SLOT}: its value is (\S+) .* has (\S+) \(DiceLoss.*loss_weight=([\d.e-]+)", message)
    assert found is not None, message
    ours, theirs, weight = map(float, found.groups())
    assert ours > 100 * theirs
    assert weight == pytest.approx(theirs / ours, rel=0.1)
    assert warned(tmp_path, build(config_with(loss_weight=weight))) == []
    assert warned(tmp_path, build(config_with()), allow=[SLOT]) == []


def test_a_loss_that_is_too_small_is_told_of() -> None:
    found = inspect(build(config_with(loss_weight=1e-6)))
    assert "loss_weight=" in found.scales[SLOT]


def test_the_doctor_says_so_and_lets_it_pass() -> None:
    found = Examined(config_with()).inspection
    assert found is not None
    checks = {check["name"]: check for check in _slot_checks(found, set())}
    assert checks[f"model.{SLOT}"]["ok"]
    assert "the usual loss of the head has" in checks[f"model.{SLOT}"]["detail"]


@cache
def swapped(name: str) -> tuple[nn.Module, Trial]:
    config = shipped(name)
    swap_all(config)
    model = build(config)
    return model, canary(model)


@pytest.mark.parametrize("name", ORDINARY)
def test_no_fitting_loss_is_told_of_needlessly(name: str) -> None:
    """Every loss of the catalogue in every slot, on the calls that the canary recorded."""
    model, trial = swapped(name)
    assert trial.error is None
    tried = 0
    for slot in find_losses(model):
        calls = trial.calls(slot.path)
        for loss in losses_like(slot.loss):
            other = dataclasses.replace(slot, loss=loss)
            if misfit(FITTING, other, calls, trial.handed(slot.path)) or not (made := recalled(loss, calls)):
                continue
            tried += 1
            assert out_of_scale(other, made) == "", (slot.path, loss.entry.name)
    assert tried > 10


def losses_like(loss: Any) -> list[Any]:
    """Each loss of this package that needs no parameter, reduced as one that is there."""
    left_out = {"mix", "mpdiou"}
    if loss.reduction == "sum":
        left_out.add("ghm_c")  # it divides by what it has counted, which such a head does once more or not at all
    names = [entry.name for entry in losses_of_this_package() if entry.name not in left_out]
    found = [loss_called(module_class(name).__name__) for name in names]
    return [MODELS.build({**config, "reduction": loss.reduction}) for config in found]


def recalled(loss: Any, calls: list[Any]) -> list[Any]:
    """The calls with the results of another loss; none if it does not take them."""
    made = []
    with torch.no_grad():
        for call in calls:
            told = {"weight": call.weight, "avg_factor": call.avg_factor, "reduction_override": call.reduction}
            try:
                result = loss(call.pred, call.target, **told, **call.others)
            except (ValueError, TypeError):  # the slot refuses it by this error
                return []
            made.append(dataclasses.replace(call, result=result))
    return made
