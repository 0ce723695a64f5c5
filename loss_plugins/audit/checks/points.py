"""Checks on key points: awkward instances, points that are not visible, NaN, and promises of shift, scale and swap."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...tensors import Target, cast
from ..check import POINTS, Check, Finding, judged, not_applicable, promised
from ..subject import Scores, Subject, literal, show_call
from .boxes import GRADIENT_BOUND
from .hostile import FACTORS
from .traits import tolerance

#: five points in a box of 40 x 30 px, and where they are predicted
TARGET = ((12.0, 8.0), (18.0, 8.0), (15.0, 12.0), (2.0, 28.0), (38.0, 27.0))
PRED = ((13.0, 8.5), (18.0, 8.0), (14.0, 13.5), (4.0, 26.0), (37.0, 29.0))
AREA = 1200.0
ALL, NONE = (True,) * 5, (False,) * 5
NAMES = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32", torch.float64: "fp64"}


@dataclass(frozen=True)
class PointCase:
    """One instance.

    Attributes:
        scale: factor on all coordinates.
        away: added to the predictions, after that.
        area: of the instance, before it is scaled.
        ordinary: coordinates are of ordinary size, so the gradient must be too.
    """

    name: str
    group: str
    pred: tuple[tuple[float, float], ...] = PRED
    target: tuple[tuple[float, float], ...] = TARGET
    visible: tuple[bool, ...] = ALL
    area: float = AREA
    scale: float = 1.0
    away: float = 0.0
    ordinary: bool = True

    def tensors(self, form: str, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Target]:
        """Prediction and target, of one row."""
        points = self.scale * torch.tensor([self.target], dtype=torch.float64)
        pred = self.scale * torch.tensor([self.pred], dtype=torch.float64) + self.away
        area = torch.tensor([self.area * self.scale**2], dtype=torch.float64)
        flow = torch.full_like(points, 0.5), torch.zeros_like(points[..., 0])
        others = {"points_visible_area": (area,), "points_visible_flow": flow}.get(form, ())
        target: Target = points if form == "dense" else (points, torch.tensor([self.visible]), *others)
        return pred.to(dtype), cast(target, dtype)

    def fits(self, dtype: torch.dtype) -> bool:
        """The dtype can hold the points at all."""
        pred, target = self.tensors("points_visible_area", dtype)
        return all(bool(part.isfinite().all()) for part in (pred, *target))


ONE = (False, False, True, False, False)
POINT_CASES = (
    PointCase("equal points", "equal", pred=TARGET),
    PointCase("near points", "overlap"),
    PointCase("points in one place", "equal", pred=(TARGET[0],) * 5, target=(TARGET[0],) * 5),
    PointCase("one key point", "overlap", pred=PRED[:1], target=TARGET[:1], visible=(True,)),
    PointCase("one visible point", "visible", visible=ONE),
    PointCase("no visible point", "visible", visible=NONE, away=900.0),
    PointCase("no area", "zero size", area=0.0),
    PointCase("no area, equal", "zero size", pred=TARGET, area=0.0),
    PointCase("no area, nothing visible", "zero size", area=0.0, visible=NONE),
    PointCase("points far off", "apart", away=900.0),
    PointCase("points 1e6 px off", "apart", away=1e6),
    PointCase("normalised points", "scale", scale=1 / 640),
    PointCase("points 1e-3 px apart", "scale", scale=1e-4, ordinary=False),
    PointCase("points of 1e6 px", "scale", scale=3e4),
)


def forms_of(subject: Subject) -> tuple[str, ...]:
    """The forms of the target that the loss takes."""
    return subject.forms or (subject.form,)


def with_visible(subject: Subject) -> list[Subject]:
    """The subject, fed with each form of the target that says what is visible."""
    return [subject.fed(Scores(form, subject.scores.scale)) for form in forms_of(subject) if form != "dense"]


# --- the table of cases --------------------------------------------------------------------------------------------


def case_value(subject: Subject, case: PointCase) -> Finding:
    """The value is finite, in every form of the target."""
    losses = [subject.value(*case.tensors(form)).detach() for form in forms_of(subject)]
    return judged(all(bool(loss.isfinite().all()) for loss in losses), f"values {_shown(losses)}")


def _shown(losses: list[Tensor]) -> str:
    return ", ".join(f"{float(loss.sum()):.4g}" for loss in losses)


def case_gradient(subject: Subject, case: PointCase) -> Finding:
    """The gradient is finite, and bounded for points of ordinary size."""
    gradients = [subject.gradient(*case.tensors(form))[1] for form in forms_of(subject)]
    largest = max(float(gradient.abs().max().nan_to_num(math.inf)) for gradient in gradients)
    bounded = largest <= GRADIENT_BOUND if case.ordinary else math.isfinite(largest)
    return judged(bounded, f"largest gradient {largest:.3g}", largest)


def case_checks(case: PointCase) -> Iterator[Check]:
    """Value and gradient of one case."""

    def code(subject: Subject) -> str:
        return show_call(*case.tensors(subject.form))

    for what, run in (("value", case_value), ("gradient", case_gradient)):
        yield Check(f"{case.name}: {what}", case.group, functools.partial(run, case=case), POINTS, code)


def every_case(subject: Subject, dtype: torch.dtype) -> Finding:
    """All awkward instances that the dtype can hold have a finite value and gradient."""
    cases = [case for case in POINT_CASES if case.fits(dtype)]
    for case in cases:
        for form in forms_of(subject):
            loss, gradient = subject.gradient(*case.tensors(form, dtype))
            if not (loss.isfinite().all() and gradient.isfinite().all()):
                code = show_call(*case.tensors(form, dtype))
                return judged(False, f"{case.name} ({form}): not finite", code=code)
    return judged(True, f"{len(cases)} cases finite", 0)


# --- what is not visible -------------------------------------------------------------------------------------------


def unseen_has_no_say(subject: Subject, bad: float) -> Finding:
    """A point that is not visible changes nothing, wherever it is predicted or annotated, and has no gradient."""
    for fed in with_visible(subject):
        pred, target = fed.sample(12, dtype=torch.float32)
        unseen = ~target[1].bool()
        loss, gradient = fed.gradient(pred, target)
        moved = torch.where(unseen[..., None], bad, pred), (torch.where(unseen[..., None], bad, target[0]), *target[1:])
        for p, t in ((moved[0], target), (pred, moved[1]), moved):
            other, slope = fed.gradient(p, t)
            fine = torch.equal(other, loss) and torch.equal(slope, gradient) and not bool(slope[unseen].any())
            if not fine:
                return judged(False, f"points that are not visible, at {bad:g}, change the loss", code=show_call(p, t))
    return _visible_forms(subject, "what is not visible has no say")


def nothing_visible_costs_nothing(subject: Subject) -> Finding:
    """An instance of which nothing is visible costs 0, has no gradient, and does not count in the mean."""
    for fed in with_visible(subject):
        pred, target = fed.sample(12)
        nothing = (target[0], torch.zeros_like(target[1]), *target[2:])
        loss, gradient = fed.gradient(pred, nothing)
        if bool(loss.any() or gradient.any()):
            return judged(False, f"it costs up to {float(loss.abs().max()):.3g}", code=show_call(pred[:1], nothing))
        if fed.rebuild is not None and (problem := _counts_in_mean(fed, pred, target)):
            return judged(False, problem)
    return _visible_forms(subject, "costs 0, and does not count")


def _counts_in_mean(subject: Subject, pred: Tensor, target: Target) -> str:
    assert subject.rebuild is not None
    mean = subject.rebuild(reduction="mean")
    seen = target[1].any(-1)
    kept = tuple(part[seen] for part in target)
    found, wanted = float(mean(pred, target)), float(mean(pred[seen], kept))
    return "" if abs(found - wanted) < 1e-9 * max(1, abs(wanted)) else f"mean {found:.4g}, without them {wanted:.4g}"


def flags_are_read_alike(subject: Subject) -> Finding:
    """True, COCO's 1 and 2, and a weight of 1 mean the same."""
    for fed in with_visible(subject):
        pred, (points, visible, *others) = fed.sample(12)
        expected = fed.value(pred, (points, visible, *others))
        for flags in (visible.long(), 2 * visible.to(torch.uint8), visible.to(pred.dtype)):
            if not torch.equal(fed.value(pred, (points, flags, *others)), expected):
                return judged(False, f"visible of {flags.dtype} is read otherwise than True and False")
    return _visible_forms(subject, "booleans, flags and weights of 1 agree")


