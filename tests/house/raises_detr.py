"""What each "Raises" of what adapters share says, and a call for each condition."""

from __future__ import annotations

from loss_plugins.adapters.detr.rebound import rebound
from tests.house.raises_core import Table, plain

DETR: Table = {
    ("adapters/detr/rebound.py::rebound", "TypeError"): {
        "it is no function written in Python": lambda *_: rebound(len, plain=1),
    },
    ("adapters/detr/rebound.py::rebound", "ValueError"): {
        "the function does not read a global of that name": lambda *_: rebound(plain, nothing=1),
    },
}
