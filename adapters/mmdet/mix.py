"""A weighted sum of losses whose members a config names as it names any other loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loss_plugins.registry import ADAPTER

from .modules import BoxLoss, PluggedLoss


class PluggedMix(BoxLoss):
    """`mix` behind MMDetection's call contract.

    Args:
        reduction: "none", "mean" or "sum".
        loss_weight: factor on the result, applied last.
        losses: names or dicts with `type`, parameters and `loss_weight`; a type is the name of a loss ("ciou") or of a
            class ("CIoULoss"), either with or without its scope, or, as in pure-Python configs, the class itself or its
            full path.
        **parameters: none; an error names what came.
    """

    def __init__(
        self,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        *positional: Any,
        losses: Any = None,
        **parameters: Any,
    ) -> None:
        given = parameters if losses is None else {"losses": _named(losses), **parameters}
        super().__init__(reduction, loss_weight, *positional, **given)


def _named(value: Any) -> Any:
    """The members, those of a mix among them included, with types that the catalogue knows; the rest as it came."""
    if isinstance(value, (list, tuple)):
        return [_named(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _named(each) if key in ("type", "losses") else each for key, each in value.items()}
    if isinstance(value, str):
        return value.removeprefix(f"{ADAPTER}.")
    return value.entry.name if isinstance(value, type) and issubclass(value, PluggedLoss) else value
