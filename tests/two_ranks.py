"""Two processes that talk by gloo on the CPU, and the rows from which their losses learn."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tools.wheel import ROOT

STEPS = [(7, 3), (4, 0), (0, 9), (0, 0)]  # boxes of each rank


def rows(kind: str, step: int, rank: int, count: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Boxes, or scores with hard targets, of one rank in one step: 9 of them, the first `count` of which are given."""
    generator = torch.Generator().manual_seed(10 * step + rank)
    corner = torch.rand(2, 9, 2, generator=generator, dtype=dtype) * 20
    size = 5 + 20 * torch.rand(2, 9, 2, generator=generator, dtype=dtype)
    pred, target = torch.cat((corner, corner + size), -1)[:, :count]
    return (pred / 10, (target > 20).to(dtype)) if kind == "classification" else (pred, target)


def run_two_ranks(script: Path, *arguments: str, timeout: float = 240) -> list[Any]:
    """Run a script as rank 0 and as rank 1; what each prints in its last line, as JSON.

    The script can import what the tests can. The environment says RANK, LOCAL_RANK, WORLD_SIZE and where they meet, as
    torchrun does.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-W", "ignore", str(script), *arguments]
    ranks = [
        subprocess.Popen(
            command, env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}, stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    try:
        printed = [rank.communicate(timeout=timeout)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()  # one that waits for another that has failed
    assert [rank.returncode for rank in ranks] == [0, 0], printed
    return [json.loads(output.splitlines()[-1]) for output in printed]
