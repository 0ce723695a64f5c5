"""The forms of a loss: which programs the page has of it, and what each is called there.

A choice makes a form each, as does an optional number that is set, a number that cannot be an input, at its usual
values, and a few pairs of transforms that are trained with together.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ...catalog.dialects import translated
from ...catalog.entries import is_shipped
from ...catalog.entry import Entry
from ...catalog.ranges import Choice
from ...fusion import NotTraceable, program_of
from ...samples import trial_pairs
from .numbers import LEFT_OUT, Number, numbers_of, switched_on, usual

if TYPE_CHECKING:
    from ...fusion import Listing

#: what losses are recorded on
BOXES = functools.partial(trial_pairs, "box")
#: transforms that are set together too
PAIRS = (
    {"inner_ratio": 0.75, "focaler": (0.0, 0.95)},
    {"inner_ratio": 0.75, "power": 3.0},
    {"inner_ratio": 0.75, "wise": 3},
    {"focaler": (0.0, 0.95), "wise": 3},
)
#: how the forms of a loss are sorted
PLAIN, TRANSFORM, CHOICE, NUMBER, TOGETHER, DIALECT = "", "transform", "choice", "number", "together", "dialect"
#: parameters that every member of the IoU family has
TRANSFORMS = {"power", "inner_ratio", "focaler", "interp", "d_interp", "focal_gamma", "wise"}


@dataclass(frozen=True)
class Form:
    """A loss with some parameters set.

    Attributes:
        sort: of the form, to list those of a sort together.
        sets: the parameters; those that are numbers of the form may be turned.
        numbers: inputs of the program.
        program: value and gradient; None where there is none.
        reason: why there is none.
    """

    sort: str
    sets: Mapping[str, Any]
    numbers: tuple[Number, ...]
    program: Listing | None
    reason: str = ""

    @property
    def label(self) -> str:
        """What it is called: "inner_ratio, wise=3"; "": as the loss is by default."""
        turned = {number.parameter for number in self.numbers}
        said = (name if name in turned else f"{name}={value}" for name, value in self.sets.items())
        return ", ".join(said)


def forms_of(entry: Entry, given: Mapping[str, Any], alone: bool) -> list[Form]:
    """All forms of a loss, the first as it is given.

    Args:
        entry: the loss.
        given: parameters that are set in all forms.
        alone: the first form only.
    """
    first, fixed = recorded(entry, PLAIN, given)
    if alone or first.program is None:
        return [first]
    forms = [first]
    for sort, sets in _others(entry, given, fixed):
        form, fixed_here = recorded(entry, sort, {**given, **sets}, fixed)
        forms.append(form)
        for name, value in _usual(entry, {**given, **sets}, [each for each in fixed_here if each not in fixed]):
            forms.append(recorded(entry, sort, {**given, **sets, name: value}, fixed_here)[0])
    return forms


def _usual(entry: Entry, sets: Mapping[str, Any], names: Collection[str]) -> Iterator[tuple[str, float]]:
    """The usual values of numbers that cannot be inputs."""
    for number in numbers_of(entry, sets):
        if number.parameter in names and number.parameter not in sets:
            yield from ((number.parameter, value) for value in usual(entry, number))


def _others(entry: Entry, given: Mapping[str, Any], fixed: Collection[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The sort of each form but the first, and what it sets."""
    for name, parameter in entry.parameters.items():
        if name in LEFT_OUT or name in given or name == "dialect":
            continue
        if isinstance(parameter.allowed, Choice):
            values = [*parameter.allowed.values, *([None] if parameter.optional else [])]
            for value in values:
                if value != parameter.default:
                    yield (TRANSFORM if name in TRANSFORMS else CHOICE), {name: value}
        elif parameter.default is None and not parameter.required and (value := switched_on(entry, name)) is not None:
            yield (TRANSFORM if name in TRANSFORMS else NUMBER), {name: value}
    for name, value in _usual(entry, given, fixed):
        yield (TRANSFORM if name in TRANSFORMS else NUMBER), {name: value}
    for pair in PAIRS:
        if pair.keys() <= entry.parameters.keys() and not pair.keys() & given.keys():
            yield TOGETHER, pair
    dialect = entry.parameters.get("dialect")
    if dialect is not None and isinstance(dialect.allowed, Choice) and "dialect" not in given:
        for value in dialect.allowed.values:
            yield DIALECT, {"dialect": value}


# --- recording -------------------------------------------------------------------------------------------------------


def recorded(
    entry: Entry, sort: str, sets: Mapping[str, Any], fixed: Collection[str] = ()
) -> tuple[Form, tuple[str, ...]]:
    """A form with its program, and the names of the numbers that cannot be inputs of it.

    Args:
        entry: the loss.
        sort: of the form.
        sets: its parameters.
        fixed: the numbers that cannot be inputs of the loss by default.
    """
    complete = translated(entry.name, {**entry.example, **sets})
    numbers, arguments = numbers_of(entry, complete), entry.arguments(complete)
    names = {each.parameter for each in numbers}

    def turned_by(wanted: Collection[str]) -> Listing | str:
        return _program(entry, arguments, [each for each in numbers if each.parameter in wanted])

    if sort == CHOICE:  # by another choice, other code reads them
        fixed = [name for name in names & {*fixed} if isinstance(turned_by({name}), str)]
    wanted = names - {*fixed}
    found = turned_by(wanted)
    if isinstance(found, str):
        wanted = {name for name in wanted if not isinstance(turned_by({name}), str)}
        found = turned_by(wanted)
    if isinstance(found, str):
        return Form(sort, sets, (), None, found), ()
    used = {found.loss, *found.gradient, *(argument for each in found.operations for argument in each.arguments)}
    kept = tuple(each for each in numbers if each.parameter in wanted and each.name in used)
    return Form(sort, sets, kept, found), tuple(sorted(names - wanted))


def form_of(function: Callable[..., Tensor]) -> Form:
    """The one form of a function (pred, target) that is in no catalogue."""
    try:
        return Form(PLAIN, {}, (), program_of(lambda pred, target: function(pred, target), BOXES))
    except NotTraceable as error:
        return Form(PLAIN, {}, (), None, str(error))


def _program(entry: Entry, arguments: Mapping[str, Any], numbers: list[Number]) -> Listing | str:
    """The program with these numbers as inputs, or why there is none."""
    by_parameter: dict[str, list[Number]] = {}
    for number in numbers:
        by_parameter.setdefault(number.parameter, []).append(number)

    def function(pred: Tensor, target: Tensor, **inputs: Tensor) -> Tensor:
        turned: dict[str, Any] = {}
        for name, each in by_parameter.items():
            values = [inputs[number.name] for number in each]
            turned[name] = values[0] if each[0].place is None else tuple(values)
        return entry.function(pred, target, **{**arguments, **turned})

    starts = {number.name: number.default for number in numbers}
    try:
        return program_of(function, BOXES, starts, finite=is_shipped(entry.function))
    except NotTraceable as error:
        return str(error)
