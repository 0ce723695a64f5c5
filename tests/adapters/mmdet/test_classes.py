"""Class losses in MMDetection's heads: flags, targets, parity."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from mmdet.models.losses import QualityFocalLoss
from mmengine.registry import MODELS

from loss_plugins.adapters.mmdet import LossPluginsHook, SenselessSlot
from loss_plugins.module.build import module_class

from .heads import BATCHES, CASES, CLASSES, Case
from .runs import runner

FOCAL = {"type": "FocalLoss", "use_sigmoid": True, "gamma": 2.0, "alpha": 0.25, "loss_weight": 1.0}
QUALITY = {"type": "QualityFocalLoss", "use_sigmoid": True, "beta": 2.0, "loss_weight": 1.0}
ACTIVATED = {**QUALITY, "activated": True}
VARIFOCAL = {"type": "VarifocalLoss", "use_sigmoid": True, "alpha": 0.75, "gamma": 2.0, "iou_weighted": True}
SOFTMAX = {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 1.0}
PAIRS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "RetinaNet focal": ("RetinaNet", "bbox_head.loss_cls", FOCAL),
    "FCOS focal": ("FCOS", "bbox_head.loss_cls", FOCAL),
    "GFL quality focal": ("GFL", "bbox_head.loss_cls", QUALITY),
    "RTMDet quality focal": ("RTMDet", "bbox_head.loss_cls", QUALITY),
    "TOOD quality focal": ("TOOD", "bbox_head.loss_cls", ACTIVATED),
    "DINO quality focal": ("DINO", "bbox_head.loss_cls", QUALITY),
    "DETR quality focal": ("DETR", "bbox_head.loss_cls", QUALITY),
    "VFNet varifocal": ("VFNet", "bbox_head.loss_cls", VARIFOCAL),
    "Faster R-CNN softmax": ("Faster R-CNN", "roi_head.bbox_head.loss_cls", SOFTMAX),
}
BOX = {"type": "loss_plugins.GIoULoss", "loss_weight": 2.0}


def with_class_loss(name: str, slot: str, loss: dict[str, Any]) -> Case:
    return dataclasses.replace(CASES[name], changes={**CASES[name].changes, slot: loss})


def flat(losses: Any) -> list[torch.Tensor]:
    """By name, without axes: DINO's avg_factor gives an axis of length 1 to those of MMDetection."""
    if isinstance(losses, torch.Tensor):
        return [losses.flatten()]
    parts = [losses[key] for key in sorted(losses)] if isinstance(losses, dict) else losses
    return [value for part in parts for value in flat(part)]


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("pair", PAIRS)
def test_same_losses_and_gradients(pair: str, batch: str) -> None:
    name, slot, theirs = PAIRS[pair]
    boxes = BATCHES[batch]
    stock = with_class_loss(name, slot, theirs)
    ours = with_class_loss(name, slot, {**theirs, "type": f"loss_plugins.{theirs['type']}"})
    expected, expected_gradients = stock.step(stock.build(BOX), boxes)
    losses, gradients = ours.step(ours.build(BOX), boxes)
    torch.testing.assert_close(flat(losses), flat(expected), rtol=1e-5, atol=1e-7)
    scale = max(float(wanted.abs().max()) for wanted in expected_gradients)
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        # of some parameters the gradient is what rounding leaves of a sum that cancels out
        torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-6 * scale)


@pytest.mark.parametrize("name", ["DINO", "DETR"])
def test_quality_focal_gets_labels_and_scores(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """These heads ask isinstance(loss_cls, MMDetection's QualityFocalLoss)."""
    case = with_class_loss(name, "bbox_head.loss_cls", {**QUALITY, "type": "loss_plugins.QualityFocalLoss"})
    heads = case.build(BOX)
    loss = heads.bbox_head.loss_cls
    assert isinstance(loss, QualityFocalLoss)
    targets: list[Any] = []
    loss.register_forward_pre_hook(lambda _, arguments: targets.append(arguments[1]))
    case.step(heads, BATCHES["gt"])
    assert targets
    assert all(isinstance(target, tuple) and len(target) == 2 for target in targets)
    assert any((target[1] > 0).any() for target in targets)


def hook_on(model: Any, folder: Path) -> None:
    LossPluginsHook().before_train(runner(model, folder))


def test_use_sigmoid_left_out_of_the_config_is_refused(tmp_path: Path) -> None:
    """The head reads the config, not the loss: it builds one output too many."""
    case = with_class_loss("RetinaNet", "bbox_head.loss_cls", {"type": "loss_plugins.FocalLoss"})
    heads = case.build(BOX)
    assert heads.bbox_head.cls_out_channels == CLASSES + 1
    with pytest.raises(SenselessSlot, match=r"set model\.bbox_head\.loss_cls\.use_sigmoid=True"):
        hook_on(heads, tmp_path)


def test_use_sigmoid_in_the_config_is_accepted(tmp_path: Path) -> None:
    case = with_class_loss("RetinaNet", "bbox_head.loss_cls", {"type": "loss_plugins.FocalLoss", "use_sigmoid": True})
    heads = case.build(BOX)
    assert heads.bbox_head.cls_out_channels == CLASSES
    hook_on(heads, tmp_path)


@pytest.mark.parametrize(
    ("name", "sigmoid"),
    [("focal", True), ("quality_focal", True), ("bce_with_logits", True), ("cross_entropy", False)],
)
def test_use_sigmoid_is_the_loss_own(name: str, sigmoid: bool) -> None:
    name = module_class(name).__name__
    assert MODELS.build({"type": f"loss_plugins.{name}"}).use_sigmoid is sigmoid
    assert MODELS.build({"type": f"loss_plugins.{name}", "use_sigmoid": sigmoid}).spec()["use_sigmoid"] is sigmoid
    with pytest.raises(ValueError, match=f"set use_sigmoid={sigmoid}"):
        MODELS.build({"type": f"loss_plugins.{name}", "use_sigmoid": not sigmoid})


@pytest.mark.parametrize(
    ("sigmoid", "softmax"),
    [
        ("BCEWithLogitsLoss", "CrossEntropyLoss"),
        ("FocalLoss", "SoftmaxFocalLoss"),
        ("AsymmetricLoss", "AsymmetricSoftmaxLoss"),
    ],
)
def test_the_loss_of_the_other_activation_is_named(sigmoid: str, softmax: str) -> None:
    """The commonest line of MMDetection's configs is a cross-entropy with use_sigmoid=True."""
    for name, other, wanted in ((softmax, sigmoid, True), (sigmoid, softmax, False)):
        with pytest.raises(ValueError, match=f"use loss_plugins.{other} for use_sigmoid={wanted}, or set"):
            MODELS.build({"type": f"loss_plugins.{name}", "use_sigmoid": wanted})
        assert MODELS.build({"type": f"loss_plugins.{other}", "use_sigmoid": wanted}).use_sigmoid is wanted


def test_activated_is_read_by_heads() -> None:
    assert MODELS.build({"type": "loss_plugins.QualityFocalLoss", "activated": True}).activated is True
    assert MODELS.build({"type": "loss_plugins.QualityFocalLoss"}).activated is False
