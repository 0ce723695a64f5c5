"""The catalogue: every loss by name, with formula, source, traits and parameters. `register_loss` adds one."""

from __future__ import annotations

import copyreg
import functools
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from types import NoneType
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from torch import Tensor

from ..errors import check_type, in_our_words, refusal, shown
from ..labels import ALLOWED, Numbers
from .declare import (
    KINDS,
    TARGETS,
    Kind,
    Parameter,
    Source,
    State,
    Traits,
    keywords,
    read_keywords,
    takes_ignored,
)
from .dialects import dialects_of, translated
from .entry import Entry as Entry
from .evaluation import check_handed, evaluate, read_tensors
from .identity import Identity, identity_of, not_pickled, place_of
from .identity import is_shipped as is_shipped
from .names import IN_CONFIGS, check_name, class_name, name_taken
from .offered import AROUND, applied, offered
from .plugins import load_plugins
from .ranges import Choice, check_value, plain
from .registration import check_function, check_keywords, check_parts, check_targets
from .text import function_signature, function_text
from .typed import Meaning, ambiguous, composed, like, meanings

#: the remedy for a loss of one's own that is not known
OF_YOUR_OWN = "one of your own: import its module first, imports=MODULE on the shell"
#: keywords that functions get from the catalogue
OFFERED = ("dialect", "ignore_index", "count_ignored", *AROUND)
LossFunction = TypeVar("LossFunction", bound=Callable[..., Tensor])

_ENTRIES: dict[str, Entry] = {}
#: names of module classes to names of losses
_ALIASES: dict[str, str] = {}
#: every entry in use, those included whose name has been given to another function
_LIVING: WeakValueDictionary[tuple[str, Identity], Entry] = WeakValueDictionary()
#: what a module may change of the entry of its loss: a parameter changes traits, the members of a mix all of it
SET_BY_MODULES = ("kind", "traits", "targets", "holds")


