"""What is raised when the losses of a criterion cannot be replaced."""

from __future__ import annotations

from typing import Any

#: what the names of classes made here begin with; errors name the class that they are made of
PREFIX = "Plugged"


class UnsupportedCriterion(RuntimeError):
    """A loss cannot be plugged into this criterion with certainty.

    Args:
        criterion: which one.
        found: what was sought there, and what was found.
        remedy: what to do, as an instruction.
    """

    def __init__(self, criterion: Any, found: str, remedy: str) -> None:
        super().__init__(f"{type(criterion).__name__.removeprefix(PREFIX)}: {found}; {remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes get the whole message, not its parts."""
        return _told_again, (type(self), self.args)


def _told_again(error: type[UnsupportedCriterion], said: tuple[Any, ...]) -> UnsupportedCriterion:
    return error.__new__(error, *said)
