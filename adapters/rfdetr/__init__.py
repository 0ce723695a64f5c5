"""Catalogued losses in RF-DETR's trainer.

with patched(box="eiou") as used:
    RFDETRNano().train(dataset_dir="...", epochs=10)
print(used.report)
"""

from loss_plugins.errors import LossNotUsed as LossNotUsed

from ..detr import Plug as Plug
from ..detr import Report as Report
from ..detr import UnsupportedCriterion as UnsupportedCriterion
from ..detr.patched import Patched as Patched
from .plug import patched as patched
from .plug import plug as plug
from .plug import unplug as unplug
