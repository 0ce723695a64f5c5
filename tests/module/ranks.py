"""Run by test_state.py in two processes: print the state after each step of training."""

from __future__ import annotations

import json
import os
from typing import Any

import torch

import loss_plugins as lp
from loss_plugins.module.state import sync_losses
from tests.two_ranks import STEPS, rows

SPECS: list[dict[str, Any]] = [
    {"type": "wiou", "version": 3, "momentum": 0.1},
    {"type": "ciou", "wise": 2},
    {"type": "ghm_c", "momentum": 0.5},
    {"type": "eqlv2", "num_classes": 4},
    {"type": "efl", "num_classes": 4},
    {"type": "mix", "losses": [{"type": "wiou", "version": 2, "momentum": 0.3}, "giou"]},
]
Share = tuple[int, int, int]


def train(shares: list[list[Share]]) -> list[list[float]]:
    """All state after each step, which makes one call per (step, rank, count); none for no boxes."""
    losses = [lp.build_loss(spec) for spec in SPECS]
    states = []
    for calls in shares:
        for loss in losses:
            loss.begin_step()
        for step, rank, count in calls:
            for loss in losses if count else ():
                pred, target = rows(loss.entry.kind, step, rank, count)
                loss(pred.requires_grad_(), target).backward()
        for _ in range(2):  # the second one finds nothing to add
            sync_losses(losses)
        states.append(
            [number for loss in losses for value in loss.state_dict().values() for number in value.flatten().tolist()]
        )
    return states


if __name__ == "__main__":
    torch.distributed.init_process_group("gloo")
    rank = int(os.environ["RANK"])
    print(json.dumps(train([[(step, rank, counts[rank])] for step, counts in enumerate(STEPS)])))
