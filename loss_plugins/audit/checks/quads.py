"""Checks on quadrilaterals that are none, or hardly any: in a line, in a point, with a dent, with edges that cross."""

from __future__ import annotations

import functools
import itertools

import torch
from torch import Tensor

from ..check import Check, Finding, judged
from ..subject import Subject, show_call
from .boxes import GRADIENT_BOUND

QUADS = ("quad",)
#: corners in pixels
ODD = {
    "crossed": (10.0, 10, 50, 40, 50, 10, 10, 40),
    "with a dent": (10.0, 10, 50, 12, 20, 18, 14, 40),
    "triangle": (10.0, 10, 50, 10, 50, 10, 20, 40),
    "in a line": (10.0, 10, 20, 20, 30, 30, 50, 50),
    "line with corners twice": (10.0, 10, 50, 30, 50, 30, 10, 10),
    "hardly wide": (10.0, 10, 50, 10, 50, 10.001, 10, 10.001),
    "point": (30.0, 20, 30, 20, 30, 20, 30, 20),
    "point in the origin": (0.0,) * 8,
}
USUAL = (12.0, 9, 44, 14, 40, 33, 8, 30)


def odd_pairs(name: str) -> tuple[Tensor, Tensor]:
    """An odd quadrilateral as prediction, as target, against every other, itself included, and against one far away."""
    odd, others = ODD[name], [*ODD.values(), USUAL]
    pairs = [pair for other in others for pair in ((odd, other), (other, odd))]
    far = tuple(number + 700 for number in odd)
    pred, target = (torch.tensor(side) for side in zip(*pairs, (odd, far), strict=True))
    return pred, target


def odd_quads(subject: Subject, name: str) -> Finding:
    """Value and gradient are finite, and bounded."""
    pred, target = odd_pairs(name)
    loss, gradient = subject.gradient(pred, target)
    worst = int(gradient.abs().amax(-1).nan_to_num(torch.inf).argmax())
    largest = float(gradient.abs().max())
    fine = bool(loss.isfinite().all()) and largest <= GRADIENT_BOUND
    code = show_call(pred[worst : worst + 1], target[worst : worst + 1])
    return judged(fine, f"largest loss {float(loss.max()):.3g}, gradient {largest:.3g}", largest, code)


def any_order(subject: Subject) -> Finding:
    """The corners of either may come in any order: the loss is the same, and the gradient comes in that order."""
    pred, target = subject.sample(60)
    assert isinstance(target, Tensor)
    loss, gradient = subject.gradient(pred, target)
    largest = 0.0
    for order in itertools.permutations(range(4)):
        columns = [2 * corner + axis for corner in order for axis in (0, 1)]
        for p, t, back in ((pred[:, columns], target, columns), (pred, target[:, columns], list(range(8)))):
            found, slope = subject.gradient(p, t)
            differences = (found - loss).abs().max(), (slope - gradient[:, back]).abs().max()
            largest = max(largest, *map(float, differences))
    return judged(largest < 1e-9, f"difference {largest:.2g}", largest)


CHECKS = (
    *(Check(f"{name}, and others", "odd corners", functools.partial(odd_quads, name=name), QUADS) for name in ODD),
    Check("corners in any order", "odd corners", any_order, QUADS),
)
