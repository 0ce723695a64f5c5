"""Precision: half, bfloat16, single, double, mixed, autocast. Judged against the same loss in float64."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from ...corners import in_form
from ...tensors import Target, cast, on_target
from ..check import BOXES, EVERY, Check, Finding, judged
from ..subject import Subject, literal
from .cases import all_cases

#: largest error allowed against float64 on the same (rounded) input, relative to losses above 1
TOLERANCES = {torch.float16: 1e-2, torch.bfloat16: 2e-2, torch.float32: 1e-4, torch.float64: 1e-12}
NAMES = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32", torch.float64: "fp64"}


def against_double(
    subject: Subject, pred: Tensor, target: Target, tolerance: float, autocast: torch.dtype | None = None
) -> Finding:
    """The loss in the precision of the input, against the same loss in float64 on the same numbers."""
    exact = subject.value(pred.double(), cast(target, torch.float64)).detach()
    with torch.autocast("cpu", dtype=autocast or torch.bfloat16, enabled=autocast is not None):
        loss, gradient = subject.gradient(pred, target)
    bad = int((~loss.isfinite()).sum()) + int((~gradient.isfinite()).sum())
    error = ((loss.double() - exact).abs() / exact.abs().clamp(min=1)).nan_to_num(torch.inf)
    largest = float(error.max())
    worst = int(error.reshape(len(pred), -1).sum(-1).argmax()) if subject.gives_rows else 0
    row = pred[worst : worst + 1], on_target(lambda part: part[worst : worst + 1], target)
    detail = f"error {largest:.2g}" + (f", {bad} numbers not finite" if bad else "")
    return judged(largest <= tolerance and not bad, detail, largest, _code(*row, autocast))


def _code(pred: Tensor, target: Target, autocast: torch.dtype | None) -> str:
    around = f"torch.autocast('cpu', dtype={autocast})(f)" if autocast else "f"
    doubled = literal(cast(target, torch.float64))
    return f"print({around}({literal(pred)}, {literal(target)}), f({literal(pred.double())}, {doubled}))"


def in_dtype(subject: Subject, dtype: torch.dtype) -> Finding:
    """Ordinary input in one dtype."""
    pred, target = subject.sample(200 if subject.rows_are_boxes else 32, dtype=torch.float32)
    return against_double(subject, pred.to(dtype), cast(target, dtype), TOLERANCES[dtype])


def mixed(subject: Subject, pred_dtype: torch.dtype, target_dtype: torch.dtype) -> Finding:
    """Prediction and target in different dtypes, as automatic mixed precision leaves them."""
    pred, target = subject.sample(200 if subject.rows_are_boxes else 32, dtype=torch.float32)
    return against_double(subject, pred.to(pred_dtype), cast(target, target_dtype), TOLERANCES[torch.bfloat16])


def under_autocast(subject: Subject, dtype: torch.dtype) -> Finding:
    """Single-precision input under autocast."""
    pred, target = subject.sample(200 if subject.rows_are_boxes else 32, dtype=torch.float32)
    return against_double(subject, pred, target, TOLERANCES[torch.bfloat16], autocast=dtype)


def double_stays(subject: Subject) -> Finding:
    """float64 input is computed in float64; otherwise no gradient could be checked by finite differences."""
    double = subject.computes_in_double
    return judged(double, "float64 throughout" if double else "rounded to float32 on the way")


def whole_image(subject: Subject, dtype: torch.dtype) -> Finding:
    """Boxes of 300 to 2400 px, whose areas half precision cannot hold."""
    sides = torch.tensor([300.0, 500.0, 800.0, 1280.0, 2400.0], dtype=torch.float64)
    zero = torch.zeros_like(sides)
    target = torch.stack([zero, zero, sides, 0.75 * sides], dim=1)
    pred = torch.stack([zero + 8, zero + 16, sides - 16, 0.75 * sides + 8], dim=1)
    pred, target = in_form(subject.kind, pred, 0.25), in_form(subject.kind, target, 0.25)
    return against_double(subject, pred.to(dtype), target.to(dtype), TOLERANCES[dtype])


def every_case(subject: Subject, dtype: torch.dtype) -> Finding:
    """All awkward boxes that the dtype can hold have a finite value and gradient."""
    cases, pred, target = all_cases(subject.kind, dtype)
    loss, gradient = subject.gradient(pred, target)
    fine = loss.reshape(len(cases), -1).isfinite().all(-1) & gradient.isfinite().all(-1)
    bad = [case.name for case, good in zip(cases, fine.tolist(), strict=True) if not good]
    if not bad:
        return judged(True, f"{len(cases)} cases finite", 0)
    row = next(index for index, case in enumerate(cases) if case.name == bad[0])
    code = (
        f"p = {literal(pred[row : row + 1])}.requires_grad_(); v = f(p, {literal(target[row : row + 1])}); "
        "print(v, torch.autograd.grad(v.sum(), p)[0])"
    )
    return judged(False, f"{len(bad)} of {len(cases)} cases not finite: {', '.join(bad)}", len(bad), code)


CHECKS = (
    *(Check(name, "precision", functools.partial(in_dtype, dtype=dtype), EVERY) for dtype, name in NAMES.items()),
    *(
        Check(f"{name}, whole image", "precision", functools.partial(whole_image, dtype=dtype), BOXES)
        for dtype, name in NAMES.items()
    ),
    *(
        Check(f"{name}, every case", "precision", functools.partial(every_case, dtype=dtype), BOXES)
        for dtype, name in NAMES.items()
    ),
    *(
        Check(
            f"pred {NAMES[one]}, target {NAMES[other]}",
            "precision",
            functools.partial(mixed, pred_dtype=one, target_dtype=other),
            EVERY,
        )
        for one, other in (
            (torch.float16, torch.float32),
            (torch.float32, torch.float16),
            (torch.bfloat16, torch.float32),
        )
    ),
    *(
        Check(f"autocast {NAMES[dtype]}", "precision", functools.partial(under_autocast, dtype=dtype), EVERY)
        for dtype in (torch.float16, torch.bfloat16)
    ),
    Check("fp64 stays fp64", "precision", double_stays, EVERY),
)
