"""A trainer of one's own for two processes on the CPU, where Ultralytics starts several on GPUs only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.models.yolo.detect import DetectionTrainer

from loss_plugins.adapters.ultralytics import mixin

RANK = int(os.environ.get("RANK", "-1"))


class GlooTrainer(DetectionTrainer):
    """Starts two processes, each of which writes down at its end what it did."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.world_size, self.ddp = 2, RANK == -1

    def _setup_ddp(self) -> None:
        torch.distributed.init_process_group("gloo")
        wrap, write = nn.parallel.DistributedDataParallel.__init__, mixin.write_whole
        self.written = 0

        def init(model: Any, module: nn.Module, device_ids: Any = None, **options: Any) -> None:
            wrap(model, module, **options)

        def counted(file: Path, text: str) -> None:
            self.written += 1
            write(file, text)

        nn.parallel.DistributedDataParallel.__init__ = init
        mixin.write_whole = counted

    def final_eval(self) -> None:
        """What this process did, and what both must have in common."""
        plug = self.loss_plug
        done = {
            "report": plug.report.as_dict(),
            "state": plug.state(),
            "weights": next(self.model.parameters()).detach().flatten()[:5].tolist(),
            "written": self.written,
        }
        Path(f"{self.save_dir}-rank{RANK}.json").write_text(json.dumps(done), encoding="utf-8")
