"""Packages that bring losses: the modules of an entry point, imported at the first look-up that needs them.

    [project.entry-points."loss_plugins.losses"]
    my_losses = "my_losses"

in the `pyproject.toml` of a package says that importing `my_losses` registers losses.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable
from importlib import import_module, metadata

ENTRY_POINTS = "loss_plugins.losses"

_LOADED = threading.Event()
_HERE = threading.local()  # whether this thread is loading them, and so is asked by one of them
_WARNING = threading.Lock()
_WARNED: set[str] = set()


def load_plugins() -> None:
    """Import every module of the entry point, once; a package whose module fails is named in a warning.

    A plugin that looks a loss up while it is imported finds what is there by then. Other threads wait for the imports
    by the locks of Python's import system, which knows how to end a circle of them.
    """
    if _LOADED.is_set() or getattr(_HERE, "loading", False):
        return
    _HERE.loading = True
    try:
        failed = _failures(metadata.entry_points(group=ENTRY_POINTS))
    finally:
        _HERE.loading = False
    _LOADED.set()
    for distribution, causes in failed.items():
        _warn(distribution, "; ".join(causes))


def _failures(points: Iterable[metadata.EntryPoint]) -> dict[str, list[str]]:
    """Import all that can be; the distributions of which something cannot be, and why."""
    failed: dict[str, list[str]] = {}
    for point in points:
        try:
            import_module(point.module)
        except (Exception, SystemExit) as error:  # whatever a module does when it is imported
            distribution = point.name if point.dist is None else point.dist.name
            failed.setdefault(distribution, []).append(f"{point.value}: {type(error).__name__}: {error}")
    return failed


def _warn(distribution: str, causes: str) -> None:
    """Say it once, whichever thread found it first."""
    with _WARNING:
        if distribution in _WARNED:
            return
        _WARNED.add(distribution)
    warnings.warn(
        f"the losses of the package {distribution} are not in the catalogue, as importing them failed: {causes}; "
        f"mend it, or uninstall it: pip uninstall {distribution}",
        stacklevel=2,
    )
