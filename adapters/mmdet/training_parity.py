"""Training parity: small MMDetection detectors on digits, with the built-in losses and with `dialect="mmdet"`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import partial
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import torch

from loss_plugins.catalog.dialects import defaults_of
from loss_plugins.module.build import module_class
from loss_plugins.parity.training import Curve, TrainingCase
from loss_plugins.peers import compared
from loss_plugins.peers.packages import located

IMAGES, BATCH, CHANNELS = 16, 2, 32
RESNET: dict[str, Any] = {"depth": 18, "init_cfg": None, "frozen_stages": -1, "norm_eval": False, "style": "pytorch"}
RESNET["norm_cfg"] = {"type": "BN", "requires_grad": True}
FPN = {"in_channels": [64, 128, 256, 512], "out_channels": CHANNELS}
HEAD = {"num_classes": 10, "in_channels": CHANNELS, "feat_channels": CHANNELS, "stacked_convs": 1}
#: model -> its shipped config, changes to it, learning rate
MODELS: dict[str, tuple[str, dict[str, Any], float]] = {
    "RetinaNet": (
        "retinanet/retinanet_r50_fpn_1x_coco.py",
        {"backbone": RESNET, "neck": FPN, "bbox_head": HEAD},
        0.005,
    ),
    "ATSS": ("atss/atss_r50_fpn_1x_coco.py", {"backbone": RESNET, "neck": FPN, "bbox_head": HEAD}, 0.005),
    "FCOS": ("fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py", {"backbone": RESNET, "neck": FPN, "bbox_head": HEAD}, 0.005),
    "YOLOX": (
        "yolox/yolox_tiny_8xb8-300e_coco.py",
        {"data_preprocessor": {"batch_augments": None}, "bbox_head": {"num_classes": 10}},
        0.001,
    ),
    "DETR": (
        "detr/detr_r50_8xb2-150e_coco.py",
        {
            "num_queries": 20,
            "backbone": RESNET,
            "neck": {"in_channels": [512]},
            "encoder": {"num_layers": 1},
            "decoder": {"num_layers": 2},
            "bbox_head": {"num_classes": 10},
        },
        0.001,
    ),
    "Deformable DETR": (
        "deformable_detr/deformable-detr_r50_16xb2-50e_coco.py",
        {
            "num_queries": 20,
            "backbone": RESNET,
            "neck": {"in_channels": [128, 256, 512]},
            "encoder": {"num_layers": 1},
            "decoder": {"num_layers": 2},
            "bbox_head": {"num_classes": 10},
        },
        0.001,
    ),
}
PIPELINE = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "PackDetInputs"},
]


def cases() -> Iterator[TrainingCase]:
    """What `loss-plugins parity --train` runs."""
    for name in MODELS:
        yield TrainingCase("mmdet", name, ", ".join(swapped_names(name)), partial(curve, name))


def model_config(name: str) -> Any:
    """The shipped config of a model, with the changes that make it small."""
    import mmdet
    from mmdet.utils import register_all_modules
    from mmengine.config import Config

    register_all_modules(init_default_scope=True)
    file, changes, _ = MODELS[name]
    config = Config.fromfile(Path(mmdet.__file__).parent / ".mim/configs" / file).model
    _merge(config, changes)
    return config


def _merge(config: Any, changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict) and key != "norm_cfg":
            _merge(config[key], value)
        else:
            config[key] = value


def equivalent(loss: dict[str, Any]) -> dict[str, Any] | None:
    """The loss of loss_plugins that parity holds equal to a built-in one; None: the built-in stays.

    It stays where no row of the table of peers has its flags, and where its head reads a key of the loss itself.
    """
    given = {key: value for key, value in loss.items() if key != "type"}
    if given.pop("use_mask", False):  # a sigmoid of the channel that labels choose, as ours finds by itself
        given["use_sigmoid"] = True
    for row in compared("mmdet"):
        if row.builtin == loss.get("type"):
            known = signature(located(row.place)).parameters
            decisive = {name: known[name] for name in known if name not in _translated(row.loss)}
            if given.keys() <= known.keys() and _flags(given, decisive) == _flags(row.parameters, decisive):
                return {**given, "type": f"loss_plugins.{module_class(row.loss).__name__}", "dialect": "mmdet"}
    return None


def _translated(loss: str) -> set[str]:
    """The keywords of MMDetection's loss whose values the dialect has under another name."""
    return {name for name, keyword in defaults_of(loss, "mmdet").names.items() if keyword.to}


def _flags(given: Mapping[str, Any], known: Mapping[str, Parameter]) -> dict[str, bool]:
    """The switches of a built-in that are set to something else than their default."""
    switches = {key: value for key, value in given.items() if isinstance(value, bool) and key in known}
    return {key: value for key, value in switches.items() if value != known[key].default}


def swap(config: Any) -> list[str]:
    """Replace every built-in loss of a head by its equivalent; slots and names of the losses replaced."""
    names = []
    for key, value in config.items():
        loss = equivalent(value) if key.startswith("loss_") and isinstance(value, dict) else None
        if loss is not None:
            names.append(f"{key} {value['type']}")
            config[key] = loss
    return names


def swapped_names(name: str) -> list[str]:
    """Slots and names of the built-in losses of a model that have an equivalent."""
    return swap(deepcopy(model_config(name).bbox_head))


def curve(name: str, folder: Path, swapped: bool, steps: int) -> Curve:
    """The logged losses of every step, with the built-in losses or their equivalents.

    Raises:
        RuntimeError: an equivalent was never called.
    """
    from mmdet.registry import MODELS as REGISTRY
    from mmengine.optim import OptimWrapper
    from torch.nn.utils import clip_grad_norm_

    from .modules import PluggedLoss

    config = deepcopy(model_config(name))
    if swapped:
        swap(config.bbox_head)
    torch.manual_seed(0)
    model = REGISTRY.build(config).train()
    model.init_weights()  # before it, an embedding of Deformable DETR is uninitialised memory
    if hasattr(model.bbox_head, "use_l1"):  # otherwise on in the last epochs of YOLOX only
        model.bbox_head.use_l1 = True
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=MODELS[name][2], momentum=0.9))
    logged_losses: Curve = []
    torch.manual_seed(1)  # dropout and samplers draw the same
    for batch in batches(folder.parent / "digits-mmdet", steps):
        data = model.data_preprocessor(batch, True)
        total, logged = model.parse_losses(model(**data, mode="loss"))
        total.backward()
        clip_grad_norm_(model.parameters(), 10)
        wrapper.step()
        wrapper.zero_grad()
        logged_losses.append({key: float(value) for key, value in logged.items()})
    for key, module in model.named_modules():
        if isinstance(module, PluggedLoss) and module.calls == 0:
            raise RuntimeError(f"training parity: {name} never called {key}")
    return logged_losses


def batches(root: Path, steps: int) -> Iterator[Any]:
    """Batches of digits, the same in every run."""
    from mmdet.registry import DATASETS
    from mmengine.dataset import pseudo_collate

    from . import digits  # noqa: F401  (registers the data set)

    dataset = DATASETS.build(
        {"type": "loss_plugins.DigitsDataset", "split": "train", "root": str(root), "train": IMAGES, "val": 4}
        | {"pipeline": PIPELINE}
    )
    for step in range(steps):
        first = step * BATCH % len(dataset)
        yield pseudo_collate([dataset[(first + offset) % len(dataset)] for offset in range(BATCH)])
