"""Runners for tests of the hook: one that only answers, and MMEngine's own around a model of one parameter."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch import Tensor, nn

from ...two_ranks import rows

BATCHES = 4  # of the data set, so iterations in an epoch
EPOCH = {"by_epoch": True, "max_epochs": 1}
HOOK = {"loss_plugins": {"type": "loss_plugins.LossPluginsHook"}}


class Loader(list[int]):
    """As much of a data loader as the hook looks at."""

    dataset = range(BATCHES)


def runner(model: nn.Module, folder: Path, **more: Any) -> Any:
    """As much of a runner as the hook looks at."""
    answers = {"iter": 5, "epoch": 0, "cfg": Config({}), "hooks": [], "train_loop": None}
    logger = logging.getLogger("test")
    loader = Loader(range(BATCHES))
    return SimpleNamespace(
        model=model, work_dir=str(folder), logger=logger, train_dataloader=loader, **{**answers, **more}
    )


class Detector(BaseModel):  # type: ignore[misc]
    """A model of one parameter, whose head calls its loss once per level on boxes of the iteration.

    Args:
        loss: the loss, as a config has it.
        levels: how many boxes the loss gets in each call of an iteration, from the first iteration on; the last entry
            holds for all later ones.
    """

    def __init__(self, loss: dict[str, Any], levels: list[list[int]]) -> None:
        super().__init__()
        self.bbox_head = nn.Module()
        self.bbox_head.loss_bbox = MODELS.build(loss)
        self.shift = nn.Parameter(torch.zeros(()))
        self.levels, self.done = levels, 0

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = "tensor") -> Any:
        if mode != "loss":
            return [0]
        counts = self.levels[min(self.done, len(self.levels) - 1)]
        total = self.shift * 0
        for level, count in enumerate(counts):
            pred, target = rows("box", self.done, level, count, torch.float32)
            total = total + self.bbox_head.loss_bbox(pred + self.shift, target)
        self.done += 1
        return {"loss_bbox": total}


class _Ear(logging.Handler):
    def __init__(self, heard: list[str]) -> None:
        super().__init__()
        self.heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


def heard(training: Runner) -> list[str]:
    """What a training warns of from now on; MMEngine's loggers hand nothing on."""
    messages: list[str] = []
    training.logger.addHandler(_Ear(messages))
    return messages


def samples(count: int = BATCHES) -> list[Tensor]:
    return [torch.zeros(1)] * count


def run(
    folder: Path, loss: dict[str, Any], levels: list[list[int]] | None = None, loop: dict[str, Any] | None = None,
    **settings: Any,
) -> Runner:  # fmt: skip
    """A training by MMEngine's runner: an epoch of four iterations, unless `loop` says otherwise."""
    name = f"{folder.name}-{len(list(folder.glob('*')))}"
    return Runner(
        model=Detector(loss, levels or [[9]]),
        work_dir=str(folder),
        experiment_name=name,
        log_level="WARNING",
        train_dataloader={"dataset": samples(), "batch_size": 1, "sampler": {"type": "DefaultSampler"}},
        train_cfg=loop or EPOCH,
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.0}},
        default_scope="mmdet",
        default_hooks=settings.pop("default_hooks", HOOK),
        **settings,
    )
