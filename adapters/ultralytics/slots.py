# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the box slot and the class slot have in common: counted calls, one loss per branch, a matched gain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from loss_plugins import Loss
from loss_plugins.errors import LossNotUsed

BranchIndex = Callable[[object], "int | None"]
State = dict[str, dict[str, Any]]


@dataclass
class Calls:
    """What one slot saw in this process.

    Attributes:
        train_calls: losses computed with gradient.
        val_calls: losses computed without.
        rows: boxes (or anchors) in the train calls.
        gain: factor on the loss: 1, or the matched one once it is known.
        norms: mean gradient norm per row of the stock and of the new loss, where gain is "match".
    """

    train_calls: int = 0
    val_calls: int = 0
    rows: int = 0
    gain: float = 1.0
    norms: tuple[float, float] | None = None
    _gradients: Tensor | None = field(default=None, repr=False)

    @property
    def gradient_calls(self) -> int:
        """Train calls whose loss received a gradient other than 0."""
        return 0 if self._gradients is None else int(self._gradients)

    def count(self, loss: Tensor, rows: int, training: bool) -> None:
        """Count a call, and the gradient that comes back to it."""
        if not training:
            self.val_calls += 1
            return
        self.train_calls += 1
        self.rows += rows
        loss.register_hook(self._saw_gradient)  # type: ignore[no-untyped-call]

    def _saw_gradient(self, gradient: Tensor) -> None:
        # stays on the device: no sync with the host until somebody asks
        arrived = (gradient != 0).any().long()
        self._gradients = arrived if self._gradients is None else self._gradients + arrived

    def as_dict(self) -> dict[str, Any]:
        """Plain types, as stored in run folder and checkpoint."""
        return {
            "train_calls": self.train_calls,
            "val_calls": self.val_calls,
            "rows": self.rows,
            "gradient_calls": self.gradient_calls,
            "gain": self.gain,
            "norms": list(self.norms) if self.norms else None,
        }


class Hook:
    """One slot ("box" or "cls") with the loss that was asked for."""

    def __init__(self, slot: str, build: Callable[[], Loss], match_gain: bool, branch_index: BranchIndex) -> None:
        self.slot = slot
        self.calls = Calls()
        self.prototype = build()
        self.name = self.prototype.entry.name
        self.matched = not match_gain
        self._build = build
        self._branch_index = branch_index
        self._shared: dict[int, Loss] = {}
        self._own: WeakKeyDictionary[Any, Loss] = WeakKeyDictionary()

    def loss_of(self, branch: Any, device: torch.device) -> Loss:
        """The loss of one criterion branch.

        Branches never share a running statistic, but the same branch of the model and of its EMA copy do, so that
        validation uses what training has learnt.
        """
        if branch not in self._own:
            index = self._branch_index(branch)
            self._own[branch] = self._build() if index is None else self._shared.setdefault(index, self._build())
        loss = self._own[branch]
        return loss.to(device) if loss.states else loss

    def state(self) -> State:
        """Running statistics by branch, in plain types."""
        return {
            str(index): {name: getattr(loss, name).tolist() for name in loss.states}
            for index, loss in self._shared.items()
            if loss.states
        }

    def restore(self, state: State, calls: dict[str, Any]) -> None:
        """Go on with the statistics and the gain of an earlier run."""
        for index, values in state.items():
            loss = self._shared.setdefault(int(index), self._build())
            for name, value in values.items():
                buffer = getattr(loss, name)
                buffer.copy_(torch.tensor(value, dtype=buffer.dtype))
        if not self.matched and calls["norms"]:
            self.calls.gain, self.calls.norms = calls["gain"], tuple(calls["norms"])
            self.matched = True

    @torch.no_grad()
    def average_state(self) -> None:
        """Give all processes the mean of their running statistics."""
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return
        for _, loss in sorted(self._shared.items()):
            for name in loss.states:
                value = getattr(loss, name)
                torch.distributed.all_reduce(value)
                value /= torch.distributed.get_world_size()

    def require_use(self) -> None:
        """Raise LossNotUsed unless the loss was called in training and moved the gradient."""
        if self.calls.train_calls == 0:
            raise LossNotUsed(
                f"the {self.slot} loss {self.name} was never called during training: the stock loss was trained"
            )
        if self.calls.gradient_calls == 0:
            raise LossNotUsed(
                f"the {self.slot} loss {self.name} was computed {self.calls.train_calls} times, but no gradient came "
                f"back from it: it is logged, not trained (is the {self.slot} gain 0, or the loss outside of the sum?)"
            )

    def match(self, stock: Callable[[Tensor], Tensor], pred: Tensor, ours: Callable[[Tensor], Tensor]) -> None:
        """Set the gain so that both losses pull equally hard on these predictions, over all processes."""
        sums = torch.stack([_gradient_sum(stock, pred), _gradient_sum(ours, pred), pred.new_tensor(float(len(pred)))])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
        stock_sum, our_sum, rows = sums.tolist()
        if rows == 0 or our_sum == 0:
            return  # nothing that this loss pulls on: try again with the next batch
        self.matched = True
        self.calls.gain = stock_sum / our_sum
        self.calls.norms = (stock_sum / rows, our_sum / rows)
        log(
            f"{self.slot} gain matched: gradient norm {self.calls.norms[0]:.4g} (stock) against "
            f"{self.calls.norms[1]:.4g} ({self.name}), so the loss is multiplied by {self.calls.gain:.4g}"
        )


def _gradient_sum(loss: Callable[[Tensor], Tensor], pred: Tensor) -> Tensor:
    leaf = pred.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf)
    total: Tensor = gradient.norm(dim=-1).sum()
    return total


def log(text: str) -> None:
    """One line in the trainer's style."""
    from ultralytics.utils import LOGGER, colorstr

    LOGGER.info(f"{colorstr('loss_plugins:')} {text}")
