"""Catalogued losses in LibreYOLO's trainers.

with patched(box="eiou") as used:
    LibreYOLO("LibreYOLO9t.pt").train(data="coco8.yaml", epochs=10)
print(used.report)
"""

from __future__ import annotations

from loss_plugins.errors import LossNotUsed

from ..detr import Plug, Report, UnsupportedCriterion
from ..detr.patched import Patched
from .dense import DensePlug
from .plug import patched, plug, unplug

__all__ = [
    "DensePlug",
    "LossNotUsed",
    "Patched",
    "Plug",
    "Report",
    "UnsupportedCriterion",
    "patched",
    "plug",
    "unplug",
]
