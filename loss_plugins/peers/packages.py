"""Which of the packages are installed, in which versions, and what a place in one of them holds."""

from __future__ import annotations

import functools
import importlib
from importlib import metadata
from typing import Any

#: the name of our dialect -> the distribution
FRAMEWORKS: dict[str, str] = {
    "mmdet": "mmdet",
    "ultralytics": "ultralytics",
    "torchvision": "torchvision",
    "torch": "torch",
    "kornia": "kornia",
    "monai": "monai",
    "smp": "segmentation-models-pytorch",
    "transformers": "transformers",
    "rfdetr": "rfdetr",
    "libreyolo": "libreyolo",
}


def installed(framework: str) -> str | None:
    """The installed version of a framework; None: it is not installed."""
    try:
        return metadata.version(FRAMEWORKS[framework])
    except metadata.PackageNotFoundError:
        return None


def framework_versions() -> dict[str, str]:
    """The installed version of every framework that is installed."""
    found = {name: installed(name) for name in FRAMEWORKS}
    return {name: version for name, version in found.items() if version}


def reached(framework: str, version: str) -> bool:
    """Whether the installed version is this one or newer."""

    def parts(text: str) -> list[int]:
        return [int(part) for part in text.split("+", maxsplit=1)[0].split(".") if part.isdigit()]

    return parts(installed(framework) or "") >= parts(version)


@functools.cache
def located(place: str) -> Any:
    """The object at "module:attribute".

    Raises:
        ImportError: the module cannot be imported.
        AttributeError: the installed version has no such attribute.
    """
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)
