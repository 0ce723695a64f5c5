"""Errors that every adapter raises."""

from __future__ import annotations


class LossNotUsed(RuntimeError):
    """Training did not use the loss that was asked for."""
