"""What a hyper-parameter may be: ranges, and errors that name argument, value and range."""

from __future__ import annotations

import difflib
import itertools
import math
import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Interval:
    """Allowed values of a number, from `low` to `high`; an `open_` end is excluded.

    >>> print(Interval(0, 1, open_low=True))
    (0, 1]
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            return False
        number = float(value)  # NaN fails both comparisons
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        return above and below

    def __str__(self) -> str:
        left = "(" if self.open_low or math.isinf(self.low) else "["
        right = ")" if self.open_high or math.isinf(self.high) else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"


@dataclass(frozen=True)
class Choice:
    """Allowed values listed one by one.

    >>> print(Choice("exp", "log"))
    'exp' or 'log'
    """

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        object.__setattr__(self, "values", values)

    def __contains__(self, value: object) -> bool:
        return any(type(value) is type(choice) and value == choice for choice in self.values)

    def __str__(self) -> str:
        return " or ".join(repr(choice) for choice in self.values) or "nothing (leave it out)"


@dataclass(frozen=True)
class Series:
    """Allowed lists of `length` numbers, each in `each`; `rising`: every number above the one before.

    >>> print(Series(2, Interval(0, 1), rising=True))
    2 rising numbers in [0, 1]
    """

    length: int
    each: Interval = field(default_factory=Interval)
    rising: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, (list, tuple)) or len(value) != self.length:
            return False
        inside = all(number in self.each for number in value)
        return inside and (not self.rising or all(low < high for low, high in itertools.pairwise(value)))

    def __str__(self) -> str:
        return f"{self.length} {'rising ' if self.rising else ''}numbers in {self.each}"


@dataclass(frozen=True)
class PerClass:
    """Allowed: one number per class (list or 1-dim tensor), or a single one where `single`. Tensors are not read.

    >>> print(PerClass(Interval(0), single=True))
    a number in [0, inf), or one per class
    """

    each: Interval = field(default_factory=Interval)
    single: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, Tensor):  # reading it would wait for the device
            return value.is_floating_point() and value.ndim in ((0, 1) if self.single else (1,))
        if isinstance(value, (list, tuple)):
            return len(value) > 0 and all(number in self.each for number in value)
        return self.single and value in self.each

    def __str__(self) -> str:
        return f"a number in {self.each}, or one per class" if self.single else f"one number in {self.each} per class"


@dataclass(frozen=True)
class Specs:
    """Allowed: a list of loss specs, each a name or a dict with `type`.

    >>> print(Specs())
    a list of losses, each a name or a dict with 'type'
    """

    def __contains__(self, value: object) -> bool:
        return (
            isinstance(value, (list, tuple))
            and len(value) > 0
            and all(isinstance(spec, str) or (isinstance(spec, Mapping) and "type" in spec) for spec in value)
        )

    def __str__(self) -> str:
        return "a list of losses, each a name or a dict with 'type'"


Allowed = Interval | Choice | Series | PerClass | Specs


def check_value(where: str, name: str, value: Any, allowed: Allowed) -> None:
    """Raise a ValueError that names argument, value and range unless `value` is allowed."""
    if value not in allowed:
        raise ValueError(f"{where}: {name}={value!r} is out of range; allowed: {allowed}")


def closest(word: str, words: Iterable[str]) -> str:
    """A sentence with the names most like `word`, or all of them.

    >>> closest("coiu", ["ciou", "l1"])
    "did you mean 'ciou'?"
    """
    known = sorted(words)
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(name) for name in near) + "?"
    return "known: " + ", ".join(known)
