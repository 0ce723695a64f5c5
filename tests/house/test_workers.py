"""Tests in parallel: as many workers as there are cores, no more threads than cores, a quick garbage collector."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from tools.wheel import ROOT

from ..conftest import pytest_runtest_teardown

SHOW = """
import os
import torch

def test_shows():
    workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    print("SHOWN", workers, torch.get_num_threads(), len(os.sched_getaffinity(0)))
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the example asks Linux for the cores at hand")
def test_workers_share_the_cores(tmp_path: Path) -> None:
    """Torch reads once how many threads it may take, when it is imported."""
    for file in ("conftest.py", "tests/conftest.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text((ROOT / file).read_text())
    (tmp_path / "tests/test_shows.py").write_text(SHOW)
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTEST_XDIST_WORKER_COUNT", "OMP_NUM_THREADS")}
    command = [sys.executable, "-m", "pytest", "-n", "auto", "-rP", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("SHOWN"))
    workers, threads, cores = map(int, line.split()[1:])
    assert 1 <= workers <= cores
    assert threads == max(1, cores // workers)


def test_the_collector_looks_at_what_tests_made_alone() -> None:
    """What was imported and collected is set aside: Ultralytics collects garbage three times in each training."""
    assert gc.isenabled()
    assert gc.get_threshold()[0] > 2000  # Python's own
    assert gc.get_freeze_count() > 10_000


def test_what_a_file_of_tests_leaves_is_set_aside_behind_its_last_test(request: pytest.FixtureRequest) -> None:
    class Kept:
        """Refers to itself, as its module does to it."""

    kept, gone = [Kept() for _ in range(1000)], Kept()
    gone.itself = gone  # type: ignore[attr-defined]
    freed = weakref.ref(gone)
    del gone
    teardown = pytest_runtest_teardown(request.node, request.node)
    next(teardown)
    before = gc.get_freeze_count()
    with contextlib.suppress(StopIteration):
        teardown.send(None)
    assert gc.get_freeze_count() == before, "another test of the file follows"
    teardown = pytest_runtest_teardown(request.node, None)
    next(teardown)
    with contextlib.suppress(StopIteration):
        teardown.send(None)
    assert freed() is None
    assert gc.get_freeze_count() >= before + len(kept)
