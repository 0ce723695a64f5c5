"""One loss, one number: whatever the batch's size and axes, and whichever way value and gradient are computed."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from ...fusion import by_autograd, rows_per_block
from ...module.loss import Loss
from ...tensors import Target, on_target
from ..check import BOXES, EVERY, Check, Finding, judged, measured, not_applicable
from ..subject import LossCallable, Subject, row_of, show_call
from .scores import constant_target

#: numbers of rows on both sides of where code may branch
SIZES = (2, 3, 7, 33, 257, 4097, 70_001)
#: likewise, where a row is a mask
MASKS = (2, 3, 7, 33, 257)
#: two ways of computing may differ by this much, relative to losses and gradients above 1
CLOSE = 1e-4


# --- the size of the batch -----------------------------------------------------------------------------------------


def any_number_of_rows(subject: Subject) -> Finding:
    """A row costs the same in batches of every size: no branch on the size, no statistic of the batch."""
    if coupled := subject.couples_rows:
        return not_applicable(coupled)
    if not subject.gives_rows:
        return measured("one number for the whole batch: a row has no loss of its own")
    sizes = MASKS if subject.kind == "region" else SIZES
    pred, target = subject.sample(sizes[-1], dtype=torch.float32)
    first = row_of(pred, target, 0)
    alone = subject.rows(*first)
    for others, n in itertools.product(_neighbours(subject, target), sizes):
        part = on_target(lambda tensor, n=n: tensor[:n], others)  # type: ignore[misc]
        beside = subject.rows(pred[:n], part)[:1]
        difference = float((beside - alone).abs().max() / alone.abs().max().clamp(min=1))
        if not difference < CLOSE:
            return judged(
                False,
                f"the first row costs {float(alone):.4g} alone and {float(beside):.4g} in a batch of {n}: the loss "
                "branches on the size of the batch, or uses a statistic of it (a mean, a maximum, a rank)",
                difference,
                f"{show_call(*first)}  # and as the first of {n} rows",
            )
    return judged(True, f"the same in batches of up to {sizes[-1]} rows", 0)


def _neighbours(subject: Subject, target: Target) -> list[Target]:
    """The target, and others that begin with its first row: an ordinary one may have the same mean in every batch."""
    found = [target]
    for positive in (False, True):
        pair = None if subject.rows_are_boxes else constant_target(subject, positive, len(_first(target)))
        if pair is not None and isinstance(target, Tensor):
            found.append(torch.cat([target[:1], on_target(lambda part: part[1:], pair[1])]))  # type: ignore[list-item]
    return found


def _first(target: Target) -> Tensor:
    return target[0] if isinstance(target, tuple) else target


def more_axes(subject: Subject) -> Finding:
    """Boxes of shape (2, 3, 4) cost what the same six boxes cost in rows: the loss looks at the last axis alone."""
    pred, target = subject.sample(6)
    assert isinstance(target, Tensor)
    if not subject.gives_rows:
        return measured("one number for the whole batch")
    shape = (2, 3, pred.shape[1])
    wanted = subject.value(pred, target).detach()
    found = subject.value(pred.view(shape), target.view(shape)).detach()
    code = f"p = t = torch.rand{shape}; print(f(p, t).shape)"
    expected = (2, 3, *wanted.shape[1:])
    if tuple(found.shape) != expected:
        return judged(False, f"boxes of shape {shape} give shape {tuple(found.shape)}, wanted {expected}", code=code)
    difference = float((found.reshape(wanted.shape) - wanted).abs().max())
    return judged(difference < 1e-9, f"difference to the same boxes in rows {difference:.2g}", difference, code)


# --- the fused and the compiled path -------------------------------------------------------------------------------


def fused(subject: Subject) -> Finding:
    """Value and gradient computed in one go are those of autograd, for few and many rows."""
    if not subject.pure:
        return not_applicable("not registered with pure=True: value and gradient come from autograd")
    with one_thread():
        return _compared(subject, subject.function, (2, 7, 300, _longer_than_a_block(subject)), "fused")


def compiled(subject: Subject) -> Finding:
    """Machine code (compile=True) gives value and gradient of autograd."""
    if not subject.pure or subject.rebuild is None:
        return not_applicable("not registered with pure=True: it cannot be compiled")
    try:
        machine_code = subject.rebuild(compile=True)
    except (ValueError, RuntimeError) as error:  # refused, with the reason
        return not_applicable(str(error))
    return _compared(subject, machine_code, (2, 7, 300), "compiled")


def _compared(subject: Subject, function: LossCallable, sizes: tuple[int, ...], how: str) -> Finding:
    """Where autograd computes both sides nothing is compared, which fails for a loss of this package.

    Unless no other way is better than autograd, as for a few operations, or the engine takes no such target.
    """
    finding = _same_as_autograd(subject, function, sizes, how)
    if finding.status == "failed":
        return finding
    reasons = {_why_not_fused(subject, function, n) for n in sizes}
    if reasons == {None}:
        return finding
    if why := next(filter(None, reasons), ""):
        gave_up = subject.shipped and not isinstance(subject.sample(2)[1], tuple)
        return judged(False, f"not {how}: {why}") if gave_up else not_applicable(f"not {how}: {why}")
    return not_applicable(f"not {how}: each number depends on several, or a few operations gain nothing")


def _why_not_fused(subject: Subject, function: LossCallable, n: int) -> str | None:
    assert isinstance(function, Loss)
    pred, target = subject.sample(n, seed=n, dtype=torch.float32)
    return function.why_not_fused(pred.requires_grad_(), target)


def _same_as_autograd(subject: Subject, function: LossCallable, sizes: tuple[int, ...], how: str) -> Finding:
    largest = 0.0
    for n in sizes:
        pred, target = subject.sample(n, seed=n, dtype=torch.float32)
        found, expected = _gradient(function, pred, target), _plain_gradient(subject, pred, target)
        for what, one, other in zip(("value", "gradient"), found, expected, strict=True):
            off = (one - other).abs() / other.abs().clamp(min=1)
            difference = float(off.nan_to_num(torch.inf).max())
            largest = max(largest, difference)
            if difference > CLOSE:
                worst = int(off.nan_to_num(torch.inf).argmax())
                return judged(
                    False,
                    f"{n} rows: the {how} path gives {what} {float(one.flatten()[worst]):.5g} where autograd gives "
                    f"{float(other.flatten()[worst]):.5g}; does the loss depend on its arguments alone, as pure=True "
                    "says, and does it compute the same for every shape?",
                    difference,
                )
    return judged(True, f"difference to autograd {largest:.2g}", largest)


def _plain_gradient(subject: Subject, pred: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """Value and gradient without the engine."""
    with by_autograd():
        return _gradient(subject.function, pred, target)


def _gradient(function: LossCallable, pred: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    leaf = pred.detach().clone().requires_grad_()
    loss = function(leaf, target)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return loss.detach(), gradient


def _longer_than_a_block(subject: Subject) -> int:
    """A number of rows that the engine takes in two parts."""
    per_row = 1 if subject.kind in ("box", "rotated_box", "quad") else subject.sample(1)[0].numel()
    return rows_per_block() // per_row + 3


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """The engine's blocks are longest with many threads; with one, a test of two blocks stays small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


CHECKS = (
    Check("same in batches of any size", "form", any_number_of_rows, EVERY),
    Check("more axes than rows", "form", more_axes, BOXES),
    Check("fused path", "graph", fused, EVERY),
    Check("compiled path", "graph", compiled, EVERY),
)