def _visible_forms(subject: Subject, detail: str) -> Finding:
    return judged(True, detail) if with_visible(subject) else not_applicable("is not told what is visible")


# --- NaN -----------------------------------------------------------------------------------------------------------


def not_a_number(subject: Subject) -> Finding:
    """A NaN in a visible point gives a loss that is not finite."""
    pred, target = _spoiled(subject)
    loss = subject.value(pred, target).detach()
    return judged(not bool(loss.isfinite().all()), f"sum {float(loss.sum()):.4g}", code=show_call(pred, target))


def nan_stays_in_its_row(subject: Subject) -> Finding:
    """A NaN changes neither loss nor gradient of the other instances."""
    clean, clean_gradient = subject.gradient(*subject.sample(4, dtype=torch.float32))
    pred, target = _spoiled(subject)
    if not subject.gives_rows:
        return not_applicable("one number for the whole batch")
    loss, gradient = subject.gradient(pred, target)
    keep = torch.tensor([0, 2, 3])
    same = torch.equal(loss[keep], clean[keep]) and torch.equal(gradient[keep], clean_gradient[keep])
    return judged(same, "other rows unchanged" if same else "other rows changed", code=show_call(pred, target))


def _spoiled(subject: Subject) -> tuple[Tensor, Target]:
    """Four instances, the second all NaN."""
    pred, target = subject.sample(4, dtype=torch.float32)
    pred[1] = math.nan
    return pred, target


