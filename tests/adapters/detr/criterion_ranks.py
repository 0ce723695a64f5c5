"""Run by test_ranks.py in two processes (gloo, CPU): train a plugged criterion, and print what its loss has learnt."""

from __future__ import annotations

import json
import os

import torch

from loss_plugins.adapters.detr import plug
from tests.adapters.detr import own

STEPS = 3


def given(step: int, rank: int) -> object:
    """A batch of a rank; that of the second one has another number of images, and one without any object."""
    outputs, targets = own.layers(2, images=3 + rank, seed=10 * step + rank)
    if (step, rank) == (1, 1):
        targets = [{name: value[:0] for name, value in target.items()} for target in targets]
    return outputs, targets


if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")
    rank = int(os.environ["RANK"])
    criterion = own.Criterion()
    plugged = plug(criterion, box="wiou", fast=True)
    for step in range(STEPS):
        sum(criterion(*given(step, rank)).values()).backward()  # type: ignore[misc]
        with torch.no_grad():  # a validation, of one rank alone, ends no step
            criterion(*given(step, 0)) if rank == 0 else None
    plugged.sync()
    state = plugged.state_dict()["box"]["statistics"]
    torch.distributed.destroy_process_group()
    print(json.dumps({name: value.tolist() for name, value in state.items()}))
