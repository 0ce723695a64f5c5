# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the adapter raises when it cannot keep its promise."""

from __future__ import annotations


class UnsupportedUltralytics(RuntimeError):
    """This installation, model or task offers no place where the loss could be plugged in for certain."""

    def __init__(self, reason: str, remedy: str) -> None:
        import ultralytics

        super().__init__(f"ultralytics {ultralytics.__version__}: {reason}. {remedy}")
