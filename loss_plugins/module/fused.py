"""What a catalogue entry says, as `fusion.fuse` wants it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..catalog.entries import Entry, is_shipped
from ..catalog.results import called
from ..errors import refusal
from ..fusion import fuse
from ..tensors import Target

if TYPE_CHECKING:
    from ..fusion import Fused


def fused_loss(entry: Entry, fixed: Mapping[str, Any], dialect: str | None, compiled: bool) -> Fused | None:
    """Value and gradient of a catalogued loss in one go; None for a dialect that is to round as its framework does.

    Args:
        entry: the loss.
        fixed: keywords that never change, as the function takes them.
        dialect: the framework whose convention the loss follows.
        compiled: by machine code.
    """
    from ..samples import trial_pairs  # the samples too are loaded when the first loss is built

    if dialect is not None and not compiled:
        return None
    shipped = is_shipped(entry.function)
    return fuse(
        entry.function,
        functools.partial(trial_pairs, entry.kind, labelled=entry.targets in (("class_map",), ("labels",))),
        per_row=entry.kind in ("box", "rotated_box", "quad"),
        plain=functools.partial(_called, entry),
        fixed=fixed,
        name=entry.name,
        pure=entry.pure,
        labels=entry.kind == "classification",
        compiled=compiled,
        tell=not shipped,
        finite=shipped,
    )


def check_statistics_fit(entry: Entry, statistics: Mapping[str, Tensor]) -> None:
    """Raise for running statistics that machine code cannot read: it takes one number, or one per class of pred."""
    for name, value in statistics.items():
        if value.ndim:
            came = f"compile=True does not serve this loss: its running statistic {name!r} is several numbers"
            raise refusal(entry.name, came, "losses whose running statistics are one number each", "leave compile out")


def _called(entry: Entry, pred: Tensor, target: Target, /, **arguments: Any) -> Any:
    return called(entry, entry.function, {"pred": pred, "target": target}, arguments)
