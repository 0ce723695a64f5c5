"""At both ends of the range of each parameter, any input has a finite loss and a finite gradient in float32.

Any: ordinary ones, boxes that are none or far apart, scores that are certain or far beyond.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from loss_plugins import build_loss
from loss_plugins.catalog.declare import COLUMNS
from loss_plugins.catalog.dialects import dialects_of, translated
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.catalog.evaluation import evaluate, read_tensors
from loss_plugins.catalog.ranges import DIVISOR, LARGEST, TINY, Interval, PerClass, Series
from loss_plugins.corners import in_form
from loss_plugins.samples import ordinary
from loss_plugins.tensors import Target

ENTRIES = [entry for entry in shipped() if entry.name != "mix"]
#: the smallest numbers above 0, of float64 and of float32, and such that their squares are 0 in float32; and those that
#: ranges begin at
SMALL = (5e-324, 1e-300, 1e-45, 1e-38, 1e-30, TINY, DIVISOR)
#: width, height: points, lines, boxes of ordinary and of extreme size, inverted ones
SIDES = [(0.0, 0.0), (0.0, 6.0), (6.0, 0.0), (6.0, 8.0), (4000.0, 3000.0), (1e-3, 1e-3), (-6.0, 8.0), (-6.0, -8.0)]
#: logits and probabilities
SCORES = {"logits": (0.0, 1.0, -88.0, 88.0, -1e4, 1e4), "probabilities": (0.0, 1e-6, 0.5, 1.0)}


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
        if name == "reg_max":  # which says how many bins come
            yield name, classes - 1
        elif name == "num_classes":  # another number than that of the scores is refused
            yield name, classes
        elif isinstance(allowed, Interval):
            yield from ((name, number) for number in ends(allowed, parameter.default))
        elif isinstance(allowed, Series):
            yield from ((name, each) for each in lists(allowed))
        elif isinstance(allowed, PerClass):
            yield from ((name, torch.tensor([number] * classes)) for number in ends(allowed.each, None))


def inputs(entry: Entry) -> Iterator[tuple[torch.Tensor, Target]]:
    for form in entry.targets or ("dense",):
        sample, target = ordinary(entry.kind, form, entry.traits.scale)(32, 0, torch.float32)
        yield sample, target
        if entry.traits.scale in SCORES and entry.kind not in (*COLUMNS, "keypoint"):
            scores = torch.tensor(SCORES[entry.traits.scale]).repeat(sample.numel())
            yield scores[: sample.numel()].view_as(sample), target
    if entry.kind in COLUMNS:
        yield extreme_boxes(entry.kind)


def extreme_boxes(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Every pair of boxes of all sides, at two places; rotated ones at two angles."""
    places = [(7.0, 3.0), (600.0, 500.0)]
    if kind == "rotated_box":
        angles = (0.0, 0.3)
        boxes = [(x, y, w, h, a) for x, y in places for w, h in SIDES if min(w, h) >= 0 for a in angles]
    else:
        boxes = [(x, y, x + w, y + h) for x, y in places for w, h in SIDES]
    first, second = torch.cartesian_prod(*[torch.arange(len(boxes))] * 2).unbind(1)
    found = in_form(kind, torch.tensor(boxes)) if kind == "quad" else torch.tensor(boxes)
    return found[first], found[second]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_each_parameter_has_finite_losses_and_gradients_at_both_ends_of_its_range(entry: Entry) -> None:
    for dialect in (None, *dialects_of(entry.name)):
        said = entry.example if dialect is None else {**entry.example, "dialect": dialect}
        for sample, target in inputs(entry):
            for name, value in extremes(entry, sample.shape[min(1, sample.ndim - 1)]):
                parameters = translated(entry.name, {**said, name: value})
                if entry.name == "lovasz_hinge" and name == "class_weight":  # its regions hold all classes
                    parameters["over"] = "channel"
                entry.check(parameters)
                pred = sample.clone().requires_grad_()
                given = read_tensors(entry, pred, target, entry.label_rule(parameters))
                loss = evaluate(entry, given, entry.arguments(parameters))
                (gradient,) = torch.autograd.grad(loss.sum(), pred)
                assert loss.isfinite().all(), (dialect, name, value)
                assert gradient.isfinite().all(), (dialect, name, value)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_no_parameter_takes_a_number_that_is_0_in_float32_or_too_small_to_divide_by(entry: Entry) -> None:
    ranges = {name: parameter.allowed for name, parameter in entry.parameters.items()}
    numbers = [name for name, allowed in ranges.items() if isinstance(allowed, Interval) and not allowed.whole]
    for name in (*numbers, "loss_weight"):
        divides = isinstance(ranges.get(name), Interval) and ranges[name].least == DIVISOR
        for size in (
            5e-324,
            1e-45,
            -1e-45,
            math.nextafter(TINY, 0),
            *([math.nextafter(DIVISOR, 0)] if divides else []),
        ):
            with pytest.raises(ValueError, match=re.escape(f"{entry.name}: {name}={size!r} is out of range; allowed")):
                build_loss(entry.name, **{**entry.example, name: size})


def test_the_remedy_for_a_number_next_to_0_says_which_numbers_are_taken() -> None:
    with pytest.raises(ValueError, match=r"beta=1e-45 is .*; pass 0, which float32 makes of it; "):
        build_loss("smooth_l1", beta=1e-45)
    with pytest.raises(ValueError, match=r"beta=1e-45 is .*allowed: \(0, inf\); pass at least 1e-16, as losses divide"):
        build_loss("balanced_l1", beta=1e-45)


def test_an_epsilon_of_boxes_is_at_most_100() -> None:
    for entry in ENTRIES:
        if entry.kind in COLUMNS and "eps" in entry.parameters:
            with pytest.raises(ValueError, match=rf"{entry.name}: eps=101.0 is out of range; allowed: .*, 100\]"):
                build_loss(entry.name, **{**entry.example, "eps": 101.0})
