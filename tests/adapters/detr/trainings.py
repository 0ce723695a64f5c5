"""Trainings with a plug, and what they are compared with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from loss_plugins.adapters.detr import plug

from . import own


def trained(criterion: Any, *given: Any, **named: Any) -> dict[str, Tensor]:
    found: dict[str, Tensor] = criterion(*given, **named)
    sum(loss for name, loss in found.items() if "error" not in name).backward()  # type: ignore[union-attr]
    return found


def expected(build: Any = own.Criterion, **asked: Any) -> dict[str, Tensor]:
    """The losses of a usual criterion with a plug."""
    criterion = build()
    plug(criterion, **asked)
    found: dict[str, Tensor] = criterion(*own.layers())
    return found


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert list(found) == list(wanted)
    for name, loss in wanted.items():
        torch.testing.assert_close(found[name], loss, rtol=1e-9, atol=0, msg=name)
