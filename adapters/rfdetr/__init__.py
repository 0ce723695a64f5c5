"""Catalogued losses in RF-DETR's trainer.

with patched(box="eiou") as used:
    RFDETRNano().train(dataset_dir="...", epochs=10)
print(used.report)
"""

from __future__ import annotations

from loss_plugins.errors import LossNotUsed

from ..detr import Plug, Report, UnsupportedCriterion
from ..detr.patched import Patched
from .plug import patched, plug, unplug

__all__ = [
    "LossNotUsed",
    "Patched",
    "Plug",
    "Report",
    "UnsupportedCriterion",
    "patched",
    "plug",
    "unplug",
]
