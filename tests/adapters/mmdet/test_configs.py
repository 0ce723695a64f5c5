"""The configs that users copy: each builds as it is, trains a step with few channels, and its hook proves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.runner import Runner

from loss_plugins.adapters.mmdet.construction import construct
from loss_plugins.adapters.mmdet.doctor import report
from loss_plugins.adapters.mmdet.slots import find_losses
from tools.mmdet_small import shrink

from .shipped import CONFIGS, load

LOSSES: dict[str, dict[str, str]] = {
    "atss_r50_fpn_diou_digits": {"bbox_head.loss_bbox": "DIoULoss"},
    "dino-4scale_r50_l1-giou_digits": {"bbox_head.loss_bbox": "L1Loss", "bbox_head.loss_iou": "GIoULoss"},
    "faster-rcnn_r50_fpn_alpha-ciou_digits": {"roi_head.bbox_head.loss_bbox": "AlphaCIoULoss"},
    "faster-rcnn_r50_fpn_seesaw_digits": {"roi_head.bbox_head.loss_cls": "SeesawLoss"},
    "fcos_r50_fpn_ciou_digits": {"bbox_head.loss_bbox": "CIoULoss"},
    "gfl_r50_fpn_giou_digits": {"bbox_head.loss_bbox": "GIoULoss"},
    "mask-rcnn_r50_fpn_dice_digits": {"roi_head.mask_head.loss_mask": "DiceLoss"},
    "retinanet_r50_fpn_eiou_digits": {"bbox_head.loss_bbox": "EIoULoss"},
    "rtmdet_tiny_eiou_digits": {"bbox_head.loss_bbox": "EIoULoss"},
    "vfnet_r50_fpn_varifocal-diou_digits": {
        "bbox_head.loss_cls": "VarifocalLoss",
        "bbox_head.loss_bbox": "DIoULoss",
        "bbox_head.loss_bbox_refine": "DIoULoss",
    },
    "yolox_tiny_ciou_digits": {"bbox_head.loss_bbox": "CIoULoss"},
}


def one_step(name: str, digits: Path, work_dir: Path) -> Any:
    cfg = load(name, digits, work_dir, batch_size=2)
    cfg.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": 1, "val_interval": 10}
    cfg.default_hooks.checkpoint = None
    shrink(cfg.model)
    return cfg


def test_every_config_is_listed() -> None:
    assert {file.stem for file in CONFIGS.glob("*.py")} == set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_one_training_step(name: str, digits: Path, tmp_path: Path) -> None:
    runner = Runner.from_cfg(one_step(name, digits, tmp_path))
    before = {key: value.detach().clone() for key, value in runner.model.named_parameters()}
    runner.train()
    after = dict(runner.model.named_parameters())
    assert all(value.isfinite().all() for value in after.values())
    moved = [key for key in before if not torch.equal(before[key], after[key])]
    assert any("head" in key for key in moved)
    assert any("backbone" in key for key in moved)
    record = yaml.safe_load((tmp_path / "loss_plugins.yaml").read_text())
    assert {entry["where"]: entry["loss"]["type"] for entry in record["losses"]} == {
        slot: f"loss_plugins.{loss}" for slot, loss in LOSSES[name].items()
    }
    assert all(entry["calls"] > 0 for entry in record["losses"])


@pytest.mark.parametrize("name", LOSSES)
def test_it_is_built_as_it_is(name: str) -> None:
    made = construct(Config.fromfile(CONFIGS / f"{name}.py").model)
    assert (made.error, made.faults) == (None, {})
    assert {slot.path: type(slot.loss).__name__ for slot in find_losses(made.model)} == LOSSES[name]


@pytest.mark.parametrize("name", LOSSES)
def test_nothing_is_downloaded_and_nothing_has_to_be_set(name: str) -> None:
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    assert cfg.model.backbone.get("init_cfg") is None
    assert cfg.load_from is None
    for loader, split in ((cfg.train_dataloader, "train"), (cfg.val_dataloader, "val"), (cfg.test_dataloader, "val")):
        assert (loader.dataset.type, loader.dataset.split) == ("loss_plugins.DigitsDataset", split)
    assert cfg.custom_imports["imports"] == ["loss_plugins.adapters.mmdet"]
    assert cfg.default_hooks.loss_plugins == {"type": "loss_plugins.LossPluginsHook"}


def test_doctor_passes_a_shipped_config() -> None:
    result = report(str(CONFIGS / "rtmdet_tiny_eiou_digits.py"))
    assert result["ok"], result


def test_digits_are_composed_on_first_use_and_validated(tmp_path: Path) -> None:
    """From an empty folder to a COCO score, as `train.py CONFIG` would."""
    cfg = load("rtmdet_tiny_eiou_digits", tmp_path / "digits", tmp_path / "run", batch_size=8)
    cfg.train_cfg = {"type": "EpochBasedTrainLoop", "max_epochs": 1, "val_interval": 1}
    cfg.default_hooks.checkpoint = None
    shrink(cfg.model)
    cfg.model.test_cfg.score_thr = 0.0  # MMDetection logs no score at all if nothing is found
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert (tmp_path / "digits" / "digits.yaml").is_file()
    assert "val/coco/bbox_mAP_50" in runner.message_hub.log_scalars
