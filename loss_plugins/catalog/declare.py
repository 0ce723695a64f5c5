"""What can be said of a loss: traits, source, parameters, running statistics."""

from __future__ import annotations

import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal, get_args, get_origin

from torch import Tensor

from ..errors import check_type, closest, in_our_words, refusal, shown
from ..labels import ALLOWED
from .docstring import parsed
from .ranges import Allowed, Choice, Integers, Interval, PerClass, Series, Specs, check_value

Kind = Literal["box", "coordinate", "rotated_box", "quad", "classification", "region", "keypoint", "distribution"]
KINDS: tuple[str, ...] = get_args(Kind)
Scale = Literal["logits", "probabilities", "log_probabilities", "distances", "ranks"]
#: columns of a row, for the kinds whose rows are boxes
COLUMNS = {"box": 4, "coordinate": 4, "rotated_box": 5, "quad": 8}
#: forms of the target (see `tensors.FORMS`), for the kinds that have several
TARGETS: dict[str, tuple[str, ...]] = {
    "classification": ("dense", "labels"),
    "region": ("dense", "class_map"),
    "keypoint": ("dense", "points_visible"),
    "distribution": ("dense", "teacher"),
}
#: those of them that are, or hold, integer labels
LABELS = frozenset({"labels", "class_map", "label_score", "label_score_rank"})


#: of the traits that are neither numbers nor chosen from a list
_TRAIT_TYPES: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("zero_at_equality", "symmetric", "scale_invariant", "translation_invariant"), (bool,)),
    **dict.fromkeys(("stateful", "gradient_when_disjoint", "whole_boxes"), (bool,)),
    **dict.fromkeys(("detached", "not_mirrored"), (str,)),
    "not_monotone": (Mapping,),
    "proper": (bool, type(None)),
}


@in_our_words
@dataclass(frozen=True)
class Traits:
    """What is promised of a loss with its default parameters; each promise is tested from here.

    A parameter that breaks a promise says so by `Effect`; guards against division (an `eps` that is not small) and
    powers near 0 change values without saying so.

    Attributes:
        range: smallest and largest value for valid boxes (the upper end may be approached only).
        zero_at_equality: 0, up to epsilon, when prediction and target are equal.
        symmetric: same value with prediction and target swapped.
        scale_invariant: same value with both boxes scaled by one factor from 1e-4 to 1e6, of boxes in pixels; of key
            points with their instance's area.
        translation_invariant: same value with both boxes shifted.
        units: "any"; "pixels" (its constants are in pixels); "image" (it needs the image size).
        stateful: carries a running statistic from call to call.
        gradient_when_disjoint: the gradient still pulls boxes that do not overlap.
        whole_boxes: compares the corners of whole boxes, though it gives a number per coordinate.
        scale: what the prediction of a class or region loss is; nothing reads whether probabilities are in [0, 1].
        detached: which part of the gradient is left out on purpose, and where that is written; "": none.
        not_monotone: on which paths the loss falls while a box gets worse, and why; the paths are those of the audit.
        not_mirrored: why a pair of boxes costs something else in a mirror; "": it does not.
        proper: the best score for a soft target is the target itself; None: unknown, measured only.
    """

    range: tuple[float, float] = (0.0, math.inf)
    zero_at_equality: bool = True
    symmetric: bool = False
    scale_invariant: bool = False
    translation_invariant: bool = True
    units: Literal["any", "pixels", "image"] = "any"
    stateful: bool = False
    gradient_when_disjoint: bool = True
    whole_boxes: bool = False
    scale: Scale = "logits"
    detached: str = ""
    not_monotone: Mapping[str, str] = field(default_factory=dict)
    not_mirrored: str = ""
    proper: bool | None = None

    def __post_init__(self) -> None:
        ends = self.range if isinstance(self.range, tuple) and len(self.range) == 2 else (None,)
        if not all(isinstance(end, (int, float)) for end in ends) or not ends[0] <= ends[-1]:
            remedy = "pass (0.0, math.inf), say"
            raise refusal("Traits", f"range={shown(self.range)} is out of range", "(smallest, largest)", remedy)
        check_value("Traits", "units", self.units, Choice("any", "pixels", "image"))
        check_value("Traits", "scale", self.scale, Choice(*get_args(Scale)))
        for trait, wanted in _TRAIT_TYPES.items():
            check_type("Traits", trait, getattr(self, trait), *wanted)


