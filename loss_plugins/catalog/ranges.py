"""What a hyper-parameter may be: ranges, plain values, and errors that name argument, value, range and remedy."""

from __future__ import annotations

import difflib
import enum
import itertools
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..errors import check_type, in_our_words, refusal, shown
from ..errors import closest as closest
from ..tensors import holds_numbers, number_in, readable

#: types of values that need no conversion to plain ones
PLAIN = frozenset((bool, float, str, type(None), Tensor))
#: losses compute in float32 at least, which must hold a number other than 0, and products of a few of them
TINY, LARGEST = torch.finfo(torch.float32).tiny, 1e12
#: what a loss divides by, as an open end at 0 says; the square of the inverse, times the side of an image, must fit too
DIVISOR = 1e-16
#: and what an integer must fit into
SMALLEST_INT, LARGEST_INT = torch.iinfo(torch.int64).min, torch.iinfo(torch.int64).max


@in_our_words
@dataclass(frozen=True)
class Interval:
    """Allowed values of a number, from `low` to `high`; an `open_` end is excluded; `whole` or `even` integers only.

    The number is at most 1e12 in size, so that float32 can hold products with it, and 0 or at least 1.2e-38, which is
    not 0 in float32; an open end at 0 means 1e-16, as losses divide by such numbers. An integer is what int64 can hold.

    >>> print(Interval(0, 1, open_low=True))
    (0, 1]
    >>> print(Interval(1, 1000, whole=True))
    a whole number in [1, 1000]
    >>> print(Interval(2, 64, even=True))
    an even number in [2, 64]
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    whole: bool = False
    even: bool = False

    def __post_init__(self) -> None:
        for end, value in (("low", self.low), ("high", self.high)):
            check_type("Interval", end, value, numbers.Real)
            if as_float(value) is None:
                came, remedy = f"{end}={shown(value)} is too large for a float", f"leave {end} out for no end"
                raise refusal("Interval", came, "a number that a float can hold", remedy)
        for flag in ("open_low", "open_high", "whole", "even"):
            check_type("Interval", flag, getattr(self, flag), bool)
        object.__setattr__(self, "whole", self.whole or self.even)
        if not self.low <= self.high:  # nor is NaN
            came = f"low={self.low!r}, high={self.high!r} hold nothing"
            raise refusal("Interval", came, "low <= high", "turn them round, or leave one out")

    def __contains__(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, numbers.Integral if self.whole else numbers.Real):
            return False
        number: Any = value
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        if self.even and number % 2:
            return False
        fits = is_int64(value) if self.whole else number == 0 or self.least <= abs(number) <= LARGEST  # not NaN
        return bool(above and below and fits)

    @property
    def least(self) -> float:
        """The smallest size of a number other than 0."""
        above, below = self.open_low and self.low == 0, self.open_high and self.high == 0
        return DIVISOR if above or below else TINY

    def __str__(self) -> str:
        left = "(" if self.open_low or math.isinf(self.low) else "["
        right = ")" if self.open_high or math.isinf(self.high) else "]"
        ends = f"{left}{float(self.low):g}, {float(self.high):g}{right}"
        bounded = math.isfinite(self.low) or math.isfinite(self.high)
        kind = "an even number" if self.even else "a whole number"
        return ends if not self.whole else f"{kind} in {ends}" if bounded else kind


@in_our_words
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


@in_our_words
@dataclass(frozen=True)
class Series:
    """Allowed lists of `length` numbers, each in `each`; `rising`: each above the one before, by `gap` at least.

    >>> print(Series(2, Interval(0, 1), rising=True))
    2 rising numbers in [0, 1]
    >>> print(Series(2, Interval(0, 1), rising=True, gap=0.001))
    2 rising numbers in [0, 1], 0.001 apart at least
    """

    length: int
    each: Interval = field(default_factory=Interval)
    rising: bool = False
    gap: float = 0.0

    def __post_init__(self) -> None:
        check_value("Series", "length", self.length, Interval(1, whole=True), "say how many numbers the list has")
        check_type("Series", "each", self.each, Interval)
        check_type("Series", "rising", self.rising, bool)
        check_value("Series", "gap", self.gap, Interval(0), "leave it out for none")

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, (list, tuple)) or len(value) != self.length:
            return False
        inside = all(number in self.each for number in value)
        pairs = itertools.pairwise(value)
        return inside and (not self.rising or all(low < high and high - low >= self.gap for low, high in pairs))

    def __str__(self) -> str:
        apart = f", {self.gap:g} apart at least" if self.gap else ""
        return f"{self.length} {'rising ' if self.rising else ''}numbers in {self.each}{apart}"


@in_our_words
@dataclass(frozen=True)
class PerClass:
    """Allowed: one number per class (list or 1-dim tensor), or a single one where `single`; `of`: per what else.

    Tensors are read where that neither waits for a device nor breaks a graph: in eager mode on the CPU.

    >>> print(PerClass(Interval(0), single=True))
    a number in [0, inf), or one per class
    >>> print(PerClass(Interval(0, 1), of="key point"))
    one number in [0, 1] per key point
    """

    each: Interval = field(default_factory=Interval)
    single: bool = False
    of: str = "class"

    def __post_init__(self) -> None:
        check_type("PerClass", "each", self.each, Interval)
        check_type("PerClass", "single", self.single, bool)
        check_type("PerClass", "of", self.of, str)

    def __contains__(self, value: object) -> bool:
        if isinstance(value, Tensor):
            fits = holds_numbers(value) and value.ndim in ((0, 1) if self.single else (1,)) and value.numel() > 0
            return fits and self._holds(value)
        if isinstance(value, (list, tuple)):
            return len(value) > 0 and all(number in self.each for number in value)
        return self.single and value in self.each

    def _holds(self, value: Tensor) -> bool:
        """Whether the smallest and the largest number are allowed, of which NaN is none; True where none is read."""
        if not readable(value):
            return True
        ends = map(number_in, value.detach().aminmax())
        return all(end is None or end in self.each for end in ends)

    def __str__(self) -> str:
        return (
            f"a number in {self.each}, or one per {self.of}"
            if self.single
            else f"one number in {self.each} per {self.of}"
        )


@dataclass(frozen=True)
class Integers:
    """Allowed: an integer, or a list of them.

    >>> print(Integers())
    an integer, or several
    """

    def __contains__(self, value: object) -> bool:
        numbers_given = value if isinstance(value, (list, tuple)) else [value]
        return all(is_int64(number) for number in numbers_given)

    def __str__(self) -> str:
        return "an integer, or several"


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


Allowed = Interval | Choice | Series | PerClass | Integers | Specs


def check_value(where: str, name: str, value: Any, allowed: Allowed, remedy: str = "") -> None:
    """Raise a ValueError that names argument, value, range and remedy unless `value` is allowed.

    Args:
        where: the loss, or the public function that was called.
        name: the argument.
        value: what came.
        allowed: what it may be.
        remedy: what to do; "": what can be told from the value.
    """
    if value not in allowed:
        hint = _hint_of_specs(value) if isinstance(allowed, Specs) else _hint(value, allowed)
        told = "; ".join(text for text in (hint, remedy) if text)
        raise refusal(where, f"{name}={shown(value)} is out of range", allowed, told or "pass one of those")


def _hint(value: Any, allowed: Allowed) -> str:
    """What the value was probably meant to be; "" if nothing can be told."""
    if isinstance(value, Tensor) and value.ndim == 0:
        return "pass a Python number (.item())"
    if isinstance(value, (list, tuple, Tensor)) and isinstance(allowed, (Interval, PerClass)):
        return "pass one number" if isinstance(allowed, Interval) else _hint_per_class(value, allowed)
    if not isinstance(value, str):
        return _hint_of_number(value, allowed)
    if isinstance(allowed, Choice):
        near = difflib.get_close_matches(value, [choice for choice in allowed.values if isinstance(choice, str)], n=1)
        return f"did you mean {near[0]!r}?" if near else ""
    number = as_number(value)
    if number is None:
        return "this is text, pass a number" if isinstance(allowed, Interval) else ""
    return f"this is text, pass the number {number!r} (YAML wants a dot in 1.0e-7)"


def _hint_per_class(value: Any, allowed: PerClass) -> str:
    """Which of several numbers is none, and why, or how many axes came."""
    if isinstance(value, Tensor) and (value.ndim != 1 or not holds_numbers(value)):
        axis = "C" if allowed.of == "class" else allowed.of[0].upper()
        return f"pass a list of numbers, or a tensor of shape ({axis},)"
    numbers_given = value.tolist() if isinstance(value, Tensor) else value
    wrong = next(((place, each) for place, each in enumerate(numbers_given) if each not in allowed.each), None)
    if wrong is None:
        return ""
    said = f"number {wrong[0]} of {len(numbers_given)} is {shown(wrong[1])}"
    return "; ".join(text for text in (said, _hint_of_number(wrong[1], allowed.each)) if text)


def _hint_of_specs(value: Any) -> str:
    """What to write for losses that came otherwise than in a list, or as something else than specs."""
    if isinstance(value, str) or (isinstance(value, Mapping) and "type" in value):
        return "put it into a list"
    if not isinstance(value, (list, tuple)) or not value:
        return "write [{'type': 'ciou', 'loss_weight': 0.5}, 'nwd'], say"
    place, wrong = next((place, each) for place, each in enumerate(value) if [each] not in Specs())
    instead = (
        "its spec() without the reduction" if hasattr(wrong, "spec") else "{'type': 'ciou', 'loss_weight': 0.5}, say"
    )
    return f"number {place} of {len(value)} is {shown(wrong)}, write {instead}"


def _hint_of_number(value: Any, allowed: Allowed) -> str:
    """Likewise, of a number that Python does not count as one, or that is too large."""
    taken = isinstance(allowed, (Interval, Integers)) or (isinstance(allowed, PerClass) and allowed.single)
    if not taken or isinstance(value, bool):
        return ""
    if not isinstance(value, numbers.Real):
        return f"this is a {type(value).__name__}, pass float(...) of it" if hasattr(value, "__float__") else ""
    number: Any = value
    size = abs(number)
    if isinstance(allowed, Integers) or (isinstance(allowed, Interval) and allowed.whole):
        if isinstance(allowed, Interval) and allowed.even and value % 2 == 1 and size < LARGEST_INT:
            return f"pass {value - 1} or {value + 1}" if value - 1 in allowed else f"pass {value + 1}"
        return "pass an integer of 64 bits" if LARGEST_INT < size < math.inf else ""
    interval = allowed.each if isinstance(allowed, PerClass) else allowed
    least = interval.least if isinstance(interval, Interval) else 0.0
    if 0 < size < least:
        return (
            f"pass at least {least:.2g}, as losses divide by it"
            if least > TINY
            else "pass 0, which float32 makes of it"
        )
    fits = not isinstance(interval, Interval) or interval.low <= number <= interval.high
    return f"pass at most {LARGEST:.2g}, as losses multiply in float32" if fits and LARGEST < size < math.inf else ""


def is_int64(value: object) -> bool:
    """Whether this is an integer that a tensor can hold; True and False are none.

    >>> is_int64(-100), is_int64(10**30), is_int64(True)
    (True, False, False)
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        return False
    return SMALLEST_INT <= int(value) <= LARGEST_INT


