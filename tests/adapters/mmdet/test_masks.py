"""The mask heads of MMDetection: equal with our dialects, and each slot with losses of regions and of pixels."""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import Any

import pytest
import torch
from mmdet.registry import MODELS
from torch import Tensor, nn

from loss_plugins.adapters.mmdet.calls import Call, recording
from loss_plugins.adapters.mmdet.canary import Setting, losses_in, plugged, undisturbed
from loss_plugins.adapters.mmdet.edits import Edited
from loss_plugins.adapters.mmdet.inspection import Inspection, inspect
from loss_plugins.adapters.mmdet.slots import find_losses
from tools.mmdet_heads import compared, swap_all
from tools.mmdet_small import build, shipped

R50 = "_r50_fpn_1x_coco"
CONFIGS = {
    "Mask R-CNN": f"mask_rcnn/mask-rcnn{R50}",
    "Cascade": f"cascade_rcnn/cascade-mask-rcnn{R50}",
    "HTC": f"htc/htc{R50}",
    "MS R-CNN": f"ms_rcnn/ms-rcnn{R50}",
    "PointRend": "point_rend/point-rend_r50-caffe_fpn_ms-1x_coco",
    "Grid R-CNN": "grid_rcnn/grid-rcnn_r50_fpn_gn-head_1x_coco",
    "SOLO": f"solo/solo{R50}",
    "decoupled SOLO": f"solo/decoupled-solo{R50}",
    "SOLOv2": f"solov2/solov2{R50}",
    "CondInst": "condinst/condinst_r50_fpn_ms-poly-90k_coco_instance",
    "BoxInst": "boxinst/boxinst_r50_fpn_ms-90k_coco",
    "RTMDet-Ins": "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco",
    "YOLACT": "yolact/yolact_r50_1xb8-55e_coco",
    "PanopticFPN": f"panoptic_fpn/panoptic-fpn{R50}",
    "QueryInst": f"queryinst/queryinst{R50}",
    "MaskFormer": "maskformer/maskformer_r50_ms-16xb1-75e_coco",
    "Mask2Former": "mask2former/mask2former_r50_8xb2-lsj-50e_coco",
}
#: how many built-in losses of each have a dialect: all of them
EQUAL = {
    "Mask R-CNN": 5,
    "Cascade": 9,
    "HTC": 12,
    "MS R-CNN": 5,
    "PointRend": 6,
    "Grid R-CNN": 3,
    "SOLO": 2,
    "decoupled SOLO": 2,
    "SOLOv2": 2,
    "CondInst": 4,
    "BoxInst": 4,
    "RTMDet-Ins": 3,
    "YOLACT": 3,
    "PanopticFPN": 6,
    "QueryInst": 8,
    "MaskFormer": 3,
    "Mask2Former": 3,
}
MASK, GRID, SOLO, SEGM = (
    "roi_head.mask_head.loss_mask",
    "roi_head.grid_head.loss_grid",
    "mask_head.loss_mask",
    "mask_head.loss_segm",
)
POINT, STAGE, LAST, DENSE = (
    "roi_head.point_head.loss_point",
    "roi_head.mask_head.0.loss_mask",
    "roi_head.mask_head.1.loss_mask",
    "bbox_head.loss_mask",
)
SEG, STUFF, QUERIES, DICES = (
    "roi_head.semantic_head.loss_seg",
    "semantic_head.loss_seg",
    "panoptic_head.loss_mask",
    "panoptic_head.loss_dice",
)
DICE, TVERSKY, FOCAL, BCE, CE, PROBABILITIES = (
    f"loss_plugins.{name}Loss" for name in ("Dice", "Tversky", "Focal", "BCEWithLogits", "CrossEntropy", "BCE")
)
SIGMOID, BARE = {"use_sigmoid": True}, {"activation": "none"}
ACTIVATED: dict[str, Any] = {**SIGMOID, "activated": True}
UNKNOWN = {"ignore_index": 255}
MIX, JACCARD, GENERALIZED, LOG_COSH = (
    f"loss_plugins.{name}Loss" for name in ("Mix", "Jaccard", "GeneralizedDice", "LogCoshDice")
)
BCE_DICE, FOCAL_DICE = (
    {"losses": [first, {"type": "dice", "loss_weight": 2.0}]} for first in ("bce_with_logits", "focal")
)

