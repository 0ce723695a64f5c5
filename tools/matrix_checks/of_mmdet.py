"""What works with the installed MMDetection."""

from __future__ import annotations

import warnings

import mmdet
import torch

from loss_plugins.adapters.mmdet.doctor import report
from loss_plugins.parity.compare import parity_of

from .found import Found, of_doctor


def losses() -> str:
    rows = list(parity_of("mmdet", 2000))
    bad = sorted({row.loss for row in rows if not row.ok})
    return "broken: " + ", ".join(bad) if bad else f"ok ({len({row.loss for row in rows})} losses)"


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    found = Found(version=mmdet.__version__, torch=str(torch.__version__))
    found.tried("doctor", lambda: of_doctor(report(None)))
    found.tried("losses", losses)
    found.tell()
