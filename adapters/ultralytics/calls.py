# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is counted of the calls of a slot: those made, those due, and the gradients that came back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class Calls:
    """The calls of one slot in this process.

    Attributes:
        branch_calls: calls of a branch of the criterion in training.
        train_calls: losses computed with gradient.
        val_calls: losses computed without.
        rows: boxes, anchors or masks in the train calls.
        gain: factor on the loss: 1, or the matched one.
        rows_followed: whether `gradient_rows` is of all rows; else of those of some batches.
        detached_calls: train calls on predictions that the criterion has detached.
        norms: mean gradient norm of the stock and of the new loss on the fixed set, where gain is "match".
    """

    branch_calls: int = 0
    train_calls: int = 0
    val_calls: int = 0
    rows: int = 0
    gain: float = 1.0
    norms: tuple[float, float] | None = None
    rows_followed: bool = field(default=True, repr=False)
    detached_calls: int = field(default=0, repr=False)
    _before: dict[str, int] = field(default_factory=dict, repr=False)
    _seen: bool = field(default=False, repr=False)
    _counts: dict[str, Tensor] = field(default_factory=dict, repr=False)
    _of_step: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def expected_calls(self) -> int:
        """Train calls that were due: one for each call of a branch, in the box slot for each with foreground."""
        return self._count("expected")

    @property
    def filled_calls(self) -> int:
        """Train calls on one row or more."""
        return self._count("filled")

    @property
    def gradient_calls(self) -> int:
        """Train calls whose loss received a gradient other than 0."""
        return self._count("gradients")

    @property
    def gradient_rows(self) -> int:
        """Boxes, or masks, to whose prediction the loss sent a gradient other than 0; of anchors, those looked at."""
        return self._count("gradient_rows")

    @property
    def frozen_calls(self) -> int:
        """Calls in training on predictions that take no gradient, as those of frozen layers; on one row or more."""
        return self._count("frozen")

    @property
    def broken_calls(self) -> int:
        """Train calls whose loss was NaN or infinite."""
        return self._count("broken")

    def begin_epoch(self) -> None:
        """What `in_epoch` counts begins again."""
        self._before = {name: self._count(name) for name in (*self._counts, *self._of_step)} | {"rows": self.rows}
        self._seen = False

    def in_epoch(self, name: str) -> int:
        """How many "rows", "filled" calls, "gradients" or "gradient_rows" the epoch has; all where none was begun."""
        return (self.rows if name == "rows" else self._count(name)) - self._before.get(name, 0)

    def _count(self, name: str) -> int:
        return sum(int(counts[name]) for counts in (self._counts, self._of_step) if name in counts)

    def expect(self, due: Tensor) -> None:
        """Count the call of a branch, and the call of the slot that is due if `due`, of 0 dimensions, is true."""
        self.branch_calls += 1
        _add(self._of_step, "expected", due)

    def count(self, loss: Tensor, rows: int, training: bool) -> None:
        """Count a call, and the gradient that comes back to it."""
        if not training:
            self.val_calls += 1
            if torch.is_grad_enabled():
                _add(self._of_step, "frozen", torch.full((), rows > 0, device=loss.device))
            return
        self.train_calls += 1
        self.rows += rows
        total = loss.detach().sum()
        _add(self._of_step, "filled", torch.full_like(total, float(rows > 0)))
        _add(self._counts, "broken", ~total.isfinite())
        self.detached_calls += not loss.requires_grad
        if loss.requires_grad:
            loss.register_hook(self._count_gradient)  # type: ignore[no-untyped-call]

    def follow(self, rows: Tensor) -> None:
        """Count the boxes (n, 4), or masks (n, h, w), to which a gradient comes back."""
        if rows.requires_grad:
            rows.register_hook(self._count_rows)  # type: ignore[no-untyped-call]

    def follow_until_seen(self, rows: Tensor) -> None:
        """As `follow`, for many rows: until one of the epoch got a gradient, which mostly the first batch shows.

        Whether it did is read at the next call, where the host waits: once in an epoch.
        """
        self.rows_followed = False
        self._seen = self._seen or self.in_epoch("gradient_rows") > 0
        if not self._seen:
            self.follow(rows)

    # the counts stay on the device: reading them here would make the host wait in every step

    def _count_gradient(self, gradient: Tensor) -> None:
        _add(self._counts, "gradients", (gradient != 0).any())

    def _count_rows(self, gradient: Tensor) -> None:
        _add(self._counts, "gradient_rows", (gradient != 0).flatten(1).any(1).sum())

    def begin_step(self) -> None:
        """Forget what was due in a step that did not come to its end: out of memory, it begins again."""
        self._of_step.clear()

    def end_step(self) -> None:
        """Keep what was due in this step, and what was done."""
        for name, count in self._of_step.items():
            _add(self._counts, name, count)
        self._of_step.clear()

    def as_dict(self) -> dict[str, Any]:
        """Plain types, as stored in run folder and checkpoint."""
        return {
            "train_calls": self.train_calls,
            "expected_calls": self.expected_calls,
            "val_calls": self.val_calls,
            "rows": self.rows,
            "gradient_calls": self.gradient_calls,
            **({"gradient_rows": self.gradient_rows} if self.rows_followed else {}),
            "gain": self.gain,
            "norms": list(self.norms) if self.norms else None,
        }


def _add(counts: dict[str, Tensor], name: str, more: Tensor) -> None:
    counts[name] = counts[name] + more.long() if name in counts else more.long()
