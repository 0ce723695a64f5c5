"""What every slot of MMDetection's shipped heads gets, and which losses fit it: docs/mmdet-heads.md.

    python -m tools.mmdet_heads                  # all configs, in half an hour or more
    python -m tools.mmdet_heads tood retinanet   # those whose name has one of these words, printed only

Each config is built with random weights. First its built-in losses are replaced by our dialects and both are compared,
value and gradient; then each slot gets one loss of every kind in turn. There are three verdicts: a loss works, or it is
refused with what to do, or the config is left out by name.
"""

from __future__ import annotations

import copy
import re
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from loss_plugins.adapters.mmdet.calls import values_of
from loss_plugins.adapters.mmdet.canary import canary, losses_in, undisturbed
from loss_plugins.adapters.mmdet.fits import FITTING, misfit
from loss_plugins.adapters.mmdet.inspection import Inspection, inspect
from loss_plugins.adapters.mmdet.slots import find_losses
from loss_plugins.adapters.mmdet.training_parity import equivalent

from .wheel import ROOT

PAGE = ROOT / "docs/mmdet-heads.md"
#: one loss of every kind that a slot may be given
KINDS: dict[str, dict[str, Any]] = {
    "box": {"type": "loss_plugins.CIoULoss"},
    "box, in pixels": {"type": "loss_plugins.NWDLoss"},
    "coordinate": {"type": "loss_plugins.SmoothL1Loss"},
    "sigmoid": {"type": "loss_plugins.FocalLoss"},
    "softmax": {"type": "loss_plugins.CrossEntropyLoss"},
    "heat map": {"type": "loss_plugins.GaussianFocalLoss"},
    "region": {"type": "loss_plugins.DiceLoss"},
}
CONFIGS: tuple[str, ...] = (
    "atss/atss_r50_fpn_1x_coco",
    "autoassign/autoassign_r50-caffe_fpn_1x_coco",
    "cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco",
    "cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco",
    "cascade_rpn/cascade-rpn_faster-rcnn_r50-caffe_fpn_1x_coco",
    "centernet/centernet_r18_8xb16-crop512-140e_coco",
    "centernet/centernet-update_r50-caffe_fpn_ms-1x_coco",
    "centripetalnet/centripetalnet_hourglass104_16xb6-crop511-210e-mstest_coco",
    "condinst/condinst_r50_fpn_ms-poly-90k_coco_instance",
    "conditional_detr/conditional-detr_r50_8xb2-50e_coco",
    "cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco",
    "crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman",
    "dab_detr/dab-detr_r50_8xb2-50e_coco",
    "dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco",
    "ddod/ddod_r50_fpn_1x_coco",
    "ddq/ddq-detr-4scale_r50_8xb2-12e_coco",
    "deformable_detr/deformable-detr_r50_16xb2-50e_coco",
    "detr/detr_r50_8xb2-150e_coco",
    "dino/dino-4scale_r50_8xb2-12e_coco",
    "double_heads/dh-faster-rcnn_r50_fpn_1x_coco",
    "dyhead/atss_r50_fpn_dyhead_1x_coco",
    "dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco",
    "fast_rcnn/fast-rcnn_r50_fpn_1x_coco",
    "faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco",
    "faster_rcnn/faster-rcnn_r50_fpn_1x_coco",
    "fcos/fcos_r50-caffe_fpn_gn-head_1x_coco",
    "fcos/fcos_r50-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco",
    "foveabox/fovea_r50_fpn_4xb4-1x_coco",
    "free_anchor/freeanchor_r50_fpn_1x_coco",
    "fsaf/fsaf_r50_fpn_1x_coco",
    "gfl/gfl_r50_fpn_1x_coco",
    "ghm/retinanet_r50_fpn_ghm-1x_coco",
    "gn+ws/mask-rcnn_r50_fpn_gn-ws-all_2x_coco",
    "grid_rcnn/grid-rcnn_r50_fpn_gn-head_1x_coco",
    "groie/faste-rcnn_r50_fpn_groie_1x_coco",
    "guided_anchoring/ga-faster-rcnn_r50-caffe_fpn_1x_coco",
    "guided_anchoring/ga-retinanet_r50-caffe_fpn_1x_coco",
    "guided_anchoring/ga-rpn_r50-caffe_fpn_1x_coco",
    "htc/htc-without-semantic_r50_fpn_1x_coco",
    "htc/htc_r50_fpn_1x_coco",
    "libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco",
    "libra_rcnn/libra-retinanet_r50_fpn_1x_coco",
    "mask2former/mask2former_r50_8xb2-lsj-50e_coco",
    "mask_rcnn/mask-rcnn_r50_fpn_1x_coco",
    "maskformer/maskformer_r50_ms-16xb1-75e_coco",
    "ms_rcnn/ms-rcnn_r50_fpn_1x_coco",
    "nas_fcos/nas-fcos_r50-caffe_fpn_nashead-gn-head_4xb4-1x_coco",
    "paa/paa_r50_fpn_1x_coco",
    "panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco",
    "pisa/faster-rcnn_r50_fpn_pisa_1x_coco",
    "pisa/retinanet-r50_fpn_pisa_1x_coco",
    "pisa/ssd300_pisa_coco",
    "point_rend/point-rend_r50-caffe_fpn_ms-1x_coco",
    "queryinst/queryinst_r50_fpn_1x_coco",
    "reppoints/reppoints-moment_r50_fpn_1x_coco",
    "retinanet/retinanet_r50_fpn_1x_coco",
    "rpn/rpn_r50_fpn_1x_coco",
    "rtmdet/rtmdet-ins_tiny_8xb32-300e_coco",
    "rtmdet/rtmdet_tiny_8xb32-300e_coco",
    "sabl/sabl-cascade-rcnn_r50_fpn_1x_coco",
    "sabl/sabl-faster-rcnn_r50_fpn_1x_coco",
    "sabl/sabl-retinanet_r50_fpn_1x_coco",
    "scnet/scnet_r50_fpn_1x_coco",
    "seesaw_loss/mask-rcnn_r50_fpn_seesaw-loss_random-ms-2x_lvis-v1",
    "soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco",
    "solo/decoupled-solo_r50_fpn_1x_coco",
    "solo/solo_r50_fpn_1x_coco",
    "solov2/solov2_r50_fpn_1x_coco",
    "sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco",
    "ssd/ssd300_coco",
    "ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco",
    "tood/tood_r50_fpn_1x_coco",
    "tridentnet/tridentnet_r50-caffe_1x_coco",
    "vfnet/vfnet_r50_fpn_1x_coco",
    "yolact/yolact_r50_1xb8-55e_coco",
    "yolo/yolov3_d53_8xb8-320-273e_coco",
    "yolof/yolof_r50-c5_8xb8-1x_coco",
    "yolox/yolox_tiny_8xb8-300e_coco",
)
#: the largest numbers that configs are examined with
MOST = {"fc_out_channels": 64, "nms_pre": 200, "max_per_img": 60, "num": 64}
LEFT_OUT = {
    "glip/glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365": "its BERT is downloaded when the model is built",
    "mm_grounding_dino/grounding_dino_swin-t_pretrain_obj365": "its BERT is downloaded when the model is built",
    "ld/ld_r18-gflv1-r101_fpn_1x_coco": "its teacher's weights are downloaded when the model is built",
    "lad/lad_r50-paa-r101_fpn_2xb8_coco_1x": "its teacher's weights are downloaded when the model is built",
    "carafe/faster-rcnn_r50_fpn-carafe_1x_coco": "its operator is for GPUs alone",
    "boxinst/boxinst_r50_fpn_ms-90k_coco": "its data preprocessor makes the targets, with scikit-image",
}