#: the traits that say something of boxes alone, and of scores and masks alone
OF_BOXES = (
    "symmetric", "scale_invariant", "translation_invariant", "units", "gradient_when_disjoint", "not_monotone",
    "not_mirrored", "whole_boxes",
)  # fmt: skip
OF_SCORES = ("scale", "proper")
#: those of them that key points have not
OF_WHOLE_BOXES = ("gradient_when_disjoint", "not_monotone", "not_mirrored", "whole_boxes")


def traits_of(kind: str) -> tuple[str, ...]:
    """Names of the traits that a loss of that kind can have.

    >>> traits_of("classification")
    ('range', 'zero_at_equality', 'stateful', 'scale', 'detached', 'proper')
    """
    others: tuple[str, ...] = OF_SCORES if kind in COLUMNS else OF_BOXES
    if kind == "keypoint":
        others = OF_SCORES + OF_WHOLE_BOXES
    return tuple(each.name for each in fields(Traits) if each.name not in others)


@in_our_words
@dataclass(frozen=True)
class Source:
    """Where a loss comes from."""

    title: str = ""
    year: int | None = None
    url: str = ""

    def __post_init__(self) -> None:
        check_type("Source", "title", self.title, str)
        check_type("Source", "year", self.year, int, type(None))
        check_type("Source", "url", self.url, str)

    def __str__(self) -> str:
        year = f" ({self.year})" if self.year else ""
        return f"{self.title}{year} {self.url}".strip()


@in_our_words
@dataclass(frozen=True)
class Effect:
    """Traits that change with a parameter: put into its annotation, which may have several.

    Likewise `holds`: what numbers a dense target has, see `register_loss`.

    Attributes:
        changes: the traits as they are then.
        when: the values that change them, a `Choice` or an `Interval`; None: all but the default.

    >>> Effect(range=(0.0, math.inf), when=Choice("log")).holds_at("log", default="linear")
    True
    """

    changes: Mapping[str, Any]
    when: Choice | Interval | None = None

    def __init__(self, *, when: Choice | Interval | None = None, **changes: Any) -> None:
        check_type("Effect", "when", when, Choice, Interval, type(None))
        known = [*(each.name for each in fields(Traits)), "holds"]
        for name, value in changes.items():
            if name not in known:
                came = f"unknown argument {name}={shown(value)}"
                raise refusal("Effect", came, ", ".join(known), closest(name, known), TypeError)
        traits = {name: value for name, value in changes.items() if name != "holds"}
        Traits(**traits)  # which looks at the values
        if changes.get("holds") is not None:
            check_value("Effect", "holds", changes["holds"], Choice(*ALLOWED), "None for any numbers")
        object.__setattr__(self, "changes", changes)
        object.__setattr__(self, "when", when)

    def holds_at(self, value: Any, default: Any) -> bool:
        """Whether a value of the parameter changes the traits."""
        return bool(value != default) if self.when is None else value in self.when


def changed_by(effects: Sequence[Effect]) -> dict[str, Any]:
    """What several effects change together: the range holds all of theirs, and reasons stand side by side."""
    changes: dict[str, Any] = {}
    for name, value in ((name, value) for effect in effects for name, value in effect.changes.items()):
        changes[name] = _both(name, changes[name], value) if name in changes else value
    return changes


def _both(trait: str, one: Any, other: Any) -> Any:
    if trait == "range":
        return min(one[0], other[0]), max(one[1], other[1])
    if trait == "not_monotone":
        return {**one, **other}
    return "; ".join(dict.fromkeys(filter(None, (one, other)))) if trait == "detached" else other


