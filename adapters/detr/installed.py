"""A framework as it is installed: imported when it is needed, with the command that installs it where it is not."""

from __future__ import annotations

from importlib import import_module, metadata
from types import ModuleType

import torch

from loss_plugins.version import __version__


def framework(name: str) -> ModuleType:
    """A module of a framework whose adapter and extra are called as its package.

    Args:
        name: "rfdetr.models.matcher".

    Raises:
        ModuleNotFoundError: it, or a package that it needs, is not installed; the message says how to.
    """
    package = name.partition(".")[0]
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        remedy = f'Install it: pip install "loss-plugins[{package}]"'
        said = f"the {package} adapter needs {name}: {error}. {remedy}"
        raise ModuleNotFoundError(said, name=error.name) from error


def versions(package: str) -> dict[str, str]:
    """What losses depend on: this package, torch, and that of a framework."""
    return {"loss_plugins": __version__, "torch": str(torch.__version__), package: metadata.version(package)}
