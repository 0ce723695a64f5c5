"""Boxes that no annotation should hold and yet some do: inverted, without area, very small or very far, in batches."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from ...corners import in_form
from ..check import BOXES, Check, Finding, judged, not_applicable, promised
from ..subject import Subject, show_call
from .boxes import GRADIENT_BOUND
from .traits import NEAR_ZERO, resized

CORNERS = ("box", "coordinate")
#: largest value of inverted boxes: this, or so many times what the same boxes cost with their corners in order
VALUE_BOUND, TIMES = 1000.0, 100.0
#: which sides of which box are exchanged
FLIPS = {"x": (0,), "y": (1,), "x and y": (0, 1)}
#: factors on all lengths, powers of two: they round nothing
FACTORS = (2.0**-13, 2.0**-7, 2.0**3, 2.0**10, 2.0**20)
#: relative error of a value or a gradient that is the same at every scale
SCALE_ERROR = {torch.float64: 1e-6, torch.float32: 1e-3}


# --- inverted ------------------------------------------------------------------------------------------------------


def flipped(boxes: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Corners exchanged: width and height become negative."""
    boxes = boxes.clone()
    for axis in axes:
        boxes[:, [axis, axis + 2]] = boxes[:, [axis + 2, axis]]
    return boxes


def inverted(subject: Subject, which: str) -> Finding:
    """Value and gradient stay bounded where corners are exchanged, or (x, y, w, h) is taken for corners."""
    pred, target = subject.sample(500, dtype=torch.float32)
    assert isinstance(target, Tensor)
    bound = max(VALUE_BOUND, TIMES * float(subject.value(pred, target).detach().abs().max()))
    for how, p, t in _inverted_pairs(pred, target, which):
        loss, gradient = subject.gradient(p, t)
        sizes = loss.abs().reshape(len(p), -1).amax(-1), gradient.abs().amax(-1)
        for what, size, most in zip(("value", "gradient"), sizes, (bound, GRADIENT_BOUND), strict=True):
            worst = int(size.nan_to_num(torch.inf).argmax())
            largest = float(size[worst])
            if not largest <= most:
                code = show_call(p[worst : worst + 1], t[worst : worst + 1])
                detail = f"{which} {how}: {what} {largest:.3g}, allowed {most:.3g}: something is divided by about 0"
                return judged(False, detail, largest, code)
    return judged(True, f"values below {bound:.3g}, gradients below {GRADIENT_BOUND:g}")


def _inverted_pairs(pred: Tensor, target: Tensor, which: str) -> Iterator[tuple[str, Tensor, Tensor]]:
    def choose(changed_pred: Tensor, changed_target: Tensor) -> tuple[Tensor, Tensor]:
        return (
            changed_pred if which in ("pred", "both") else pred,
            changed_target if which in ("target", "both") else target,
        )

    for name, axes in FLIPS.items():
        yield (f"inverted in {name}", *choose(flipped(pred, axes), flipped(target, axes)))
    # corners of which the second is (width, height), on a grid, so that unions and enclosing boxes of size 0 occur
    grid = 4 * (torch.arange(8.0) + 1)
    near = torch.tensor(list(itertools.product(grid[3:6], grid[2:5], grid[:6], grid[:5])))
    other = near[torch.randperm(len(near), generator=torch.Generator().manual_seed(0))]
    ordered = (
        torch.cat([near[:, :2], near[:, :2] + near[:, 2:]], 1),
        torch.cat([other[:, :2], other.sum(1, True) + other[:, 2:]], 1),
    )
    yield (
        "with (width, height) for the second corner",
        near if which in ("pred", "both") else ordered[0],
        other if which in ("target", "both") else ordered[1],
    )


# --- equal and without area ----------------------------------------------------------------------------------------