#: config, slot, loss, its parameters
SERVED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("Mask R-CNN", MASK, DICE, {}),
    ("Mask R-CNN", MASK, FOCAL, SIGMOID),
    ("Cascade", MASK, TVERSKY, {}),
    ("Cascade", MASK, BCE, SIGMOID),
    ("HTC", STAGE, DICE, {}),
    ("HTC", STAGE, FOCAL, SIGMOID),
    ("HTC", SEG, DICE, UNKNOWN),
    ("HTC", SEG, FOCAL, {**SIGMOID, **UNKNOWN}),
    ("MS R-CNN", MASK, TVERSKY, {}),
    ("MS R-CNN", MASK, BCE, SIGMOID),
    ("PointRend", MASK, DICE, {}),
    ("PointRend", POINT, TVERSKY, {}),
    ("PointRend", POINT, FOCAL, SIGMOID),
    ("Grid R-CNN", GRID, DICE, {}),
    ("Grid R-CNN", GRID, FOCAL, SIGMOID),
    ("SOLO", SOLO, TVERSKY, {}),
    ("decoupled SOLO", SOLO, DICE, BARE),
    ("SOLOv2", SOLO, DICE, {}),
    ("SOLOv2", SOLO, BCE, SIGMOID),
    ("CondInst", SOLO, TVERSKY, {}),
    ("CondInst", SOLO, FOCAL, SIGMOID),
    ("BoxInst", SOLO, DICE, {}),
    ("BoxInst", SOLO, BCE, SIGMOID),
    ("RTMDet-Ins", DENSE, TVERSKY, {}),
    ("RTMDet-Ins", DENSE, FOCAL, SIGMOID),
    ("YOLACT", SEGM, DICE, {}),
    ("YOLACT", SEGM, FOCAL, SIGMOID),
    ("PanopticFPN", STUFF, TVERSKY, UNKNOWN),
    ("PanopticFPN", STUFF, BCE, {**SIGMOID, **UNKNOWN}),
    ("QueryInst", LAST, TVERSKY, BARE),
    ("QueryInst", LAST, FOCAL, ACTIVATED),
    ("QueryInst", STAGE, PROBABILITIES, SIGMOID),
    ("MaskFormer", QUERIES, BCE, SIGMOID),
    ("MaskFormer", DICES, TVERSKY, {}),
    ("MaskFormer", DICES, FOCAL, SIGMOID),
    ("Mask2Former", QUERIES, FOCAL, SIGMOID),
    ("Mask2Former", DICES, TVERSKY, {}),
    ("Mask2Former", DICES, BCE, SIGMOID),
    ("Mask R-CNN", MASK, MIX, BCE_DICE),
    ("Cascade", MASK, JACCARD, {}),
    ("HTC", STAGE, GENERALIZED, {}),
    ("SOLO", SOLO, JACCARD, {}),
    ("CondInst", SOLO, JACCARD, {}),
    ("BoxInst", SOLO, LOG_COSH, {}),
    ("RTMDet-Ins", DENSE, MIX, FOCAL_DICE),
    ("YOLACT", SEGM, MIX, BCE_DICE),
    ("PanopticFPN", STUFF, JACCARD, UNKNOWN),
    ("MaskFormer", DICES, MIX, BCE_DICE),
    ("Mask2Former", DICES, JACCARD, {}),
    ("Mask2Former", DICES, MIX, FOCAL_DICE),
]
#: likewise, with what the refusal says and the changes that it proposes
LOGITS, MASKS = {"type": BCE, "use_sigmoid": True}, {"type": DICE}
MEAN = {**LOGITS, "reduction": "mean"}
REFUSED: list[tuple[str, str, str, dict[str, Any], str, dict[str, Any]]] = [
    ("HTC", SEG, DICE, {}, "gets labels 255", {f"{SEG}.ignore_index": 255}),
    ("PanopticFPN", STUFF, CE, {}, "gets labels 255", {f"{STUFF}.ignore_index": 255}),
    ("SOLO", SOLO, FOCAL, SIGMOID, "its head cannot work with what this loss returns", {SOLO: MASKS}),
    ("decoupled SOLO", SOLO, DICE, {}, "gets probabilities, and dice takes logits", {f"{SOLO}.activation": "none"}),
    ("decoupled SOLO", SOLO, BCE, SIGMOID, "a loss of masks .*, activation='none'", {SOLO: {**MASKS, **BARE}}),
    ("SOLOv2", SOLO, PROBABILITIES, SIGMOID, "gets logits, and bce takes probabilities", {SOLO: MASKS}),
    ("CondInst", SOLO, CE, {}, "gets targets of which 0% have one class", {SOLO: MASKS}),
    ("Grid R-CNN", GRID, CE, {}, "gets targets of which 1% have one class", {GRID: LOGITS}),
    ("YOLACT", SEGM, CE, {}, "gets targets of which 0% have one class", {SEGM: LOGITS}),
    ("Mask R-CNN", MASK, CE, {}, "so one score per pixel", {MASK: LOGITS}),
    ("QueryInst", STAGE, FOCAL, SIGMOID, "gets probabilities, and focal takes logits", {f"{STAGE}.activated": True}),
    ("QueryInst", STAGE, BCE, SIGMOID, "gets probabilities", {STAGE: {**MASKS, **BARE}}),
    ("MaskFormer", QUERIES, DICE, {}, "gets one score per row, and dice compares masks", {QUERIES: LOGITS}),
    ("MaskFormer", DICES, CE, {}, "have one class", {DICES: MASKS}),
    ("Mask2Former", QUERIES, TVERSKY, {}, "gets one score per row, and tversky compares masks", {QUERIES: LOGITS}),
    ("Mask2Former", DICES, PROBABILITIES, SIGMOID, "gets logits, and bce takes probabilities", {DICES: MASKS}),
    ("SOLOv2", SOLO, MIX, FOCAL_DICE, "its losses differ in shape: focal .*, dice", {SOLO: MEAN}),
    ("CondInst", SOLO, MIX, BCE_DICE, "its losses differ in shape: bce_with_logits .*, dice", {SOLO: MEAN}),
]
LESS = {256: 64, 512: 64, 1024: 64, 2048: 64}