@in_our_words
@dataclass(frozen=True)
class State:
    """A running statistic, declared in the annotation of the keyword by which the function takes it.

    The module keeps it in a float64 buffer, which casts of the module leave alone. It learns while the module trains
    and gradients are on. What it learns from is a *sum* over rows, so the calls of one step and the processes of one
    job can be added up before the update: see `Loss.begin_step` and `Loss.sync`.

    Attributes:
        initial: the value before the first call, from the module's parameters.
        empty: the summary of no rows.
        summary: (pred, target, weight, **parameters) to the sum over the rows; rows of weight 0 do not count.
        update: (value, summary, **keywords) to the new value, which is the old one for the summary of no rows; its
            keywords are parameters of the module.
        when: the parameter that must be set for the state to be kept; "": always.
        late: a step learns after use: its calls take the value from before it.
        of_gradient: likewise, in the backward pass: what the summary gets for pred is the gradient that reaches pred
            through the loss. Rows of weight 0, and ignored ones, have none.
        sized_by: the parameter that says of how many classes it is; where that is None, it is of none until the first
            call that it learns from, and then of as many as pred has. "": it has one size.
    """

    initial: Callable[[Mapping[str, Any]], Tensor]
    empty: Callable[[Mapping[str, Any]], Tensor]
    summary: Callable[..., Tensor]
    update: Callable[..., Tensor]
    when: str = ""
    late: bool = False
    of_gradient: bool = False
    sized_by: str = ""

    def __post_init__(self) -> None:
        for name in ("initial", "empty", "summary", "update"):
            check_type("State", name, getattr(self, name), Callable)
        check_type("State", "when", self.when, str)
        check_type("State", "sized_by", self.sized_by, str)
        for name in ("late", "of_gradient"):
            check_type("State", name, getattr(self, name), bool)

    @property
    def update_keywords(self) -> tuple[str, ...]:
        """Names of the module's parameters that the update takes."""
        return tuple(keywords(self.update))


class Told(State):
    """A number that a module keeps as it keeps a running statistic, but is told: see `Loss.set_progress`.

    Args:
        initial: the value before anybody has told it, from the module's parameters.
    """

    def __init__(self, initial: Callable[[Mapping[str, Any]], Tensor]) -> None:
        super().__init__(initial, initial, _nothing, _kept)


def _nothing(pred: Tensor, target: Tensor, weight: Tensor | None, **_: Any) -> Tensor:
    """What a number that is told learns from rows."""
    return pred.new_zeros(())


def _kept(value: Tensor, summary: Tensor) -> Tensor:
    """The number, unchanged."""
    return value


@dataclass(frozen=True)
class Parameter:
    """A keyword of a loss.

    Attributes:
        allowed: what it may be; None: not checked.
        optional: None is allowed as well.
        required: it has no default.
        effects: the traits that it changes.
        meaning: what it does, as the docstring of the loss says under `Args`.
        hint: the type of its values.
        state: the running statistic that the module keeps and hands in by this keyword; None: the user sets it.
    """

    name: str
    default: Any
    allowed: Allowed | None = None
    optional: bool = False
    required: bool = False
    effects: tuple[Effect, ...] = ()
    meaning: str = ""
    hint: Any = Any
    state: State | None = None

    @functools.cached_property
    def described(self) -> str:
        """Name, default, range and meaning; kept, as the losses of a family share their parameters."""
        default = "required" if self.required else f"default {self.default!r}"
        allowed = "" if self.allowed is None else f"; allowed: {self.allowed}"
        return f"{self.name} ({default}{allowed}): {self.meaning}"

    def check(self, where: str, value: Any, defaults: Mapping[str, Any], called: str = "") -> None:
        """Raise a ValueError naming loss, parameter, value, range and remedy.

        Args:
            where: the loss.
            value: what came.
            defaults: those of the dialect, where they are not ours.
            called: what the error calls the parameter; "": by its name.
        """
        if self.allowed is None or (value is None and self.optional):
            return
        if value not in self.allowed:
            default = defaults.get(self.name, self.default)
            remedy = "it has no default" if self.required else f"leave it out for its default {default!r}"
            check_value(where, called or self.name, value, self.allowed, remedy)


