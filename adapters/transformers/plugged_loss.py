"""What a plugged model calls in the place of its loss function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..detr.losses import Losses
from ..detr.matcher import MatcherPlug
from ..detr.subclass import put_in
from .stock import Stock


class PluggedLoss:
    """The loss function of a model, with other losses in its criterion.

    transformers builds a criterion in each forward pass, so the losses outlive it, here. A copy of the model has
    losses of its own: counts and running statistics begin where those of the original stood. This is no `nn.Module`,
    or `model.loss_function = ...` would make it a part of the model, which computes the stock loss then.

    Args:
        stock: the loss function.
        losses: in the place of the criterion's own.
        matching: what changes in its matcher; None: nothing.
        asked: the arguments of `plug`, in plain types.
        before: what the model and its config had under the names that a plug sets, to be put back.
    """

    def __init__(
        self,
        stock: Stock,
        losses: Losses,
        matching: MatcherPlug | None,
        asked: Mapping[str, Any],
        before: Mapping[str, Any],
    ) -> None:
        self.stock, self.losses, self.matching = stock, losses, matching
        self.asked, self.before = dict(asked), dict(before)
        self.calls = 0
        self._function = stock.with_criterion(self._build)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """What the loss function returns. One call with gradients is one step of the running statistics."""
        self.calls += 1
        if torch.is_grad_enabled():
            self.losses.begin_step()
        return self._function(*arguments, **named)

    def _build(self, *arguments: Any, **named: Any) -> Any:
        """A criterion as the loss function builds it, with the losses in."""
        criterion = self.stock.criterion_class(*arguments, **named)
        put_in(criterion, self.losses)
        if self.matching is not None:
            self.matching.put_in(criterion.matcher)
        return criterion

    def __getstate__(self) -> dict[str, Any]:
        """Without the copy of the function, which does not pickle and is made again."""
        return {name: value for name, value in vars(self).items() if name != "_function"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._function = self.stock.with_criterion(self._build)
