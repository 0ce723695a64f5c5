"""Run by test_state.py in two processes: train, and keep what every running statistic learnt from, and became."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.models.yolo.detect import DetectionTrainer

from loss_plugins.adapters import ultralytics as lpu
from loss_plugins.module.state import RunningStatistic, statistics_of

RANK = int(os.environ.get("RANK", "-1"))
LOSSES = {"box": {"type": "wiou", "version": 3, "momentum": 0.1}, "cls": {"type": "ghm_c", "momentum": 0.5}}


def on_the_cpu() -> None:
    """Ultralytics trains several processes on GPUs only: join by gloo, wrap a model on the CPU, end with the epochs."""
    torch.distributed.init_process_group("gloo")
    BaseTrainer._setup_ddp = BaseTrainer.final_eval = lambda trainer: None
    wrap = nn.parallel.DistributedDataParallel.__init__

    def init(self: Any, module: nn.Module, device_ids: Any = None, **options: Any) -> None:
        wrap(self, module, **options)

    nn.parallel.DistributedDataParallel.__init__ = init


def without_objects_at_first() -> None:
    """The first batch of rank 1 has no objects."""
    preprocess, seen = DetectionTrainer.preprocess_batch, []

    def preprocess_batch(self: Any, batch: dict[str, Any]) -> dict[str, Any]:
        seen.append(batch)
        if RANK == 1 and len(seen) == 1:
            batch.update({key: batch[key][:0] for key in ("cls", "bboxes", "batch_idx")})
        return preprocess(self, batch)

    DetectionTrainer.preprocess_batch = preprocess_batch


def record(trainer: Any) -> list[dict[str, Any]]:
    """Per batch: the rows that each statistic learnt from (by number), the states, and the optimizer's steps."""
    learn, rows, batches = RunningStatistic.learn, [], []

    def recorded(self: RunningStatistic, given: Any, weight: Any) -> Any:
        rows.append((self, given.pred.detach().clone(), given.target.clone()))
        return learn(self, given, weight)

    def keep(trainer: Any) -> None:
        statistics = statistics_of([loss for slot in trainer.loss_plug.slots for loss in slot.losses])
        known = {id(statistic): number for number, statistic in enumerate(statistics)}
        batches.append(
            {
                # not what learns beside the training: the fixed set of a matched gain
                "rows": [(known[id(which)], *pair) for which, *pair in rows if id(which) in known],
                "states": [statistic.value.clone() for statistic in statistics],
                "weights": next(trainer.model.parameters()).detach().clone(),
            }
        )
        rows.clear()

    RunningStatistic.learn = recorded
    trainer.add_callback("on_train_batch_end", keep)
    return batches


if __name__ == "__main__":
    on_the_cpu()
    without_objects_at_first()
    data, folder = sys.argv[1:]
    trainer = lpu.trainer("detect", **LOSSES)(
        overrides={
            "model": "yolo26n.yaml", "data": data, "epochs": 2, "imgsz": 64, "batch": 8, "workers": 0, "amp": False,
            "plots": False, "val": False, "verbose": False, "device": "cpu", "project": folder, "name": "ranks",
            "exist_ok": True, "warmup_epochs": 0, "nbs": 24,
        }
    )  # fmt: skip
    trainer.world_size = 2
    batches = record(trainer)
    trainer.train()
    torch.save(batches, Path(folder) / f"{RANK}.pt")
    print(json.dumps(str(Path(folder) / f"{RANK}.pt")))
