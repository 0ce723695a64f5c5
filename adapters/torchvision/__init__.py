"""Train torchvision's detectors with a catalogued loss, with proof that it is the one trained.

from torchvision.models.detection import fcos_resnet50_fpn
from loss_plugins.adapters.torchvision import plug

model = fcos_resnet50_fpn(num_classes=91)
with plug(model, box="eiou") as losses:
    train(model)  # your own loop; leaving raises LossNotUsed if the loss did not train
print(losses.report)
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("torchvision") is None:
    raise ImportError('the torchvision adapter needs torchvision: pip install "loss-plugins[torchvision]"')

from loss_plugins.errors import LossNotUsed

from ..detr.report import Report, SlotReport
from .errors import UnsupportedModel
from .plug import Plug, plug, unplug

__all__ = ["LossNotUsed", "Plug", "Report", "SlotReport", "UnsupportedModel", "plug", "unplug"]
