"""Run by test_state.py in two processes (gloo, CPU): print the state after each step."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import MODELS
from torch import nn

from loss_plugins.adapters.mmdet import LossPluginsHook, find_losses
from loss_plugins.adapters.mmdet.record import Record
from tests.adapters.mmdet.runs import runner
from tests.two_ranks import STEPS, rows


def train(spec: dict[str, Any], shares: list[list[tuple[int, int, int]]]) -> list[list[float]]:
    """States after each step, which makes one call per (step, rank, count)."""
    model = nn.Module()
    model.loss = MODELS.build(spec)
    hook = LossPluginsHook()
    training = runner(model, Path())
    hook.slots, hook.record = find_losses(model), Record([])
    states = []
    for calls in shares:
        hook.before_train_iter(training, 0)
        for call in calls:
            pred, target = rows(model.loss.entry.kind, *call, torch.float32)
            model.loss(pred.requires_grad_(), target, avg_factor=1.0)
        hook.after_train_iter(training, 0)
        states.append(next(model.loss.buffers()).tolist())
    return states


if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")  # mmengine's init_dist asks for a GPU
    rank = int(os.environ["RANK"])
    own = [[(step, rank, counts[rank])] for step, counts in enumerate(STEPS)]
    print(json.dumps([train(spec, own) for spec in json.loads(sys.argv[1])]))
