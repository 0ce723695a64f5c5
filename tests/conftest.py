"""Every test runs offline, with a private Ultralytics configuration folder and its share of the cores."""

from __future__ import annotations

import gc
import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

#: after so many objects Python looks for garbage; recording a loss makes 100,000 and more
ALLOCATIONS = 10_000
MEMORY_PER_WORKER = 3 * 2**30  # torch, both frameworks, and a small model in training


def usable_cores() -> int:
    """Those that this process may use, fewer than the machine's in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_per_worker(cores: int, workers: int) -> int:
    """No more threads than cores, all workers together."""
    return max(1, cores // workers)


# before anything imports ultralytics: it reads these at import
_CONFIG = Path(tempfile.mkdtemp(prefix="loss-plugins-tests-"))
os.environ.update(
    YOLO_OFFLINE="1",
    YOLO_AUTOINSTALL="0",
    YOLO_CONFIG_DIR=str(_CONFIG),
    MPLBACKEND="Agg",
    TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1",
)
# before anything imports torch, and for the programs that tests start
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _WORKERS > 1:
    os.environ["OMP_NUM_THREADS"] = str(threads_per_worker(usable_cores(), _WORKERS))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For `-n auto`: one worker per core, as far as the memory goes."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(usable_cores(), memory // MEMORY_PER_WORKER))


def pytest_configure() -> None:
    """The tests need the frameworks: a missing one is a failure, with the line that installs it."""
    for name in ("ultralytics", "mmengine", "mmcv", "mmdet"):
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError as missing:
            raise RuntimeError(
                f"{name} is not installed, and its tests may not be skipped: {_install(name)}"
            ) from missing
    _place_font()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Frameworks and tests stay until the end: the garbage collector, which each training calls, looks at neither."""
    gc.disable()
    try:
        return (yield)
    finally:
        set_aside()
        gc.set_threshold(ALLOCATIONS)
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Nor at what a file of tests leaves behind, as the programs of losses, which a process keeps."""
    try:
        return (yield)
    finally:
        if nextitem is None or nextitem.path != item.path:
            set_aside()


def set_aside() -> None:
    """Free what nobody has any more; what is left is not looked at again."""
    gc.collect()
    gc.freeze()


def _install(name: str) -> str:
    from loss_plugins.adapters.mmdet.install import COMMANDS

    return COMMANDS.get(name, f'pip install "loss-plugins[{name}]"')


def pytest_unconfigure() -> None:
    shutil.rmtree(_CONFIG, ignore_errors=True)


def _place_font() -> None:
    # Ultralytics downloads Arial.ttf unless a file of that name lies in its configuration folder
    import matplotlib

    font = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    (_CONFIG / "Ultralytics").mkdir(parents=True, exist_ok=True)
    shutil.copy(font, _CONFIG / "Ultralytics" / "Arial.ttf")
