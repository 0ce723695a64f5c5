"""The module around an element-wise loss: parameters, running statistics, weight, reduction, loss_weight.

`torch.jit.script` takes neither modules nor functions: use `torch.compile` or `torch.export`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..catalog.declare import Parameter
from ..catalog.dialects import defaults_of, translated
from ..catalog.entries import Entry, is_shipped
from ..catalog.evaluation import evaluate, read_tensors
from ..catalog.offered import applied, smoothed, weighed, weights_met
from ..catalog.results import check_result
from ..labels import Given
from ..tensors import Target
from .arguments import (
    SETTINGS,
    as_lists,
    check_settings,
    check_weight_of,
    entry_of,
    hyper_parameters,
    named_entry,
    reduction_of_call,
)
from .constants import split_constants
from .fused import check_statistics_fit, fused_loss
from .help import explain
from .reduction import (
    Reduction,
    check_avg_factor,
    counted_as_theirs,
    own_divisor,
    reduce_loss,
    shape_as_theirs,
    weight_as_theirs,
)
from .state import RunningStatistic, Stateful, check_statistics, running_statistics

#: module classes by name
CLASSES: dict[str, type[Loss]] = {}


class Loss(Stateful):
    """A catalogued loss as a module; subclasses name their catalogue entry.

    Args:
        reduction: "none", "mean" or "sum".
        loss_weight: factor on the result, applied last.
        compile: turn value and gradient into machine code, by torch's compiler; the first call takes the time for it.
        **parameters: the function's keywords, checked here once.

    Attributes:
        entry: what the catalogue says of this loss, with the traits that the parameters give it.

    Raises:
        ValueError: a reduction or parameter that is not allowed; a loss that compile=True does not serve.
        TypeError: a keyword that the loss does not know, or a hyper-parameter by position; the error lists those known.
        RuntimeError: compile=True where no compiler is found.

    A subclass of a named class may leave `name` out: it is the same loss.
    """

    entry: Entry
    follows_its_name: ClassVar[bool] = False  # see `current`
    other_settings: ClassVar[Mapping[str, Parameter]] = {}  # those of `SETTINGS` that a subclass takes otherwise

    def __init_subclass__(cls, name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if name is not None or not hasattr(cls, "entry"):
            cls.entry = named_entry(cls, name, CLASSES.get(cls.__name__))
            cls.follows_its_name = "__reduce_ex__" not in vars(cls) and not is_shipped(cls.entry.function)
            CLASSES[cls.__name__] = cls
            explain(cls, Loss, SETTINGS)
        check_statistics(f"class {cls.__name__}", cls.entry.states, dir(cls))

    def __init__(
        self,
        reduction: Reduction = "mean",
        loss_weight: float = 1.0,
        compile: bool = False,
        *positional: Any,
        **parameters: Any,
    ) -> None:
        super().__init__()
        entry = entry_of(type(self))
        settings = check_settings(entry, reduction, loss_weight, compile, positional)
        self.reduction, self.loss_weight, self.compile_wanted = settings
        written = hyper_parameters(entry, parameters)
        parameters = translated(entry.name, written)
        entry.check_complete(parameters, written)
        self.entry = entry.with_parameters(parameters)
        self.parameters_given = {name: as_lists(value) for name, value in parameters.items()}
        self.dialect: str | None = parameters.get("dialect")
        self.asked = applied(self.entry, self.parameters_given)
        given = {**self.entry.arguments(self.parameters_given), **self.asked}
        self.fixed, self.constants = split_constants(self.entry, given)
        self.fixed = {name: value for name, value in self.fixed.items() if name not in self.asked}
        self.labels = self.entry.label_rule(self.resolved())
        kept = self.entry.states
        check_statistics(type(self).__name__, kept, [name for name in kept if hasattr(self, name)])
        for statistic in running_statistics(self.entry, self.resolved()):
            self.add_module(statistic.name, statistic)
        self.fused = fused_loss(self.entry, self.fixed, self.dialect, self.compile_wanted)
        if self.fused is not None and self.compile_wanted:
            learnt = {name: each.current for name, each in self.statistics.items()}
            check_statistics_fit(self.entry, learnt)
            self.fused.require({**self._hyper(), **learnt})

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "fused"}  # made anew, see `Fused`

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.fused = fused_loss(self.entry, self.fixed, self.dialect, self.compile_wanted)

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
        return self.per_element(read_tensors(self.entry, pred, target, self.labels), weight)

    def per_element(self, given: Given, weight: Tensor | None) -> Tensor:
        """As `elementwise`, of tensors that have been read."""
        if self.asked:
            asked = self._asked()
            given = smoothed(given, asked)
            return weighed(self.entry, self._by_function(given, weight), given, asked)
        return self._by_function(given, weight)

    def _by_function(self, given: Given, weight: Tensor | None) -> Tensor:
        statistics = self.statistics
        if weight is not None:
            check_weight_of(self.entry, weight, given, learnt=len(statistics) > 0)
        arguments = self._arguments(given, weight, statistics)
        if given.pred.requires_grad and self._learns:
            for statistic in statistics.values():
                given = given._replace(pred=statistic.heard(given)) if statistic.of_gradient else given
        if self.fused is None or (given.ignored is not None and self.entry.function in self.entry.told):
            return evaluate(self.entry, given, arguments)
        return given.silenced(check_result(self.entry, self.fused(given.pred, given.target, arguments), given.pred))

    def why_not_fused(self, pred: Tensor, target: Target) -> str | None:
        """Why autograd gives the gradient of such a call; "": no other way is better; None: it comes with the value."""
        if self.fused is None:
            return "a dialect rounds as its framework does"
        given = read_tensors(self.entry, pred, target, self.labels)
        return self.fused.why_not(given.pred, given.target, self.arguments_now())

    def arguments_now(self) -> dict[str, Any]:
        """The parameters as the function takes them, and its running statistics as they are."""
        now = {name: statistic.current for name, statistic in self.statistics.items()}
        return {**self._hyper(), **now}

    def _hyper(self) -> dict[str, Any]:
        """The parameters as the function takes them; numbers per class on the module's device."""
        if self.constants is None:
            return self.fixed
        own = {name: value for name, value in self.constants.tensors.items() if name not in self.asked}
        return {**self.fixed, **own}

    def _asked(self) -> dict[str, Any]:
        """The parameters that are applied around the function, likewise."""
        known = {} if self.constants is None else self.constants.tensors
        return {name: known.get(name, value) for name, value in self.asked.items()}

    def _arguments(
        self, given: Given, weight: Tensor | None, statistics: Mapping[str, RunningStatistic]
    ) -> dict[str, Any]:
        arguments = dict(self._hyper())
        if weight is not None and "weight" in self.entry.keywords:
            arguments["weight"] = weight
        for name, statistic in statistics.items():
            statistic.check_classes(given.pred)
            learns = self._learns or statistic.each_call
            arguments[name] = statistic.learn(given, weight) if learns else statistic.current
        return arguments

    @property
    def _learns(self) -> bool:
        """Whether running statistics learn from a call now."""
        return self.training and torch.is_grad_enabled()

    def forward(
        self,
        pred: Tensor = None,  # type: ignore[assignment]
        target: Target = None,  # type: ignore[assignment]
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: Reduction | None = None,
        *positional: Any,
        **unknown: Any,
    ) -> Tensor:
        """The reduced loss.

        Args:
            pred: (n, 4) boxes, (n, 5) rotated boxes, (n, C) logits or (n, ...) masks, as the loss's kind demands.
            target: what to meet, in a form that the loss takes.
            weight: numbers from 0 on, one per row, (n,) or (n, 1), or per element, of which a loss per row takes the
                mean. Values of weights and labels are looked at in eager mode on the CPU only: elsewhere that would
                wait for the device or break the graph.
            avg_factor: "mean" divides the sum by this number, + float32's epsilon; "none" ignores it.
            reduction_override: used instead of `reduction`.
            *positional: nothing, or an error says what is taken.
            **unknown: nothing, likewise.

        Returns:
            0-dim tensor, or the weighted loss per element for "none". An empty batch costs 0, in the graph.

        Raises:
            ValueError: unknown reduction, avg_factor with "sum", a weight that fits no row, a label that is no class.
            TypeError: something else than tensors.
        """
        reduction = reduction_of_call(self.entry, self.reduction, reduction_override, positional, unknown)
        given = read_tensors(self.entry, pred, target, self.labels)
        avg_factor = check_avg_factor(self.entry.name, avg_factor, reduction, pred)
        return self.reduced(given, weight, avg_factor, reduction)

    def reduced(
        self, given: Given, weight: Tensor | None, avg_factor: float | Tensor | None, reduction: Reduction
    ) -> Tensor:
        """As `forward`, of tensors that have been read and an `avg_factor` that is one number."""
        rule = defaults_of(self.entry.name, self.dialect)
        if rule.deaf:
            weight, avg_factor, reduction = None, None, "mean"
        loss = self.per_element(given, weight)
        if rule.counts_itself:
            avg_factor, weight = None, None if weight is None else (weight > 0).to(weight.dtype)
        if weight is not None:
            weight = weight_as_theirs(self.entry, self.dialect, rule, weight, loss.shape, given.pred)
        count = self.parameters_given.get("count_ignored")
        if reduction == "mean" and avg_factor is None:
            avg_factor = counted_as_theirs(rule, count, given, loss)
        if count:
            rule = replace(rule, mean="elements")
        own = reduction != "none" and avg_factor is None
        divisor = own_divisor(self.entry, rule, reduction, given, loss, self._hyper()) if own else None
        if own and reduction == "mean" and not rule.mean and self.asked:
            divisor = weights_met(self.entry, given, loss, self._asked(), divisor)
        reduced = reduce_loss(loss, weight, reduction, avg_factor, divisor)
        if reduction == "none" and self.dialect is not None:
            reduced = shape_as_theirs(rule, reduced, given.pred)
        return reduced if self.loss_weight == 1 else self.loss_weight * reduced

    def spec(self) -> dict[str, Any]:
        """Everything needed to build this loss again, all defaults resolved, in plain types."""
        call = {"type": self.entry.name, "reduction": self.reduction, "loss_weight": self.loss_weight}
        return {**call, **({"compile": True} if self.compile_wanted else {}), **self.resolved()}

    def extra_repr(self) -> str:
        """What differs between two losses of one class."""
        shown = {"reduction": self.reduction, "loss_weight": self.loss_weight, **self.parameters_given}
        return ", ".join(f"{name}={value!r}" for name, value in shown.items())
