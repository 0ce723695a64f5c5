"""Run by test_ranks.py in two processes (gloo, CPU): print the running statistic after each step."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from transformers import TrainerCallback

from loss_plugins.adapters.transformers import Plug, plug
from tests.adapters.transformers.models import batch, build
from tests.adapters.transformers.runs import trainer

NAME = "YolosForObjectDetection"


def statistic(plugged: Plug) -> float:
    return float(plugged.state_dict()["box"]["statistics"]["mean.value"])


def by_accelerate(each_step: bool) -> list[float]:
    """Three steps of one's own loop, each rank with images of its own; the statistic where ranks share it."""
    accelerator = Accelerator(cpu=True)
    model = build(NAME)
    plugged = plug(model, box={"type": "wiou", "momentum": 0.5})
    prepared, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=1e-3))
    states = []
    for step in range(3):
        given = batch(model, 1 + accelerator.process_index, seed=10 * step + accelerator.process_index)
        accelerator.backward(prepared(**given).loss)
        optimizer.step()
        optimizer.zero_grad()
        if each_step or step == 2:
            plugged.sync()
            states.append(statistic(plugged))
    plugged.require_use()
    return states


class Watch(TrainerCallback):
    """Notes the statistic at each checkpoint, after it was written."""

    def __init__(self, plugged: Plug) -> None:
        self.plugged, self.states = plugged, list[float]()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.states.append(statistic(self.plugged))


def by_trainer(folder: Path) -> list[float]:
    """Two steps of the Trainer of four images each."""
    model = build(NAME)
    plugged = plug(model, box={"type": "wiou", "momentum": 0.5})
    watch = Watch(plugged)
    trainer(model, folder, plugged.callback(), watch, save_steps=1).train()
    return [*watch.states, statistic(plugged)]


if __name__ == "__main__":
    loops = {"each step": by_accelerate(True), "at the end": by_accelerate(False)}
    print(json.dumps({**loops, "trainer": by_trainer(Path(sys.argv[1]))}))
