"""Each worker takes its share of the cores, and the package is imported whole before doctests are collected from it.

The share has to be set before torch is imported, which reads it once.
"""

from __future__ import annotations

import os

import pytest

MEMORY_PER_WORKER = 3 * 2**30  # torch, both frameworks, and a small model in training


def usable_cores() -> int:
    """Those that this process may use, fewer than the machine's in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_per_worker(cores: int, workers: int) -> int:
    """No more threads than cores, all workers together."""
    return max(1, cores // workers)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For `-n auto`: one worker per core, as far as the memory goes."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(usable_cores(), memory // MEMORY_PER_WORKER))


_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _WORKERS > 1:  # also for the programs that tests start
    os.environ["OMP_NUM_THREADS"] = str(threads_per_worker(usable_cores(), _WORKERS))

import loss_plugins  # noqa: E402, F401
