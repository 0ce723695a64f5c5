"""A catalogued loss behind MMDetection's call contract; what kinds of loss do differently lies beside."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from loss_plugins import build_loss
from loss_plugins.catalog.dialects import defaults_of, translated
from loss_plugins.catalog.entry import Entry
from loss_plugins.catalog.evaluation import check_tensors
from loss_plugins.catalog.ranges import closest
from loss_plugins.errors import refusal, shown
from loss_plugins.module.arguments import entry_of
from loss_plugins.module.loss import Loss
from loss_plugins.module.reduction import check_avg_factor
from loss_plugins.module.state import statistics_of
from loss_plugins.tensors import Target, check_weight

from .counting import count_from_outside
from .naming import in_plain_types, is_ours, own_keywords, type_name
from .steps import Steps

MMDET = "mmdet"
#: what heads of other packages pass beside, which no loss needs
HARMLESS = {"pred_decode", "targets_decode"}


class SenselessSlot(ValueError):
    """The loss is in a slot of the head whose inputs it cannot measure; the error names the config key to set."""


class PluggedLoss(nn.Module):
    """A catalogued loss behind MMDetection's call contract.

    Args:
        reduction: "none", "mean" or "sum".
        loss_weight: factor on the result, applied last.
        **parameters: the loss's own; all are checked, unknown ones are refused.

    Attributes:
        loss: the core's module; its buffers (a running mean, say) travel in the checkpoint.
        calls: how often a head has called it with gradients on.
        rows: how many boxes it has computed in those calls.
        lessons: how many of those calls could update running statistics.
        steps: which of those calls are one update.

    Raises:
        TypeError: unknown parameters; the error names each.
        ValueError: a parameter out of range.
    """

    entry: Entry
    #: the class that a config names, where it is another than that of the instance
    written_as: ClassVar[type | None] = None
    #: the keywords of a class of a user's own, in plain types
    given: dict[str, Any]

    def __new__(cls, *positional: Any, **parameters: Any) -> PluggedLoss:
        """An instance that keeps what a class of a user's own was given."""
        made = object.__new__(cls)
        made.__dict__["given"] = {} if is_ours(cls) else in_plain_types(parameters)
        return made

    def __init__(self, reduction: str = "mean", loss_weight: float = 1.0, *positional: Any, **parameters: Any) -> None:
        nn.Module.__init__(self)  # not super(): one class also inherits from MMDetection (registration.py, `_bases`)
        entry_of(type(self))
        if positional:
            raise self.entry.by_position(positional[0], len(positional))
        _refuse_unknown(self.entry, parameters)
        self.loss: Loss = build_loss(self.entry.name, reduction=reduction, loss_weight=loss_weight, **parameters)
        self.entry = self.loss.entry  # with the traits that the parameters give it
        #: heads rely on MMDetection's loss of this name to divide by what it counts, and pass another number
        self.counts_itself = defaults_of(self.entry.name, MMDET).counts_itself
        self.calls = self.rows = self.lessons = 0
        self.steps = Steps()
        count_from_outside(self)

    @property
    def reduction(self) -> str:
        """The reduction without override; heads read it."""
        return str(self.loss.reduction)

    @property
    def loss_weight(self) -> float:
        """The factor on the result; heads read it, and schedules set it."""
        return self.loss.loss_weight

    @loss_weight.setter
    def loss_weight(self, value: float) -> None:
        self.loss.loss_weight = value

    def spec(self) -> dict[str, Any]:
        """Everything needed to build this loss again, all defaults resolved, in plain types."""
        names_of_theirs = defaults_of(self.entry.name, self.loss.dialect).names
        known = {*self.entry.parameters, *names_of_theirs, "compile"}
        own = own_keywords(type(self), self.given, known)
        return {**self.core_spec(), **own, "type": type_name(type(self).written_as or type(self))}

    def core_spec(self) -> dict[str, Any]:
        """What the core's module says of itself, as a config writes it."""
        return self.loss.spec()

    def forward(
        self,
        pred: Tensor = None,  # type: ignore[assignment]
        target: Target = None,  # type: ignore[assignment]
        weight: Tensor | None = None,
        avg_factor: float | Tensor | None = None,
        reduction_override: str | None = None,
        **others: Any,
    ) -> Tensor:
        """The reduced loss.

        Args:
            pred: predictions.
            target: targets, in a form that the loss takes.
            weight: per row or per element; what has weight 0 reaches neither value nor gradient of a box loss.
            avg_factor: "mean" divides the sum by it.
            reduction_override: used instead of `reduction`.
            **others: what some heads pass beside; None, or what changes nothing.
        """
        self.check_others(others)
        pred, target, weight = self.arranged(pred, target, weight)
        self.check(pred, target)
        if weight is not None:
            check_weight(self.entry.name, weight, pred)
        if avg_factor is not None:
            avg_factor = check_avg_factor(self.entry.name, avg_factor, reduction_override or self.reduction, pred)
        return self.compute(pred, target, weight, avg_factor, reduction_override)

    def arranged(self, pred: Any, target: Any, weight: Any) -> tuple[Any, Any, Any]:
        """What a head passes, unchecked, laid out as the loss takes it."""
        return pred, target, weight

    def check(self, pred: Any, target: Any) -> None:
        """Refuse tensors that the loss does not take."""
        check_tensors(self.entry, pred, target)

    def check_others(self, others: dict[str, Any]) -> None:
        """Refuse a keyword that would change what is computed, unless the loss was built with the same."""
        said = {name: value for name, value in others.items() if value is not None and name not in HARMLESS}
        known = self.loss.resolved() if said else {}
        for name, value in said.items():
            if name in known and known[name] == value:
                continue
            came = f"the head passes {name}={shown(value)}"
            remedy = f"set {name}={shown(value)} of this loss" if name in known else "put another loss into this slot"
            raise refusal(self.entry.name, came, "what the loss was built with", remedy, TypeError)

    def compute(
        self, pred: Tensor, target: Any, weight: Tensor | None, avg_factor: float | Tensor | None, override: str | None
    ) -> Tensor:
        """What `forward` returns; kinds of loss differ in what they do with rows of weight 0."""
        return self.call_core(pred, target, weight, avg_factor, override)

    def call_core(
        self,
        pred: Tensor,
        target: Target,
        weight: Tensor | None,
        avg_factor: float | Tensor | None,
        override: str | None,
    ) -> Tensor:
        """Call the core's module, and let its running statistics learn only from a training step with rows.

        Heads use "none" to rank candidates (PAA does, with gradients on): no statistic learns from such a call.
        """
        counted = torch.is_grad_enabled()
        learns = counted and self.training and len(pred) > 0 and (override or self.reduction) != "none"
        if counted:
            self.count(len(pred), learns)
        self.loss.train(learns)
        result: Tensor = self.loss(pred, target, weight, None if self.counts_itself else avg_factor, override)
        return result

    # counters that change on each call would be compiled anew on each call
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def count(self, rows: int, learns: bool) -> None:
        """Count a call, by which the hook proves that the loss is used, and begin a step where one is due."""
        self.calls += 1
        self.rows += rows
        self.lessons += learns
        if learns and self.is_stateful:
            self.steps.follow(self.loss)

    @property
    def is_stateful(self) -> bool:
        """Whether running statistics are kept, with the parameters given."""
        return bool(statistics_of([self.loss]))

    def extra_repr(self) -> str:
        """Calls so far; parameters are shown by the submodule `loss`."""
        return f"calls={self.calls}"


def _refuse_unknown(entry: Entry, parameters: dict[str, Any]) -> None:
    unknown_names = unknown_parameters(entry, parameters)
    if unknown_names:
        known = (*entry.parameters, "compile")
        given = ", ".join(f"{name}={shown(parameters.get(name))}" for name in unknown_names)
        remedy = (
            "if this comes from a _base_ config, put _delete_=True beside 'type' to replace the base's loss as a "
            f"whole; {closest(unknown_names[0], entry.parameters)}"
        )
        raise refusal(entry.name, f"unknown parameter {given}", ", ".join(known), remedy, TypeError)


def unknown_parameters(entry: Entry, parameters: dict[str, Any]) -> list[str]:
    """Which of these parameters a loss does not have, under the names that it gives them."""
    return [name for name in translated(entry.name, parameters) if name not in (*entry.parameters, "compile")]
