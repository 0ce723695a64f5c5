"""Run by test_steps.py in two processes (gloo, CPU): print what each way to train warns of."""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import MODELS

from tests.adapters.mmdet.runs import HOOK, run
from tests.two_ranks import rows


def warned(action: Callable[[], Any]) -> list[str]:
    """The warnings of this package."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        action()
    return [str(each.message) for each in caught if str(each.message).startswith("loss_plugins")]


def calls(loss: Any, begin: bool) -> None:
    for step in range(3):
        if begin:
            loss.loss.begin_step()
        pred, target = rows("box", step, 0, 9, torch.float32)
        loss(pred.requires_grad_(), target)
        if begin:
            loss.loss.sync()


if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")  # mmengine's init_dist asks for a GPU
    spec = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        said = {
            "hook": warned(run(Path(folder) / "a", spec, default_hooks=HOOK).train),
            "runner": warned(run(Path(folder) / "b", spec, default_hooks={}).train),
            "outside": warned(lambda: calls(MODELS.build(spec), begin=False)),
            "by hand": warned(lambda: calls(MODELS.build(spec), begin=True)),
        }
    print(json.dumps(said))
