"""At both ends of the range of each parameter, ordinary input has a finite loss and a finite gradient in float32."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from loss_plugins.catalog.dialects import dialects_of, translated
from loss_plugins.catalog.entries import Entry, evaluate, read_tensors, shipped
from loss_plugins.catalog.ranges import LARGEST, Interval, PerClass, Series
from loss_plugins.samples import ordinary
from loss_plugins.tensors import Target

ENTRIES = [entry for entry in shipped() if entry.name != "mix"]
#: the smallest numbers above 0, of float64 and of float32, and such that their squares are 0 in float32
SMALL = (5e-324, 1e-300, 1e-45, 1e-38, 1e-30)


def ends(interval: Interval, default: Any) -> list[float]:
    """Numbers of the range at its ends, and some that are next to nothing or a million times the default."""
    unit = abs(default) if isinstance(default, (int, float)) and default else 1.0
    low, high = max(interval.low, -LARGEST), min(interval.high, LARGEST)
    tried = [low, math.nextafter(low, math.inf), math.nextafter(high, -math.inf), high]
    tried += [sign * size for sign in (1, -1) for size in (0.0, 1e-6 * unit, 1e6 * unit, *SMALL)]
    if interval.whole:
        return [int(number) for number in (low, high) if int(number) in interval]
    return [number for number in dict.fromkeys(tried) if number in interval]


def lists(series: Series) -> list[list[float]]:
    numbers = ends(series.each, None)
    found = [[number] * series.length for number in numbers]
    found += [[low, high] for low in numbers for high in (low + series.gap, math.nextafter(low, 2.0), 1.0)]
    return [each for each in found if each in series]


def extremes(entry: Entry, classes: int) -> Iterator[tuple[str, Any]]:
    """Each parameter that takes numbers, at the ends of its range."""
    for name, parameter in entry.parameters.items():
        allowed = parameter.allowed
        if isinstance(allowed, Interval):
            yield from ((name, number) for number in ends(allowed, parameter.default))
        elif isinstance(allowed, Series):
            yield from ((name, each) for each in lists(allowed))
        elif isinstance(allowed, PerClass):
            yield from ((name, torch.tensor([number] * classes)) for number in ends(allowed.each, None))


def inputs(entry: Entry) -> Iterator[tuple[torch.Tensor, Target]]:
    for form in entry.targets or ("dense",):
        yield ordinary(entry.kind, form, entry.traits.scale)(32, 0, torch.float32)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_each_parameter_has_finite_losses_and_gradients_at_both_ends_of_its_range(entry: Entry) -> None:
    for dialect in (None, *dialects_of(entry.name)):
        said = entry.example if dialect is None else {**entry.example, "dialect": dialect}
        for sample, target in inputs(entry):
            for name, value in extremes(entry, sample.shape[min(1, sample.ndim - 1)]):
                parameters = translated(entry.name, {**said, name: value})
                entry.check(parameters)
                pred = sample.clone().requires_grad_()
                given = read_tensors(entry, pred, target, entry.label_rule(parameters))
                loss = evaluate(entry, given, entry.arguments(parameters))
                (gradient,) = torch.autograd.grad(loss.sum(), pred)
                assert loss.isfinite().all(), (dialect, name, value)
                assert gradient.isfinite().all(), (dialect, name, value)
