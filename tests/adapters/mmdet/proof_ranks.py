"""Run by test_proof.py in two processes (gloo, CPU): print what the hook makes of ranks without objects."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import torch
import yaml
from mmengine.registry import MODELS
from torch import nn

from loss_plugins.adapters.mmdet import LossNotUsed, LossPluginsHook
from tests.adapters.mmdet.runs import runner
from tests.two_ranks import rows

EIOU = {"type": "loss_plugins.EIoULoss"}


def epoch(folder: Path, calling: tuple[int, ...]) -> str:
    """An epoch in which the ranks of `calling` have objects; the error that it ends in."""
    model = nn.Module()
    model.loss = MODELS.build(EIOU)
    hook, training = LossPluginsHook(), runner(model, folder)
    hook.before_train(training)
    for step in range(4):
        hook.before_train_iter(training, step)
        if int(os.environ["RANK"]) in calling:
            pred, target = rows("box", step, 0, 9, torch.float32)
            model.loss(pred.requires_grad_(), target)
        hook.after_train_iter(training, step)
    try:
        hook.after_train_epoch(training)
    except LossNotUsed as error:
        return type(error).__name__
    return ""


if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")  # mmengine's init_dist asks for a GPU
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder)] if os.environ["RANK"] == "0" else []
        said = {"one rank": epoch(Path(folder), (0,))}
        counts = [
            [loss["calls"], loss["boxes"]]
            for file in files
            for loss in yaml.safe_load((file / "loss_plugins.yaml").read_text())["losses"]
        ]
        said["no rank"] = epoch(Path(folder), ())
    shared = [counts]
    torch.distributed.broadcast_object_list(shared)
    print(json.dumps({"calls": said, "counts": shared[0]}))
