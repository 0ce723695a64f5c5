# SPDX-License-Identifier: AGPL-3.0-or-later
"""What lies under a dotted name of a module, as another process would find it."""

from __future__ import annotations

import sys
from typing import Any


def found_at(module: str, name: str) -> Any:
    """What a module that is imported has under a name, "mylosses" and "Outer.inner"; None: nothing."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
