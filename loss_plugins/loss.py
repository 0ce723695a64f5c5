"""The module around an element-wise loss: weight, reduction, avg_factor, loss_weight."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .catalog import Entry, evaluate, get_entry, register_module
from .checks import Choice, Interval, check_value

Reduction = Literal["none", "mean", "sum"]
REDUCTIONS = Choice("none", "mean", "sum")
FINITE = Interval(open_low=True, open_high=True)
AVG_FACTOR_EPS = torch.finfo(torch.float32).eps


class Loss(nn.Module):
    """A catalogued loss as a module; subclasses name their catalogue entry.

    Args:
        reduction: "none", "mean" or "sum".
        loss_weight: factor on the result, applied last.
        **parameters: the function's keywords, checked here once.

    Raises:
        ValueError: a reduction or parameter that is not allowed.
        TypeError: a keyword that the loss does not know; the error lists those it does.
    """

    entry: ClassVar[Entry]

    def __init_subclass__(cls, name: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.entry = get_entry(name)
        register_module(cls)

    def __init__(self, reduction: Reduction = "mean", loss_weight: float = 1.0, **parameters: Any) -> None:
        super().__init__()
        check_value(self.entry.name, "reduction", reduction, REDUCTIONS)
        check_value(self.entry.name, "loss_weight", loss_weight, FINITE)
        self.entry.check(parameters)
        self.reduction = reduction
        self.loss_weight = loss_weight
        self.parameters_given = parameters

    def elementwise(self, pred: Tensor, target: Tensor) -> Tensor:
        """The loss per box (or per coordinate), before weight and reduction."""
        return evaluate(self.entry, pred, target, self.parameters_given)

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: Reduction | None = None,
    ) -> Tensor:
        """The reduced loss.

        Args:
            pred: (n, 4) predictions.
            target: (n, 4) targets.
            weight: (n,), (n, 1) or (n, 4); a loss per box takes the mean over the last axis.
            avg_factor: "mean" divides the sum by it; "none" ignores it.
            reduction_override: used instead of `reduction`.

        Returns:
            0-dim tensor, or the weighted loss per element for "none". An empty batch costs 0, in the graph.

        Raises:
            ValueError: an unknown reduction, avg_factor with "sum", or a weight that fits no row.
        """
        reduction = self.reduction
        if reduction_override is not None:
            check_value(self.entry.name, "reduction_override", reduction_override, REDUCTIONS)
            reduction = reduction_override
        loss = self.elementwise(pred, target)
        return self.loss_weight * reduce_loss(self.entry.name, loss, weight, reduction, avg_factor)

    def spec(self) -> dict[str, Any]:
        """Everything needed to build this loss again, all defaults resolved, in plain types."""
        defaults = {name: parameter.default for name, parameter in self.entry.parameters.items()}
        return {
            "type": self.entry.name,
            "reduction": self.reduction,
            "loss_weight": self.loss_weight,
            **defaults,
            **self.parameters_given,
        }

    def extra_repr(self) -> str:
        """What differs between two losses of one class."""
        given = {"reduction": self.reduction, "loss_weight": self.loss_weight, **self.parameters_given}
        return ", ".join(f"{name}={value!r}" for name, value in given.items())


def reduce_loss(
    where: str,
    loss: Tensor,
    weight: Tensor | None = None,
    reduction: Reduction = "mean",
    avg_factor: float | Tensor | None = None,
) -> Tensor:
    """Weight, then reduce, as MMDetection defines it.

    mean: the sum over the number of elements, or over `avg_factor` (+ float32's epsilon) if given.

    >>> reduce_loss("demo", torch.tensor([1.0, 3.0]), torch.tensor([1.0, 0.0]))
    tensor(0.5000)
    """
    if weight is not None:
        loss = loss * fit_weight(where, weight, loss)
    if reduction == "none":
        return loss
    if reduction == "sum":
        if avg_factor is not None:
            raise ValueError(
                f"{where}: avg_factor={avg_factor!r} goes with reduction 'mean' or 'none', not 'sum'; leave it out"
            )
        return loss.sum()
    if avg_factor is None:
        return loss.sum() / max(loss.numel(), 1)
    return loss.sum() / (avg_factor + AVG_FACTOR_EPS)


def fit_weight(where: str, weight: Tensor, loss: Tensor) -> Tensor:
    """The weight in the loss's shape: (n, 4) or (n, 1) to (n,) by the mean, (n,) to (n, 4) by repetition."""
    if weight.shape == loss.shape:
        return weight
    if weight.shape[:-1] == loss.shape and weight.shape[-1] in (1, 4):
        return weight.mean(-1)
    if weight.shape == loss.shape[:-1] or weight.shape == (*loss.shape[:-1], 1):
        return weight.reshape(*loss.shape[:-1], 1)
    raise ValueError(
        f"{where}: weight has shape {tuple(weight.shape)}, the loss {tuple(loss.shape)}; "
        "pass one weight per row: (n,), (n, 1) or (n, 4)"
    )
