"""Form: shapes, untouched inputs, the same answer twice, strided inputs, gradients that match the values."""

from __future__ import annotations

import torch
from torch import Tensor

from ...tensors import cast, on_target
from ..check import BOXES, EVERY, SCORES, Check, Finding, judged, measured, not_applicable, promised, small_sample
from ..subject import Subject, literal, row_of, show_call


def shape(subject: Subject) -> Finding:
    """One loss per box: (n,), or (n, 4) for coordinates. (n, 1) times a weight (n,) would become n x n."""
    pred, target = subject.sample(5, dtype=torch.float32)
    found = tuple(subject.value(pred, target).shape)
    wanted = (5, 4) if subject.kind == "coordinate" else (5,)
    code = f"p = t = torch.rand(5, {pred.shape[1]}); print(f(p, t).shape)"
    if found == (5, 1) and wanted == (5,):
        return judged(False, "returns (n, 1): times a weight of shape (n,) that is n x n", 1, code)
    return judged(found == wanted, f"n = 5 boxes give shape {found}, wanted {wanted}", len(found), code)


def element_count(subject: Subject) -> Finding:
    """A loss of scores has no more elements than the prediction: nothing was broadcast."""
    pred, target = subject.sample(5, dtype=torch.float32)
    found = subject.value(pred, target)
    return judged(found.numel() <= pred.numel(), f"pred {tuple(pred.shape)} gives {tuple(found.shape)}", found.numel())


def empty(subject: Subject) -> Finding:
    """An empty batch: no exception, a loss of 0, and an empty gradient."""
    pred, target = subject.sample(2, dtype=torch.float32)
    pred, target = pred[:0].requires_grad_(), on_target(lambda part: part[:0], target)
    loss = subject.value(pred, target)
    loss.sum().backward()  # type: ignore[no-untyped-call]
    connected = pred.grad is not None and pred.grad.shape == pred.shape
    total = float(loss.detach().sum())
    return judged(
        total == 0 and connected,
        f"shape {tuple(loss.shape)}, sum {total:g}, {'connected' if connected else 'no graph'}",
        total,
        show_call(*subject.sample(0, dtype=torch.float32)),
    )


def one_row(subject: Subject) -> Finding:
    """The loss of a row does not depend on the rows beside it."""
    if coupled := subject.couples_rows:
        return not_applicable(coupled)
    pred, target = subject.sample(3)
    first = row_of(pred, target, 0)
    alone = subject.rows(*first)
    if not subject.gives_rows:
        return measured("one number for the whole batch: a row has no loss of its own", float(alone.sum()))
    difference = float((alone - subject.rows(pred, target)[:1]).abs().max())
    return judged(difference < 1e-9, f"difference {difference:.2g}", difference, show_call(*first))


def permutation(subject: Subject) -> Finding:
    """Rows in another order have the same losses."""
    pred, target = subject.sample(12)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    before, after = subject.value(pred, target), subject.value(pred[order], on_target(lambda part: part[order], target))
    wanted = before[order] if subject.gives_rows else before
    difference = float((after - wanted).abs().max() / wanted.abs().max().clamp(min=1))
    return judged(difference < 1e-9, f"difference {difference:.2g}", difference)


def inputs_untouched(subject: Subject) -> Finding:
    """Neither input is written to, not even in passing."""
    pred, target = subject.sample(8, dtype=torch.float32)
    parts = (pred, *target) if isinstance(target, tuple) else (pred, target)
    kept, versions = [part.clone() for part in parts], [part._version for part in parts]
    subject.value(pred, target)
    same = all(torch.equal(part, copy) for part, copy in zip(parts, kept, strict=True))
    same = same and versions == [part._version for part in parts]
    return judged(same, "inputs unchanged" if same else "an input was written to")


def deterministic(subject: Subject) -> Finding:
    """Two calls give the same value and gradient, bit for bit."""
    pair = subject.sample(64, dtype=torch.float32)
    first, second = subject.gradient(*pair), subject.gradient(*pair)
    same = all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    return judged(same, "same bits twice" if same else "two calls differ")


def no_grad(subject: Subject) -> Finding:
    """Under no_grad: no graph, and gradients are still off afterwards."""
    pred, target = subject.sample(4, dtype=torch.float32)
    with torch.no_grad():
        loss = subject.value(pred.requires_grad_(), target)
        left_off = not torch.is_grad_enabled()
    return judged(left_off and not loss.requires_grad, "gradients stay off" if left_off else "switches gradients on")