def as_float(value: Any) -> float | None:
    """The number as a float; None where it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return None


def as_number(text: str) -> float | None:
    """The number that a text is, or None.

    >>> as_number("1e-7"), as_number("exp")
    (1e-07, None)
    """
    try:
        return float(text)
    except ValueError:
        return None


def plain(value: Any) -> Any:
    """Numbers, text and collections of numpy and the like as Python's own; tensors, and what has no plain form, as is.

    >>> from fractions import Fraction
    >>> plain({"type": "ciou", "focaler": (0, Fraction(3, 4))})
    {'type': 'ciou', 'focaler': (0, 0.75)}
    """
    if type(value) in PLAIN or isinstance(value, Tensor):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        number = value.tolist()
        return plain(number) if type(number) is not type(value) else _plain_scalar(value)  # longdouble has no other
    if isinstance(value, Mapping):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return (tuple if isinstance(value, tuple) else list)(plain(each) for each in value)
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    """Subclasses of Python's own types as those themselves."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, numbers.Integral):
        return _plain_integer(int(value))
    number = as_float(value) if isinstance(value, numbers.Real) else None
    return value if number is None else number


def _plain_integer(value: int) -> int | float:
    """The float for an integer that no tensor can hold; where no float can, no range allows it either."""
    number = None if is_int64(value) else as_float(value)
    return value if number is None else number


#: of an epsilon beside areas or sides of boxes: a guard of a division, which a power of 10 must not make infinite
EPSILON = Interval(0, 100)
#: of one without which there would be no guard
EPSILON_ABOVE_0 = Interval(0, 100, open_low=True)
