"""What is audited: a callable with its kind and promises, called on samples of its own kind."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..catalog.declare import COLUMNS, Kind, Parameter, Scale, Traits
from ..module.imported import LossCallable as LossCallable
from ..samples import ordinary
from ..tensors import Target, cast, on_target

NO_CODE = "f = ...  # your loss: f(pred, target)"


@dataclass(frozen=True)
class Scores:
    """What a class or region loss takes.

    Attributes:
        form: form of the target, see `loss_plugins.tensors.FORMS`.
        scale: what the prediction is; None: what the traits say, and logits where there are none.
    """

    form: str = "dense"
    scale: Scale | None = None


@dataclass(frozen=True)
class Subject:
    """A loss under audit.

    Attributes:
        name: what reports call it.
        function: (pred, target) to the loss per row or element, unreduced where it can be.
        kind: what its inputs are.
        traits: what it promises; None: nothing, so traits are measured and not judged.
        setup: one line of Python that defines `f`, for reproductions.
        scores: what inputs a class or region loss takes.
        forms: all forms of the target that the loss takes.
        parameters: hyper-parameters that `rebuild` takes, by name.
        rebuild: the same loss with other parameters, where that can be done.
        denominator: (pred, target) to what "mean" divides by; None: the number of elements.
        pure: the loss is declared to depend on its arguments alone, so its value and gradient may be computed together.
        shipped: it is a loss of this package.
    """

    name: str
    function: LossCallable
    kind: Kind = "box"
    traits: Traits | None = None
    setup: str = NO_CODE
    scores: Scores = field(default_factory=Scores)
    forms: tuple[str, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    rebuild: Callable[..., LossCallable] | None = None
    denominator: Callable[[Tensor, Any], Tensor] | None = None
    pure: bool = False
    shipped: bool = False

    @property
    def module(self) -> nn.Module | None:
        """The loss as a module, if it is one."""
        return self.function if isinstance(self.function, nn.Module) else None

    @property
    def declared(self) -> Traits:
        """The traits, or the defaults where nothing was promised."""
        return self.traits or Traits()

    @property
    def form(self) -> str:
        """The form of the target that the loss is fed."""
        return self.scores.form

    @property
    def scale(self) -> Scale:
        """What the prediction of a class or region loss is."""
        return self.scores.scale or self.declared.scale

    @property
    def rows_are_boxes(self) -> bool:
        """Whether the loss takes boxes, as opposed to scores or masks."""
        return self.kind in COLUMNS

    def sample(self, n: int = 12, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Target]:
        """Ordinary input of the loss's kind."""
        return ordinary(self.kind, self.form, self.scale)(n, seed, dtype)

    def value(self, pred: Tensor, target: Target) -> Tensor:
        """The loss as it is returned."""
        return self.function(pred, target)

    def gradient(self, pred: Tensor, target: Target) -> tuple[Tensor, Tensor]:
        """The loss, and the gradient of its sum with respect to the prediction."""
        leaf = pred.detach().clone().requires_grad_()
        loss = self.value(leaf, target)
        if not loss.requires_grad:
            raise RuntimeError("the result does not depend on pred: there is no gradient")
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        return loss.detach(), gradient

    def rows(self, pred: Tensor, target: Target) -> Tensor:
        """The loss summed over everything but rows, (n,); row by row where it gives one number for a batch."""
        n = len(pred)
        with torch.no_grad():
            if self.gives_rows:
                loss = self.value(pred, target)
                return loss.reshape(n, -1).sum(-1) if n else loss.reshape(0)
            single = (self.value(*row_of(pred, target, index)).sum() for index in range(n))
            return torch.stack(list(single))

    def fed(self, scores: Scores) -> Subject:
        """The same loss, fed with targets of another form."""
        return replace(self, scores=scores)

    def running(self, function: LossCallable) -> Subject:
        """The same loss with other parameters."""
        return replace(self, function=function)

    @property
    def couples_rows(self) -> str:
        """Why the loss of a row depends on the rows beside it; "": it does not.

        A box loss is audited in evaluation mode, where its running statistic is a constant.
        """
        if self.kind == "distribution":
            return "rows share the counts of the matched and of the others"
        coupled = self.declared.stateful and not self.rows_are_boxes
        return "stateful: rows share a running statistic" if coupled else ""

    @functools.cached_property
    def gives_rows(self) -> bool:
        """Whether a batch has a loss per row; some implementations give one number for all."""
        n = 7  # neither the number of classes nor of channels in a sample
        loss = self.value(*self.sample(n, dtype=torch.float32))
        return loss.ndim > 0 and len(loss) == n

    @functools.cached_property
    def computes_in_double(self) -> bool:
        """Whether float64 input is computed in float64, and not rounded to float32."""
        pred, target = self.sample(20)
        rounded = pred.float().double(), cast(cast(target, torch.float32), torch.float64)
        return not torch.equal(self.value(pred, target), self.value(*rounded))


def row_of(pred: Tensor, target: Target, index: int) -> tuple[Tensor, Target]:
    """One row as a batch of one."""
    return pred[index : index + 1], on_target(lambda part: part[index : index + 1], target)


def frozen(function: LossCallable) -> LossCallable:
    """A module is audited as a copy in evaluation mode, so that running statistics stay put; functions as they are."""
    return copy.deepcopy(function).eval() if isinstance(function, nn.Module) else function


#: significant digits that bring a number back exactly
DIGITS = {torch.float16: 5, torch.bfloat16: 4, torch.float32: 9, torch.float64: 17}


def literal(value: Target) -> str:
    """Python that makes the tensor again, bit for bit.

    >>> literal(torch.tensor([[1.0, 2.5]]))
    'torch.tensor([[1., 2.5]])'
    """
    if isinstance(value, tuple):
        return "(" + ", ".join(literal(part) for part in value) + ")"
    kind = "" if value.dtype in (torch.float32, torch.int64) else f", dtype={value.dtype}"
    if not value.numel():
        return f"torch.zeros({tuple(value.shape)}{kind})"
    return f"torch.tensor({_nested(value.tolist(), DIGITS.get(value.dtype, 0))}{kind})"


def _nested(numbers: Any, digits: int) -> str:
    if isinstance(numbers, list):
        return "[" + ", ".join(_nested(number, digits) for number in numbers) + "]"
    if not isinstance(numbers, float):
        return repr(numbers)
    text = f"{numbers:.{digits}g}"
    if not math.isfinite(numbers):
        return f"float('{text}')"
    return text if "." in text or "e" in text else f"{text}."


def show_call(pred: Tensor, target: Target) -> str:
    """The line that prints value and gradient for an input."""
    return (
        f"p = {literal(pred)}.requires_grad_(); v = f(p, {literal(target)}); "
        "print(v, torch.autograd.grad(v.sum(), p)[0])"
    )
