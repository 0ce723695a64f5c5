"""Whether the tests of the core pass with the installed PyTorch."""

from __future__ import annotations

import subprocess
import sys

import torch

from .found import Found

TESTS = (
    "tests/losses/test_golden.py",
    "tests/losses/test_box_losses.py",
    "tests/module/test_contract.py",
    "tests/fusion/test_fused.py",
    "tests/fusion/test_private.py",
)


def tested() -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--noconftest", *TESTS]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    last = (run.stdout.strip().splitlines() or [run.stderr.strip()[-300:]])[-1]
    failed = [line for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))][:3]
    return "; ".join([last, *failed])[:400] if run.returncode else f"ok: {last}"


if __name__ == "__main__":
    found = Found(version=str(torch.__version__), torch=str(torch.__version__))
    found.tried("golden, contract and engine tests", tested)
    found.tell()
