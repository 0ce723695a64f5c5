"""How other packages' losses are called: the inputs, reductions, weights and parameters that they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .calls import (
    unchanged,
)
from .lookups import find
from .packages import installed, located

#: their loss as a function of pred, target and what else is said at the call (weight, avg_factor, reduction_override)
Call = Callable[..., Tensor]
REDUCTIONS = ("none", "mean", "sum")
ROWS, ELEMENTS = "one per row", "one per element"


@dataclass(frozen=True)
class Contract:
    """One built-in with everything that it can be asked for, to be compared with our loss in its dialect.

    Attributes:
        framework: the name of our dialect.
        name: of their class or function in the table.
        loss: our name.
        inputs: names of what both are fed, see `parity.inputs`.
        given: parameters of theirs that are always said; ours gets them too.
        fixed: parameters of theirs that ours has no name for, as they choose which of our losses it is.
        reductions: those that theirs knows; a single one: it has no such parameter.
        weights: the forms of a weight at the call.
        avg_factor: whether the call takes one.
        reduction_at_call: the call takes `reduction_override`; tried where a weight is given.
        bind: (their object, parameters) to their loss as a function; None: as `framework` does it.
        shape: brings our loss per element into the shape of theirs.
        extra: values of parameters that frameworks document and our ranges do not suggest.
        apart: parameters of theirs that are left as they are, with the reason.
        alone: those that are tried by themselves, and not together with the others.
        single: theirs computes in float32 whatever comes in.
        variant: what tells contracts of one loss apart.
        remark: what is compared of a result that ours does not return in that form.
    """

    framework: str
    name: str
    loss: str
    inputs: tuple[str, ...]
    given: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    reductions: tuple[str, ...] = REDUCTIONS
    weights: tuple[str, ...] = ()
    avg_factor: bool = False
    reduction_at_call: bool = False
    bind: Callable[[Any, Mapping[str, Any]], Call] | None = None
    shape: Callable[[Tensor], Tensor] = unchanged
    extra: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    apart: Mapping[str, str] = field(default_factory=dict)
    alone: tuple[str, ...] = ()
    single: bool = False
    variant: str = ""
    remark: str = ""

    @property
    def place(self) -> str:
        """Where theirs is: the class, or the function where there is no class."""
        peer = find(self.framework, self.name)
        return peer.module or peer.function

    @property
    def title(self) -> str:
        """Our name and the variant."""
        return f"{self.loss} ({self.variant})" if self.variant else self.loss

    def missing(self) -> str:
        """Why it cannot be compared; "": it can."""
        if installed(self.framework) is None:
            return f"{self.framework} is not installed"
        try:
            located(self.place)
        except AttributeError:
            return f"{self.name} is not there"
        except ImportError as error:
            return str(error)
        return ""

    def parameters(self) -> dict[str, Any]:
        """The parameters of theirs with their defaults (`inspect.Parameter.empty` where there is none)."""
        place = located(self.place)
        known = inspect.signature(place).parameters
        skipped = {"reduction", "size_average", "reduce", "dialect", *_TENSORS, *self.given, *self.fixed, *self.apart}
        return {
            name: parameter.default
            for name, parameter in known.items()
            if name not in skipped and parameter.kind is not inspect.Parameter.VAR_KEYWORD
        }

    def theirs(self, parameters: Mapping[str, Any], reduction: str, pred: Tensor) -> Call:
        """The installed loss with those parameters and that reduction, for predictions like `pred`."""
        said = {name: _as_theirs(self, name, value, pred) for name, value in parameters.items()}
        if len(self.reductions) > 1:
            said["reduction"] = reduction
        bind = self.bind or _bound
        return bind(located(self.place), {**self.fixed, **said})


#: names of the tensors in signatures of functions
_TENSORS = ("input", "inputs", "target", "targets", "pred", "boxes1", "boxes2", "box1", "box2", "obb1", "obb2")


def _as_theirs(contract: Contract, name: str, value: Any, pred: Tensor) -> Any:
    """Numbers per class as a tensor where theirs wants one; torch's `pos_weight` is broadcast from the last axis on."""
    lists = contract.framework in ("mmdet", "monai", "smp") and name != "pos_weight"
    if not isinstance(value, list) or lists:
        return value
    numbers = torch.tensor(value, dtype=pred.dtype)
    return numbers.view(-1, *(1,) * (pred.ndim - 2)) if name == "pos_weight" else numbers


# --- how theirs are called --------------------------------------------------------------------------------------------


def _bound(place: Any, parameters: Mapping[str, Any]) -> Call:
    if isinstance(place, type):
        built: Call = place(**parameters)
        return built
    return lambda pred, target, **said: place(pred, target, **parameters, **said)
