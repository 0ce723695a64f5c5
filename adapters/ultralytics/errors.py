# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is raised when the installed Ultralytics cannot be served."""

from __future__ import annotations

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
        return told_again, (type(self), self.args)


def told_again(error: type[UnsupportedUltralytics], said: tuple[Any, ...]) -> UnsupportedUltralytics:
    """An error with a message that is whole."""
    return error.__new__(error, *said)


def no_attribute(owner: object, name: str) -> AttributeError:
    """The error for an attribute that there is not; of a callback, which other frameworks take, with what to write."""
    line = 'YOLO("yolo11n.yaml").train(trainer=lpu.trainer("detect", box="eiou"), data="data.yaml")'
    more = f": Ultralytics takes losses by its trainer, not by a callback: {line}" if name == "callback" else ""
    return AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}{more}")