@in_our_words
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
    without: Sequence[str] = (),
    targets: Sequence[str] | None = None,
    holds: Numbers | None = None,
    denominator: Callable[..., Tensor] | None = None,
    example: Mapping[str, Any] | None = None,
    pure: bool | None = None,
) -> Callable[[LossFunction], LossFunction]:
    """Decorator: put an element-wise loss into the catalogue, and so into every adapter and the command line.

    Args:
        name: snake case; a name may be registered once.
        kind: "box": (..., 4) xyxy boxes to (...); "coordinate": (..., 4) to (..., 4); "rotated_box": (..., 5) boxes
            (cx, cy, w, h, angle) to (...); "quad": (..., 8) corners to (...); "classification": logits (..., C);
            "region": masks (N, ...); "keypoint": points (..., K, 2) to (...), (..., K) or (..., K, 2);
            "distribution": logits (..., n) over bins to (...).
        traits: what the loss promises; the tests and adapters read it.
        formula: LaTeX, without dollar signs; `loss-plugins show` prints it in Unicode, `help` as it is written here, as
            reading LaTeX takes a package beyond torch.
        source: paper, year, link.
        use_when: for whom it is good, one sentence.
        avoid_when: for whom it is not, one sentence.
        options: the function whose keywords `**options` of this one stands for.
        without: keywords of `options` that this loss sets itself.
        targets: forms of the target of a loss of classes, regions or points, of "dense" (pred's shape), "labels" and
            "class_map" (integers without pred's class axis), "score" (floats without the last axis, in bins from
            0 on), "offset" (likewise, around 0),
            "label_score", "target_iou" and "input_sign" (tuples of two tensors), "label_score_rank" (of three); None:
            dense or labels; of regions dense, class_map; of key points dense, points_visible.
            Of distributions dense or "teacher", (logits, matched). Of key points the tuples are "points_visible",
            (points, visible), "points_visible_area", with the area of each instance, and "points_visible_flow", with
            sigma and the log density of the error.
            "labels" may be C for background, "class_map" may not. The catalogue checks labels and gives the loss the
            keyword `ignore_index`: where something is left out, the function sees zeros, and its result is replaced by
            0. If rows depend on each other, as the pixels of a region do, the function takes `ignored=None` before the
            `*`: a mask that has pred's shape, or one entry along the class axis, or is None. Class losses get
            `class_weight` too, and those of dense or labels `label_smoothing`, unless the function takes them itself.
        holds: what numbers a dense target has: "shares" of [0, 1], "signs", -1 or 1; None: any. Others are an error on
            the CPU; shares are read in integer types only.
        denominator: (pred, target, **parameters) to what "mean" divides by; None: the number of elements.
        example: parameters that make a working instance, where some are required.
        pure: the function depends on its arguments alone and does nothing but return a result: it reads no global
            schedule, counts nothing, prints nothing. Only then may its operations be recorded once and run without its
            Python code, value and gradient in one go, which is faster. None: False, for losses of this package True.

    Returns:
        The function, with its arguments checked and half precision raised to float32. `help` of it, and of its module
        class, shows all that is said here, and for each parameter its default, its range (of the annotation) and its
        meaning (of `Args` in the docstring).

    Raises:
        ValueError: unknown kind; a name that is not snake case, is taken, or stands for something else here; a function
            without `pred` and `target`, or with hyper-parameters that may come by position.
        TypeError: an argument of another type.

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
    ValueError: doctest_corner: power=9.0 is out of range; allowed: [1, 4]; leave it out for its default 2.0
    >>> unregister_loss("doctest_corner")
    """
    check_name(name, _ENTRIES, _ALIASES)
    check_value("register_loss", "kind", kind, Choice(*KINDS), f"{name!r} is of one kind")
    said = {
        "traits": (traits, Traits, NoneType), "formula": (formula, str), "source": (source, Source, NoneType),
        "use_when": (use_when, str), "avoid_when": (avoid_when, str), "options": (options, Callable, NoneType),
        "without": (without, list, tuple), "targets": (targets, list, tuple, NoneType),
        "denominator": (denominator, Callable, NoneType), "example": (example, Mapping, NoneType),
        "pure": (pure, bool, NoneType),
    }  # fmt: skip
    for argument, (value, *wanted) in said.items():
        check_type(f"register_loss({name!r})", argument, value, *wanted)
    check_targets(name, targets, TARGETS.get(kind, ()))
    if holds is not None:
        check_value(f"register_loss({name!r})", "holds", holds, Choice(*ALLOWED), "leave it out for any numbers")

    def register(function: LossFunction) -> LossFunction:
        forms = TARGETS.get(kind, ()) if targets is None else tuple(targets)
        check_function(name, function, forms)
        frame = inspect.currentframe()
        around = frame.f_back if frame is not None else None
        own = read_keywords(function, around.f_locals if around is not None else {})
        if not is_shipped(function):
            check_keywords(name, own)
        taken = {**own, **_options(options, without)}
        states = {key: keyword.state for key, keyword in taken.items() if keyword.state is not None}
        parameters = {key: keyword for key, keyword in taken.items() if keyword.state is None and key != "weight"}
        for state in states.values():
            parameters.update(keywords(state.update))
        check_parts(name, denominator, states, parameters.keys() & taken.keys())
        for each in offered(name, kind, forms, traits or Traits(), takes_ignored(function)):
            parameters.setdefault(each.name, each)
        known = dialects_of(name)
        if known or "dialect" in parameters or _follows_conventions(options):
            parameters["dialect"] = _dialect(known, parameters.get("dialect"))
        entry = Entry(
            name=name,
            kind=kind,
            function=function,
            parameters=parameters,
            traits=traits or Traits(),
            identity=identity_of(_functions(function, denominator, states)),
            formula=formula,
            source=source or Source(),
            use_when=use_when,
            avoid_when=avoid_when,
            keywords=taken,
            states=states,
            targets=forms,
            holds=holds,
            denominator=denominator,
            example=example or {},
            pure=is_shipped(function) if pure is None else pure,
        )
        if example:
            entry.check_complete(translated(name, plain(example)))
        free_name(name, function)
        _ENTRIES[name] = _LIVING[name, entry.identity] = entry
        if not is_shipped(function):  # the classes of this package have names of their own
            add_alias(class_name(name), name)

        @functools.wraps(function)
        def checked(pred: Any = None, target: Any = None, *positional: Any, **parameters: Any) -> Tensor:
            if positional:
                raise entry.by_position(positional[0], len(positional))
            written = {key: plain(value) for key, value in parameters.items()}
            parameters = translated(name, written)
            handed = {key: value for key, value in parameters.items() if key in entry.states or key == "weight"}
            hyper = {key: value for key, value in parameters.items() if key not in handed}
            entry.check_complete(hyper, written)
            for key in (*handed, *hyper):
                if key not in entry.keywords and key not in OFFERED:
                    came = f"parameter {key}={shown(parameters[key])} belongs to the module"
                    how = f"({name!r})(pred, target, weight)" if key == "weight" else f"({name!r}, {key}=...)"
                    remedy = f"leave it out, or build the module: build_loss{how}"
                    raise refusal(
                        name, came, f"what the function takes ({', '.join(entry.keywords)})", remedy, TypeError
                    )
            given = read_tensors(entry, pred, target, entry.label_rule(parameters))
            for key, value in handed.items():
                check_handed(entry, key, value, pred, {**entry.defaults, **hyper})
            return evaluate(entry, given, entry.arguments(parameters), applied(entry, parameters))

        checked.__doc__ = function_text(entry)
        checked.__signature__ = function_signature(entry)  # type: ignore[attr-defined]
        return typing.cast(LossFunction, checked)

    return register


