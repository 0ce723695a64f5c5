"""The catalogue: every loss by name, with formula, source, traits and parameters. `register_loss` adds one."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from typing import Any, TypeVar

from torch import Tensor

from ..tensors import Target, check_boxes, check_forms, raised
from .declare import COLUMNS, KINDS, TARGETS, Kind, Parameter, Source, State, Traits, _keywords
from .dialects import dialects_of, handed, meant, translated
from .ranges import Choice, closest

ENTRY_POINTS = "loss_plugins.losses"
LossFunction = TypeVar("LossFunction", bound=Callable[..., Tensor])
#: torch's old flags, which say in two booleans what `reduction` says in one word
DEPRECATED = {
    "size_average": {True: "reduction='mean'", False: "reduction='sum'"},
    "reduce": {True: "reduction='mean' or 'sum'", False: "reduction='none'"},
}


@dataclass(frozen=True)
class Entry:
    """One catalogued loss. `function` takes checked tensors of at least float32.

    Attributes:
        parameters: keywords of the module: those of the function, and what its states are updated by.
        keywords: names that the function takes.
        states: running statistics by keyword.
        targets: forms of the target, for class and region losses.
        denominator: (pred, target, **parameters) to what "mean" divides by; None: the number of elements.
        example: parameters that make a working instance, where some are required.
        pure: the function depends on its arguments alone and does nothing but return a result.
    """

    name: str
    kind: Kind
    function: Callable[..., Tensor]
    parameters: Mapping[str, Parameter]
    traits: Traits
    formula: str = ""
    source: Source = field(default_factory=Source)
    use_when: str = ""
    avoid_when: str = ""
    keywords: frozenset[str] = frozenset()
    states: Mapping[str, State] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    denominator: Callable[..., Tensor] | None = None
    example: Mapping[str, Any] = field(default_factory=dict)
    pure: bool = False

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Raise a TypeError for an unknown keyword, a ValueError for one out of range."""
        for name, value in parameters.items():
            if name not in self.parameters:
                raise TypeError(self._unknown(name, value))
            self.parameters[name].check(self.name, value)

    def check_complete(self, parameters: Mapping[str, Any]) -> None:
        """As `check`, and a TypeError for a required parameter that is missing."""
        self.check(parameters)
        for name, parameter in self.parameters.items():
            if parameter.required and name not in parameters:
                raise TypeError(f"{self.name}: parameter {name!r} is required; pass {parameter.allowed}")

    def _unknown(self, name: str, value: Any) -> str:
        if name in DEPRECATED:
            instead = DEPRECATED[name].get(value, "reduction='none', 'mean' or 'sum'")
            return f"{self.name}: {name}={value!r} is a deprecated flag of torch; pass {instead} to the module instead"
        return f"{self.name}: unknown parameter {name!r} (= {value!r}); {closest(name, self.parameters)}"

    def arguments(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that the function itself takes, as it takes them, and what it needs to know of the dialect."""
        said = meant(self.name, parameters)
        taken = {name: value for name, value in said.items() if name in self.keywords}
        return {**taken, **handed(self.name, said.get("dialect"), said.get("box_format", "xyxy"))}

    def with_parameters(self, parameters: Mapping[str, Any]) -> Entry:
        """This entry, with the traits that the parameters give it."""
        changes: dict[str, Any] = {}
        for name, value in parameters.items():
            parameter = self.parameters[name]
            if parameter.effect is not None and value != parameter.default:
                changes.update(parameter.effect.changes)
        return replace(self, traits=replace(self.traits, **changes)) if changes else self

    def __reduce__(self) -> tuple[Any, ...]:
        # by name: functions that a decorator wrapped cannot be pickled, and the catalogue has them
        return _restore_entry, (self.name, self.kind, self.traits)


def _restore_entry(name: str, kind: Kind, traits: Traits) -> Entry:
    entry = get_entry(name)
    return entry if (entry.kind, entry.traits) == (kind, traits) else replace(entry, kind=kind, traits=traits)


_ENTRIES: dict[str, Entry] = {}
#: names of module classes to names of losses
_ALIASES: dict[str, str] = {}


def register_loss(
    name: str,
    *,
    kind: Kind = "box",
    traits: Traits | None = None,
    formula: str = "",
    source: Source | None = None,
    use_when: str = "",
    avoid_when: str = "",
    options: Callable[..., Tensor] | None = None,
    without: tuple[str, ...] = (),
    targets: tuple[str, ...] | None = None,
    denominator: Callable[..., Tensor] | None = None,
    example: Mapping[str, Any] | None = None,
    pure: bool | None = None,
) -> Callable[[LossFunction], LossFunction]:
    """Decorator: put an element-wise loss into the catalogue, and so into every adapter and the command line.

    Args:
        name: snake case; a name may be registered once.
        kind: "box": (..., 4) xyxy boxes to (...); "coordinate": (..., 4) to (..., 4); "rotated_box": (..., 5) boxes
            (cx, cy, w, h, angle) to (...); "classification": logits (..., C); "region": masks (N, ...).
        traits: what the loss promises; the tests and adapters read it.
        formula: LaTeX, without dollar signs.
        source: paper, year, link.
        use_when: for whom it is good, one sentence.
        avoid_when: for whom it is not, one sentence.
        options: the function whose keywords `**options` of this one stands for.
        without: keywords of `options` that this loss sets itself.
        targets: forms of the target of a class or region loss, see `checks.FORMS`; None: dense or labels.
        denominator: (pred, target, **parameters) to what "mean" divides by; None: the number of elements.
        example: parameters that make a working instance, where some are required.
        pure: the function depends on its arguments alone and does nothing but return a result: it reads no global
            schedule, counts nothing, prints nothing. Only then may it be recorded once, see `fused`, which makes it
            faster. None: False, for losses of this package True.

    Returns:
        The function, with its arguments checked and half precision raised to float32.

    Raises:
        ValueError: unknown kind, a name that is taken, or a function without `pred` and `target`.

    >>> import torch
    >>> from typing import Annotated
    >>> from loss_plugins import Interval, Traits
    >>> @register_loss("doctest_corner", kind="box", traits=Traits(scale_invariant=False))
    ... def corner_loss(pred, target, *, power: Annotated[float, Interval(1, 4)] = 2.0):
    ...     "Distance of the corners."
    ...     return (pred - target).abs().pow(power).sum(-1)
    >>> corner_loss(torch.zeros(1, 4), torch.ones(1, 4), power=9.0)
    Traceback (most recent call last):
    ...
    ValueError: doctest_corner: power=9.0 is out of range; allowed: [1, 4]
    >>> unregister_loss("doctest_corner")
    """
    if kind not in KINDS:
        raise ValueError(f"register_loss: kind={kind!r}; allowed: {Choice(*KINDS)}")
    if name in _ENTRIES:
        taken = _ENTRIES[name].function
        raise ValueError(
            f"register_loss: the name {name!r} is taken by {taken.__module__}.{taken.__qualname__}; choose another"
        )

    def register(function: LossFunction) -> LossFunction:
        if list(inspect.signature(function).parameters)[:2] != ["pred", "target"]:
            raise ValueError(f"register_loss: {function.__qualname__} must take (pred, target, *, ...)")
        own, inherited = _keywords(function), _keywords(options) if options else {}
        keywords = {**own, **{key: inherited[key] for key in inherited if key not in without}}
        states = {key: found for key, found in keywords.items() if isinstance(found, State)}
        parameters = {key: found for key, found in keywords.items() if isinstance(found, Parameter)}
        for state in states.values():
            parameters.update(
                {key: found for key, found in _keywords(state.update).items() if isinstance(found, Parameter)}
            )
        parameters.pop("weight", None)  # of `forward`, handed through
        known = dialects_of(name)
        if known or "dialect" in parameters or _follows_conventions(options):
            parameters["dialect"] = Parameter("dialect", None, Choice(*known), optional=True)
        entry = Entry(
            name=name,
            kind=kind,
            function=function,
            parameters=parameters,
            traits=traits or Traits(),
            formula=formula,
            source=source or Source(),
            use_when=use_when,
            avoid_when=avoid_when,
            keywords=frozenset(keywords),
            states=states,
            targets=TARGETS.get(kind, ()) if targets is None else targets,
            denominator=denominator,
            example=example or {},
            pure=is_shipped(function) if pure is None else pure,
        )
        _ENTRIES[name] = entry

        @functools.wraps(function)
        def checked(pred: Tensor, target: Target, **parameters: Any) -> Tensor:
            parameters = translated(name, parameters)
            handed = {key: value for key, value in parameters.items() if key in entry.states or key == "weight"}
            hyper = {key: value for key, value in parameters.items() if key not in handed}
            entry.check(hyper)
            for key in (*handed, *hyper):
                if key not in entry.keywords and key != "dialect":
                    raise TypeError(f"{name}: parameter {key!r} belongs to the module; the function does not take it")
            return evaluate(entry, pred, target, entry.arguments(parameters))

        return typing.cast(LossFunction, checked)

    return register


def _follows_conventions(options: Callable[..., Tensor] | None) -> bool:
    """Whether the loss is one of a family that can be written in another convention."""
    return options is not None and "convention" in inspect.signature(options).parameters


def is_shipped(function: Callable[..., Any]) -> bool:
    """Whether a loss is one of this package."""
    return function.__module__.startswith("loss_plugins.")


def shipped() -> list[Entry]:
    """The entries of this package, without those that users and other packages have registered."""
    return [entry for entry in map(get_entry, list_losses()) if is_shipped(entry.function)]


def unregister_loss(name: str) -> None:
    """Take a loss out of the catalogue again (for tests and notebooks)."""
    entry = get_entry(name)
    del _ENTRIES[entry.name]
    for alias in [alias for alias, known in _ALIASES.items() if known == entry.name]:
        del _ALIASES[alias]


def evaluate(entry: Entry, pred: Tensor, target: Target, parameters: Mapping[str, Any]) -> Tensor:
    """The loss per element, for parameters that are checked already."""
    pred, target = prepare(entry, pred, target)
    return entry.function(pred, target, **parameters)


def check_tensors(entry: Entry, pred: Tensor, target: Target) -> None:
    """Raise unless the tensors are what the loss's kind demands."""
    if entry.kind in COLUMNS:
        check_boxes(entry.name, pred, target, COLUMNS[entry.kind])
    else:
        check_forms(entry.name, pred, target, entry.targets)


def prepare(entry: Entry, pred: Tensor, target: Target) -> tuple[Tensor, Target]:
    """Check the tensors, and raise half precision."""
    check_tensors(entry, pred, target)
    return raised(pred, target)


def get_entry(name: str) -> Entry:
    """The catalogue entry called `name`: `"ciou"` or `"CIoULoss"`.

    Raises:
        ValueError: no such loss; the error lists the closest names.
    """
    _load_entry_points()
    if name in _ENTRIES:
        return _ENTRIES[name]
    if name in _ALIASES:
        return _ENTRIES[_ALIASES[name]]
    raise ValueError(f"unknown loss {name!r}; {closest(name, [*_ENTRIES, *_ALIASES])}")


def add_alias(alias: str, name: str) -> None:
    """Let `get_entry` find the loss under another name too: that of its module class."""
    _ALIASES[alias] = name


def list_losses(kind: str | None = None) -> list[str]:
    """Names of all catalogued losses, sorted; of one kind if given.

    >>> list_losses(kind="coordinate")
    ['balanced_l1', 'bounded_iou', 'focal_l1', 'huber', 'l1', 'mse', 'smooth_l1']
    """
    _load_entry_points()
    if kind is not None and kind not in KINDS:
        raise ValueError(f"list_losses: kind={kind!r}; allowed: {Choice(*KINDS)}")
    return sorted(name for name, entry in _ENTRIES.items() if kind in (None, entry.kind))


@functools.cache
def _load_entry_points() -> None:
    for point in metadata.entry_points(group=ENTRY_POINTS):
        point.load()
