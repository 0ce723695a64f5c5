"""Whole criteria side by side: as the framework has them, with another loss, and computed the quick way.

What a criterion costs beside the network is time, memory for backward, operators that a host has to launch, and the
times that it waits for the device. Adapters bring the criteria, by the entry points of `CRITERIA`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from ..operators import Counted
from ..reports import markdown_table
from .measure import kept_for_backward

#: the group of the functions that return the criteria of an installed framework
CRITERIA = "loss_plugins.criteria"
STOCK, PLUGGED, FAST = "stock", "plugged", "fast"
VARIANTS = (STOCK, PLUGGED, FAST)
WARM_UP = 2
HEADINGS = ("criterion", "images", "objects", "", "ms", "over stock", "saved MB", "over stock", "operators", "waits")


@dataclass(frozen=True)
class CriterionCase:
    """A criterion of a framework.

    Attributes:
        name: framework and criterion.
        make: makes the call of a variant: (variant, images, objects in each image, device) to a function that returns
            the total loss of fixed outputs, which are the same for all variants.
        sizes: pairs of images and objects in each image.
    """

    name: str
    make: Callable[[str, int, int, str], Callable[[], Tensor]]
    sizes: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class CriterionResult:
    """One criterion at one size, by variant.

    Attributes:
        name: framework and criterion.
        images: how many.
        objects: in each of them.
        milliseconds: of a step, forward and backward: the median.
        spread: half the distance of its quartiles.
        saved: bytes that are kept for backward.
        operators: calls of operators in forward.
        waits: how often the host waits for the device in forward.
    """

    name: str
    images: int
    objects: int
    milliseconds: dict[str, float]
    spread: dict[str, float]
    saved: dict[str, int]
    operators: dict[str, int]
    waits: dict[str, int]

    def quicker(self, variant: str) -> float:
        """How many times as fast as the stock criterion."""
        return self.milliseconds[STOCK] / self.milliseconds[variant]

    def leaner(self, variant: str) -> float:
        """By what factor less is kept for backward than by the stock criterion."""
        return self.saved[STOCK] / self.saved[variant]


def installed_criteria() -> tuple[list[CriterionCase], dict[str, str]]:
    """The criteria of all installed frameworks, and why those of the others are left out."""
    found: list[CriterionCase] = []
    left_out: dict[str, str] = {}
    for point in sorted(metadata.entry_points(group=CRITERIA), key=lambda each: each.name):
        try:
            found += point.load()()
        except ImportError as error:
            left_out[point.name] = str(error)
    return found, left_out


def measure_criterion(case: CriterionCase, images: int, objects: int, repeats: int, device: str) -> CriterionResult:
    """A criterion at one size; the variants take turns."""
    calls = {variant: case.make(variant, images, objects, device) for variant in VARIANTS}
    times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for turn in range(repeats + WARM_UP):
        first = turn % len(VARIANTS)
        for variant in VARIANTS[first:] + VARIANTS[:first]:
            taken = _milliseconds(calls[variant], device)
            times[variant] += [taken] if turn >= WARM_UP else []
    counts = {variant: _counted(call) for variant, call in calls.items()}
    quartiles = {variant: statistics.quantiles(values, n=4) for variant, values in times.items()}
    return CriterionResult(
        case.name,
        images,
        objects,
        {variant: statistics.median(values) for variant, values in times.items()},
        {variant: (high - low) / 2 for variant, (low, _, high) in quartiles.items()},
        {variant: saved_for_backward(call) for variant, call in calls.items()},
        {variant: count.operators.total() for variant, count in counts.items()},
        {variant: count.waits for variant, count in counts.items()},
    )


def _milliseconds(call: Callable[[], Tensor], device: str) -> float:
    _wait(device)
    before = time.perf_counter()
    call().backward()  # type: ignore[no-untyped-call]
    _wait(device)
    return (time.perf_counter() - before) * 1e3


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def _counted(call: Callable[[], Tensor]) -> Counted:
    with Counted() as counted:
        call()
    return counted


def saved_for_backward(call: Callable[[], Tensor]) -> int:
    """Bytes that the graph of a step keeps for backward."""
    return sum(kept_for_backward(call).values())


def criteria_table(results: Iterable[CriterionResult]) -> str:
    """One row for each criterion, size and variant."""
    return markdown_table(HEADINGS, [row for result in results for row in _rows(result)])


def _rows(result: CriterionResult) -> list[list[str]]:
    rows = []
    for variant in VARIANTS:
        stock = variant == STOCK
        time_of, spread = result.milliseconds[variant], result.spread[variant]
        rows.append(
            [
                result.name,
                str(result.images),
                str(result.objects),
                variant,
                f"{time_of:.0f} +- {spread:.0f}",
                "" if stock else f"{result.quicker(variant):.1f}x as fast",
                f"{result.saved[variant] / 1e6:.1f}",
                "" if stock else f"{result.leaner(variant):.0f}x less",
                f"{result.operators[variant]:,}",
                str(result.waits[variant]),
            ]
        )
    return rows


def to_dict(results: Iterable[CriterionResult]) -> list[dict[str, Any]]:
    """Plain types, for JSON."""
    return [asdict(result) for result in results]


def from_dict(told: Iterable[Mapping[str, Any]]) -> list[CriterionResult]:
    """The results that `to_dict` has told."""
    return [CriterionResult(**result) for result in told]
