"""What several adapters raise alike."""

from __future__ import annotations


class LossNotUsed(RuntimeError):
    """Training went on without the loss that was asked for."""
