"""Catalogued losses in MMDetection configs: `loss_bbox=dict(type='loss_plugins.EIoULoss')`.

custom_imports = dict(imports=['loss_plugins.adapters.mmdet'], allow_failed_imports=False)
default_hooks = dict(loss_plugins=dict(type='loss_plugins.LossPluginsHook'))

Importing this package registers every catalogued loss under the scope `loss_plugins`; the hook comes on demand. Each
is also an attribute here (`from loss_plugins.adapters.mmdet import EIoULoss`), for pure-Python configs.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from .install import MISSING_MMENGINE

HOOK_NAMES = ("LossNotUsed", "LossPluginsHook")

if find_spec("mmengine") is not None:
    from loss_plugins.registry import HOOKS, LOSSES

    from .modules import PluggedLoss, SenselessSlot
    from .registration import register, register_all, unknown
    from .slots import LossSlot, find_losses

    __all__ = [
        "HOOKS",
        "LOSSES",
        "LossSlot",
        "PluggedLoss",
        "SenselessSlot",
        "find_losses",
        "register",
        "register_all",
        "unknown",
    ]


def __getattr__(name: str) -> Any:
    """The hook, or the class of a catalogued loss, those registered later included."""
    if name.startswith("_"):
        raise AttributeError(name)
    if find_spec("mmengine") is None:
        raise ImportError(MISSING_MMENGINE)
    if name in HOOK_NAMES:  # on demand: MMEngine's hooks import OpenCV, which losses do without
        from . import hook

        return getattr(hook, name)
    found = register(name)
    if found is None or found.__name__ != name:  # the name of a loss, which may be that of a file here
        raise AttributeError(f"{__name__}: {unknown(name)}")
    return found


if find_spec("mmengine") is not None:
    register_all()  # last, as packages that bring losses are imported for it, and may import this one
