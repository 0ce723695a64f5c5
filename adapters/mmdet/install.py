"""How to install MMDetection; imports nothing of it. README, Makefile and the tests are held to these commands."""

from __future__ import annotations

from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec

from loss_plugins.version import __version__

MMCV_FROM_SOURCE = (
    "pip install 'setuptools<81' wheel ninja psutil",
    "CFLAGS='-O1 -g0' MAX_JOBS=2 pip install --no-build-isolation 'mmcv==2.1.0'",
)
COMMANDS = {
    "mmengine": "pip install 'mmengine>=0.10.7'",
    "mmcv": f"{' && '.join(MMCV_FROM_SOURCE)} (ten minutes or more; for prebuilt ways see README, MMDetection)",
    "mmdet": "pip install 'mmdet==3.3.0'",
}
MISSING_MMENGINE = f"the MMDetection adapter needs mmengine: {COMMANDS['mmengine']}"

PACKAGES = {  # import name: distributions that provide it, the fork's last
    "mmengine": ("mmengine", "onedl-mmengine"),
    "mmcv": ("mmcv", "onedl-mmcv"),
    "mmdet": ("mmdet", "onedl-mmdetection"),
}


def mmdet_versions() -> dict[str, str | None]:
    """Installed versions, from the packages' metadata: nothing is imported, None is not installed."""
    found = {name: _version(*distributions) for name, distributions in PACKAGES.items()}
    return {"loss_plugins": __version__, "torch": _version("torch"), **found}


def _version(*distributions: str) -> str | None:
    for distribution in distributions:
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(distribution)
    return None


def missing() -> list[str]:
    """Import names of the packages that are not installed."""
    return [name for name in PACKAGES if find_spec(name) is None]
