"""Catalogued losses in LibreYOLO's trainers.

with patched(box="eiou") as used:
    LibreYOLO("LibreYOLO9t.pt").train(data="coco8.yaml", epochs=10)
print(used.report)
"""

from loss_plugins.errors import LossNotUsed as LossNotUsed

from ..detr import Plug as Plug
from ..detr import Report as Report
from ..detr import UnsupportedCriterion as UnsupportedCriterion
from ..detr.patched import Patched as Patched
from .dense import DensePlug as DensePlug
from .plug import patched as patched
from .plug import plug as plug
from .plug import unplug as unplug
