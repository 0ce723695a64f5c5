"""Losses for the DETR-like models of transformers, with proof that they are the ones trained.

from loss_plugins.adapters.transformers import plug

plugged = plug(model, box="eiou")
Trainer(model, args, ..., callbacks=[plugged.callback()]).train()
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("transformers") is None:
    raise ImportError('the transformers adapter needs transformers: pip install "loss-plugins[transformers]"')

from loss_plugins.errors import LossNotUsed

from ..detr import Report, SlotReport, UnsupportedCriterion
from .plug import Plug, plug, plug_again, plug_of, unplug

__all__ = [
    "LossNotUsed",
    "Plug",
    "Report",
    "SlotReport",
    "UnsupportedCriterion",
    "plug",
    "plug_again",
    "plug_of",
    "unplug",
]
