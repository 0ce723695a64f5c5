"""Are two losses the same? Sampled inputs, the largest difference in value and gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..peers import EXACT, Compared, LossCall, Tolerance, compared, installed
from ..samples import SAMPLES
from ..tensors import Target, cast
from .rules import RULES

#: how many times a built-in's own rounding two ways of writing one formula may lie apart in float32
ROUNDINGS = 8
#: gradients this much smaller than the sample's largest are compared with that, not with themselves
NEGLIGIBLE = 1e-6


def evaluated(
    loss: LossCall, pred: Tensor, target: Target, total: Callable[[Tensor], Tensor] = torch.sum
) -> tuple[Tensor, Tensor]:
    """Values, and the gradient of their sum, or of another total.

    Of a prediction without elements there is no gradient, and some built-ins leave the graph there.
    """
    leaf = pred.detach().clone().requires_grad_()
    value = loss(leaf, target)
    if not leaf.numel():
        return value.detach(), leaf.detach()
    (gradient,) = torch.autograd.grad(total(value), leaf)
    return value.detach(), gradient


# --- against what is installed -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """One of our dialects beside one installed built-in, in one precision.

    Attributes:
        value_max, value_mean: differences of the values, relative above 1.
        gradient_max, gradient_mean: differences of the gradients per row, relative to the row's largest entry (or to
            `NEGLIGIBLE` of the sample's largest).
        by_rounding: rows beyond the tolerance, but within `ROUNDINGS` times the built-in's own rounding in float32.
        excluded: rows that a known deviation takes out, by the rule's name.
        broken: rows beyond all of that; 0 for equal losses.
        worst: the row of the largest difference, and what it holds.
    """

    framework: str
    loss: str
    builtin: str
    sample: str
    dtype: str
    rows: int
    value_max: float
    value_mean: float
    gradient_max: float
    gradient_mean: float
    tolerance: Tolerance
    by_rounding: int
    broken: int
    worst: int
    worst_pred: list[float]
    worst_target: list[float]
    remark: str = ""
    excluded: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Equal, to the tolerance promised."""
        return self.broken == 0

    @property
    def verdict(self) -> str:
        """In words."""
        if not self.ok:
            return f"BROKEN in {self.broken} rows"
        if self.value_max == self.gradient_max == 0:
            return "equal bit for bit"
        return f"equal; {self.by_rounding} rows by their rounding" if self.by_rounding else "equal"

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {**asdict(self), "ok": self.ok, "verdict": self.verdict}


def parity_of(
    framework: str, n: int = 20_000, seed: int = 0, progress: Callable[[str], None] = lambda _: None
) -> Iterator[Comparison]:
    """Every built-in of a framework (or of "all" that are installed), in float32 and float64.

    Those that the installed version does not have are left out; `absent` names them.
    """
    for row in compared(framework):
        if (framework == "all" and not installed(row.framework)) or row.missing():
            continue
        progress(f"{row.framework} {row.name}")
        for dtype in (torch.float32, torch.float64):
            if dtype is torch.float32 or row.double is not None:
                yield compare_builtin(row, n, seed, dtype)


def absent(framework: str) -> list[str]:
    """What the installed version of a framework (or of "all") does not have."""
    rows = [row for row in compared(framework) if installed(row.framework)]
    return [f"{row.framework} {row.name}: {why}" for row in rows if (why := row.missing())]


def compare_builtin(row: Compared, n: int = 20_000, seed: int = 0, dtype: torch.dtype = torch.float32) -> Comparison:
    """Our dialect beside the installed built-in, on one sample."""
    pred, target = SAMPLES[row.sample](n, seed, dtype)
    our_value, our_gradient = evaluated(row.dialect(), pred, target)
    value, gradient = evaluated(row.theirs(), pred, target)
    if our_value.shape != value.shape:
        raise ValueError(f"{row.name}: ours is {tuple(our_value.shape)}, {row.builtin} {tuple(value.shape)}")
    single = dtype is torch.float32
    tolerance = row.tolerance(single)
    own = evaluated(row.theirs(), pred.double(), cast(target, torch.float64)) if single else (value, gradient)
    of_value = _Rows.of_values(our_value, value, own[0], tolerance.value)
    of_gradient = _Rows.of_gradients(our_gradient, gradient, own[1], tolerance.gradient)
    if tolerance == EXACT:
        of_value, of_gradient = of_value.strictly(), of_gradient.strictly()
    whole = per_row(our_gradient).isfinite(), per_row(gradient).isfinite()
    excluded, of_value, of_gradient = _without_known(row, pred, target, of_value, of_gradient, *whole)
    worst = int((of_value.share + of_gradient.share).argmax()) if len(of_value.share) == len(of_gradient.share) else 0
    return Comparison(
        framework=row.framework,
        loss=row.name,
        builtin=row.builtin,
        sample=row.sample,
        dtype=str(dtype).removeprefix("torch."),
        rows=len(pred),
        value_max=of_value.largest(),
        value_mean=of_value.mean(),
        gradient_max=of_gradient.largest(),
        gradient_mean=of_gradient.mean(),
        tolerance=tolerance,
        by_rounding=max(of_value.by_rounding(), of_gradient.by_rounding()),
        broken=max(of_value.broken(), of_gradient.broken()),
        worst=worst,
        worst_pred=_first(pred[worst]),
        worst_target=_first(target[worst] if isinstance(target, Tensor) else target[0][worst]),
        remark=row.remark,
        excluded=excluded,
    )


