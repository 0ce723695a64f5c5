"""What is raised when the losses of a criterion cannot be replaced."""

from __future__ import annotations

from typing import Any

#: the attribute of a class made for a plug that holds the class which it was made of
STOCK = "loss_plugins_stock"


class UnsupportedCriterion(RuntimeError):
    """A loss cannot be plugged into this criterion with certainty.

    Args:
        criterion: which one.
        found: what was sought there, and what was found.
        remedy: what to do, as an instruction.
        version: of its framework, after a space; "": it does not matter.
    """

    def __init__(self, criterion: Any, found: str, remedy: str, version: str = "") -> None:
        name = getattr(type(criterion), STOCK, type(criterion)).__name__
        super().__init__(f"{name}{version}: {found}; {remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes get the whole message, not its parts."""
        return _told_again, (type(self), self.args)


def _told_again(error: type[UnsupportedCriterion], said: tuple[Any, ...]) -> UnsupportedCriterion:
    return error.__new__(error, *said)
