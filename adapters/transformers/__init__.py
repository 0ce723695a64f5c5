"""Losses for the DETR-like models of transformers, with proof that they are the ones trained.

from loss_plugins.adapters.transformers import plug

plugged = plug(model, box="eiou")
Trainer(model, args, ..., callbacks=[plugged.callback()]).train()
"""

from importlib.util import find_spec

if find_spec("transformers") is None:
    raise ImportError('the transformers adapter needs transformers: pip install "loss-plugins[transformers]"')

from loss_plugins.errors import LossNotUsed as LossNotUsed

from ..detr import Report as Report
from ..detr import SlotReport as SlotReport
from ..detr import UnsupportedCriterion as UnsupportedCriterion
from .plug import Plug as Plug
from .plug import plug as plug
from .plug import plug_again as plug_again
from .plug import plug_of as plug_of
from .plug import unplug as unplug
