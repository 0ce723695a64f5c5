"""Counting the calls of a class of a user's own whose `forward` or `compute` does not come to the place that counts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .naming import is_ours

RUNS = ("forward", "compute", "call_core")


def count_from_outside(loss: nn.Module) -> None:
    """Count each call in which the loss has not counted itself, where a user's class runs code of its own."""
    owners = [next(cls for cls in type(loss).__mro__ if name in vars(cls)) for name in RUNS]
    if not all(map(is_ours, owners)):
        loss.register_forward_pre_hook(_entering)
        loss.register_forward_hook(_leaving, with_kwargs=True)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _entering(loss: Any, arguments: tuple[Any, ...]) -> None:
    loss.calls_before = loss.calls


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _leaving(loss: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], result: Any) -> None:
    if loss.calls == loss.calls_before and torch.is_grad_enabled():
        pred = keywords.get("pred", arguments[0] if arguments else None)
        loss.count(len(pred) if isinstance(pred, Tensor) and pred.ndim else 0, learns=False)