def _functions(
    function: Callable[..., Any], denominator: Callable[..., Any] | None, states: Mapping[str, State]
) -> list[Callable[..., Any]]:
    """All that a loss is computed with."""
    learnt = [each for state in states.values() for each in (state.initial, state.empty, state.summary, state.update)]
    return [function, *([denominator] if denominator else []), *learnt]


def free_name(name: str, function: LossFunction) -> None:
    """Make a name free for the function that had it, as when a cell of a notebook runs again, and for no other."""
    if name not in _ENTRIES:
        return
    taken = _ENTRIES[name].function
    if place_of(taken) != place_of(function):
        raise name_taken(name, taken)
    del _ENTRIES[name]  # names of its classes stay


@functools.cache
def _follows_conventions(options: Callable[..., Tensor] | None) -> bool:
    """Whether the loss is one of a family that can be written in another convention."""
    return options is not None and "convention" in inspect.signature(options).parameters


def _options(options: Callable[..., Tensor] | None, without: Sequence[str]) -> dict[str, Parameter]:
    """The keywords that `**options` stands for."""
    return {} if options is None else {key: known for key, known in keywords(options).items() if key not in without}


def _dialect(known: tuple[str, ...], own: Parameter | None) -> Parameter:
    """The keyword `dialect`, which the catalogue offers also where the function needs no other code for it."""
    meaning = own.meaning if own else "None: the published formula; or the framework whose built-in to equal."
    return Parameter("dialect", None, Choice(*known), optional=True, meaning=meaning, hint=str | None)


def shipped() -> list[Entry]:
    """The entries of this package, without those that users and other packages have registered."""
    return [entry for entry in map(get_entry, list_losses()) if is_shipped(entry.function)]


def _by_name(entry: Entry) -> tuple[Any, ...]:
    """How an entry is pickled: its function may be wrapped by a decorator, and such functions cannot be pickled."""
    return _restore, (entry.name, entry.identity, {each: getattr(entry, each) for each in SET_BY_MODULES})


def _restore(name: str, identity: Identity, changes: Mapping[str, Any]) -> Entry:
    entry = _pickled(name, identity)
    same = all(getattr(entry, each) == value for each, value in changes.items())
    return entry if same else replace(entry, **changes)


def _pickled(name: str, identity: Identity) -> Entry:
    """The entry that was pickled, and no other of its name; importing the module of its function may register it."""
    entry, cause = _living(name, identity), None
    if entry is None:
        load_plugins()
        try:
            import_module(identity.module)
        except Exception as error:  # whatever a module does when it is imported
            cause = error
        entry = _living(name, identity)
    if entry is None:
        now = _ENTRIES[name].identity if name in _ENTRIES else None
        raise not_pickled(name, identity, now) from cause
    return entry


