"""The regression experiment: boxes descend along the gradient of a loss, each by itself (1911.08287, 2301.10051).

Cases are computed in parts of a fixed size, which stay in a core's cache, on as many threads as torch uses. How many
these are changes no number: sums are taken part by part, in order.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .cases import DIOU, Cases
from .published import Conventions, ascent
from .slopes import Slopes, by_centre_and_size, corners

#: cases of a part
ROWS = 8_704
#: of the setting "diou": (until step, step size)
RATES = ((160, 0.1), (180, 0.01), (200, 0.001))
STEPS = RATES[-1][0]
#: of the setting "wiou": Adam's numbers, and how long a better mean IoU is waited for
ADAM_STEPS, ADAM_RATE, BETAS, ADAM_EPS, PATIENCE = 120, 0.01, (0.9, 0.999), 1e-8, 50
#: cells of a map from one side to the other
CELLS = 31
#: told how much more of the work is done, of 1
Tell = Callable[[float], None]
#: calls a function with each of some numbers
ShareOut = Callable[[Callable[[int], None], Sequence[int]], None]


@dataclass(frozen=True)
class Map:
    """What became of the anchors, by where they started.

    Attributes:
        x: offset of each cell's middle from the centre of the target.
        y: likewise.
        cases: that started in it.
        value: their mean.
    """

    x: list[float]
    y: list[float]
    cases: list[int]
    value: list[float]


@dataclass(frozen=True)
class Outcome:
    """What one loss has come to.

    Attributes:
        curve: a number per step: the error summed over all cases, or the mean IoU.
        where: the final error of a case, or its IoU at the best step, by the place of the anchor.
        summary: other numbers, by name.
    """

    curve: list[float]
    where: Map
    summary: dict[str, Any] = field(default_factory=dict)


def rate_of(step: int) -> float:
    """The step size of the setting "diou" in a step, the first being 1."""
    return next(rate for last, rate in RATES if step <= last)


def plain_iou(low_high: Tensor, truth: Tensor) -> Tensor:
    """(n,) IoU of (4, n) corners; 0 for an inverted box."""
    overlap = (torch.minimum(low_high[2:], truth[2:]) - torch.maximum(low_high[:2], truth[:2])).relu()
    intersection = overlap[0] * overlap[1]
    union = _area(low_high) + _area(truth) - intersection
    return torch.where(intersection > 0, intersection / union, 0.0)


def _area(low_high: Tensor) -> Tensor:
    sides = low_high[2:] - low_high[:2]
    return sides[0] * sides[1]


class Part:
    """Some cases on their way: (4, n) boxes, the targets, and the corners of both."""

    def __init__(self, cases: Cases, rows: slice) -> None:
        self.rows = rows
        self.boxes = cases.anchors[:, rows].clone()
        self.targets = cases.targets[:, rows].clone()
        self.truth = corners(self.targets)
        self.corners = corners(self.boxes)

    @property
    def errors(self) -> Tensor:
        """(n,) |dx| + |dy| + |dw| + |dh| to the target."""
        return (self.boxes - self.targets).abs().sum(0)


def descend(cases: Cases, slopes: Slopes, published: Conventions | None, tell: Tell) -> Outcome:
    """The setting "diou": 200 steps of descent on centre and size, multiplied by 2 - IoU."""
    error = torch.empty(STEPS, parts_of(cases, slopes), dtype=torch.float64)
    final = torch.empty(len(cases), dtype=torch.float64)

    def advance(number: int, part: Part, step: int) -> None:
        iou = plain_iou(part.corners, part.truth)
        if published is None:
            direction = -by_centre_and_size(slopes(part.corners, part.truth))
        else:
            direction = ascent(slopes.named.label, part.boxes, part.targets, published)
        part.boxes.addcmul_(direction, (2 - iou) * rate_of(step))
        part.corners = corners(part.boxes)
        errors = part.errors
        error[step - 1, number] = errors.sum()
        if step == STEPS:
            final[part.rows] = errors

    _Run(cases, slopes, STEPS, advance, tell, exact=published is None).all_steps()
    scale = cases.setting.cases / len(cases)
    curve = [scale * math.fsum(row) for row in error.tolist()]
    return Outcome(curve, map_of(cases, final), {"mean_final_error": float(final.mean())})


def descend_by_adam(cases: Cases, slopes: Slopes, tell: Tell) -> Outcome:
    """The setting "wiou": Adam on the corners of the mean loss, until the mean IoU has not risen for long.

    The mean is that over all cases also where few are computed, so that each moves as it does among all.
    """
    iou = torch.empty(len(cases), dtype=torch.float64)
    moments: dict[int, tuple[Tensor, Tensor]] = {}
    best, best_step, kept, curve = -math.inf, 0, iou, list[float]()

    def advance(number: int, part: Part, step: int) -> None:
        gradient = slopes(part.corners, part.truth) / cases.setting.cases
        none = torch.zeros_like(part.corners)
        mean, square = moments.setdefault(number, (none, none.clone()))
        part.corners = part.corners - adam_step(gradient, mean, square, step)
        iou[part.rows] = plain_iou(part.corners, part.truth)

    run = _Run(cases, slopes, ADAM_STEPS, advance, tell)
    for step in run.steps():
        curve.append(float(iou.mean()))
        if curve[-1] > best:
            best, best_step, kept = curve[-1], step, iou.clone()
        elif step - best_step >= PATIENCE:
            break
    each = _mean_by(cases.centre, kept, len(cases.centres))[torch.unique(cases.centre)]
    summary = {
        "best_step": best_step,
        "mean_over_centres": float(each.mean()),
        "minimum_over_centres": float(each.min()),
    }
    return Outcome(curve, map_of(cases, kept), summary)


def adam_step(gradient: Tensor, mean: Tensor, square: Tensor, step: int) -> Tensor:
    """What Adam subtracts in a step, the first being 1; its two running means are updated in place."""
    mean.mul_(BETAS[0]).add_(gradient, alpha=1 - BETAS[0])
    square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
    root = (square / (1 - BETAS[1] ** step)).sqrt_().add_(ADAM_EPS)
    return ADAM_RATE / (1 - BETAS[0] ** step) * mean / root


def parts_of(cases: Cases, slopes: Slopes) -> int:
    """In how many parts the cases are computed: one, where they depend on each other."""
    return -(-len(cases) // ROWS) if slopes.apart else 1


class _Run:
    """Steps over all parts, on all threads.

    Args:
        cases: all of them.
        slopes: the loss.
        count: of steps.
        advance: (number of the part, part, step from 1 on) moves a part.
        tell: is told of the work done.
        exact: the loss is what moves the boxes.
    """

    def __init__(
        self,
        cases: Cases,
        slopes: Slopes,
        count: int,
        advance: Callable[[int, Part, int], None],
        tell: Tell,
        exact: bool = True,
    ) -> None:
        self._cases, self._slopes, self._count, self._advance, self._tell = cases, slopes, count, advance, tell
        self._apart = slopes.apart or not exact
        self._together = exact and (slopes.changes or not slopes.apart)
        size = ROWS if self._apart else len(cases)
        self._rows = [slice(start, start + size) for start in range(0, len(cases), size)]
        self._stopped = threading.Event()

    def all_steps(self) -> None:
        """Every step; part by part, where they have nothing to do with each other."""
        if self._together:
            for _ in self.steps():
                pass
            return
        with threads_for_parts() as share_out:
            try:
                share_out(self._whole_way, range(len(self._rows)))
            except BaseException:  # also the keyboard's: the other threads are not waited for
                self._stopped.set()
                raise

    def steps(self) -> Iterator[int]:
        """Every step by all parts; yields its number when it is done."""
        parts = [Part(self._cases, rows) for rows in self._rows]
        truth = [part.truth for part in parts]
        with threads_for_parts() as share_out:
            for step in range(1, self._count + 1):
                self._slopes.tell((step - 1) / self._count)
                before = [part.corners for part in parts]
                self._slopes.learn(self._slopes.early, before, truth)
                share_out(self._step_of(step, parts), range(len(parts)))
                self._slopes.learn(self._slopes.late, before, truth)
                self._tell(1 / self._count)
                yield step

    def _step_of(self, step: int, parts: Sequence[Part]) -> Callable[[int], None]:
        return lambda number: self._advance(number, parts[number], step)

    def _whole_way(self, number: int) -> None:
        part = Part(self._cases, self._rows[number])
        for step in range(1, self._count + 1):
            self._advance(number, part, step)
            if self._stopped.is_set():
                return
            self._tell(1 / (self._count * len(self._rows)))


@contextmanager
def threads_for_parts() -> Iterator[ShareOut]:
    """Calls a function with each of some numbers, on as many threads as torch uses, which for a while uses one each."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(threads)

    def share_out(work: Callable[[int], None], numbers: Sequence[int]) -> None:
        for _ in pool.map(work, numbers) if threads > 1 and len(numbers) > 1 else map(work, numbers):
            pass

    try:
        yield share_out
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def map_of(cases: Cases, value: Tensor) -> Map:
    """Means of a number per case, by the cell of a square grid that the anchor started in."""
    reach, middle = cases.setting.reach, cases.setting.centre
    place = ((cases.centres - middle + reach) * (CELLS / (2 * reach))).floor().clamp(0, CELLS - 1).long()
    cell = (place[:, 0] * CELLS + place[:, 1])[cases.centre]
    count = torch.bincount(cell, minlength=CELLS**2)
    mean = _mean_by(cell, value, CELLS**2)
    used = count.nonzero().flatten()
    offset = [((2 * at + 1) * (reach / CELLS) - reach).tolist() for at in (used // CELLS, used % CELLS)]
    return Map(offset[0], offset[1], count[used].tolist(), mean[used].tolist())


def _mean_by(group: Tensor, value: Tensor, groups: int) -> Tensor:
    """The mean of each group; NaN for an empty one."""
    count = torch.bincount(group, minlength=groups)
    return torch.bincount(group, weights=value, minlength=groups) / count


def outcome_of(cases: Cases, slopes: Slopes, published: Conventions | None, tell: Tell) -> Outcome:
    """The experiment of the cases' setting."""
    if cases.setting is DIOU:
        return descend(cases, slopes, published, tell)
    return descend_by_adam(cases, slopes, tell)
