"""Models of MMDetection's shipped configs with random weights, made small."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from loss_plugins.adapters.mmdet.offline import without_weights

#: the largest numbers that configs are examined with
MOST = {
    **{"fc_out_channels": 64, "feedforward_channels": 128},
    **{"nms_pre": 200, "max_per_img": 60, "num": 64, "num_proposals": 40, "num_queries": 60},
}
#: channels of the four stages of ResNet-50
WIDTHS = {256, 512, 1024, 2048}
#: keys of transformers
TRANSFORMERS = {"embed_dims", "feedforward_channels"}


def shipped(config: str) -> Any:
    """The model of a shipped config, to be built without downloads."""
    import mmdet
    from mmdet.utils import register_all_modules
    from mmengine.config import Config

    register_all_modules(init_default_scope=True)
    model = without_weights(Config.fromfile(Path(mmdet.__file__).parent / ".mim/configs" / f"{config}.py").model)
    shrink(model)
    return model


def shrink(model: Any) -> None:
    """Give the config of a model fewer channels, layers and proposals."""
    detector = model.get("detector", model)
    for step in (_narrow, _thin_backbone, _two_stages, _few):
        step(detector)


def _thin_backbone(detector: Any) -> None:
    """An eighth of the channels of ResNet-50, where a neck alone reads them, and of an hourglass."""
    backbone, neck = detector.get("backbone", {}), detector.get("neck")
    channels = neck.get("in_channels") if isinstance(neck, dict) else None
    read = set(channels) if isinstance(channels, list) else {channels}
    grouped = (backbone.get("norm_cfg") or {}).get("type") == "GN"
    if backbone.get("type") == "ResNet" and backbone.get("depth") == 50 and not grouped and read <= WIDTHS:
        backbone.base_channels = 8
        neck.in_channels = [count // 8 for count in channels] if isinstance(channels, list) else channels // 8
    if backbone.get("type") == "HourglassNet":
        backbone.update(stage_channels=[count // 8 for count in backbone.stage_channels], feat_channel=32)
        detector.bbox_head.in_channels = 32


def _few(detector: Any) -> None:
    """No numbers larger than `MOST`, and two layers of an encoder or decoder."""
    for part in _dicts(detector):
        if "layer_cfg" in part:
            part.num_layers = 2
        part.update({key: most for key, most in MOST.items() if isinstance(part.get(key), int) and part[key] > most})
    if relay := detector.get("roi_head", {}).get("feat_relay_head"):  # SCNet's, behind the layers of its box head
        relay.in_channels = MOST["fc_out_channels"]


def _two_stages(detector: Any) -> None:
    """Two of the six stages of Sparse R-CNN and QueryInst."""
    roi = detector.get("roi_head", {})
    if roi.get("num_stages", 0) > 3:
        for key in ("stage_loss_weights", "bbox_head", "mask_head"):
            if key in roi:
                roi[key] = roi[key][:2]
        detector.train_cfg.rcnn = detector.train_cfg.rcnn[:2]
        roi.num_stages = 2


def _narrow(detector: Any) -> None:
    """A quarter of the 256 channels behind a neck; transformers keep theirs, which other keys name too."""
    if not detector.get("neck") or any(TRANSFORMERS & set(part) for part in _dicts(detector)):
        return
    for name, part in detector.items():
        for each in _dicts(part) if name == "neck" or name.endswith("_head") else ():
            each.update({key: 64 for key, size in each.items() if key.endswith("channels") and size == 256})


def _dicts(value: Any) -> Iterator[Any]:
    """All dicts of a config."""
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        yield from _dicts(each)


def build(config: Any) -> nn.Module:
    """The model, with the same random weights every time."""
    from mmdet.registry import MODELS

    torch.manual_seed(0)
    return initialised(MODELS.build(copy.deepcopy(config)))


def initialised(model: Any) -> nn.Module:
    """The model with random weights in place of those that a checkpoint would bring."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.init_weights()
    for each in model.modules():
        if type(each).__name__ == "TridentConv":  # its weights are memory as it was found
            nn.init.kaiming_normal_(each.weight)
    return model  # type: ignore[no-any-return]
