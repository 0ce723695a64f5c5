"""A place of a criterion that takes a loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from loss_plugins import Loss

from .counting import Use


class Slot:
    """A loss in its place.

    Args:
        loss: the module, which learns where it keeps running statistics.

    Attributes:
        gain: factor on the loss beside its own `loss_weight`.
        use: what was computed through it.
        stock: the loss of the criterion that it replaces, as papers call it; "": not known yet.
        probe: the value of the criterion's own loss on fixed outputs, and that of the catalogue's form of it.
        canary: the value of the new loss there, through the live criterion.
        always: whether it is computed in every call of the criterion, also in one without objects.
    """

    name = ""
    always = True

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.gain = 1.0
        self.use = Use()
        self.stock = ""
        self.probe: tuple[float, float] = (0.0, 0.0)
        self.canary = 0.0
        self.norms: tuple[float, float] | None = None

    @property
    def title(self) -> str:
        """The slot and its loss."""
        return f"{self.name} loss {self.loss.entry.name}"

    @property
    def factor(self) -> float:
        """What each row's loss is multiplied by."""
        return self.gain * self.loss.loss_weight

    @property
    def rests(self) -> bool:
        """Whether the loss may be without gradient on every row: no box overlaps its target."""
        return not self.loss.entry.traits.gradient_when_disjoint

    def loss_on(self, device: torch.device) -> Loss:
        """The module, whose numbers lie on a device."""
        first = next(self.loss.buffers(), None)
        if first is not None and first.device != device:
            with torch.inference_mode(False):  # a training may follow on the validation in which they are moved
                self.loss.to(device)
        return self.loss

    @contextmanager
    def set_apart(self) -> Iterator[None]:
        """Calls that are no training: nothing is counted or learnt."""
        use, training = self.use, self.loss.training
        self.use = Use()
        self.loss.eval()
        try:
            yield
        finally:
            self.use = use
            self.loss.train(training)


def at_least_single(tensor: Tensor) -> Tensor:
    """The tensor in float32, or in float64 if it is: corners are differences, which half precision rounds away."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
