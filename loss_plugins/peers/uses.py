"""What a loss of another package is used for: compared by parity, timed by the benchmark, shown on the audit page."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..module.build import build_loss
from ..tensors import Target
from .calls import (
    CallForm,
    LossCall,
    diagonal,
    over_masks,
    per_element,
    similarity,
    similarity_column,
    unchanged,
)
from .packages import FRAMEWORKS, located, reached


@dataclass(frozen=True)
class Tolerance:
    """How far apart a pair may be: values relative above 1, gradients relative to their row's largest."""

    value: float
    gradient: float


SINGLE = Tolerance(1e-6, 1e-5)
DOUBLE = Tolerance(1e-9, 1e-9)
EXACT = Tolerance(0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Use:
    """What all uses share: where the loss is. The row of the table in which a use stands fills both in.

    Attributes:
        framework: the name of our dialect: "mmdet", "ultralytics", ...
        place: "module:attribute".
    """

    framework: str = ""
    place: str = ""

    @property
    def builtin(self) -> str:
        """The name of the class or function."""
        return self.place.partition(":")[2]


@dataclass(frozen=True)
class Compared(Use):
    """A built-in that one of our losses equals in its dialect: a row of the parity report.

    Attributes:
        loss: our name.
        sample: what both are fed, a name in `samples.SAMPLES`.
        parameters: of theirs; ours gets the same in its dialect, and so must understand their names.
        form: how theirs is called.
        ours: parameters of our loss, where the dialect has no names for those of the built-in; None: `parameters`.
        reduction: of our loss.
        after: brings our result into the shape of theirs.
        promised: the tolerance in float32; EXACT: bit for bit.
        double: the tolerance in float64; None: theirs computes in float32 whatever comes in.
        variant: what tells rows of one loss apart.
        remark: why a tolerance is not the usual one.
        exact_from: the version from which a promise of EXACT holds; before, SINGLE and DOUBLE.
        plain: what our default needs to take their input, for the table of deviations.
        by_function: of a row with a module and a function, compare the function.
    """

    loss: str
    sample: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    form: CallForm = per_element
    ours: Mapping[str, Any] | None = None
    reduction: str = "none"
    after: Callable[[Tensor], Tensor] = unchanged
    promised: Tolerance = SINGLE
    double: Tolerance | None = DOUBLE
    variant: str = ""
    remark: str = ""
    plain: Mapping[str, Any] = field(default_factory=dict)
    exact_from: str = ""
    by_function: bool = False

    @property
    def name(self) -> str:
        """Our name and the variant, for tables and tests."""
        extra = f" ({self.variant})" if self.variant else ""
        return f"{self.loss}{extra}"

    def tolerance(self, single: bool) -> Tolerance:
        """What is promised of the installed version."""
        if self.promised == EXACT and not reached(self.framework, self.exact_from):
            return SINGLE if single else DOUBLE
        return self.promised if single or self.double is None or self.promised == EXACT else self.double

    def missing(self) -> str:
        """Why the installed version cannot be compared: it has no such loss, or not these parameters. "": it can."""
        try:
            place = located(self.place)
        except AttributeError:
            return f"{self.builtin} is not there"
        except ImportError as error:
            return str(error)
        known = inspect.signature(place).parameters
        lacking = [name for name in self.parameters if name not in known and "kwargs" not in known]
        return f"{self.builtin} has no {', '.join(lacking)}" if lacking else ""

    def theirs(self) -> LossCall:
        """The installed built-in."""
        return self.form(located(self.place), self.parameters)

    def dialect(self) -> LossCall:
        """Our loss in their dialect."""
        return self._call({"dialect": self.framework, **(self.parameters if self.ours is None else self.ours)})

    def default(self) -> LossCall:
        """Our loss with its defaults, for the table of deviations."""
        return self._call(self.plain)

    def _call(self, parameters: Mapping[str, Any]) -> LossCall:
        module = build_loss(self.loss, **{"reduction": self.reduction, **parameters}).train()

        def call(pred: Tensor, target: Target) -> Tensor:
            return self.after(module(pred, target))

        return call


@dataclass(frozen=True)
class ComparedSum(Compared):
    """A built-in that is a weighted sum of several of our losses: `parts` are (weight, loss, parameters)."""

    parts: tuple[tuple[float, str, Mapping[str, Any]], ...] = ()

    @property
    def name(self) -> str:
        """The names of all parts."""
        return " + ".join(loss for _, loss, _ in self.parts)

    def dialect(self) -> LossCall:
        """The sum of the parts, each in the dialect."""
        built = [(weight, build_loss(loss, dialect=self.framework, **given)) for weight, loss, given in self.parts]

        def call(pred: Tensor, target: Target) -> Tensor:
            return torch.stack([weight * loss(pred, target) for weight, loss in built]).sum()

        return call


@dataclass(frozen=True)
class Timed(Use):
    """A loss that the benchmark times beside ours: the function, where a row has a module and a function.

    Attributes:
        loss: our name.
        parameters: of theirs.
        form: how theirs is called.
    """

    loss: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    form: CallForm = per_element
    by_function: bool = True

    def missing(self) -> str:
        """Why it cannot be timed; "": it can."""
        try:
            located(self.place)
        except (ImportError, AttributeError) as error:
            return str(error)
        return ""

    def theirs(self) -> LossCall:
        """The installed loss.

        Raises:
            ImportError: its package is not installed.
        """
        return self.form(located(self.place), self.parameters)


#: how the page of the audit writes a call: name and arguments to a loss of pred and target
WRITTEN: dict[CallForm, str] = {
    similarity: "1 - {name}({call}).squeeze(-1)",
    similarity_column: "1 - {name}({call})",
    # in blocks, as the matrix of all rows may not fit
    diagonal: "torch.cat([1 - {name}(*each).diagonal() for each in zip(p.split(64), t.split(64))])",
    over_masks: "{name}(p, t.flatten(1), p.shape[0])",
}


@dataclass(frozen=True)
class Audited(Use):
    """An implementation on the audit page.

    Attributes:
        like: our loss, whose traits it is held to.
        parameters: of theirs.
        form: how theirs is called: `per_element`, `reduced`, or a key of `WRITTEN`.
        name: on the page; "": that of the class or function.
        traits: those that are documented to be others than ours.
        scores: what a class or region loss takes, where it is not what ours takes.
        note: what a reader should know.
        by_function: of a row with a module and a function, audit the function.
    """

    like: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    form: CallForm = per_element
    name: str = ""
    traits: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    by_function: bool = False

    @property
    def package(self) -> str:
        """The name of the distribution."""
        return FRAMEWORKS[self.framework]

    @property
    def title(self) -> str:
        """Its name on the page."""
        return self.name or self.builtin

    @property
    def setup(self) -> str:
        """One line of Python that defines f(pred, target): run to make the subject, printed in reproductions.

        >>> Audited("giou", place="torchvision.ops:generalized_box_iou_loss").setup
        "from torchvision.ops import generalized_box_iou_loss as g; f = lambda p, t: g(p, t, reduction='none')"
        """
        module, _, name = self.place.partition(":")
        given = {**self.parameters, **({"reduction": "none"} if self.form is per_element else {})}
        arguments = [f"{key}={value!r}" for key, value in given.items()]
        call = ", ".join(["p", "t", *arguments])
        if self.form in WRITTEN:
            return f"from {module} import {name}; f = lambda p, t: {WRITTEN[self.form].format(name=name, call=call)}"
        if name[0].isupper():  # a class
            return f"from {module} import {name}; f = {name}({', '.join(arguments)})"
        return f"from {module} import {name} as g; f = lambda p, t: g({call})"


AnyUse = TypeVar("AnyUse", Compared, Timed, Audited)


@dataclass(frozen=True)
class Peer:
    """A loss of another package, and what it is used for.

    Attributes:
        framework: the name of our dialect, a key of `packages.FRAMEWORKS`.
        module: "module:class"; "": there is no class.
        function: "module:function"; "": there is no function.
        uses: without framework and place.
    """

    framework: str
    module: str = ""
    function: str = ""
    uses: tuple[Compared | Timed | Audited, ...] = ()

    @property
    def name(self) -> str:
        """Of the class, or of the function if there is no class."""
        return (self.module or self.function).partition(":")[2]

    def uses_of(self, kind: type[AnyUse]) -> Iterator[AnyUse]:
        """The uses of one kind, with framework and place."""
        for use in self.uses:
            if isinstance(use, kind):
                first, second = (self.function, self.module) if use.by_function else (self.module, self.function)
                yield replace(use, framework=self.framework, place=first or second)

    def loss(self, form: CallForm = per_element, **parameters: Any) -> LossCall:
        """The installed class or function, with parameters."""
        return form(located(self.module or self.function), parameters)
