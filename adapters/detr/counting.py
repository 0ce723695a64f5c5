"""What was computed through a plugged loss: calls, rows, and the gradients that came back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from loss_plugins.errors import LossNotUsed


@dataclass
class Use:
    """The calls of one plugged loss in this process.

    Counts that depend on values stay on the device until they are read: no call makes the host wait.

    Attributes:
        calls: losses computed on predictions that learn.
        val_calls: losses computed without gradients, as in a validation.
        frozen_calls: losses computed in training on predictions that take no gradient, as those of frozen layers.
        rows: rows in `calls`: boxes of a box loss, queries or anchors of a class loss.
    """

    calls: int = 0
    val_calls: int = 0
    frozen_calls: int = 0
    rows: int = 0
    _counts: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def gradient_calls(self) -> int:
        """Calls whose loss received a gradient other than 0."""
        return self._count("calls")

    @property
    def gradient_rows(self) -> int:
        """Rows to whose prediction the loss sent a gradient other than 0."""
        return self._count("rows")

    def _count(self, name: str) -> int:
        return int(self._counts[name]) if name in self._counts else 0

    def count(self, loss: Tensor, rows: Tensor) -> None:
        """Count a call, and the gradients that come back to it.

        Args:
            loss: what the call returns.
            rows: the predictions that it was computed from, rows first, before anything else is computed from them.
        """
        if not torch.is_grad_enabled():
            self.val_calls += 1
        elif not loss.requires_grad:
            self.frozen_calls += 1
        else:
            self.calls += 1
            self.rows += len(rows)
            loss.register_hook(self._received)  # type: ignore[no-untyped-call]

    def follow(self, rows: Tensor) -> Tensor:
        """The predictions, of which those are counted that get a gradient other than 0 from this loss alone."""
        if not (torch.is_grad_enabled() and rows.requires_grad):
            return rows
        apart = rows.view_as(rows)  # another loss may be computed from the same rows
        apart.register_hook(self._returned)  # type: ignore[no-untyped-call]
        return apart

    def _received(self, gradient: Tensor) -> None:
        self._add("calls", (gradient != 0).any())

    def _returned(self, gradient: Tensor) -> None:
        self._add("rows", (gradient != 0).flatten(1).any(1).sum())

    def _add(self, name: str, more: Tensor) -> None:
        more = more.long()
        self._counts[name] = self._counts[name].to(more.device) + more if name in self._counts else more

    def require(self, what: str, trained: int, rests: bool = False) -> None:
        """Raise unless the loss was computed wherever it was due, and something learnt from it.

        Args:
            what: the loss in words, "the box loss eiou".
            trained: calls of the criterion, or of the model, on predictions that learn.
            rests: the loss may be without gradient on every row, as where no box overlaps its target.

        Raises:
            LossNotUsed: it was not.
        """
        if trained and not self.calls + self.frozen_calls:
            raise LossNotUsed(f"{what} was never called in {trained} training calls: another loss was trained")
        if self.frozen_calls and not self.calls:
            raise LossNotUsed(f"{what} was computed on predictions that take no gradient: it was logged, not trained")
        if self.rows and self.gradient_calls and not self.gradient_rows and not rests:
            raise LossNotUsed(f"{what} sent no gradient to any of its {self.rows} rows: it was logged, not trained")
        if self.rows and not self.gradient_calls:
            raise LossNotUsed(
                f"{what} was computed on {self.rows} rows and received no gradient: was backward() called, and is its "
                "weight in the total loss above 0?"
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers; reading them waits for the device."""
        return {
            "calls": self.calls,
            "val_calls": self.val_calls,
            "rows": self.rows,
            "gradient_calls": self.gradient_calls,
            "gradient_rows": self.gradient_rows,
        }
