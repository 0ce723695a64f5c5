# SPDX-License-Identifier: AGPL-3.0-or-later
"""One call of `BboxLoss.forward`, as both of its slots see it: where the foreground is, is looked up once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from torch import Tensor


class BranchCall:
    """The arguments of a call by name, and its foreground.

    Args:
        arguments: of `BboxLoss.forward`.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = arguments

    def __getitem__(self, name: str) -> Any:
        return self._arguments[name]

    @cached_property
    def foreground(self) -> tuple[Tensor, ...]:
        """Indices of image and anchor point of each row; by a mask, each indexing would wait for the device."""
        found: tuple[Tensor, ...] = self["fg_mask"].nonzero(as_tuple=True)
        return found

    @cached_property
    def weight(self) -> Tensor:
        """Of each row (n,), the sum of its target scores."""
        found: Tensor = self["target_scores"][self.foreground].sum(-1)
        return found

    @cached_property
    def cell(self) -> Tensor:
        """Side of each row's grid cell (n, 1) in pixels."""
        found: Tensor = self["stride"].float().expand(*self["fg_mask"].shape, 1)[self.foreground]
        return found

    def rows(self, name: str) -> Tensor:
        """An argument of the foreground, in float32."""
        found: Tensor = self[name][self.foreground].float()
        return found

    def image_of(self, row: int) -> int:
        """The image that a row is of."""
        return int(self.foreground[0][row])
