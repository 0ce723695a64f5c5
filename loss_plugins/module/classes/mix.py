"""Weighted sums of losses: the module class."""

from __future__ import annotations

from ..mix import MixLoss as MixLoss