# --- promises ------------------------------------------------------------------------------------------------------


def change_of_loss(subject: Subject, change: Callable[[Tensor, Target], tuple[Tensor, Target]]) -> tuple[float, str]:
    """The largest change of the loss under a change of its inputs, relative to losses above 1; how to see it."""
    pred, target = subject.sample(60)
    changed = change(pred, target)
    before, after = subject.rows(pred, target), subject.rows(*changed)
    difference = ((before - after).abs() / before.abs().clamp(min=1)).nan_to_num(math.inf)
    return float(difference.max()), f"print(f({literal(pred)}, {literal(target)}).sum())  # and of the changed points"


def with_points(target: Target, change: Callable[[Tensor], Tensor]) -> Target:
    """The target with other points."""
    return (change(target[0]), *target[1:]) if isinstance(target, tuple) else change(target)


def swapped(pred: Tensor, target: Target) -> tuple[Tensor, Target]:
    """Prediction and points exchanged."""
    points = target[0] if isinstance(target, tuple) else target
    return points, with_points(target, lambda _: pred)


def shifted(pred: Tensor, target: Target) -> tuple[Tensor, Target]:
    """Both moved."""
    return pred + 31.5, with_points(target, lambda points: points + 31.5)


def resized(pred: Tensor, target: Target, form: str, factor: float) -> tuple[Tensor, Target]:
    """All lengths times a factor: points, deviations, and the square root of the area."""
    target = with_points(target, lambda points: factor * points)
    if form == "points_visible_area":
        target = (*target[:2], factor**2 * target[2])
    if form == "points_visible_flow":
        target = (*target[:2], factor * target[2], target[3])
    return factor * pred, target


def symmetric(subject: Subject) -> Finding:
    """Prediction and points may be swapped."""
    return _trait(subject, "symmetric", *change_of_loss(subject, swapped))


def translation_invariant(subject: Subject) -> Finding:
    """Prediction and points may be shifted."""
    return _trait(subject, "translation_invariant", *change_of_loss(subject, shifted))


def scale_invariant(subject: Subject) -> Finding:
    """All lengths may be scaled by one factor, from 1e-4 to 1e6."""
    changes = [change_of_loss(subject, _resizing(subject, factor)) for factor in FACTORS]
    return _trait(subject, "scale_invariant", *max(changes))


def _resizing(subject: Subject, factor: float) -> Callable[[Tensor, Target], tuple[Tensor, Target]]:
    return lambda pred, target: resized(pred, target, subject.form, factor)


def _trait(subject: Subject, trait: str, difference: float, code: str) -> Finding:
    promise = None if subject.traits is None else bool(getattr(subject.traits, trait))
    detail = f"largest change {difference:.2g}"
    return promised(promise, difference < tolerance(subject), detail, difference, code, trait)


def unit_of_length(subject: Subject) -> Finding:
    """Normalised points have the gradients of points in pixels, per length, or the loss is declared to need pixels."""
    pair = subject.sample(60)
    _, before = subject.gradient(*pair)
    _, after = subject.gradient(*resized(*pair, subject.form, 1 / 640))
    change = float((after / 640 - before).abs().max() / before.abs().max())
    promise = None if subject.traits is None else subject.traits.units != "any"
    detail = f"gradients per length of points divided by 640 are off by up to {change:.2g}"
    return promised(promise, change > 0.1, detail, change)


CHECKS = (
    *(check for case in POINT_CASES for check in case_checks(case)),
    *(
        Check(f"{name}, every instance", "precision", functools.partial(every_case, dtype=dtype), POINTS)
        for dtype, name in NAMES.items()
    ),
    *(
        Check(f"not visible, {bad:g}", "visible", functools.partial(unseen_has_no_say, bad=bad), POINTS)
        for bad in (0.0, math.inf, math.nan)
    ),
    Check("nothing visible", "visible", nothing_visible_costs_nothing, POINTS),
    Check("flags of visibility", "visible", flags_are_read_alike, POINTS),
    Check("NaN coordinate shows", "not finite", not_a_number, POINTS),
    Check("NaN stays in its row", "not finite", nan_stays_in_its_row, POINTS),
    Check("symmetric", "traits", symmetric, POINTS),
    Check("translation invariant", "traits", translation_invariant, POINTS),
    Check("scale invariant", "traits", scale_invariant, POINTS),
    Check("unit of length", "traits", unit_of_length, POINTS),
)
