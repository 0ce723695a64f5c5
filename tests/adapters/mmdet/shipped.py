"""The configs that users copy, made short: a data set that is composed already, and no learning rate schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config

from tools.wheel import ROOT

CONFIGS = ROOT / "configs/mmdet"


def load(name: str, digits: Path, work_dir: Path, batch_size: int) -> Any:
    cfg = Config.fromfile(CONFIGS / f"{name}.py")
    cfg.work_dir, cfg.log_level = str(work_dir), "WARNING"
    cfg.experiment_name = f"{name}-{work_dir.parent.name}"
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.update(root=str(digits), train=8, val=4)
        loader.batch_size = batch_size
    cfg.val_evaluator.ann_file = cfg.test_evaluator.ann_file = f"{digits}/annotations/val.json"
    cfg.param_scheduler = None
    return cfg