def strided(subject: Subject) -> Finding:
    """A view with gaps gives the value and gradient of its copy."""

    def with_gaps(part: Tensor) -> Tensor:
        return torch.stack([part, part], dim=1)[:, 0]

    return _same_as_copy(subject, with_gaps)


def expanded(subject: Subject) -> Finding:
    """One row repeated without memory (stride 0) gives the value and gradient of its copy."""
    return _same_as_copy(subject, lambda part: part[:1].expand(6, *part.shape[1:]))


def _same_as_copy(subject: Subject, view: object) -> Finding:
    assert callable(view)
    pred, target = subject.sample(6, dtype=torch.float32)
    pred, target = view(pred), on_target(view, target)
    copies = pred.contiguous(), on_target(Tensor.contiguous, target)
    leaf = pred.detach().requires_grad_()
    viewed = subject.value(leaf, target)
    (gradient,) = torch.autograd.grad(viewed.sum(), leaf)
    loss, expected = subject.gradient(*copies)
    difference = max(float((viewed.detach() - loss).abs().max()), float((gradient - expected).abs().max()))
    return judged(difference < 1e-5, f"difference to the copy {difference:.2g}", difference)


def finite_differences(subject: Subject) -> Finding:
    """The gradient agrees with finite differences, unless the traits declare a detached part: then it must not."""
    if not subject.computes_in_double:
        return measured("computes in single precision whatever the input: too coarse for finite differences")
    n = 24 if subject.gives_rows else 1
    pred, target = subject.sample(n, seed=3)
    _, gradient = subject.gradient(pred, target)
    slope = numeric_gradient(subject, pred, target)
    flat, expected = gradient.reshape(n, -1), slope.reshape(n, -1)
    size = torch.maximum(flat.abs().amax(-1), expected.abs().amax(-1))
    error = (flat - expected).abs().amax(-1) / size.clamp(min=1e-4)
    largest, worst = float(error.max()), int(error.argmax())
    code = show_call(*row_of(pred, target, worst))
    detail = f"largest relative error {largest:.2g}"
    if subject.declared.detached:
        return judged(largest > 1e-3, f"{detail}, as declared: {subject.declared.detached}", largest, code)
    return promised(None if subject.traits is None else True, largest < 1e-3, detail, largest, code)


def numeric_gradient(subject: Subject, pred: Tensor, target: Tensor | tuple[Tensor, ...], step: float = 1e-6) -> Tensor:
    """Central differences of the loss's sum, all rows at once where rows are independent."""
    slope = torch.zeros_like(pred)
    rows = slope.reshape(len(pred), -1)
    moves = range(rows.shape[1]) if rows.shape[1] <= 12 else range(0, rows.shape[1], 17)
    if rows.shape[1] > 12:
        _, exact = subject.gradient(pred, target)
        rows.copy_(exact.reshape(len(pred), -1))  # too many to try all: the others count as right
    for column in moves:
        delta = torch.zeros_like(rows)
        delta[:, column] = step
        up, down = (pred + sign * delta.view_as(pred) for sign in (1, -1))
        rows[:, column] = (subject.rows(up, target) - subject.rows(down, target)) / (2 * step)
    return slope


def target_dtype(subject: Subject) -> Finding:
    """A float64 target does not break a float32 prediction."""
    pred, target = subject.sample(6, dtype=torch.float32)
    wide = subject.value(pred, cast(target, torch.float64))
    narrow = subject.value(pred, target).double()
    difference = float(((wide.double() - narrow) / narrow.abs().clamp(min=1)).abs().max())
    return judged(difference < 1e-4, f"difference {difference:.2g}", difference)


def target_dtype_code(subject: Subject) -> str:
    """The reproduction, with a float64 target."""
    pred, target = small_sample(subject, 4)
    return f"print(f({literal(pred)}, {literal(cast(target, torch.float64))}))"


CHECKS = (
    Check("one loss per box", "form", shape, BOXES),
    Check("no broadcast", "form", element_count, SCORES),
    Check("no rows", "form", empty, EVERY),
    Check("one row", "form", one_row, EVERY),
    Check("rows permuted", "form", permutation, EVERY),
    Check("inputs untouched", "form", inputs_untouched, EVERY),
    Check("deterministic", "form", deterministic, EVERY),
    Check("no_grad respected", "form", no_grad, EVERY),
    Check("strided input", "form", strided, EVERY),
    Check("expanded input", "form", expanded, EVERY),
    Check("float64 target", "form", target_dtype, EVERY, target_dtype_code),
    Check("gradient is the slope", "form", finite_differences, EVERY),
)
