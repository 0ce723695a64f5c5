"""The module around an element-wise loss: parameters, running statistics, weight, reduction, loss_weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..catalog.declare import Parameter
from ..catalog.dialects import translated
from ..catalog.entries import Entry, add_alias, check_tensors, evaluate, get_entry
from ..catalog.ranges import Allowed, Choice, Interval, check_value
from ..tensors import Target
from .constants import split_constants
from .fused import fused_loss
from .help import explain
from .reduction import REDUCTIONS, Reduction, own_divisor, reduce_loss
from .state import RunningStatistic, running_statistics, statistics_of, sync_losses

#: the keywords that every module takes beside its function's
SETTINGS: dict[str, Allowed] = {
    "reduction": REDUCTIONS,
    "loss_weight": Interval(open_low=True, open_high=True),
    "compile": Choice(False, True),
}

#: module classes by name
CLASSES: dict[str, type[Loss]] = {}


class Loss(nn.Module):
    """A catalogued loss as a module; subclasses name their catalogue entry.

    Args:
        reduction: "none", "mean" or "sum".
        loss_weight: factor on the result, applied last.
        compile: turn value and gradient into machine code, by torch's compiler; the first call takes the time for it.
        **parameters: the function's keywords, checked here once.

    Attributes:
        entry: what the catalogue says of this loss, with the traits that the parameters give it.

    Raises:
        ValueError: a reduction or parameter that is not allowed.
        TypeError: a keyword that the loss does not know; the error lists those it does.
        RuntimeError: compile=True where no compiler is found.
    """

    entry: Entry
    other_settings: ClassVar[Mapping[str, Parameter]] = {}  # those of `SETTINGS` that a subclass takes otherwise

    def __init_subclass__(cls, name: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.entry = get_entry(name)
        add_alias(cls.__name__, name)
        CLASSES[cls.__name__] = cls
        explain(cls, Loss, SETTINGS)

    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, **parameters: Any
    ) -> None:
        super().__init__()
        entry = type(self).entry
        for name, value in {"reduction": reduction, "loss_weight": loss_weight, "compile": compile}.items():
            check_value(entry.name, name, value, SETTINGS[name])
        parameters = translated(entry.name, parameters)
        entry.check_complete(parameters)
        self.entry = entry.with_parameters(parameters)
        self.reduction, self.loss_weight, self.compile_wanted = reduction, loss_weight, compile
        self.parameters_given = {name: plain(value) for name, value in parameters.items()}
        self.dialect: str | None = parameters.get("dialect")
        self.fixed, self.constants = split_constants(self.entry, self.entry.arguments(self.parameters_given))
        for statistic in running_statistics(self.entry, self.resolved()):
            self.add_module(statistic.name, statistic)
        self.fused = fused_loss(self.entry, self.fixed, self.dialect, compile)
        if self.fused is not None and compile:
            self.fused.require({**self._hyper(), **{name: each.current for name, each in self.statistics.items()}})

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "fused"}  # made anew, see `Fused`

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.fused = fused_loss(self.entry, self.fixed, self.dialect, self.compile_wanted)

    @property
    def statistics(self) -> dict[str, RunningStatistic]:
        """The running statistics by the keyword of the function that takes each; a mix leaves them to its members."""
        return {name: part for name, part in self._modules.items() if isinstance(part, RunningStatistic)}

    def resolved(self) -> dict[str, Any]:
        """All parameters, defaults included."""
        defaults = {name: parameter.default for name, parameter in self.entry.parameters.items()}
        return {**defaults, **self.parameters_given}

    def elementwise(self, pred: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """The loss per element, before weight and reduction; running statistics learn here.

        Args:
            pred: predictions.
            target: targets.
            weight: says which elements count for running statistics (those above 0); nothing is multiplied by it.
        """
        arguments = self._arguments(pred, target, weight)
        if self.fused is None:
            return evaluate(self.entry, pred, target, arguments)
        check_tensors(self.entry, pred, target)
        return self.fused(pred, target, arguments)

    def _hyper(self) -> dict[str, Any]:
        """The parameters as the function takes them; numbers per class on the module's device."""
        return self.fixed if self.constants is None else {**self.fixed, **self.constants.tensors}

    def _arguments(self, pred: Tensor, target: Target, weight: Tensor | None) -> dict[str, Any]:
        arguments = dict(self._hyper())
        if weight is not None and "weight" in self.entry.keywords:
            arguments["weight"] = weight
        learning = self.training and torch.is_grad_enabled()
        for name, statistic in self.statistics.items():
            arguments[name] = statistic.learn(pred, target, weight) if learning else statistic.current
        return arguments

    def begin_step(self) -> None:
        """From now to the next `begin_step`, all calls make one update of the running statistics.

        After k calls, say one per level of a head, the state is what one call with all rows would have made it.
        Without any `begin_step`, every call is a step of its own, as in the papers' code.
        """
        for statistic in statistics_of([self]):
            statistic.begin_step()

    def sync(self) -> None:
        """End the step: make the running statistics what one process with the rows of all ranks would have made them.

        Every rank calls it once per step, after the optimizer's step: see `sync_losses`.
        """
        sync_losses([self])

    def forward(
        self,
        pred: Tensor,
        target: Target,
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: Reduction | None = None,
    ) -> Tensor:
        """The reduced loss.

        Args:
            pred: (n, 4) boxes, (n, 5) rotated boxes, (n, C) logits or (n, ...) masks, as the loss's kind demands.
            target: what to meet, in a form that the loss takes.
            weight: one number per row, (n,) or (n, 1), or one per element, of which a loss per row takes the mean.
            avg_factor: "mean" divides the sum by it; "none" ignores it.
            reduction_override: used instead of `reduction`.

        Returns:
            0-dim tensor, or the weighted loss per element for "none". An empty batch costs 0, in the graph.

        Raises:
            ValueError: an unknown reduction, avg_factor with "sum", or a weight that fits no row.
        """
        if reduction_override is not None:
            check_value(self.entry.name, "reduction_override", reduction_override, REDUCTIONS)
        reduction = reduction_override or self.reduction
        loss = self.elementwise(pred, target, weight)
        own = reduction == "mean" and avg_factor is None
        divisor = own_divisor(self.entry, self.dialect, pred, target, self._hyper()) if own else None
        reduced = reduce_loss(self.entry.name, loss, weight, reduction, avg_factor, divisor)
        return reduced if self.loss_weight == 1 else self.loss_weight * reduced

    def spec(self) -> dict[str, Any]:
        """Everything needed to build this loss again, all defaults resolved, in plain types."""
        call = {"type": self.entry.name, "reduction": self.reduction, "loss_weight": self.loss_weight}
        return {**call, **({"compile": True} if self.compile_wanted else {}), **self.resolved()}

    def extra_repr(self) -> str:
        """What differs between two losses of one class."""
        shown = {"reduction": self.reduction, "loss_weight": self.loss_weight, **self.parameters_given}
        return ", ".join(f"{name}={value!r}" for name, value in shown.items())


def plain(value: Any) -> Any:
    """Tuples and tensors as lists: what YAML and JSON give back."""
    if isinstance(value, Tensor):
        value = value.tolist()
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
