"""How this package says what is wrong: one style for all errors, and the errors that every adapter raises.

A message names the loss (or the function), the argument, what came, what is allowed, and the remedy:

    ciou: eps='x' is out of range; allowed: (0, 0.01]; leave it out for its default None
"""

from __future__ import annotations

from typing import Any, TypeVar

from torch import Tensor

Error = TypeVar("Error", bound=Exception)
#: characters of a value that a message shows
SHOWN = 100


class LossNotUsed(RuntimeError):
    """Training did not use the loss that was asked for."""


def refusal(
    where: str,
    came: str,
    allowed: object,
    remedy: str,
    error: type[Error] = ValueError,  # type: ignore[assignment]
) -> Error:
    """The exception to raise for an argument that is not taken.

    Args:
        where: the loss, or the public function that was called.
        came: the argument and what came for it: "eps='x' is out of range".
        allowed: what is taken.
        remedy: what to do, as an instruction.
        error: the type of the exception.

    >>> print(refusal("ciou", "eps=2.0 is out of range", "(0, 0.01]", "leave it out for its default None"))
    ciou: eps=2.0 is out of range; allowed: (0, 0.01]; leave it out for its default None
    """
    return error(f"{where}: {came}; allowed: {allowed}; {remedy}")


def shown(value: Any) -> str:
    """A value as messages show it: tensors by shape and dtype, as reading them may wait for a device; the rest cut.

    >>> shown("exp")
    "'exp'"
    """
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and dtype {value.dtype}"
    text = " ".join(repr(value).split())
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
