"""Two processes that talk by gloo on the CPU, and the rows from which their losses learn."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
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


#: what a process imports that computes a loss, and one that trains with MMDetection
LOSSES = "torch torch._dynamo torch.fx.experimental.symbolic_shapes"
MMDET = f"{LOSSES} mmengine.runner mmdet.models"
#: imports what both ranks want, and becomes three processes: each rank runs the script, the first tells how they end
FORKS = """
import importlib, json, os, runpy, sys
known, folder, script, *arguments = sys.argv[1:]
for name in known.split():
    importlib.import_module(name)
ranks = []
for rank in "01":
    child = os.fork()
    if child == 0:
        break
    ranks.append(child)
else:
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in ranks]))
    sys.exit()
os.environ.update(RANK=rank, LOCAL_RANK=rank)
os.dup2(os.open(os.path.join(folder, rank), os.O_WRONLY | os.O_CREAT), 1)
sys.argv, sys.path[0] = [script, *arguments], os.path.dirname(script)
runpy.run_path(script, run_name="__main__")
"""


def run_two_ranks(script: Path | str, *arguments: str, known: str = LOSSES, timeout: float = 240) -> list[Any]:
    """Run a script as rank 0 and as rank 1; what each prints in its last line, as JSON.

    The script can import what the tests can. The environment says RANK, LOCAL_RANK, WORLD_SIZE and where they meet, as
    torchrun does.

    Args:
        script: a file.
        *arguments: of the script.
        known: packages that are imported once for both, which must not ask for the rank.
        timeout: seconds.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "-c", FORKS, known, folder, str(script), *arguments]
        first = subprocess.Popen(command, env=common, stdout=subprocess.PIPE, text=True, start_new_session=True)
        try:
            codes, _ = first.communicate(timeout=timeout)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(first.pid, signal.SIGKILL)  # one that waits for another that has failed
        printed = [Path(folder, rank).read_text(encoding="utf-8") for rank in "01"]
    assert json.loads(codes) == [0, 0], printed
    return [json.loads(output.splitlines()[-1]) for output in printed]
