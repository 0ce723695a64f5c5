"""Two processes that talk by gloo on the CPU."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


def run_two_ranks(script: Path, *arguments: str, timeout: float = 240) -> list[Any]:
    """Run a script as rank 0 and as rank 1; what each prints in its last line, as JSON.

    The environment says RANK, LOCAL_RANK, WORLD_SIZE and where they meet, as torchrun does.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
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
