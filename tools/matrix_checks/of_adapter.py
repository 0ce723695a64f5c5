"""What works with an installed framework: its adapter's doctor plugs a loss into whatever it serves.

python -m tools.matrix_checks.of_adapter rfdetr
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module, metadata

from .found import Found, of_places


def examined(framework: str) -> Found:
    """What the doctor of an adapter finds: how many places are served, and each that is not.

    Args:
        framework: the package, which is called as its adapter.
    """
    found = Found(version=metadata.version(framework), torch=metadata.version("torch"))
    found.tried("doctor", lambda: of_places(import_module(f"loss_plugins.adapters.{framework}.doctor").report()))
    return found


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    examined(sys.argv[1]).tell()
