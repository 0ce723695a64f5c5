"""Run by test_canary_ranks.py in two processes (gloo, CPU): print what the hook makes of each model before training."""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from loss_plugins.adapters.mmdet import LossPluginsHook
from loss_plugins.adapters.mmdet.canary import canary
from loss_plugins.adapters.mmdet.edits import Edited
from loss_plugins.adapters.mmdet.modules import SenselessSlot
from tests.adapters.mmdet.runs import heard, runner
from tools.mmdet_small import build, shipped


def state(model: nn.Module) -> list[Any]:
    """Parameters and buffers of a model, and the states of random numbers."""
    tensors = [each.clone() for each in model.state_dict().values()]
    return [*tensors, torch.get_rng_state(), str(random.getstate()), str(np.random.get_state())]


def are_same(before: list[Any], after: list[Any]) -> bool:
    pairs = zip(before, after, strict=True)
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


def examined(config: str, changes: dict[str, Any]) -> dict[str, Any]:
    """What the hook says, and whether the process is as it was."""
    edited, refused = Edited(shipped(config)), ""
    edited.apply(changes)
    model = build(edited.config).train()
    for seed in (torch.manual_seed, random.seed, np.random.seed):
        seed(int(os.environ["RANK"]))
    before = state(model)
    with tempfile.TemporaryDirectory() as folder:
        training = runner(model, Path(folder))
        messages = heard(training)
        try:
            LossPluginsHook().before_train(training)
        except SenselessSlot as error:
            refused = str(error)
    calls = [call for phase in canary(model).phases for made in phase.values() for call in made]
    seen = [float(call.target.double().sum()) for call in calls]
    synced = sum(isinstance(each, nn.SyncBatchNorm) for each in model.modules())
    return {
        "refused": refused,
        "warned": messages,
        "same": are_same(before, state(model)),
        "synced": synced,
        "seen": seen,
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.distributed.init_process_group("gloo")  # mmengine's init_dist asks for a GPU
    print(json.dumps({name: examined(*case) for name, case in json.loads(sys.argv[1]).items()}))
