"""Promises: range, zero at equality, symmetry, shift, scale, mirror. Judged both ways, or measured if not promised."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...samples import CLASSES
from ...tensors import Target
from ..check import BOXES, EVERY, Check, Finding, judged, measured, not_applicable, promised
from ..subject import Subject, literal, row_of, show_call

TOLERANCE = 1e-6
NEAR_ZERO = 1e-3


def in_range(subject: Subject) -> Finding:
    """All values lie in the range promised."""
    pred, target = subject.sample(1000)
    loss = subject.value(pred, target).detach()
    low, high = float(loss.min()), float(loss.max())
    detail = f"values from {low:.4g} to {high:.4g}"
    if subject.traits is None:
        return measured(f"{detail}; nothing promised", high)
    least, most = subject.traits.range
    inside = low >= least - 1e-5 and high <= most + 1e-5  # an epsilon beside 1 - IoU may cost this much
    return judged(inside, f"{detail}; promised: {least:g} to {most:g}", high if high > most else low)


def zero_at_equality(subject: Subject) -> Finding:
    """The loss is 0 where prediction and target are equal, if the traits promise it."""
    promise = None if subject.traits is None else subject.traits.zero_at_equality
    pair = agreeing(subject)
    if pair is None:
        never = f"{subject.scale} never equal targets of the form {subject.form!r}"
        return judged(False, f"{never}; promised: 0 where they do") if promise else not_applicable(never)
    loss = subject.value(*pair).detach().abs()
    largest = float(loss.max())
    code = show_call(*row_of(*pair, int(subject.rows(*pair).abs().argmax())))
    return promised(promise, largest < NEAR_ZERO, f"largest loss {largest:.3g}", largest, code, "zero_at_equality")


def agreeing(subject: Subject) -> tuple[Tensor, Target] | None:
    """A prediction equal to its target; None where scores and target are on different scales."""
    pred, target = subject.sample(50)
    if subject.rows_are_boxes:
        return pred, pred
    if subject.kind == "distribution":
        return target[0].clone(), target
    if subject.kind == "keypoint":
        return (target[0] if isinstance(target, tuple) else target).clone(), target
    if isinstance(target, tuple):
        return (target[0].clone(), target) if subject.form == "input_sign" else None
    if subject.scale == "log_probabilities":
        dense = target if target.shape == pred.shape else torch.nn.functional.one_hot(target, CLASSES)
        return dense.to(pred.dtype).clamp(min=1e-30).log(), target
    return (target.clone(), target) if target.shape == pred.shape else None


def change_of_loss(subject: Subject, change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> tuple[float, str]:
    """The largest relative change of the loss under a change of its inputs, and the line that shows it."""
    pred, target = subject.sample(200)
    assert isinstance(target, Tensor)
    changed = change(pred, target)
    before, after = subject.rows(pred, target), subject.rows(*changed)
    difference = (before - after).abs() / before.abs().clamp(min=1)
    worst = int(difference.nan_to_num(torch.inf).argmax())
    rows = [tensor[worst : worst + 1] for tensor in (pred, target, *changed)]
    p, t, q, u = (literal(row.float()) for row in rows)
    return float(difference.max()), f"print(f({p}, {t}), f({q}, {u}))"


def tolerance(subject: Subject) -> float:
    """The largest change that counts as rounding."""
    return TOLERANCE if subject.computes_in_double else 1e-5


def symmetric(subject: Subject) -> Finding:
    """Prediction and target may be swapped."""
    return _trait(subject, "symmetric", lambda pred, target: (target, pred))


def scale_invariant(subject: Subject) -> Finding:
    """Both boxes may be scaled by one factor."""
    return _trait(subject, "scale_invariant", lambda pred, target: (resized(subject, pred), resized(subject, target)))


def translation_invariant(subject: Subject) -> Finding:
    """Both boxes may be shifted."""
    return _trait(subject, "translation_invariant", lambda p, t: (shifted(subject, p), shifted(subject, t)))


def _trait(subject: Subject, trait: str, change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Finding:
    difference, code = change_of_loss(subject, change)
    promise = None if subject.traits is None else bool(getattr(subject.traits, trait))
    detail = f"largest change {difference:.2g}"
    return promised(promise, difference < tolerance(subject), detail, difference, code, trait)


def resized(subject: Subject, boxes: Tensor, factor: float = 0.5) -> Tensor:
    """All lengths times a factor; angles stay."""
    lengths = 8 if subject.kind == "quad" else 4
    return torch.cat([factor * boxes[:, :lengths], boxes[:, lengths:]], dim=1)


def shifted(subject: Subject, boxes: Tensor, by: float = 31.5) -> Tensor:
    """The boxes moved in x and y."""
    corners = {"rotated_box": 2, "quad": 8}.get(subject.kind, 4)
    return torch.cat([boxes[:, :corners] + by, boxes[:, corners:]], dim=1)


def mirrored(subject: Subject, boxes: Tensor, axis: int) -> Tensor:
    """The boxes in an image mirrored in x (axis 0) or y (axis 1)."""
    boxes = boxes.clone()
    if subject.kind == "rotated_box":
        boxes[:, axis] = 640 - boxes[:, axis]
        boxes[:, 4] = -boxes[:, 4]
        return boxes
    if subject.kind == "quad":
        boxes[:, axis::2] = 640 - boxes[:, axis::2]
        return boxes
    boxes[:, axis], boxes[:, axis + 2] = 640 - boxes[:, axis + 2], 640 - boxes[:, axis].clone()
    return boxes


def mirror(subject: Subject, axis: int) -> Finding:
    """The loss is the same in the mirrored image, unless the traits declare otherwise: then it must differ."""
    difference, code = change_of_loss(
        subject, lambda pred, target: (mirrored(subject, pred, axis), mirrored(subject, target, axis))
    )
    detail = f"largest change {difference:.2g}"
    if subject.declared.not_mirrored:
        return judged(
            difference >= tolerance(subject),
            f"{detail}, as declared: {subject.declared.not_mirrored}",
            difference,
            code,
        )
    holds = difference < tolerance(subject)
    return promised(None if subject.traits is None else True, holds, detail, difference, code)


def mirror_x(subject: Subject) -> Finding:
    """Mirrored in x: left and right exchanged."""
    return mirror(subject, 0)


def mirror_y(subject: Subject) -> Finding:
    """Mirrored in y: above and below exchanged."""
    return mirror(subject, 1)


CHECKS = (
    Check("range", "traits", in_range, EVERY),
    Check("zero at equality", "traits", zero_at_equality, EVERY),
    Check("symmetric", "traits", symmetric, BOXES),
    Check("scale invariant", "traits", scale_invariant, BOXES),
    Check("translation invariant", "traits", translation_invariant, BOXES),
    Check("mirrored in x", "traits", mirror_x, BOXES),
    Check("mirrored in y", "traits", mirror_y, BOXES),
)
