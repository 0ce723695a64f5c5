"""The numbers of a loss that can be turned: parameters with a range, and running statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ...catalog.declare import Parameter
from ...catalog.entry import Entry
from ...catalog.ranges import Interval, Series
from ...catalog.typed import PREFIXES

#: what guards a division, says how a running mean learns, or how boxes are written: nothing to see of them
LEFT_OUT = {"eps", "momentum", "box_format"}
#: where a number cannot be an input of the program: the values that papers use
USUAL: dict[str, tuple[float, ...]] = {"focal_gamma": (0.5, 2.0), "gamma": (0.5, 1.0, 2.0)}
#: a slider reaches so many times as far as the default
FAR = 4


@dataclass(frozen=True)
class Number:
    """A number that is an input of programs.

    Attributes:
        parameter: of the loss.
        place: in the parameter's list; None: it is the number itself.
        default: what it is at first.
        low: end of its slider.
        high: the other.
        allowed: in words.
        meaning: in words.
        interval: that it is in; None: any number.
        gap: how far each of a rising list is above the one before, at least; None: it is in no such list.
        running: it is a running statistic, which the module keeps.
    """

    parameter: str
    place: int | None
    default: float
    low: float
    high: float
    allowed: str
    meaning: str
    interval: Interval | None = None
    gap: float | None = None
    running: bool = False

    @property
    def name(self) -> str:
        """The name of the input: "power", or "focaler[0]"."""
        return self.parameter if self.place is None else f"{self.parameter}[{self.place}]"


def numbers_of(entry: Entry, parameters: Mapping[str, Any]) -> list[Number]:
    """The numbers of a loss with these parameters, in the order in which it takes them."""
    given = {**entry.defaults, **entry.example, **parameters}
    found = [each for name, value in given.items() for each in _of_parameter(entry, name, value)]
    return [*found, *_running(entry, given)]


def _of_parameter(entry: Entry, name: str, value: Any) -> Iterator[Number]:
    parameter = entry.parameters.get(name)
    if parameter is None or name in LEFT_OUT or value is None:
        return
    allowed = parameter.allowed
    if isinstance(allowed, Series):
        gap = allowed.gap if allowed.rising else None
        for place, number in enumerate(value):
            yield _number(name, place, number, allowed.each, gap, parameter)
    elif isinstance(allowed, Interval) and not allowed.whole:
        yield _number(name, None, value, allowed, None, parameter)


def _number(
    name: str, place: int | None, value: float, interval: Interval, gap: float | None, parameter: Parameter
) -> Number:
    low, high = reach(interval, float(value))
    said = str(parameter.allowed), parameter.meaning
    return Number(name, place, float(value), low, high, *said, interval, gap)


def _running(entry: Entry, given: Mapping[str, Any]) -> Iterator[Number]:
    for name, state in entry.states.items():
        value = state.initial(given)
        if not isinstance(value, torch.Tensor) or value.numel() != 1 or (state.when and given.get(state.when) is None):
            continue
        start = float(value)
        meaning = entry.keywords[name].meaning if name in entry.keywords else ""
        yield Number(name, None, start, min(0.0, start), max(1.0, abs(start)), "", meaning, running=True)


def reach(allowed: Interval, default: float) -> tuple[float, float]:
    """The ends of a slider: those of the range, but not far beyond the default.

    >>> reach(Interval(0, 10), 3.0), reach(Interval(0, 1), 0.5), reach(Interval(0, open_low=True), 12.8)
    ((0.0, 10.0), (0.0, 1.0), (0.0512, 51.2))
    """
    far = FAR * abs(default) or 1.0
    high = float(min(allowed.high, far))
    low = float(max(allowed.low, -far))
    if allowed.open_low and low == allowed.low:
        low = low + (high - low) / 1000
    if allowed.open_high and high == allowed.high:
        high = high - (high - low) / 1000
    return low, high


def usual(entry: Entry, number: Number) -> list[float]:
    """Values of a number that cannot be an input, beside its default."""
    parameter = entry.parameters[number.parameter]
    values = USUAL.get(number.parameter, (number.default / 2, number.default * 2))
    return [each for each in values if each != number.default and parameter.allowed and each in parameter.allowed]


def switched_on(entry: Entry, name: str) -> Any:
    """What an optional number is where it is set: as its paper has it, or 1 if it may be; or None."""
    for sets in PREFIXES.values():
        if name in sets:
            return sets[name]
    parameter = entry.parameters[name]
    if parameter.default is not None or name in LEFT_OUT or not isinstance(parameter.allowed, Interval):
        return None
    allowed = parameter.allowed
    return next((each for each in (*USUAL.get(name, ()), 1.0, 0.5, 2.0) if each in allowed), None)
