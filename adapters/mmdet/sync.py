"""One state on all ranks: mmdet's data parallelism leaves buffers alone (`broadcast_buffers=False`)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from mmengine.dist import all_reduce, get_world_size

from loss_plugins.module.loss import Loss

from .modules import PluggedLoss


@torch.no_grad()
def sync_state(losses: Iterable[PluggedLoss]) -> None:
    """Make the running statistics what one process with all ranks' rows would have made of them in this step.

    Statistics learn from sums over rows, so the ranks' sums of the step are added and the update is made again:
    a rank with many rows counts for more, one without any for nothing.
    """
    if get_world_size() == 1:
        return
    for loss in losses:
        for part in loss.loss.modules():
            if isinstance(part, Loss):
                _share_step(part)


def _share_step(loss: Loss) -> None:
    parameters = loss.resolved()
    for name in loss.states:
        state = loss.entry.states[name]
        pending = loss.get_buffer(f"{name}_pending")
        all_reduce(pending, op="sum")
        keywords = {key: parameters[key] for key in state.update_keywords}
        loss.get_buffer(name).copy_(state.update(loss.get_buffer(f"{name}_before"), pending, **keywords))
