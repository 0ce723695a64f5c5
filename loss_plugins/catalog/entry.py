"""One catalogued loss: everything that is said of it, and the check of its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from ..errors import refusal, shown
from ..labels import IGNORED, LabelRule, Numbers, Single, numbers
from .declare import LABELS, Kind, Parameter, Source, State, Traits, changed_by, takes_ignored
from .dialects import convention_keywords, defaults_of, dialects_of, function_keywords, single_class
from .docstring import Docstring, parsed
from .foreign import Defaults
from .identity import Identity
from .ranges import Allowed, Choice, Interval, Specs, closest

#: how a module may reduce
REDUCTIONS = Choice("none", "mean", "sum")

#: the keywords that every module takes beside its function's
SETTINGS: dict[str, Allowed] = {
    "reduction": REDUCTIONS,
    "loss_weight": Interval(open_low=True, open_high=True),
    "compile": Choice(False, True),
}

#: torch's old flags, which say in two booleans what `reduction` says in one word
DEPRECATED = {
    "size_average": {True: "reduction='mean'", False: "reduction='sum'"},
    "reduce": {True: "reduction='mean' or 'sum'", False: "reduction='none'"},
}


#: what users call weights, of classes or of rows
WEIGHTS = ("weight", "weights", "loss_weights")


def as_written(rule: Defaults, name: str, value: Any, written: Mapping[str, Any]) -> str:
    """What an error calls a parameter: as it came under the name that a dialect has for it, with what came there."""
    for theirs, keyword in rule.names.items():
        if keyword.to == name != theirs and written.get(theirs) is not None:
            return theirs if written[theirs] is value else f"{theirs}={shown(written[theirs])}, here {name}"
    return name


@dataclass(frozen=True)
class Entry:
    """One catalogued loss. `function` takes checked tensors of at least float32.

    Attributes:
        identity: what tells the function from others that had or will have the name.
        parameters: keywords of the module: those of the function, and what its states are updated by.
        keywords: keywords of the function, with running statistics and `weight`, which the module hands in.
        states: running statistics by keyword.
        targets: forms of the target, for class and region losses.
        holds: what numbers a dense target has; None: any.
        denominator: (pred, target, **parameters) to what "mean" divides by; None: the number of elements.
        example: parameters that make a working instance, where some are required.
        pure: the function depends on its arguments alone and does nothing but return a result.
        told: which of its functions are told what is left out, by a parameter `ignored`.
        forms: all forms of the target: of regions also the mask of one class without class axis.
    """

    name: str
    kind: Kind
    function: Callable[..., Tensor]
    parameters: Mapping[str, Parameter]
    traits: Traits
    identity: Identity
    formula: str = ""
    source: Source = field(default_factory=Source)
    use_when: str = ""
    avoid_when: str = ""
    keywords: Mapping[str, Parameter] = field(default_factory=dict)
    states: Mapping[str, State] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    holds: Numbers | None = None
    denominator: Callable[..., Tensor] | None = None
    example: Mapping[str, Any] = field(default_factory=dict)
    pure: bool = False
    told: tuple[Callable[..., Any], ...] = field(init=False)
    forms: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        functions = (self.function, self.denominator, *(state.summary for state in self.states.values()))
        told = tuple(function for function in functions if function is not None and takes_ignored(function))
        object.__setattr__(self, "told", told)
        object.__setattr__(self, "forms", ("mask", *self.targets) if self.takes_masks else self.targets)

    def __deepcopy__(self, memo: dict[int, Any]) -> Entry:
        """The entry itself, which never changes: a copied module computes what the module does."""
        return self

    @property
    def docstring(self) -> Docstring:
        """What the function's docstring says."""
        return parsed(inspect.unwrap(self.function))

    @property
    def summary(self) -> str:
        """The first sentence of the function's docstring."""
        return self.docstring.summary

    @property
    def defaults(self) -> dict[str, Any]:
        """The default of every parameter, by name; None where it is required."""
        return {name: parameter.default for name, parameter in self.parameters.items()}

    def check(self, parameters: Mapping[str, Any], written: Mapping[str, Any] | None = None) -> None:
        """Raise a TypeError for an unknown keyword, a ValueError for one out of range.

        Args:
            parameters: under our names.
            written: as they came, under those of a dialect; None: likewise.
        """
        rule = defaults_of(self.name, parameters.get("dialect"))
        for name, value in parameters.items():
            if name not in self.parameters:
                raise self.unknown(name, value)
            called = as_written(rule, name, value, written or {})
            self.parameters[name].check(self.name, value, rule.values, called)

    def check_complete(self, parameters: Mapping[str, Any], written: Mapping[str, Any] | None = None) -> None:
        """As `check`, and a TypeError for a required parameter that is missing."""
        self.check(parameters, written)
        for name, parameter in self.parameters.items():
            if parameter.required and name not in parameters:
                allowed = "any value" if parameter.allowed is None else parameter.allowed
                given = f"for example {name}={self.example[name]!r}" if name in self.example else f"{name}=..."
                raise refusal(self.name, f"parameter {name!r} is required", allowed, f"pass {given}", TypeError)

    def unknown(self, name: str, value: Any) -> TypeError:
        """The error for a keyword that the loss does not know."""
        if name in DEPRECATED:
            is_flag = isinstance(value, bool)
            instead = DEPRECATED[name][value] if is_flag else "reduction='none', 'mean' or 'sum'"
            came = f"{name}={shown(value)} is a deprecated flag of torch"
            return refusal(self.name, came, REDUCTIONS, f"pass {instead} to the module instead", TypeError)
        known = ", ".join(self.parameters) or "no parameter"
        remedy = self._instead_of(name)
        return refusal(self.name, f"unknown parameter {name!r} (= {shown(value)})", known, remedy, TypeError)

    def _instead_of(self, name: str) -> str:
        """The remedy for a keyword that the loss does not know."""
        mixed = any(isinstance(parameter.allowed, Specs) for parameter in self.parameters.values())
        if mixed and name in WEIGHTS:
            return "give each of its losses a factor of its own: losses=[{'type': ..., 'loss_weight': 0.5}, ...]"
        if name in WEIGHTS:
            of_rows = "weights of rows are passed at the call, loss(pred, target, weight); one factor is loss_weight"
            per_class = "did you mean 'class_weight', numbers per class? " if "class_weight" in self.parameters else ""
            return per_class + of_rows
        near = closest(name, self.parameters) if self.parameters else "leave it out"
        theirs = [each for each in dialects_of(self.name) if name in defaults_of(self.name, each).names]
        if near.startswith("did you mean") or not (theirs or mixed):
            return near
        if theirs:
            return f"it is the name that {' and '.join(theirs)} has: add dialect={theirs[0]!r}"
        return f"it belongs to the losses of the mix, each by itself: losses=[{{'type': ..., {name!r}: ...}}, ...]"

    def by_position(self, value: Any, number: int) -> TypeError:
        """The error for a hyper-parameter that came by position.

        Args:
            value: what came.
            number: how many came that way.
        """
        known = list(self.parameters)
        example = f"{known[0]}=..." if known else "nothing, as it has none"
        came = f"{number} hyper-parameter(s) by position, the first {shown(value)}"
        names = f"keywords ({', '.join(known)})" if known else "no hyper-parameter"
        return refusal(self.name, came, names, f"name what you pass: {example}", TypeError)

    def arguments(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that the function itself takes, as it takes them, and what it needs to know of the dialect."""
        said = function_keywords(self.name, parameters)
        taken = {name: value for name, value in said.items() if name in self.keywords}
        return {**taken, **convention_keywords(self.name, said.get("dialect"), said.get("box_format", "xyxy"))}

    def label_rule(self, parameters: Mapping[str, Any]) -> LabelRule | None:
        """Which labels and scores the loss takes and leaves out with these parameters; None: all are its own affair.

        Losses of a softmax have the target form "class_map", and no "labels"; region losses an activation.
        """
        labelled = bool(LABELS.intersection(self.targets))
        adjustable = "ignore_index" in self.parameters
        if "ignore_index" in self.keywords or not (labelled or self.holds or adjustable):
            return None
        softmax = "labels" not in self.targets and self.kind == "classification"
        dialect = defaults_of(self.name, parameters.get("dialect"))
        holds = self.changed(parameters).get("holds", self.holds)
        ignore = numbers(parameters.get("ignore_index", IGNORED)) if adjustable else ()
        return LabelRule(
            self.name,
            background=not softmax and parameters.get("activation") != "softmax",
            ignore=ignore,
            negative=dialect.ignores == "negative",
            scores="none" if softmax and labelled else "all" if dialect.ignores == "scores" else "given",
            adjust="pass" if adjustable else "",
            single=self._single(softmax, parameters.get("dialect")),
            holds=(holds,) if holds else (),
            follows=not labelled and ignore == (IGNORED,),
        )

    def _single(self, softmax: bool, dialect: object) -> Single:
        if self.takes_masks:
            return "mask"
        return "labels" if softmax or self.kind == "region" else single_class(dialect)

    @property
    def compares_boxes(self) -> bool:
        """Whether whole boxes are compared, as opposed to coordinates, scores or rotated boxes."""
        return self.kind == "box" or self.traits.whole_boxes

    @property
    def takes_masks(self) -> bool:
        """Whether a target without class axis is the mask of the one class that there is."""
        own = "ignore_index" in self.keywords
        return self.kind == "region" and not own and {"dense", "class_map"} <= set(self.targets)

    def with_parameters(self, parameters: Mapping[str, Any]) -> Entry:
        """This entry, with the traits that the parameters give it."""
        changes = self.changed(parameters)
        if not changes:
            return self
        holds = changes.pop("holds", self.holds)
        return replace(self, traits=replace(self.traits, **changes), holds=holds)

    def changed(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The traits that the parameters change, and likewise `holds`."""
        known = [(self.parameters[name], value) for name, value in parameters.items() if name in self.parameters]
        effects = ((effect, value, parameter.default) for parameter, value in known for effect in parameter.effects)
        return changed_by([effect for effect, value, default in effects if effect.holds_at(value, default)])
