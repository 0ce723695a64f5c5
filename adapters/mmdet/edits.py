"""Changes of a model's config, applied to a copy and kept as they are to be written down."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from .keys import inside
from .remedies import Changes, Same

ROOT = "model"


class Edited:
    """A copy of a model's config, and what was changed of it.

    Attributes:
        config: the copy, as changed.
        changes: config keys to values; a dict is a loss that replaces the one that was there.
    """

    def __init__(self, config: Any) -> None:
        self.config = copy.deepcopy(config)
        self.changes: dict[str, Any] = {}

    def apply(self, changes: Changes) -> bool:
        """Make changes, which are read off the config before any of them is made; whether there was one to make."""
        concrete = {key: self.concrete(key, value) for key, value in changes.items()}
        new = {key: value for key, value in concrete.items() if self.get(key) != value}
        for key, value in new.items():
            self.set(key, value)
            self.note(key, copy.deepcopy(value))
        return bool(new)

    def concrete(self, key: str, value: Any) -> Any:
        """What to write at a key: a loss that comes there without a weight has that of the one that was there."""
        if isinstance(value, Same):
            value = {name: each for name, each in self.get(value.key).items() if name != "loss_weight"}
        if not isinstance(value, Mapping):
            return value
        before = self.get(key)
        if isinstance(before, Mapping) and "loss_weight" in before:
            return {"loss_weight": before["loss_weight"], **value}
        return dict(value)

    def get(self, key: str) -> Any:
        """What the config has at a key; None: nothing."""
        at = self.config
        for name in _names(key):
            at = inside(at, name)
        return at

    def set(self, key: str, value: Any) -> None:
        """Write a value at a key; levels that are not there are made."""
        *path, last = _names(key)
        at = self.config
        for name in path:
            if inside(at, name) is None:
                at[name] = {}
            at = inside(at, name)
        at[int(last) if isinstance(at, list) else last] = copy.deepcopy(value)

    def note(self, key: str, value: Any) -> None:
        """Keep a change: one inside of a loss that was replaced belongs to that loss."""
        whole = next((each for each in self.changes if key.startswith(f"{each}.")), None)
        if whole is not None:
            self.changes[whole][key.removeprefix(f"{whole}.")] = value
            return
        for inner in [each for each in self.changes if each.startswith(f"{key}.")]:
            del self.changes[inner]
        self.changes[key] = value


def _names(key: str) -> list[str]:
    return key.split(".")[1:]
