"""Build a loss module from a name or a spec."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from ..catalog.entries import get_entry
from .loss import CLASSES, Loss


def module_class(name: str) -> type[Loss]:
    """The `nn.Module` class of a loss; one that has none, as a user's own, gets it here."""
    entry = get_entry(name)
    for cls in CLASSES.values():
        if cls.entry is entry:
            return cls
    camel = "".join(part.capitalize() for part in entry.name.split("_")) + "Loss"
    return type(camel, (Loss,), {"__reduce_ex__": _reduce_by_name}, name=entry.name)


def build_loss(spec: str | Mapping[str, Any], **parameters: Any) -> Loss:
    """Build a loss module.

    Args:
        spec: a name (`"ciou"`, `"CIoULoss"`) or a dict with `type` and parameters.
        **parameters: parameters; they win over the dict's.

    Raises:
        ValueError: unknown loss, or a parameter out of range.
        TypeError: unknown parameter, or a spec that is neither name nor dict.

    >>> build_loss({"type": "EIoULoss", "loss_weight": 2.0})
    EIoULoss(reduction='mean', loss_weight=2.0)
    """
    if isinstance(spec, str):
        return module_class(spec)(**parameters)
    if not isinstance(spec, Mapping):
        raise TypeError(f"build_loss: spec must be a name or a dict with 'type', got {type(spec).__name__}")
    if "type" not in spec:
        raise TypeError(f"build_loss: spec {dict(spec)!r} has no 'type'; add the name of a loss")
    merged = {**{key: value for key, value in spec.items() if key != "type"}, **parameters}
    return module_class(str(spec["type"]))(**merged)


def _reduce_by_name(self: Loss, protocol: typing.SupportsIndex) -> tuple[Any, ...]:
    # the class was made by `module_class` and cannot be imported; the catalogue finds it again
    return _restore, (self.entry.name,), self.__getstate__()


def _restore(name: str) -> Loss:
    cls = module_class(name)
    return cls.__new__(cls)
