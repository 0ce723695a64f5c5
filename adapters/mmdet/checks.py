"""One line of a report: what was tried, whether it went well, and what came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Check = dict[str, Any]


def checked(name: str, action: Callable[[], str]) -> Check:
    """What an action says; what it raises is no failure of the report."""
    try:
        return {"name": name, "ok": True, "detail": action()}
    except Exception as error:  # a broken installation may raise anything: mmdet asserts, mmcv fails to link
        return {"name": name, "ok": False, "detail": f"{type(error).__name__}: {error}"}
