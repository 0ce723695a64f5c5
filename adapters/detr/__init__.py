"""Losses for the criteria of the DETR family, and what other adapters share with it.

`plug(criterion, box="eiou")` replaces the losses of any object with `loss_boxes`, after a comparison with its own.
"""

from .asked import LossSpec as LossSpec
from .errors import UnsupportedCriterion as UnsupportedCriterion
from .plug import Plug as Plug
from .plug import plug as plug
from .plug import plug_of as plug_of
from .plug import unplug as unplug
from .report import Report as Report
from .report import SlotReport as SlotReport
