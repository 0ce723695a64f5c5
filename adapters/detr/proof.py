"""Proof during training: when a few calls have been trained with, each loss has to have been used in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

#: calls of a criterion, trained with, after which a loss that is not used ends the training
PROVEN_AFTER = 8


class Proof:
    """Counts the calls of a criterion that were trained with, until its losses are due to be proven.

    Args:
        after: how many calls; 0: nothing is proven before the end.

    Attributes:
        used: calls from whose results a gradient came back, by now.
        given: whether the losses were proven.
    """

    def __init__(self, after: int = PROVEN_AFTER) -> None:
        self.after = after
        self.used = 0
        self.given = False

    @property
    def due(self) -> bool:
        """Whether the losses have to have been used by now, and nobody has looked yet."""
        return not self.given and 0 < self.after <= self.used

    def follow(self, returned: Any) -> None:
        """Count a call when the first gradient comes back to one of its results: a backward pass has gone through it.

        Args:
            returned: tensors in dicts, lists and tuples.
        """
        if self.given or not self.after:
            return
        call = _Call(self)
        for tensor in tensors_in(returned):
            if tensor.requires_grad:
                tensor.register_hook(call.came_back)  # type: ignore[no-untyped-call]


class _Call:
    """A call, whose results may get several gradients."""

    def __init__(self, proof: Proof) -> None:
        self.proof: Proof | None = proof

    def came_back(self, _: Tensor) -> None:
        """Count the call once."""
        if self.proof is not None:
            self.proof.used += 1
            self.proof = None


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in dicts, lists and tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from tensors_in(each)
