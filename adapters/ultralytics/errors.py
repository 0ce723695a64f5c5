# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is raised when the installed Ultralytics cannot be served."""

from __future__ import annotations

import copyreg
from typing import Any


class LossNotFinite(RuntimeError):
    """A loss, or its gradient, was NaN or infinite in a training with `nan_guard=True`."""


class UnsupportedUltralytics(RuntimeError):
    """A loss cannot be plugged into this installation, model or task with certainty."""

    def __init__(self, reason: str, remedy: str) -> None:
        import ultralytics

        super().__init__(f"ultralytics {ultralytics.__version__}: {reason}. {remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes, as those of Ray, get the whole message, not its parts."""
        return copyreg.__newobj__, (type(self), *self.args)