@functools.cache
def keywords(function: Callable[..., Any]) -> dict[str, Parameter]:
    """The keyword-only parameters of a function: default and type from its signature, meaning from its docstring."""
    return read_keywords(function, {})


def read_keywords(function: Callable[..., Any], around: Mapping[str, Any]) -> dict[str, Parameter]:
    """Likewise, of a function whose annotations may have names that are known only where it stands."""
    function = inspect.unwrap(function)
    found = inspect.signature(function).parameters
    names = [name for name, parameter in found.items() if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    hints, meanings = _hints(function, names, around), parsed(function).arguments
    return {name: _keyword(name, found[name].default, hints.get(name, Any), meanings.get(name, "")) for name in names}


def takes_ignored(function: Callable[..., Any]) -> bool:
    """Whether a function wants to know what is left out, by a parameter `ignored` before the `*` of its signature."""
    return "ignored" in inspect.signature(function).parameters


def _keyword(name: str, default: Any, hint: Any, meaning: str) -> Parameter:
    kind, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    required = default is inspect.Parameter.empty
    allowed = _first(extras, (Interval, Choice, Series, PerClass, Integers, Specs))
    return Parameter(
        name,
        default=None if required else default,
        allowed=_by_type(kind) if allowed is None and _first(extras, State) is None else _whole(kind, allowed),
        optional=not required and (default is None or type(None) in get_args(kind)),
        required=required,
        effects=tuple(extra for extra in extras if isinstance(extra, Effect)),
        meaning=meaning,
        hint=kind,
        state=_first(extras, State),
    )


def _by_type(hint: Any) -> Allowed | None:
    """What a parameter may be whose annotation gives only a type; None: anything, as the type says nothing of it."""
    choices = [choice for part in get_args(hint) if get_origin(part) is Literal for choice in get_args(part)]
    types = [part for part in get_args(hint) or (hint,) if part is not type(None)]
    if get_origin(hint) is Literal or choices:
        return Choice(*(choices or get_args(hint)))
    known: dict[Any, Allowed] = {bool: Choice(False, True), int: Interval(whole=True), float: Interval()}
    return known.get(types[0]) if len(types) == 1 else None


def _whole(hint: Any, allowed: Allowed | None) -> Allowed | None:
    """The range of whole numbers where the type is int."""
    wanted = [part for part in get_args(hint) or (hint,) if part is not type(None)]
    return replace(allowed, whole=True) if isinstance(allowed, Interval) and wanted == [int] else allowed


def _hints(function: Callable[..., Any], names: list[str], around: Mapping[str, Any]) -> dict[str, Any]:
    # only those that are needed, and names by a look: to evaluate annotations takes longest when losses are imported
    known = function.__globals__
    given = {name: hint for name, hint in function.__annotations__.items() if name in names}
    hints = {name: known.get(hint, hint) if isinstance(hint, str) else hint for name, hint in given.items()}
    for name, hint in hints.items():
        if isinstance(hint, str):
            hints[name] = _evaluated(function, name, hint, dict(around))
    return hints


def _evaluated(function: Callable[..., Any], name: str, hint: str, around: dict[str, Any]) -> Any:
    text = types.SimpleNamespace(__annotations__={name: hint})
    try:
        return typing.get_type_hints(text, function.__globals__, around, include_extras=True)[name]
    except Exception as error:  # whatever evaluating it may do
        came = f"annotation {name}: {hint} cannot be read ({type(error).__name__}: {error})"
        remedy = "import its names beside the function, not under TYPE_CHECKING, or leave the annotation out"
        raise refusal(function.__qualname__, came, "what can be evaluated at run time", remedy) from error


def _first(extras: list[Any], kinds: Any) -> Any:
    return next((extra for extra in extras if isinstance(extra, kinds)), None)
