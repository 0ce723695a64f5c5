# SPDX-License-Identifier: AGPL-3.0-or-later
"""The space that `tune` searches: numbers of the trainer and of the losses, each with a lowest and a highest value."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from ultralytics.cfg import DEFAULT_CFG_DICT, get_cfg

from loss_plugins import get_entry
from loss_plugins.catalog.ranges import Interval, PerClass, closest
from loss_plugins.errors import refusal, shown

from .plug import Plug
from .slot_table import PLACES
from .spec import Spec, make_spec

Values = dict[str, Any]
#: (lowest, highest), or (lowest, highest, how far a mutation goes)
Ends = Sequence[float]
#: standard deviation of a mutation, as a share of the range
SIGMA = 0.2
#: numbers that a range holds, unless they are whole
STEPS = 10_000
#: numbers that the trainer ignores unless another setting is named, which one
NEEDS = {"lr0": "optimizer", "momentum": "optimizer", "warmup_bias_lr": "optimizer"}
SLOT_OF = {place.shell: place.name for place in PLACES}
EXAMPLE = 'write, say, space={"box_loss.alpha": (1, 5), "lr0": (1e-4, 1e-2)}'


@dataclass(frozen=True)
class Dimension:
    """One number that is searched.

    Attributes:
        key: "lr0" for a setting of the trainer, "box_loss.alpha" for a parameter of a loss.
        low: the lowest value.
        high: the highest one.
        spread: how far a mutation goes, as a share of the usual.
        whole: only whole numbers.
    """

    key: str
    low: float
    high: float
    spread: float = 1.0
    whole: bool = False

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return math.floor(self.high) - math.ceil(self.low) + 1 if self.whole else STEPS

    def rounded(self, value: float) -> float:
        """The number of the range that is the nearest."""
        inside = min(max(value, self.low), self.high)
        if self.whole:
            return min(max(round(inside), math.ceil(self.low)), math.floor(self.high))
        digits = math.ceil(math.log10(STEPS / (self.high - self.low)))
        return min(max(round(float(inside), digits), self.low), self.high)

    def drawn(self, random: Random) -> float:
        """Any number of the range."""
        return self.rounded(random.uniform(self.low, self.high))

    def near(self, value: float | None, random: Random) -> float:
        """A number near another one; any number for None, the default of some parameters."""
        if value is None:
            return self.drawn(random)
        width = max(SIGMA * self.spread * (self.high - self.low), 1.0 if self.whole else 0.0)
        return self.rounded(value + random.gauss(0, width))


def read_space(space: Any, spec: Spec, settings: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """The dimensions of a space.

    Args:
        space: by key, the ends of its range.
        spec: the losses that are searched.
        settings: of the trainer, as far as they are given.

    Raises:
        TypeError: it is no dict.
        ValueError: it is empty, has a key that nobody knows, or ends that are no range of that key.
    """
    if not isinstance(space, Mapping):
        raise refusal("tune", f"space={shown(space)} is no dict", "a dict of ranges", EXAMPLE, TypeError)
    if not space:
        raise refusal("tune", "space={} has nothing to search", "one key at least", EXAMPLE)
    return tuple(_dimension(key, ends, spec, settings) for key, ends in space.items())


def require_enough(space: Sequence[Dimension], iterations: int) -> None:
    """Raise unless each iteration can have values of its own.

    Raises:
        ValueError: there are fewer.
    """
    count = math.prod(each.count for each in space)
    if count < iterations:
        came = f"iterations={iterations}, and space has {count} different values"
        raise refusal("tune", came, f"at most {count} iterations", "widen the space, or ask for fewer")


def start_of(space: Sequence[Dimension], spec: Spec, settings: Mapping[str, Any]) -> Values:
    """The values that hold without any search, which may lie outside of the space."""
    found = {}
    for each in space:
        slot, parameter = _place(each.key)
        found[each.key] = settings[each.key] if slot is None else (getattr(spec, slot) or {}).get(parameter)
    return found


def applied(values: Mapping[str, Any], spec: Spec) -> tuple[Spec, Values]:
    """The losses, and the settings of the trainer, with these values in them."""
    settings: Values = {}
    for key, value in values.items():
        slot, parameter = _place(key)
        if slot is None:
            settings[key] = value
        else:
            loss = {**(getattr(spec, slot) or {}), parameter: value}
            spec = replace(spec, **{slot: loss})  # type: ignore[arg-type]
    return spec, settings


def _place(key: str) -> tuple[str | None, str]:
    """The slot and the parameter of a loss that a key names; None: it is a setting of the trainer."""
    place, _, parameter = key.partition(".")
    return (SLOT_OF[place], parameter) if place in SLOT_OF and parameter else (None, key)


def _dimension(key: Any, ends: Any, spec: Spec, settings: Mapping[str, Any]) -> Dimension:
    known = {**_of_losses(spec), **_of_trainer()}
    if key not in known:
        came = f"space has the key {shown(key)}, which is no number of the trainer or of a loss that was asked for"
        raise refusal("tune", came, "those numbers", closest(str(key), known))
    _require_effect(key, settings)
    where = f"space[{key!r}]={shown(ends)}"
    low, high, spread = _ends(ends, where)
    found = Dimension(key, low, high, spread, known[key])
    if found.count < 2:
        raise refusal("tune", f"{where} holds {found.count} whole numbers", "two or more", "widen it")
    for end in (found.rounded(low), found.rounded(high)):
        _require_allowed(key, end, where, spec)
    return found


def _of_losses(spec: Spec) -> dict[str, bool]:
    """The numbers of the losses, and whether they are whole."""
    found = {}
    for place in PLACES:
        loss = getattr(spec, place.name)
        if loss is None:
            continue
        found[f"{place.shell}.loss_weight"] = False
        for name, parameter in get_entry(loss["type"]).parameters.items():
            allowed = parameter.allowed
            per_class = isinstance(loss.get(name), (list, tuple))  # numbers of which no one is searched
            if not per_class and (isinstance(allowed, Interval) or (isinstance(allowed, PerClass) and allowed.single)):
                found[f"{place.shell}.{name}"] = isinstance(allowed, Interval) and allowed.whole
    return found


def _of_trainer() -> dict[str, bool]:
    """The numbers of Ultralytics' trainer, and whether they are whole; the seed is that of all iterations."""
    plain = {key: value for key, value in DEFAULT_CFG_DICT.items() if type(value) in (int, float) and key != "seed"}
    return {key: isinstance(value, int) for key, value in plain.items()}