def _living(name: str, identity: Identity) -> Entry | None:
    known = _ENTRIES.get(name)
    return known if known is not None and identity.same_as(known.identity) else _LIVING.get((name, identity))


copyreg.pickle(Entry, _by_name)  # type: ignore[arg-type]


@in_our_words
def unregister_loss(name: str) -> None:
    """Take a loss out of the catalogue again (for tests and notebooks)."""
    entry = entry_called(name, "unregister_loss", "name")
    del _ENTRIES[entry.name]
    for alias in [alias for alias, known in _ALIASES.items() if known == entry.name]:
        del _ALIASES[alias]


@in_our_words
def get_entry(name: str) -> Entry:
    """The catalogue entry called `name`: `"ciou"`, `"CIoULoss"` or, as configs write it, `"loss_plugins.CIoULoss"`.

    Raises:
        ValueError: no such loss; the error lists the closest names.
        TypeError: the name is no text.
    """
    return entry_called(name, "get_entry", "name")


def entry_called(name: Any, where: str, argument: str, own: str = OF_YOUR_OWN) -> Entry:
    """The entry for a name that came as an argument of a public call, which an error names.

    Args:
        name: the name, of a loss alone.
        where: what was called.
        argument: what the argument is called there.
        own: how a loss of one's own is named there.
    """
    meant = meaning_of(name, where, argument, own)
    if meant.parameters:
        raise composed(meant, where, f"{argument}={shown(name)}")
    return meant.entry


def meaning_of(name: Any, where: str, argument: str, own: str = OF_YOUR_OWN) -> Meaning:
    """As `entry_called`, of a name that may also set parameters, as "inner_ciou" does."""
    if not isinstance(name, str):
        came, remedy = f"{argument}={shown(name)} is of type {type(name).__name__}", "pass a name of list_losses()"
        raise refusal(where, came, "the name of a loss, 'ciou' or 'CIoULoss'", remedy, TypeError)
    bare, came = name.removeprefix(IN_CONFIGS), f"{argument}={shown(name)}"
    found = _found(bare)
    if not found:  # it may be a loss of another package; they are looked for only now, as that takes a while
        load_plugins()
        found = _found(bare)
    if not found:
        raise unknown_loss(bare, where, came, [*_ENTRIES, *_ALIASES], own)
    if len(found) > 1:
        raise ambiguous(found, where, came)
    return found[0]


def unknown_loss(name: str, where: str, came: str, names: list[str], own: str = OF_YOUR_OWN) -> ValueError:
    """The error for a name that is not in the catalogue, with the closest of those that could have been meant."""
    remedy = f"{like(name, names, _ENTRIES) or 'look one up: loss-plugins list'} ({own})"
    return refusal(where, f"{came} is an unknown loss", f"the {len(_ENTRIES)} names of list_losses()", remedy)


def _found(name: str) -> list[Meaning]:
    entry = _ENTRIES.get(name) or _ENTRIES.get(_ALIASES.get(name, ""))
    return [Meaning(entry)] if entry is not None else meanings(name, _ENTRIES, _ALIASES)


def add_alias(alias: str, name: str) -> None:
    """Let `get_entry` find the loss under another name too: that of its module class, or its short one.

    Raises:
        ValueError: the name stands for another loss already.
    """
    known = alias if alias in _ENTRIES else _ALIASES.get(alias, name)
    if known != name:
        came = f"class {alias} of {name!r} has the name of a class (or a loss) that stands for {known!r}"
        raise refusal(name, came, "a class name of its own", f"call the class My{alias}, say")
    _ALIASES[alias] = name


@in_our_words
def list_losses(kind: str | None = None) -> list[str]:
    """Names of all catalogued losses, sorted; of one kind if given.

    >>> {"huber", "l1", "smooth_l1"} <= {*list_losses(kind="coordinate")}
    True
    """
    load_plugins()
    if kind is not None:
        check_value("list_losses", "kind", kind, Choice(*KINDS), "leave it out for all")
    return sorted(name for name, entry in tuple(_ENTRIES.items()) if kind in (None, entry.kind))