@cache
def config_of(name: str) -> Any:
    """The shipped config with fewer channels still: a quarter of a second for a call of its loss."""
    config = shipped(CONFIGS[name])
    for key, value in config.items():
        config[key] = value if key == "backbone" else narrowed(value)
    if "panoptic_head" in config:
        config.backbone.base_channels = 8
        config.panoptic_head.update(in_channels=[32, 64, 128, 256])
        config.train_cfg.num_points = 1000
    if name == "Grid R-CNN":
        config.roi_head.grid_head.update(num_convs=1, point_feat_channels=16)
    return config


def narrowed(value: Any, key: str = "") -> Any:
    """The value with fewer channels; those that a list names are those of the backbone."""
    if isinstance(value, dict):
        for name, each in value.items():
            value[name] = narrowed(each, name)
    elif isinstance(value, list):
        return [narrowed(each, "" if isinstance(each, int) else key) for each in value]
    elif isinstance(value, int) and any(word in key for word in ("channel", "dims")):
        return LESS.get(value, value)
    elif key == "num_feats":
        return LESS[2 * value] // 2
    return value


def with_loss(name: str, slot: str, loss: str, parameters: dict[str, Any]) -> Any:
    config = copy.deepcopy(config_of(name))
    swap_all(config)
    edited = Edited(config)
    edited.set(f"model.{slot}", {"type": loss, **parameters})
    return edited.config


