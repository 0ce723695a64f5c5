"""Wrong values of everything that a public call takes, made from what the catalogue allows; the reader of errors."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import torch

import loss_plugins as lp
from loss_plugins import Choice, Interval, PerClass, Series
from loss_plugins.catalog.declare import Parameter
from loss_plugins.catalog.entries import Entry
from loss_plugins.catalog.ranges import Specs
from loss_plugins.errors import shown
from loss_plugins.samples import ordinary
from loss_plugins.tensors import Target

#: loss (or function), what came, what is allowed, the remedy
STYLE = re.compile(r"(?P<where>[^:]+): (?P<came>.+); allowed: (?P<allowed>.+?); (?P<remedy>.+)", re.DOTALL)


#: tensors that hold no real numbers, or none that can be read
UNREADABLE = (
    torch.ones(3).to_sparse(),
    torch.ones(3, dtype=torch.complex64),
    torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8),
    torch.ones(3).to(torch.float8_e4m3fn),
)
#: numbers that float32 cannot hold, of several sizes and types
TOO_LARGE = (10**400, -(10**400), 10**5000, Fraction(10**400, 3), 1e300, 1e39, [10**400] * 3)


def refused(call: Callable[[], Any], where: str, argument: str, value: str) -> re.Match[str]:
    """Raise unless the call is refused by an error that names the loss, the argument, what came, and what to do."""
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    text = str(caught.value)
    parts = STYLE.fullmatch(text)
    assert parts is not None, f"{type(caught.value).__name__} in another style: {text}"
    assert "  " not in text, text
    assert not re.search(r"<(built-in )?(function|class|method)| at 0x", text), text
    assert where in parts["where"], text
    assert argument in parts["came"], text
    assert value in parts["came"], f"{value!r} is not in: {text}"
    return parts


def wrong_values(parameter: Parameter) -> Iterator[Any]:
    """Values that the parameter must not have: of other types, lengths and sizes, beside each end of its range."""
    allowed = parameter.allowed
    yield from ({}, object(), 1 + 2j, torch.zeros(2, 2, 2), *UNREADABLE, *TOO_LARGE, Decimal("0.5"))
    if not parameter.optional:
        yield None
    if isinstance(allowed, Interval):
        yield from ("nothing", "1e-7", [0.5], [0.25, 0.75], (1.0, 2.0), True, math.nan, math.inf, -math.inf)
        yield torch.tensor([0.5, 0.5])
        for end, excluded, outwards in ((allowed.low, allowed.open_low, -1), (allowed.high, allowed.open_high, 1)):
            if math.isfinite(end):
                yield end + outwards
            if math.isfinite(end) and excluded:
                yield end
        if allowed.whole:
            yield max(allowed.low, 0) + 1.5 if math.isfinite(allowed.low) else 1.5
    elif isinstance(allowed, Choice):
        yield from ("nothing", "", 71, 0.5, ["xyxy"], [allowed.values[0]] if allowed.values else [1])
    elif isinstance(allowed, Series):
        yield from (
            3,
            "ab",
            [1.0] * (allowed.length + 1),
            ["a"] * allowed.length,
            [math.nan] * allowed.length,
            [],
            True,
        )
        if allowed.rising:
            yield [0.75, 0.25]
    elif isinstance(allowed, PerClass):
        yield from ("nothing", [], ["a"], [-1.0, 1.0], [math.nan], [[1.0, 1.0]], [True], torch.zeros(0))
        yield torch.ones(3, dtype=torch.complex64)
    elif isinstance(allowed, Specs):
        yield from (3, "ciou", [], [3], [None], [{"loss_weight": 1.0}])


def example_of(entry: Entry) -> dict[str, Any]:
    """The parameters that the loss cannot do without."""
    return dict(entry.example)


def function_of(entry: Entry) -> Any:
    """The public function of a shipped loss."""
    return getattr(lp, f"{entry.name}_loss", None) or getattr(lp, entry.name)


def samples(entry: Entry, rows: int = 6) -> Iterator[tuple[torch.Tensor, Target]]:
    """Ordinary input in every form of the target that the loss takes."""
    for form in entry.targets or ("dense",):
        yield ordinary(entry.kind, form, entry.traits.scale)(rows, 0, torch.float32)


def came(value: Any) -> str:
    """What the message has to show of a value."""
    return shown(value)
