"""LibreYOLO as it is installed: imported when it is needed, with the command that installs it where it is not."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

COMMAND = 'pip install "loss-plugins[libreyolo]"'


def framework(name: str) -> ModuleType:
    """A module of LibreYOLO.

    Raises:
        ModuleNotFoundError: it, or a package that it needs, is not installed; the message says how to.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        said = f"the LibreYOLO adapter needs {name}: {error}. Install it: {COMMAND}"
        raise ModuleNotFoundError(said, name=error.name) from error