def _require_effect(key: str, settings: Mapping[str, Any]) -> None:
    if key in NEEDS and str(settings[NEEDS[key]]).lower() == "auto":
        came = f"space has the key {key!r}, and optimizer='auto' chooses {key} itself"
        raise refusal("tune", came, "a named optimizer", "pass optimizer='AdamW', or leave the key out")


def _ends(ends: Any, where: str) -> tuple[float, float, float]:
    allowed = "(lowest, highest), or (lowest, highest, how far a mutation goes)"
    if not isinstance(ends, (list, tuple)) or len(ends) not in (2, 3):
        raise refusal("tune", f"{where} is no range", allowed, EXAMPLE)
    for number in ends:
        if isinstance(number, bool) or not isinstance(number, numbers.Real) or not _is_finite(number):
            raise refusal("tune", f"{where}: {shown(number)} is no finite number", allowed, "write numbers")
    low, high, spread = (*map(float, ends), 1.0)[:3]
    if not low < high:
        raise refusal("tune", f"{where}: {low:g} is not below {high:g}", allowed, "turn them round, or widen it")
    if not 0 < spread <= 1:
        raise refusal("tune", f"{where}: {spread:g} is out of range", "(0, 1]", "leave the third number out for 1")
    return low, high, spread


def _is_finite(number: Any) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _require_allowed(key: str, end: float, where: str, spec: Spec) -> None:
    """Raise unless the loss, or the trainer, takes the end of a range."""
    slot, _ = _place(key)
    try:
        if slot is None:
            get_cfg(overrides={key: end})
        else:
            changed, _ = applied({key: end}, spec)
            Plug(make_spec(**{slot: getattr(changed, slot)}, gain=spec.gain))
    except (ValueError, TypeError) as error:
        raise type(error)(f"{where}: {error}") from error