def equal_and_empty(subject: Subject) -> Finding:
    """Equal boxes without area cost 0 as all equal boxes do, and have a bounded gradient."""
    pred = in_form(subject.kind, torch.tensor(list(_empty_boxes())), 0.3)
    loss, gradient = subject.gradient(pred, pred.clone())
    cost, slope = loss.abs().reshape(len(pred), -1).amax(-1), gradient.abs().amax(-1)
    worst, steepest = (int(size.nan_to_num(torch.inf).argmax()) for size in (cost, slope))
    if not float(slope[steepest]) <= GRADIENT_BOUND:
        code = show_call(pred[steepest : steepest + 1], pred[steepest : steepest + 1])
        return judged(False, f"gradient {float(slope[steepest]):.3g} at two equal boxes without area", code=code)
    largest, promise = float(cost[worst]), None if subject.traits is None else subject.traits.zero_at_equality
    code = show_call(pred[worst : worst + 1], pred[worst : worst + 1])
    detail = f"two equal boxes without area cost {largest:.3g}"
    if promise is False:
        return not_applicable(f"{detail}; equal boxes need not cost 0")
    return promised(promise, largest < NEAR_ZERO, detail, largest, code)


def _empty_boxes() -> Iterator[tuple[float, float, float, float]]:
    for size, (w, h) in itertools.product((1.0, 1 / 640, 30.0), ((0, 0), (7, 0), (0, 7))):
        for x, y in ((0, 0), (7, 7), (320, 40), (-5, 3)):
            yield size * x, size * y, size * (x + w), size * (y + h)


# --- scale ---------------------------------------------------------------------------------------------------------


def at_every_scale(subject: Subject, dtype: torch.dtype) -> Finding:
    """From normalised to huge coordinates (sides of 1e-3 to 1e8), value and gradient per length are the same."""
    if subject.traits is not None and not subject.traits.scale_invariant:
        return not_applicable("not declared scale invariant")
    if not subject.gives_rows:
        return not_applicable("one number for the whole batch")
    pred, target = subject.sample(200, dtype=dtype)
    assert isinstance(target, Tensor)
    before = subject.gradient(pred, target)
    largest = 0.0
    for factor in FACTORS:
        p, t = resized(subject, pred, factor), resized(subject, target, factor)
        loss, gradient = subject.gradient(p, t)
        gradient = resized(subject, gradient, factor)
        for what, size, one, other in (
            ("value", before[0], loss, before[0]),
            ("gradient per length", before[1].norm(dim=-1, keepdim=True), gradient, before[1]),
        ):
            off = (one - other).abs() / size.abs().clamp(min=1 if what == "value" else 1e-3)
            off = off.reshape(len(pred), -1).amax(-1).nan_to_num(torch.inf)
            worst = int(off.argmax())
            largest = max(largest, float(off[worst]))
            if largest > SCALE_ERROR[dtype]:
                detail = (
                    f"boxes times {factor:.3g}: {what} off by {largest:.2g}; an epsilon added to a length, an area or "
                    "a power of them is no small number for such boxes, or a bound is reached"
                )
                return promised(
                    _promise(subject), False, detail, largest, show_call(p[worst : worst + 1], t[worst : worst + 1])
                )
    return promised(_promise(subject), True, f"relative error {largest:.2g} for boxes times 1e-4 to 1e6", largest)


def _promise(subject: Subject) -> bool | None:
    return None if subject.traits is None else True


def unit_of_length(subject: Subject) -> Finding:
    """Normalised boxes cost the same as boxes in pixels, or are declared to need pixels or the image's size."""
    pred, target = subject.sample(200)
    assert isinstance(target, Tensor)
    before = subject.rows(pred, target)
    after = subject.rows(resized(subject, pred, 1 / 640), resized(subject, target, 1 / 640))
    change = float(((after - before).abs() / before.abs().clamp(min=1)).max())
    promise = None if subject.traits is None else subject.traits.units != "any"
    detail = f"boxes divided by 640 cost up to {change:.2g} more or less"
    if subject.traits is not None:
        detail += f" (units: {subject.traits.units})"
    return promised(promise, change > 0.1, detail, change)


CHECKS = (
    *(
        Check(f"many inverted: {which}", "inverted", functools.partial(inverted, which=which), CORNERS)
        for which in ("pred", "target", "both")
    ),
    Check("equal boxes without area", "traits", equal_and_empty, BOXES),
    Check("every scale, fp64", "traits", functools.partial(at_every_scale, dtype=torch.float64), BOXES),
    Check("every scale, fp32", "traits", functools.partial(at_every_scale, dtype=torch.float32), BOXES),
    Check("unit of length", "traits", unit_of_length, BOXES),
)
