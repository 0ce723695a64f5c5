"""Every way of calling a built-in, one case each: input, reduction, weight, avg_factor and parameters."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..catalog.dialects import defaults_of
from ..catalog.entries import get_entry
from ..catalog.ranges import Choice, Integers, Interval, PerClass
from ..peers.contract import Contract
from .inputs import CLASSES

AVG_FACTOR = 2.5
#: what is tried of a number, where its range allows it
NUMBERS = (0.0, 1e-3, 0.3, 2.5)
#: how often all parameters change at once
TOGETHER = 4


@dataclass(frozen=True)
class Case:
    """One call of one built-in.

    Attributes:
        inputs: name of the input, a key of `inputs.INPUTS`.
        reduction: "none", "mean" or "sum".
        weight: the form of the weight at the call, "": none.
        avg_factor: at the call; None: none.
        parameters: that theirs and ours are built with, beside those of the contract.
    """

    inputs: str
    reduction: str
    weight: str = ""
    avg_factor: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        said = [self.inputs, self.reduction]
        said += [f"weight {self.weight}"] if self.weight else []
        said += [f"avg_factor {self.avg_factor:g}"] if self.avg_factor is not None else []
        return ", ".join([*said, *(f"{name}={value!r}" for name, value in self.parameters.items())])


def cases_of(contract: Contract) -> Iterator[Case]:
    """All of them: calls with default parameters, each parameter by itself, then all at once.

    >>> from loss_plugins.peers.contracts import CONTRACTS
    >>> focal = next(each for each in CONTRACTS if (each.framework, each.loss) == ("torchvision", "focal"))
    >>> [str(case) for case in cases_of(focal)][:4]
    ['hard targets, none', 'hard targets, mean', 'hard targets, sum', 'soft targets, none']
    """
    yield from _calls(contract)
    values, _ = values_of(contract)
    filled = [inputs for inputs in contract.inputs if not inputs.startswith("no ")]
    reductions = itertools.cycle(contract.reductions)
    for name, tried in values.items():
        for value, inputs in itertools.product(tried, filled):
            yield Case(inputs, next(reductions), parameters={name: value})
    if len(values) > 1:
        yield from _together(contract, values)


def _calls(contract: Contract) -> Iterator[Case]:
    weights = ("", *contract.weights)
    factors = (None, AVG_FACTOR) if contract.avg_factor else (None,)
    for inputs, reduction, weight, factor in itertools.product(contract.inputs, contract.reductions, weights, factors):
        if not (reduction == "sum" and factor):  # refused on both sides
            yield Case(inputs, reduction, weight, factor)


def _together(contract: Contract, values: Mapping[str, list[Any]]) -> Iterator[Case]:
    ways = [case for case in _calls(contract) if not case.inputs.startswith("no ")]
    names = defaults_of(contract.loss, contract.framework).names
    # a name of theirs that stands for a parameter which has a name of its own too
    twice = {name for name in values if name in names and names[name].to != name and names[name].to in values}
    for turn in range(TOGETHER):
        way = ways[(turn * 7 + 3) % len(ways)]
        chosen = {
            name: tried[(turn + place) % len(tried)]
            for place, (name, tried) in enumerate(values.items())
            if name not in twice and name not in contract.alone
        }
        yield Case(way.inputs, way.reduction, way.weight, way.avg_factor, chosen)


# --- values of parameters -------------------------------------------------------------------------------------------


def values_of(contract: Contract) -> tuple[dict[str, list[Any]], list[str]]:
    """What is tried of each parameter that both sides have, under their names; and the names that ours lacks."""
    entry = get_entry(contract.loss)
    rule = defaults_of(contract.loss, contract.framework)
    values: dict[str, list[Any]] = {}
    lacking: list[str] = []
    for name, default in contract.parameters().items():
        keyword = rule.names.get(name)
        if name == "loss_weight":
            tried: list[Any] = [0.5]
        elif keyword is not None and keyword.values is not None:
            tried = list(keyword.values)
        else:
            parameter = entry.parameters.get(name if keyword is None else keyword.to or name)
            if parameter is None:
                lacking.append(name)
                continue
            tried = _tried(parameter.allowed, parameter.default, parameter.optional)
        tried = [*tried, *contract.extra.get(name, ())]
        has_default = default is not inspect.Parameter.empty
        kept = [value for value in tried if not (has_default and type(value) is type(default) and value == default)]
        if kept:
            values[name] = kept
    return values, lacking


def _tried(allowed: Any, default: Any, optional: bool) -> list[Any]:
    """Values of a parameter, from what the catalogue says of it."""
    if isinstance(allowed, Choice):
        return list(allowed.values)
    if isinstance(allowed, PerClass) and allowed.single and (default is not None or allowed.each.high < math.inf):
        allowed = allowed.each  # of which other packages mostly take one for all classes: see `Contract.extra`
    if isinstance(allowed, PerClass):
        return [[0.5 + 0.75 * index for index in range(CLASSES)]]
    if isinstance(allowed, Interval):
        numbers = [allowed.low, *NUMBERS, allowed.high]
        whole = isinstance(default, int) and not isinstance(default, bool)
        inside = dict.fromkeys(int(number) if whole else number for number in numbers if number in allowed)
        found: list[Any] = [number for number in inside if abs(number) <= 100]
        return [*found, None] if optional and default is not None else found
    if isinstance(default, int):  # a label
        return [1]
    if isinstance(allowed, Integers):  # classes
        return [[1, 3]]
    return []