@dataclass
class Row:
    """A slot: what it gets, and which kinds of losses fit."""

    slot: str
    handed: str = "nothing"
    works: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


@dataclass
class Found:
    """What was found of one config."""

    config: str
    equal: str
    rows: list[Row]


def shipped(config: str) -> Any:
    """The model of a shipped config, to be built without downloads."""
    import mmdet
    from mmdet.utils import register_all_modules
    from mmengine.config import Config

    register_all_modules(init_default_scope=True)
    model = Config.fromfile(Path(mmdet.__file__).parent / ".mim/configs" / f"{config}.py").model
    _without_weights(model)
    _shrink(model)
    return model


def _shrink(model: Any) -> None:
    """An eighth of the channels of ResNet-50, where a neck alone reads them."""
    detector = model.get("detector", model)
    backbone, neck = detector.get("backbone", {}), detector.get("neck")
    channels = neck.get("in_channels") if isinstance(neck, dict) else None
    known = backbone.get("type") == "ResNet" and backbone.get("depth") == 50 and isinstance(channels, list)
    if known and set(channels) <= {256, 512, 1024, 2048}:
        backbone.base_channels = 8
        neck.in_channels = [count // 8 for count in channels]
    for part in _dicts(detector):
        part.update({key: most for key, most in MOST.items() if isinstance(part.get(key), int) and part[key] > most})


def _dicts(value: Any) -> Iterator[Any]:
    """All dicts of a config."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        yield from _dicts(each)


def _without_weights(config: Any) -> None:
    for key, value in list(config.items()):
        if key == "init_cfg" and isinstance(value, dict) and value.get("type") == "Pretrained":
            config[key] = None
        for each in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(each, dict):
                _without_weights(each)


def build(config: Any) -> nn.Module:
    """The model, with the same random weights every time."""
    from mmdet.registry import MODELS

    torch.manual_seed(0)
    model: Any = MODELS.build(copy.deepcopy(config))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.init_weights()
    return model  # type: ignore[no-any-return]


def swap_all(config: Any) -> int:
    """Replace every built-in loss by our dialect, where there is one; how many."""
    count = 0
    for key, value in list(config.items()):
        if isinstance(value, dict) and "loss" in key:
            ours = equivalent(value)
            if ours is not None and _has_counterparts(ours):
                config[key] = ours
                count += 1
            continue
        for each in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(each, dict):
                count += swap_all(each)
    return count


def _has_counterparts(loss: dict[str, Any]) -> bool:
    """Whether the dialect has all parameters that the built-in one was given."""
    from mmdet.registry import MODELS

    try:
        MODELS.build(copy.deepcopy(loss))
    except ValueError as error:
        if "has no counterpart" not in str(error):
            raise
        return False
    return True


def losses_of(model: nn.Module) -> tuple[dict[str, Tensor], list[Tensor]]:
    """The losses of one step on the scene that the canary found to work, and the gradients of their sum."""
    trial = canary(model)
    if trial.error is not None:
        raise trial.error
    tried: Any = getattr(model, "student", model)
    tried.train()
    with undisturbed():
        losses = losses_in(tried, trial.setting.scene(tried), 0)
    parameters = [each for each in tried.parameters() if each.requires_grad]
    total = torch.stack([value.mean() for value in values_of(losses)]).sum()
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    return losses, [gradient for gradient in gradients if gradient is not None]


def compared(config: Any) -> str:
    """Whether a model with our dialects has the losses and gradients of the shipped one."""
    swapped = copy.deepcopy(config)
    count = swap_all(swapped)
    if not count:
        return "no loss has a dialect"
    stock, ours = build(config), build(swapped)
    ours.load_state_dict(stock.state_dict(), strict=False)
    (values, gradients), (values_ours, gradients_ours) = losses_of(stock), losses_of(ours)
    for mine, theirs in zip(values_of(values_ours), values_of(values), strict=True):
        torch.testing.assert_close(mine.mean(), theirs.mean(), rtol=1e-4, atol=1e-5)
    norm = torch.stack([each.double().norm() for each in gradients]).norm()
    apart = torch.stack([(a - b).double().norm() for a, b in zip(gradients, gradients_ours, strict=True)]).norm()
    if apart > 1e-3 * norm:
        raise AssertionError(f"gradients differ by {float(apart / norm):.2g} of their norm")
    return f"equal, {count} losses"


def slots_of(model: nn.Module) -> list[str]:
    """Paths of all losses of the model that is trained."""
    found: list[str] = []
    for path, _ in model.named_modules():
        is_loss = "loss_" in path.rpartition(".")[2] and not path.startswith("teacher.")
        if is_loss and not any(path.startswith(f"{other}.") for other in found):
            found.append(path)
    return found


def first_of_each_stage(paths: list[str]) -> list[str]:
    """Of slots whose paths differ by the number of a stage alone, the first."""
    return list({re.sub(r"\.\d+\.", ".N.", path): path for path in reversed(paths)}.values())[::-1]


def put(model: nn.Module, path: str, loss: dict[str, Any]) -> None:
    """Put a loss into a slot, with the reduction that the loss there has, and told how classes are scored."""
    from mmdet.registry import MODELS

    holder_path, _, name = path.rpartition(".")
    holder: Any = model.get_submodule(holder_path)
    reduction = getattr(model.get_submodule(path), "reduction", "mean")
    holder.add_module(name, MODELS.build({**loss, "reduction": reduction if reduction in ("sum", "none") else "mean"}))


def probed(config: Any) -> list[Row]:
    """Each slot of a model with a loss of every kind in turn.

    What the calls of the swapped model show not to fit is not tried once more.
    """
    swapped = copy.deepcopy(config)
    swap_all(swapped)
    model = build(swapped)
    trial = canary(model)
    if trial.error is not None:
        raise trial.error
    rows = [Row(path) for path in first_of_each_stage(slots_of(model))]
    for row in rows:
        path = row.slot.removeprefix("student.")
        for kind, loss in KINDS.items():
            tried = copy.deepcopy(model)
            put(tried, row.slot, loss)
            slot = next(slot for slot in find_losses(tried, config) if slot.path == row.slot)
            calls = trial.calls(path)
            fault = misfit(FITTING, slot, calls, trial.handed(path)) if calls else None
            if fault:
                row.handed, row.refused[kind] = trial.handed(path), fault.message
            else:
                _note(row, kind, inspect(tried, config))
    return rows


def _note(row: Row, kind: str, found: Inspection) -> None:
    if found.untried:
        raise AssertionError(f"{row.slot} with {kind}: {found.untried}")
    messages = [each.message for each in found.findings if each.slot.path == row.slot]
    if others := [f"{each.slot.key}: {each.message}" for each in found.findings if each.slot.path != row.slot]:
        raise AssertionError(f"{row.slot} with {kind}: refused are {others}")
    row.handed = found.handed.get(row.slot, row.handed)
    if messages:
        row.refused[kind] = "; ".join(messages)
    else:
        row.works.append(kind)


def examined(config: str) -> Found:
    """Everything that is found out of a config."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = shipped(config)
        return Found(config, compared(model), probed(model))


def main(words: list[str]) -> None:
    """Examine the configs whose names have one of the words, or all; then the page is written."""
    wanted = [config for config in CONFIGS if not words or any(word in config for word in words)]
    found, failed = [], []
    for index, config in enumerate(wanted, 1):
        start = time.monotonic()
        try:
            found.append(examined(config))
        except Exception as error:  # told at the end: the others are examined first
            failed.append(config)
            reason = " ".join(str(error).split())[:900]
            print(f"[{index}/{len(wanted)}] {config}: FAILED, {type(error).__name__}: {reason}", flush=True)
            continue
        print(f"[{index}/{len(wanted)}] {config} ({time.monotonic() - start:.0f} s): {found[-1].equal}", flush=True)
        for row in found[-1].rows:
            print(f"    {row.slot}: {row.handed}; fits {', '.join(row.works) or 'nothing'}", flush=True)
            for kind, message in row.refused.items() if words else ():
                print(f"        {kind}: {message[:300]}")
    if failed:
        raise SystemExit(f"{len(failed)} failed: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:])
