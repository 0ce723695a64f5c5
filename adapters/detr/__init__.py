"""Losses for the criteria of the DETR family, and what other adapters share with it.

`plug(criterion, box="eiou")` replaces the losses of any object with `loss_boxes`, after a comparison with its own.
"""

from __future__ import annotations

from loss_plugins.errors import LossNotUsed

from .asked import LossSpec
from .errors import UnsupportedCriterion
from .plug import Plug, plug, plug_of, unplug
from .report import Report, SlotReport

__all__ = [
    "LossNotUsed",
    "LossSpec",
    "Plug",
    "Report",
    "SlotReport",
    "UnsupportedCriterion",
    "plug",
    "plug_of",
    "unplug",
]
