"""Checks on single boxes: every awkward case, values and gradients; what NaN and inf may do; the order of losses."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from ...corners import in_form
from ..check import BOXES, Check, Finding, judged, not_applicable, promised
from ..subject import Subject, literal, show_call
from .cases import BOX_CASES, BoxCase

GRADIENT_BOUND = 1e4
#: a fall smaller than this, relative to losses above 1, is rounding
SLACK = 1e-5


# --- the table of cases --------------------------------------------------------------------------------------------


def case_value(subject: Subject, case: BoxCase) -> Finding:
    """The value is finite."""
    loss = subject.value(*case.tensors(subject.kind))
    return judged(bool(loss.isfinite().all()), f"value {_shown(loss)}", float(loss.sum()))


def case_gradient(subject: Subject, case: BoxCase) -> Finding:
    """The gradient is finite, and bounded for boxes of ordinary size."""
    _, gradient = subject.gradient(*case.tensors(subject.kind))
    largest = float(gradient.abs().max())
    bounded = largest <= GRADIENT_BOUND if case.ordinary else math.isfinite(largest)
    return judged(bounded, f"largest gradient {largest:.3g}", largest)


def case_checks(case: BoxCase) -> list[Check]:
    """Value and gradient of one case."""

    def code(subject: Subject) -> str:
        return show_call(*case.tensors(subject.kind))

    return [
        Check(f"{case.name}: value", case.group, functools.partial(case_value, case=case), BOXES, code),
        Check(f"{case.name}: gradient", case.group, functools.partial(case_gradient, case=case), BOXES, code),
    ]


def _shown(loss: Tensor) -> str:
    return ", ".join(f"{number:.4g}" for number in loss.flatten().tolist())


# --- input that is not finite, empty, or one row -------------------------------------------------------------------


def spoiled(subject: Subject, bad: float) -> tuple[Tensor, Tensor]:
    """Four ordinary pairs, with one coordinate of the second prediction set to `bad`."""
    pred, target = subject.sample(4, dtype=torch.float32)
    assert isinstance(target, Tensor)
    pred[1, 2] = bad
    return pred, target


def not_a_number(subject: Subject) -> Finding:
    """A NaN coordinate gives a loss that is not finite: it is not hidden."""
    loss = subject.rows(*spoiled(subject, math.nan))
    return judged(not bool(loss[1].isfinite()), f"loss of the NaN box: {float(loss[1]):.4g}")


def infinite(subject: Subject) -> Finding:
    """An infinite coordinate gives a loss that is not finite: a diverged model shows in the log."""
    loss, gradient = subject.gradient(*spoiled(subject, math.inf))
    row = loss.reshape(4, -1)[1]
    return judged(not bool(row.isfinite().all()), f"loss {_shown(row)}, gradient {_shown(gradient[1])}")


def isolated(subject: Subject, bad: float) -> Finding:
    """The loss and the gradient of the other rows do not change."""
    pred, target = spoiled(subject, bad)
    keep = torch.tensor([0, 2, 3])
    loss, gradient = subject.gradient(pred, target)
    clean, clean_gradient = subject.gradient(*subject.sample(4, dtype=torch.float32))
    same = torch.equal(loss[keep], clean[keep]) and torch.equal(gradient[keep], clean_gradient[keep])
    return judged(same, "other rows unchanged" if same else "other rows changed")


def spoiled_code(bad: float, subject: Subject) -> str:
    """The reproduction: the row with the bad coordinate, and the next."""
    pred, target = spoiled(subject, bad)
    return show_call(pred[1:3], target[1:3])


# --- the order of losses -------------------------------------------------------------------------------------------


def path(steps: Tensor, dx: float, dy: float) -> tuple[Tensor, Tensor]:
    """A box of 100 x 50 px moved away from its target step by step."""
    target = torch.tensor([200.0, 200.0, 300.0, 250.0], dtype=torch.float64).expand(len(steps), 4)
    return target + steps[:, None] * torch.tensor([dx, dy, dx, dy], dtype=torch.float64), target


def scaled(factors: Tensor) -> tuple[Tensor, Tensor]:
    """The same box scaled about its centre."""
    target = torch.tensor([200.0, 200.0, 300.0, 250.0], dtype=torch.float64).expand(len(factors), 4)
    center = torch.tensor([250.0, 225.0, 250.0, 225.0], dtype=torch.float64)
    return center + (target - center) * factors[:, None], target


PATHS = {
    "shifted right": lambda: path(torch.arange(0, 400, 5.0, dtype=torch.float64), 1, 0),
    "shifted down": lambda: path(torch.arange(0, 400, 5.0, dtype=torch.float64), 0, 1),
    "shifted diagonally": lambda: path(torch.arange(0, 400, 5.0, dtype=torch.float64), -1, 0.7),
    "shrunk": lambda: scaled(torch.linspace(1, 0.05, 40, dtype=torch.float64)),
    "grown": lambda: scaled(torch.linspace(1, 6, 40, dtype=torch.float64)),
}


def walk(subject: Subject, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """The pairs along a path, and the loss of each."""
    pred, target = PATHS[name]()
    pred, target = in_form(subject.kind, pred), in_form(subject.kind, target)
    return pred, target, subject.rows(pred, target)


def worse_costs_more(subject: Subject, name: str) -> Finding:
    """The loss never falls while the box gets worse; where the traits declare that it falls, it must."""
    pred, target, loss = walk(subject, name)
    falls = loss[:-1] - loss[1:]
    count = int((falls > SLACK * loss[1:].abs().clamp(min=1)).sum())
    reason = subject.declared.not_monotone.get(name, "")
    worst = int(falls.nan_to_num(math.inf).argmax())
    steps = slice(worst, worst + 2)
    code = f"print(f({literal(pred[steps])}, {literal(target[steps])}))  # the second box is worse"
    detail = f"the loss falls on {count} of {len(falls)} steps"
    if not bool(loss.isfinite().all()):
        return judged(False, "not finite on the way", count, code)
    if reason:
        return judged(count > 0, f"{detail}, as declared: {reason}", count, code)
    return judged(count == 0, detail, count, code)


def pulls_when_apart(subject: Subject) -> Finding:
    """Boxes that do not overlap have a gradient, or none, as `gradient_when_disjoint` says."""
    case = next(case for case in BOX_CASES if case.name == "disjoint, near")
    _, gradient = subject.gradient(*case.tensors(subject.kind, torch.float64))
    largest = float(gradient.abs().max())
    promise = None if subject.traits is None else subject.traits.gradient_when_disjoint
    code = show_call(*case.tensors(subject.kind))
    detail = f"largest gradient {largest:.3g}"
    return promised(promise, largest > 0, detail, largest, code, "gradient_when_disjoint")


def downhill(subject: Subject) -> Finding:
    """A small step against the gradient lowers the loss of every ordinary pair whose gradient is not 0."""
    pred, target = subject.sample(60)
    assert isinstance(target, Tensor)
    _, gradient = subject.gradient(pred, target)
    size = gradient.norm(dim=-1, keepdim=True)
    before, after = (subject.rows(boxes, target) for boxes in (pred, pred - 1e-4 * gradient / size.clamp(min=1e-30)))
    rises = (after > before + 1e-12) & (size[:, 0] > 0)
    count = int(rises.sum())
    if subject.declared.detached:
        return not_applicable(f"the gradient leaves a part out on purpose: {subject.declared.detached}")
    worst = int((after - before).argmax())
    code = show_call(pred[worst : worst + 1], target[worst : worst + 1])
    promise = None if subject.traits is None else True
    return promised(promise, count == 0, f"{count} of {len(pred)} pairs get worse", count, code)


CHECKS = (
    *(check for case in BOX_CASES for check in case_checks(case)),
    Check("NaN coordinate shows", "not finite", not_a_number, BOXES, functools.partial(spoiled_code, math.nan)),
    Check("inf coordinate shows", "not finite", infinite, BOXES, functools.partial(spoiled_code, math.inf)),
    Check(
        "NaN stays in its row",
        "not finite",
        functools.partial(isolated, bad=math.nan),
        BOXES,
        functools.partial(spoiled_code, math.nan),
    ),
    Check(
        "inf stays in its row",
        "not finite",
        functools.partial(isolated, bad=math.inf),
        BOXES,
        functools.partial(spoiled_code, math.inf),
    ),
    *(Check(name, "order", functools.partial(worse_costs_more, name=name), BOXES) for name in PATHS),
    Check("pulls boxes that are apart", "order", pulls_when_apart, BOXES),
    Check("downhill lowers the loss", "order", downhill, BOXES),
)
