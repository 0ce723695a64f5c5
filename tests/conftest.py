"""Every test runs offline, with a private Ultralytics configuration folder."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import tempfile
from pathlib import Path

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
