"""The module around an element-wise loss: parameters, running statistics, weight, reduction, loss_weight.

`torch.jit.script` takes neither modules nor functions: use `torch.compile` or `torch.export`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..catalog.declare import COLUMNS, Parameter
from ..catalog.dialects import defaults_of, translated
from ..catalog.entries import Entry, add_alias, check_tensors, evaluate, get_entry, read_tensors
from ..catalog.ranges import Allowed, Choice, Interval, check_value, plain
from ..errors import refusal, shown
from ..labels import Given
from ..tensors import Target, check_weight, fit_weight
from .constants import split_constants
from .fused import fused_loss
from .help import explain
from .reduction import (
    REDUCTIONS,
    Reduction,
    check_avg_factor,
    own_divisor,
    reduce_loss,
)
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
        TypeError: a keyword that the loss does not know, or a hyper-parameter by position; the error lists those known.
        RuntimeError: compile=True where no compiler is found.

    A subclass of a named class may leave `name` out: it is the same loss, under the same name.
    """

    entry: Entry
    other_settings: ClassVar[Mapping[str, Parameter]] = {}  # those of `SETTINGS` that a subclass takes otherwise

    def __init_subclass__(cls, name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if name is None:
            if not hasattr(cls, "entry"):
                came, remedy = f"class {cls.__name__}(Loss) names no loss", "write class MyIoULoss(Loss, name='my_iou')"
                raise refusal("Loss", came, "the name of a registered loss", remedy, TypeError)
            return
        cls.entry = get_entry(name)
        known = CLASSES.get(cls.__name__)
        if known is not None and known.entry is cls.entry and known.__module__ != cls.__module__:
            came = f"class {cls.__name__} has the name of {known.__module__}.{known.__qualname__}"
            raise refusal(name, came, "a class name of its own", f"call the class My{cls.__name__}, say")
        add_alias(cls.__name__, cls.entry.name)
        CLASSES[cls.__name__] = cls
        explain(cls, Loss, SETTINGS)

    def __init__(
        self,
        reduction: Reduction = "mean",
        loss_weight: float = 1.0,
        compile: bool = False,
        *positional: Any,
        **parameters: Any,
    ) -> None:
        super().__init__()
        entry = type(self).entry
        settings = {"reduction": plain(reduction), "loss_weight": plain(loss_weight), "compile": plain(compile)}
        if positional:
            raise entry.by_position(positional[0], len(positional))
        for name, value in settings.items():
            if value not in SETTINGS[name]:
                by_name = f"hyper-parameters go by name ({', '.join(entry.parameters)})" if entry.parameters else ""
                check_value(entry.name, name, value, SETTINGS[name], by_name or "leave it out for the default")
        parameters = {name: as_lists(value) for name, value in parameters.items()}
        parameters = translated(entry.name, parameters)
        entry.check_complete(parameters)
        self.entry = entry.with_parameters(parameters)
        self.reduction: Any = settings["reduction"]
        self.loss_weight: float = settings["loss_weight"]
        self.compile_wanted: bool = settings["compile"]
        self.parameters_given = {name: as_lists(value) for name, value in parameters.items()}
        self.dialect: str | None = parameters.get("dialect")
        self.fixed, self.constants = split_constants(self.entry, self.entry.arguments(self.parameters_given))
        self.labels = self.entry.label_rule(self.resolved())
        for statistic in running_statistics(self.entry, self.resolved()):
            self.add_module(statistic.name, statistic)
        self.fused = fused_loss(self.entry, self.fixed, self.dialect, self.compile_wanted)
        if self.fused is not None and self.compile_wanted:
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
        return self._per_element(self._read(pred, target), weight)

    def _read(self, pred: Tensor, target: Target) -> Given:
        return read_tensors(self.entry, pred, target, self.labels)

    def _per_element(self, given: Given, weight: Tensor | None) -> Tensor:
        if weight is not None:
            check_weight(self.entry.name, weight, given.pred)
            if self.statistics:  # which would learn from it before the loss is there to compare its shape with
                shape = given.pred.shape
                fit_weight(self.entry.name, weight, shape[:-1] if self.entry.kind in COLUMNS else shape)
        arguments = self._arguments(given, weight)
        if self.fused is None or (given.ignored is not None and self.entry.function in self.entry.told):
            return evaluate(self.entry, given, arguments)
        return given.silenced(self.fused(given.pred, given.target, arguments))

    def _hyper(self) -> dict[str, Any]:
        """The parameters as the function takes them; numbers per class on the module's device."""
        return self.fixed if self.constants is None else {**self.fixed, **self.constants.tensors}

    def _arguments(self, given: Given, weight: Tensor | None) -> dict[str, Any]:
        arguments = dict(self._hyper())
        if weight is not None and "weight" in self.entry.keywords:
            arguments["weight"] = weight
        learning = self.training and torch.is_grad_enabled()
        for name, statistic in self.statistics.items():
            arguments[name] = statistic.learn(given, weight) if learning else statistic.current
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
            weight: one number per row, (n,) or (n, 1), or one per element, of which a loss per row takes the mean.
            avg_factor: "mean" divides the sum by this number above 0 (0 only if nothing costs); "none" ignores it.
            reduction_override: used instead of `reduction`.
            *positional: nothing, or an error says what is taken.
            **unknown: nothing, likewise.

        Returns:
            0-dim tensor, or the weighted loss per element for "none". An empty batch costs 0, in the graph.

        Raises:
            ValueError: an unknown reduction, avg_factor with "sum", a weight that fits no row, or a label that is no
                class. Values of tensors (labels, a negative weight) are looked at in eager mode on the CPU only:
                elsewhere that would wait for the device or break the graph.
            TypeError: something else than tensors.
        """
        if positional or unknown:
            raise self._unknown_argument(positional, unknown)
        if reduction_override is not None:
            reduction_override = plain(reduction_override)
            remedy = f"leave it out for this module's {self.reduction!r}"
            check_value(self.entry.name, "reduction_override", reduction_override, REDUCTIONS, remedy)
        reduction = reduction_override or self.reduction
        if avg_factor is not None:
            check_tensors(self.entry, pred, target)  # first: their errors are the more telling ones
            avg_factor = check_avg_factor(self.entry.name, avg_factor, reduction, pred)
        given = self._read(pred, target)
        loss = self._per_element(given, weight)
        if defaults_of(self.entry.name, self.dialect).counts_itself:
            avg_factor, weight = None, None if weight is None else (weight > 0).to(weight.dtype)
        own = reduction != "none" and avg_factor is None
        divisor = own_divisor(self.entry, self.dialect, reduction, given, loss, self._hyper()) if own else None
        reduced = reduce_loss(self.entry.name, loss, weight, reduction, avg_factor, divisor)
        return reduced if self.loss_weight == 1 else self.loss_weight * reduced

    def _unknown_argument(self, positional: tuple[Any, ...], unknown: Mapping[str, Any]) -> TypeError:
        name, value = next(iter(unknown.items()), ("a sixth argument", positional[0] if positional else None))
        allowed = "pred, target, weight, avg_factor, reduction_override"
        remedy = "leave it out; hyper-parameters are given when the loss is built"
        return refusal(self.entry.name, f"{name}={shown(value)} is unknown to forward", allowed, remedy, TypeError)

    def spec(self) -> dict[str, Any]:
        """Everything needed to build this loss again, all defaults resolved, in plain types."""
        call = {"type": self.entry.name, "reduction": self.reduction, "loss_weight": self.loss_weight}
        return {**call, **({"compile": True} if self.compile_wanted else {}), **self.resolved()}

    def extra_repr(self) -> str:
        """What differs between two losses of one class."""
        shown = {"reduction": self.reduction, "loss_weight": self.loss_weight, **self.parameters_given}
        return ", ".join(f"{name}={value!r}" for name, value in shown.items())


def as_lists(value: Any) -> Any:
    """Plain values, with tuples and tensors as lists: what YAML and JSON give back."""
    value = plain(value.tolist() if isinstance(value, Tensor) else value)
    return [as_lists(item) for item in value] if isinstance(value, (list, tuple)) else value
