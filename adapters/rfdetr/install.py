"""RF-DETR as it is installed: imported when it is needed, with the command that installs it where it is not."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

COMMAND = 'pip install "loss-plugins[rfdetr]"'


def framework(name: str) -> ModuleType:
    """A module of RF-DETR.

    Raises:
        ModuleNotFoundError: it, or a package that its training needs, is not installed; the message says how to.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        said = f"the RF-DETR adapter needs {name}: {error}. Install it: {COMMAND}"
        raise ModuleNotFoundError(said, name=error.name) from error
