"""Every test runs offline, with a private Ultralytics configuration folder."""

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

# before anything imports ultralytics: it reads these at import
_CONFIG = Path(tempfile.mkdtemp(prefix="loss-plugins-tests-"))
os.environ.update(
    YOLO_OFFLINE="1",
    YOLO_AUTOINSTALL="0",
    YOLO_CONFIG_DIR=str(_CONFIG),
    MPLBACKEND="Agg",
    TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1",
)


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