@cache
def swapped(name: str) -> nn.Module:
    """The model with our dialects, which is not changed."""
    config = copy.deepcopy(config_of(name))
    swap_all(config)
    return build(config)


def tried(name: str, slot: str, config: Any) -> tuple[Inspection, nn.Module]:
    """What is found of a config with another loss in a slot, and its model; no mask head reads its loss's config."""
    model = copy.deepcopy(swapped(name))
    for each in find_losses(model, config):
        if each.key == f"model.{slot}":
            each.head.add_module(each.slot, MODELS.build(Edited(config).get(each.key)))
    return inspect(model, config), model


def ids(cases: list[Any]) -> list[str]:
    return [f"{name}-{slot.rpartition('.')[2]}-{loss[13:]}" for name, slot, loss, *_ in cases]


@pytest.mark.parametrize("name", CONFIGS)
def test_our_dialects_are_the_shipped_losses(name: str) -> None:
    """Value and gradient of a step with every loss replaced."""
    assert compared(config_of(name)) == f"equal, {EQUAL[name]} losses"


@pytest.mark.parametrize(("name", "slot", "loss", "parameters", "wanted", "changes"), REFUSED, ids=ids(REFUSED))
def test_a_loss_that_does_not_fit_is_refused_with_what_helps(
    name: str, slot: str, loss: str, parameters: dict[str, Any], wanted: str, changes: dict[str, Any]
) -> None:
    config = with_loss(name, slot, loss, parameters)
    (finding,) = tried(name, slot, config)[0].findings
    assert finding.slot.key == f"model.{slot}"
    assert re.search(wanted, finding.message), finding.message
    assert finding.changes == {f"model.{key}": value for key, value in changes.items()}
    assert all(key in finding.message for key in finding.changes)
    edited = Edited(config)
    assert edited.apply(finding.changes)
    mended = tried(name, slot, edited.config)[0]
    assert [each.message for each in mended.findings] == []
    assert mended.untried == ""


@pytest.mark.parametrize(("name", "slot", "loss", "parameters"), SERVED, ids=ids(SERVED))
def test_a_loss_that_is_served_trains_the_masks(name: str, slot: str, loss: str, parameters: dict[str, Any]) -> None:
    config = with_loss(name, slot, loss, parameters)
    found, model = tried(name, slot, config)
    assert [each.message for each in found.findings] == []
    assert found.untried == ""
    paths = [each.path for each in found.slots if each.key == f"model.{slot}"]
    assert paths
    for path in paths:
        calls, gradients = calls_of(model, path)
        assert calls
        for call in calls:
            expected = closed(loss, call, parameters)
            torch.testing.assert_close(call.result, expected, rtol=2e-4, atol=1e-5)
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert any(gradient.any() for gradient in gradients)


def calls_of(model: nn.Module, path: str) -> tuple[list[Call], list[Tensor]]:
    """The calls of a loss in one step, and the gradients of the sum of its results by what its head has learnt."""
    tried_out: Any = copy.deepcopy(model).train()
    head = tried_out.get_submodule(path.rpartition(".")[0])
    parameters = [each for each in head.parameters() if each.requires_grad] or list(tried_out.neck.parameters())
    with undisturbed(), recording(plugged(tried_out)) as calls:
        losses_in(tried_out, Setting(128).scene(tried_out), 0)
        made = calls[path]
        total = torch.stack([call.result.sum() for call in made if call.result is not None]).sum()
        found = torch.autograd.grad(total, parameters, allow_unused=True)
    return made, [gradient for gradient in found if gradient is not None]


# --- the losses in closed form, of the masks that the head has chosen ---------------------------------------------


