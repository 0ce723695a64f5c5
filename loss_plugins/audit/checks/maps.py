"""Maps (n, C, h, w) beside rows (n, C): the same numbers, and the classes on axis 1 whatever h and w are."""

from __future__ import annotations

import math
from dataclasses import replace

from torch import Tensor

from ...catalog.ranges import PerClass
from ...samples import CLASSES
from ...tensors import BETWEEN_BINS, Target, on_target
from ..check import Check, Finding, judged, not_applicable
from ..subject import LossCallable, Subject

#: images, height and width of a small map
MAP = (2, 3, 4)
#: likewise, with as many columns, rows or pixels a row as there are classes
SHAPES = (MAP, (2, 3, CLASSES), (2, CLASSES, 3), (2, CLASSES, CLASSES), (CLASSES, 2, 3), (1, 1, 1))
SAME = 1e-9


def as_maps(pred: Tensor, target: Target, shape: tuple[int, int, int]) -> tuple[Tensor, Target]:
    """Rows as the pixels of maps: (n h w, C) to (n, C, h, w), and one number per row to (n, h, w)."""

    def mapped(part: Tensor) -> Tensor:
        if part.ndim == 1:
            return part.view(shape)
        return part.view(*shape, part.shape[1]).movedim(-1, 1).contiguous()

    return mapped(pred), on_target(mapped, target)


def flat(part: Tensor) -> Tensor:
    """The pixels of maps as rows."""
    return part.movedim(1, -1).reshape(-1, part.shape[1]) if part.ndim == 4 else part.reshape(-1)


def flat_rows(pred: Tensor, target: Target) -> tuple[Tensor, Target]:
    """The pixels of maps as rows, with their targets."""
    return flat(pred), on_target(flat, target)


def _rows_and_maps(
    subject: Subject, shape: tuple[int, int, int]
) -> tuple[tuple[Tensor, Target], tuple[Tensor, Target]]:
    rows = subject.sample(math.prod(shape))
    return rows, as_maps(*rows, shape)


def no_maps(subject: Subject) -> str:
    """Why a loss is not tried on maps; "": it is."""
    if subject.kind == "region":
        return ""
    if subject.form in BETWEEN_BINS:
        return "predicts bins, which lie on the last axis"
    if not subject.gives_rows:
        return "one number for the whole batch"
    try:
        subject.value(*_rows_and_maps(subject, MAP)[1])
    except (ValueError, TypeError, RuntimeError, IndexError) as error:
        return f"refuses maps of shape (n, C, h, w): {str(error).splitlines()[0][:120]}"
    return ""


def difference(function: LossCallable, rows: tuple[Tensor, Target], maps: tuple[Tensor, Target]) -> float:
    """How far the loss of maps is from that of their pixels, relative to losses above 1; inf for another number."""
    wanted, found = function(*rows).detach(), flat(function(*maps).detach())
    if found.shape != wanted.shape:
        return math.inf
    return float(((found - wanted).abs() / wanted.abs().clamp(min=1)).nan_to_num(math.inf).max())


def on_maps(subject: Subject) -> Finding:
    """A map costs what its pixels cost as rows, in every form of the target, one by one and in the mean."""
    forms = [subject.fed(replace(subject.scores, form=form)) for form in subject.forms] or [subject]
    reasons = [no_maps(fed) for fed in forms]
    if all(reasons):
        return not_applicable(reasons[0])
    for fed, reason in zip(forms, reasons, strict=True):
        if reason:
            return judged(False, f"targets of the form {fed.form!r}: {reason}; others are taken")
        for shape in SHAPES:
            finding = _as_pixels(fed, shape)
            if finding is not None:
                return finding
    return judged(True, f"{len(SHAPES)} shapes cost what their pixels cost", 0)


def _as_pixels(subject: Subject, shape: tuple[int, int, int]) -> Finding | None:
    """What maps of a shape cost else than their pixels; None: nothing."""
    rows, maps = _rows_and_maps(subject, shape)
    off = difference(subject.function, rows, maps)
    if not off < SAME:
        return judged(False, f"{_named(shape)} cost up to {off:.3g} more or less than their pixels", off)
    if subject.rebuild is None:
        return None
    mean = subject.rebuild(reduction="mean")
    found, wanted = float(mean(*maps).detach()), float(mean(*rows).detach())
    if abs(found - wanted) < SAME * max(1.0, abs(wanted)):
        return None
    return judged(False, f"{_named(shape)}: the mean is {found:.5g}, that of their pixels {wanted:.5g}", found)


def per_class(subject: Subject) -> Finding:
    """Numbers per class lie along the class axis: axis 1 of maps, also where they are as wide or as high as classes."""
    ranges = {name: each.allowed for name, each in subject.parameters.items() if isinstance(each.allowed, PerClass)}
    names = [*ranges]
    if subject.rebuild is None or not names:
        return not_applicable("no parameter with numbers per class")
    if reason := no_maps(subject):
        return not_applicable(reason)
    for name, allowed in ranges.items():
        unit = 1.0 if 3.0 in allowed.each else 0.25
        for number in range(CLASSES):
            numbers = [unit * (1 + 2 * (index == number)) for index in range(CLASSES)]
            weighed = subject.rebuild(**{name: numbers})
            for shape in SHAPES:
                finding = _along_classes(weighed, subject, shape, f"{name}[{number}]")
                if finding is not None:
                    return finding
    return judged(True, f"{', '.join(names)}: along the classes in {len(SHAPES)} shapes")


def _along_classes(weighed: LossCallable, subject: Subject, shape: tuple[int, int, int], what: str) -> Finding | None:
    rows, maps = _rows_and_maps(subject, shape)
    try:
        off = difference(weighed, rows, maps)
    except (ValueError, RuntimeError, IndexError) as error:
        return judged(False, f"{what} on {_named(shape)}: {str(error).splitlines()[0][:120]}")
    if off < SAME:
        return None
    axis = "columns or rows" if CLASSES in shape[1:] else "something else"
    return judged(
        False, f"{what} on {_named(shape)} weighs {axis}, not class {what[-2]}: off by {off:.3g} from their pixels", off
    )


def _named(shape: tuple[int, int, int]) -> str:
    return f"maps of shape ({shape[0]}, {CLASSES}, {shape[1]}, {shape[2]})"


CHECKS = (
    Check("maps as their pixels", "classes", on_maps, ("classification",)),
    Check("numbers per class on maps", "classes", per_class, ("classification",)),
)
