"""Whether MMRotate can be imported beside the installed MMDetection and mmcv."""

from __future__ import annotations

import importlib
from importlib.metadata import version

import torch

from .found import Found


def imported() -> str:
    importlib.import_module("mmrotate")
    return "ok"


if __name__ == "__main__":
    found = Found(version=version("mmrotate"), torch=str(torch.__version__))
    found.tried("import", imported)
    found.tell()