def closed(loss: str, call: Call, parameters: dict[str, Any]) -> Tensor:
    """What the call is to return."""
    if loss == MIX:
        first = BCE if parameters == BCE_DICE else FOCAL
        return closed(first, call, {}) + 2.0 * closed(DICE, call, {})
    pred, target, counts = chosen(call)
    score = pred if parameters in (BARE, ACTIVATED) or loss == PROBABILITIES else pred.sigmoid()
    score = score.double().clamp(1e-7, 1 - 1e-7)
    values = FORMULAS[loss](score, target.double(), counts).float()
    if call.reduction == "none":
        return values
    if loss in REGIONS:
        divisor: Any = values.numel()
    else:
        divisor = counts.expand(values.shape).sum()
    return values.sum() / (divisor if call.avg_factor is None else float(call.avg_factor))


def chosen(call: Call) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, the masks that they are compared with, and which of them count."""
    pred, target, labels = call.pred, call.target, call.weight
    if labels is not None:  # a channel per class
        pred = torch.stack([each[label] for each, label in zip(pred, labels.tolist(), strict=True)])
    if target.shape == pred.shape:
        return pred, target.float(), torch.ones_like(pred)
    if pred.shape[1] == 1:  # labels of one class, which is 0
        return pred, (target == 0).float().unsqueeze(1), torch.ones_like(pred)
    classes = torch.arange(pred.shape[1]).view(1, -1, *[1] * (pred.ndim - 2))
    return pred, (target.unsqueeze(1) == classes).float(), (target != 255).float().unsqueeze(1).expand(pred.shape)


def dice(score: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    score, target = (score * counts).flatten(1), (target * counts).flatten(1)
    return 1 - 2 * (score * target).sum(1) / ((score**2).sum(1) + (target**2).sum(1) + 1e-3)


def tversky(score: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    score, target = (score * counts).flatten(1), (target * counts).flatten(1)
    hits = (score * target).sum(1)
    return 1 - hits / (hits + 0.3 * (score * (1 - target)).sum(1) + 0.7 * ((1 - score) * target).sum(1) + 1e-7)


def jaccard(score: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    score, target = (score * counts).flatten(1), (target * counts).flatten(1)
    hits = (score * target).sum(1)
    return 1 - hits / (score.sum(1) + target.sum(1) - hits + 1e-7)


def generalized_dice(score: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Of one class, whose weight cancels."""
    score, target = (score * counts).flatten(1), (target * counts).flatten(1)
    return 1 - 2 * (score * target).sum(1) / (score.sum(1) + target.sum(1))


def log_cosh_dice(score: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    score, target = (score * counts).flatten(1), (target * counts).flatten(1)
    return (1 - (2 * (score * target).sum(1) + 1) / (score.sum(1) + target.sum(1) + 1)).cosh().log()


def cross_entropy(score: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    return -counts * (target * score.log() + (1 - target) * (1 - score).log())


def focal(score: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    missed = target * (1 - score) + (1 - target) * score
    return cross_entropy(score, target, counts) * missed**2 * (0.25 * target + 0.75 * (1 - target))


REGIONS = {
    DICE: dice,
    TVERSKY: tversky,
    JACCARD: jaccard,
    GENERALIZED: generalized_dice,
    LOG_COSH: log_cosh_dice,
}
FORMULAS = {**REGIONS, FOCAL: focal, BCE: cross_entropy, PROBABILITIES: cross_entropy}


# --- objectness ----------------------------------------------------------------------------------------------------


def test_labels_of_one_class_are_no_mask() -> None:
    """Heads of one class write 0 for the object, which a mask would have as background."""
    loss = MODELS.build({"type": DICE, "over": "batch"})
    pred = torch.tensor([[0.3], [-0.2], [0.9]], requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(pred, torch.tensor([0, 1, 1])), pred)
    assert gradient[0] < 0
    assert (gradient[1:] > 0).all()
