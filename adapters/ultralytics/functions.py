# SPDX-License-Identifier: AGPL-3.0-or-later
"""What functions of a user's own compute, as record and stamp hold it: two may have one name, and one two names.

What a function calls by a global name is not in it, see `catalog.identity`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from loss_plugins import Loss

from .slots import Slot

#: by the name of a loss: where its function is, the release of Python that compiled it, and a digest of what it does
Functions = dict[str, dict[str, str]]


def functions_of(slots: Iterable[Slot]) -> Functions:
    """The functions of a user's own in the slots, those in a mix too, in plain types."""
    losses = (each for slot in slots for each in slot.prototype.modules() if isinstance(each, Loss))
    return {loss.entry.name: _told(loss) for loss in losses if loss.entry.identity.digest}


def _told(loss: Loss) -> dict[str, str]:
    identity = loss.entry.identity
    python = ".".join(map(str, identity.python))
    return {"function": identity.place, "python": python, "digest": identity.digest}


def renamed(losses: Mapping[str, Any], trained: Mapping[str, Any], now: Functions) -> dict[str, Any]:
    """The losses of a record, each of a user's own by the name that its function has now.

    Args:
        losses: the record's, see `Spec.as_dict`.
        trained: its functions.
        now: those of the losses asked for.
    """
    today = {(each["python"], each["digest"]): name for name, each in now.items()}
    names = {name: today.get((each["python"], each["digest"]), name) for name, each in trained.items()}

    def of(value: Any) -> Any:
        if isinstance(value, Mapping):
            named = {key: of(each) for key, each in value.items()}
            return {**named, "type": names.get(named["type"], named["type"])} if "type" in named else named
        return [of(each) for each in value] if isinstance(value, (list, tuple)) else value

    return {slot: of(loss) if isinstance(loss, Mapping) else loss for slot, loss in losses.items()}


def changed(trained: Mapping[str, Any], now: Functions) -> list[str]:
    """What functions of one name have changed, in words; of two releases of Python, nothing can be told."""
    known = {(each["python"], each["digest"]) for each in trained.values()}
    return [
        f"the function {after['function']} computes something else than {trained[name]['function']} did that trained it"
        for name, after in now.items()
        if name in trained
        and trained[name]["python"] == after["python"]
        and (after["python"], after["digest"]) not in known
    ]