def _first(values: Tensor) -> list[float]:
    numbers: list[float] = values.detach().double().flatten()[:8].tolist()
    return numbers


def _without_known(
    row: Compared, pred: Tensor, target: Target, of_value: _Rows, of_gradient: _Rows, ours: Tensor, theirs: Tensor
) -> tuple[dict[str, int], _Rows, _Rows]:
    """Leave out what the rules know; `ours` and `theirs` say which gradients are finite."""
    counts: dict[str, int] = {}
    for rule in RULES:
        if not rule.applies(row):
            continue
        known = rule.rows(pred, target) & ours
        if not rule.gradient_only:  # it speaks of NaN: where theirs has none, there is nothing to leave out
            known = known & ~theirs
            of_value = of_value.without(known)
        of_gradient = of_gradient.without(known)
        counts[rule.name] = int(known.sum())
    return counts, of_value, of_gradient


@dataclass(frozen=True)
class _Rows:
    """Differences per row, what they are relative to, and what is allowed."""

    difference: Tensor
    size: Tensor
    tolerance: float
    rounding: Tensor
    wrong: Tensor

    @classmethod
    def of_values(cls, ours: Tensor, theirs: Tensor, own: Tensor, tolerance: float) -> _Rows:
        size = per_row(theirs).nan_to_num(0, 0, 0).clamp(min=1)
        return cls._of(ours, theirs, own, size, tolerance)

    @classmethod
    def of_gradients(cls, ours: Tensor, theirs: Tensor, own: Tensor, tolerance: float) -> _Rows:
        size = per_row(theirs).nan_to_num(0, 0, 0)
        return cls._of(ours, theirs, own, size.clamp(min=float(size.max()) * NEGLIGIBLE + 1e-30), tolerance)

    @classmethod
    def _of(cls, ours: Tensor, theirs: Tensor, own: Tensor, size: Tensor, tolerance: float) -> _Rows:
        difference, rounding = per_row(ours - theirs), ROUNDINGS * per_row(theirs - own)
        return cls(difference.double(), size.double(), tolerance, rounding.double(), ~difference.isfinite())

    @property
    def share(self) -> Tensor:
        """Relative differences; infinite where one side is not finite."""
        return torch.where(self.wrong, torch.inf, self.difference / self.size)

    def strictly(self) -> _Rows:
        """No allowance at all."""
        return _Rows(self.difference, self.size, 0.0, torch.zeros_like(self.rounding), self.wrong)

    def without(self, known: Tensor) -> _Rows:
        """Those rows count as equal."""
        if len(known) != len(self.difference):
            return self
        difference = self.difference.masked_fill(known, 0)
        return _Rows(difference, self.size, self.tolerance, self.rounding, self.wrong & ~known)

    def beyond(self) -> Tensor:
        return ~(self.difference <= self.tolerance * self.size)

    def broken(self) -> int:
        allowed = self.tolerance * self.size + self.rounding.nan_to_num(0)
        return int((self.wrong | ~(self.difference <= allowed)).sum())

    def by_rounding(self) -> int:
        return int(self.beyond().sum()) - self.broken()

    def largest(self) -> float:
        return float(self.share.max())

    def mean(self) -> float:
        return float(self.share.mean())


def per_row(values: Tensor) -> Tensor:
    """The largest entry of each row, in absolute value; a scalar is one row."""
    values = values.abs()
    return values.flatten(1).amax(1) if values.ndim > 1 else values.reshape(-1)
