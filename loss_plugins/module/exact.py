"""Buffers that follow their module from device to device and keep their precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class ExactBuffers(nn.Module):
    """A module of float64 buffers that `.to(device)` moves and that `.half()` and other casts leave as they are.

    The steps of a running mean are smaller than the last digit of half precision: rounded, it would stand still.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ExactBuffers:
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = moved(buffer, fn)
        return self


def moved(buffer: Tensor, fn: Callable[[Tensor], Any]) -> Tensor:
    """The buffer where `fn` would put it, without the cast that `fn` may make; float32 on MPS, which has no float64."""
    device = fn(torch.empty(0, device=buffer.device)).device
    exact = buffer.float() if device.type == "mps" else buffer
    result: Tensor = fn(exact)
    return result if result.dtype == exact.dtype else exact.to(result.device)
