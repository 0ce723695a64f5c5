"""What is raised when the losses of a model cannot be replaced."""

from __future__ import annotations

from typing import Any

#: the attribute of a class made here that holds the class which it was made of
STOCK = "loss_plugins_stock"


class UnsupportedModel(RuntimeError):
    """A loss cannot be plugged into this model, or into this version of torchvision, with certainty.

    Args:
        model: the model, or the part of it that this is about.
        found: what was sought there, and what was found.
        remedy: what to do, as an instruction.
    """

    def __init__(self, model: Any, found: str, remedy: str) -> None:
        import torchvision

        name = getattr(type(model), STOCK, type(model)).__name__
        super().__init__(f"{name} (torchvision {torchvision.__version__}): {found}; {remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Other processes get the whole message, not its parts."""
        return _told_again, (type(self), self.args)


def _told_again(error: type[UnsupportedModel], said: tuple[Any, ...]) -> UnsupportedModel:
    return error.__new__(error, *said)
