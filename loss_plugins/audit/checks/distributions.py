"""Checks on distributions beside a teacher's: saturated logits, an equal teacher, groups that are missing."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from ..check import DISTRIBUTIONS, Check, Finding, judged
from ..subject import Subject, show_call
from .boxes import GRADIENT_BOUND

Given = tuple[Tensor, tuple[Tensor, Tensor]]


def drawn(subject: Subject, n: int = 6) -> Given:
    """Ordinary input in float32."""
    pred, target = subject.sample(n, dtype=torch.float32)
    assert isinstance(target, tuple)
    return pred, (target[0], target[1])


def bounded(subject: Subject, pred: Tensor, target: tuple[Tensor, Tensor]) -> Finding:
    """Value and gradient are finite, and the gradient is bounded."""
    loss, gradient = subject.gradient(pred, target)
    largest = float(gradient.abs().max())
    fine = bool(loss.isfinite().all()) and largest <= GRADIENT_BOUND
    detail = f"largest loss {float(loss.max()):.4g}, gradient {largest:.4g}"
    return judged(fine, detail, largest, show_call(pred[:2], (target[0][:2], target[1][:2])))


def saturated(subject: Subject, size: float, right: bool) -> Finding:
    """Logits of that size, of a student and a teacher that agree, or that rule out what the other is sure of."""
    pred, (_, matched) = drawn(subject)
    sign = torch.where(torch.arange(pred.shape[1]) == torch.arange(len(pred))[:, None] % pred.shape[1], 1.0, -1.0)
    return bounded(subject, size * sign, (size * (sign if right else sign.roll(1, 1)), matched))


def ruled_out(subject: Subject) -> Finding:
    """A bin of logit -inf that the teacher gives nothing has no part in the loss."""
    pred, (teacher, matched) = drawn(subject)
    pred[:, 0], teacher[:, 0] = -math.inf, -math.inf
    loss, gradient = subject.gradient(pred, (teacher, matched))
    less = subject.value(pred[:, 1:], (teacher[:, 1:], matched)).detach()
    difference = float((loss - less).abs().max())
    return judged(difference < 1e-5 and bool(gradient.isfinite().all()), f"difference {difference:.2g}", difference)


def equal_teacher(subject: Subject) -> Finding:
    """The least of the loss is at the teacher: no gradient there, and more on either side."""
    pred, (teacher, matched) = drawn(subject)
    _, gradient = subject.gradient(teacher.clone(), (teacher, matched))
    least = float(subject.value(teacher.clone(), (teacher, matched)).sum())
    away = [float(subject.value(teacher + sign * (pred - teacher), (teacher, matched)).sum()) for sign in (-1, 1)]
    largest = float(gradient.abs().max())
    return judged(largest < 1e-5 and min(away) > least, f"gradient {largest:.2g}, loss {least:.4g}", largest)


def one_group(subject: Subject, all_matched: bool) -> Finding:
    """Where all rows are matched, or none is."""
    pred, (teacher, matched) = drawn(subject)
    return bounded(subject, pred, (teacher, torch.full_like(matched, all_matched)))


def not_a_number(subject: Subject) -> Finding:
    """A NaN logit gives a loss that is not finite, and leaves the other rows alone."""
    pred, target = drawn(subject, 4)
    clean = subject.value(pred, target).detach()
    pred[1] = math.nan
    loss = subject.value(pred, target).detach()
    keep = torch.tensor([0, 2, 3])
    fine = not bool(loss[1].isfinite()) and torch.equal(loss[keep], clean[keep])
    return judged(fine, f"loss {loss.tolist()}", code=show_call(pred, target))


CHECKS = (
    *(
        Check(
            f"teacher {'agrees' if right else 'disagrees'}, logits of {size:g}",
            "saturated",
            functools.partial(saturated, size=size, right=right),
            DISTRIBUTIONS,
        )
        for size in (30.0, 200.0, 1e4)
        for right in (True, False)
    ),
    Check("bin of logit -inf", "saturated", ruled_out, DISTRIBUTIONS),
    Check("least at the teacher", "minimum", equal_teacher, DISTRIBUTIONS),
    Check("all are matched", "groups", functools.partial(one_group, all_matched=True), DISTRIBUTIONS),
    Check("none is matched", "groups", functools.partial(one_group, all_matched=False), DISTRIBUTIONS),
    Check("NaN logit shows, and stays in its row", "not finite", not_a_number, DISTRIBUTIONS),
)
