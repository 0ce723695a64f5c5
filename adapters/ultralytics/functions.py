# SPDX-License-Identifier: AGPL-3.0-or-later
"""What functions of a user's own compute, as record and stamp hold it: two may have one name, and one two names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from loss_plugins import Loss

from .slots import Slot

Functions = dict[str, list[dict[str, str]]]


def functions_of(slots: Iterable[Slot]) -> Functions:
    """By slot, place and digest of each function of a user's own, those of a mix too, in plain types."""
    found = {slot.name: [_told(each) for each in _losses(slot) if each.entry.identity.digest] for slot in slots}
    return {name: functions for name, functions in found.items() if functions}


def _losses(slot: Slot) -> list[Loss]:
    return [each for each in slot.prototype.modules() if isinstance(each, Loss)]


def _told(loss: Loss) -> dict[str, str]:
    identity = loss.entry.identity
    python = ".".join(map(str, identity.python))
    return {"function": identity.place, "python": python, "digest": identity.digest}


def unchanged(trained: Mapping[str, Any], now: Functions) -> set[str]:
    """The slots whose functions compute what those of the record did, whatever they are called."""
    return {name for name, functions in now.items() if _digests(trained.get(name, ())) == _digests(functions)}


def changed(trained: Mapping[str, Any], now: Functions) -> list[str]:
    """What has changed, in words; of two releases of Python, whose instructions differ, nothing can be told."""
    found = []
    for name, functions in now.items():
        for before, after in zip(trained.get(name, ()), functions, strict=False):
            if before["python"] == after["python"] and before["digest"] != after["digest"]:
                what = f"the function {after['function']} computes something else"
                found.append(f"{name}: {what} than {before['function']} did that trained it")
    return found


def _digests(functions: Iterable[Mapping[str, str]]) -> list[tuple[str, str]]:
    return [(each["python"], each["digest"]) for each in functions]
