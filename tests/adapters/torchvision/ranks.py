"""One rank of a training of FCOS with a running statistic; run by `test_plug.py`."""

from __future__ import annotations

import json
import os

import torch
from torch.nn.parallel import DistributedDataParallel

from loss_plugins.adapters.torchvision import plug
from tests.adapters.torchvision.models import batch, built, fcos

#: of each step the objects in the image of each rank; in the second there is nothing to learn from
STEPS = ((3, 1), (0, 0), (2, 1))


def image(step, rank):
    """The image of a rank, and its objects."""
    return batch((STEPS[step][rank],), seed=10 * step + rank)


def main():
    rank = int(os.environ["RANK"])
    torch.distributed.init_process_group("gloo")
    model = built(fcos)
    losses = plug(model, box="wiou")
    parallel = DistributedDataParallel(model)
    for step in range(len(STEPS)):
        sum(parallel(*image(step, rank)).values()).backward()
        model.zero_grad()
    losses.require_use()
    losses.sync()
    mean = losses.state_dict()["box"]["statistics"]["mean.value"].item()
    print(json.dumps({"mean": mean, "rows": losses.report.box.rows}))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
