"""The catalogue: every loss by name, with formula, source, traits and parameters. `register_loss` adds one."""

from __future__ import annotations

import copyreg
import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import metadata
from typing import Any, TypeVar

from torch import Tensor

from ..tensors import Target, check_boxes, check_forms, raised
from .declare import COLUMNS, KINDS, TARGETS, Kind, Parameter, Source, Traits, keywords
from .dialects import dialects_of, translated
from .entry import Entry as Entry
from .ranges import Choice, closest
from .text import function_signature, function_text

ENTRY_POINTS = "loss_plugins.losses"
LossFunction = TypeVar("LossFunction", bound=Callable[..., Tensor])

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
        formula: LaTeX, without dollar signs; `loss-plugins show` prints it in Unicode, `help` as it is written here, as
            reading LaTeX takes a package beyond torch.
        source: paper, year, link.
        use_when: for whom it is good, one sentence.
        avoid_when: for whom it is not, one sentence.
        options: the function whose keywords `**options` of this one stands for.
        without: keywords of `options` that this loss sets itself.
        targets: forms of the target of a class or region loss, of "dense" (pred's shape), "labels" (integers without
            pred's last axis), "class_map" (integers without axis 1), "score" (floats without the last axis),
            "label_score" and "input_sign" (tuples of two tensors); None: dense or labels; of regions dense, class_map.
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
        if not inspect.isfunction(inspect.unwrap(function)):
            raise TypeError(
                f"register_loss: {name!r} must be a function (pred, target, *, ...), got {type(function).__name__}; "
                "write a def that calls it"
            )
        if list(inspect.signature(function).parameters)[:2] != ["pred", "target"]:
            raise ValueError(f"register_loss: {function.__qualname__} must take (pred, target, *, ...)")
        taken = {**keywords(function), **_options(options, without)}
        states = {key: keyword.state for key, keyword in taken.items() if keyword.state is not None}
        parameters = {key: keyword for key, keyword in taken.items() if keyword.state is None and key != "weight"}
        for state in states.values():
            parameters.update(keywords(state.update))
        known = dialects_of(name)
        if known or "dialect" in parameters or _follows_conventions(options):
            parameters["dialect"] = _dialect(known, parameters.get("dialect"))
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
            keywords=taken,
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

        checked.__doc__ = function_text(entry)
        checked.__signature__ = function_signature(entry)  # type: ignore[attr-defined]
        return typing.cast(LossFunction, checked)

    return register


@functools.cache
def _follows_conventions(options: Callable[..., Tensor] | None) -> bool:
    """Whether the loss is one of a family that can be written in another convention."""
    return options is not None and "convention" in inspect.signature(options).parameters


def _options(options: Callable[..., Tensor] | None, without: tuple[str, ...]) -> dict[str, Parameter]:
    """The keywords that `**options` stands for."""
    return {} if options is None else {key: known for key, known in keywords(options).items() if key not in without}


def _dialect(known: tuple[str, ...], own: Parameter | None) -> Parameter:
    """The keyword `dialect`, which the catalogue offers also where the function needs no other code for it."""
    meaning = own.meaning if own else "None: the published formula; or the framework whose built-in to equal."
    return Parameter("dialect", None, Choice(*known), optional=True, meaning=meaning, hint=str | None)


def is_shipped(function: Callable[..., Any]) -> bool:
    """Whether a loss is one of this package."""
    return function.__module__.startswith("loss_plugins.")


def shipped() -> list[Entry]:
    """The entries of this package, without those that users and other packages have registered."""
    return [entry for entry in map(get_entry, list_losses()) if is_shipped(entry.function)]


def _by_name(entry: Entry) -> tuple[Any, ...]:
    """How an entry is pickled: its function may be wrapped by a decorator, and such functions cannot be pickled."""
    return _restore, (entry.name, entry.kind, entry.traits)


def _restore(name: str, kind: Kind, traits: Traits) -> Entry:
    entry = get_entry(name)
    return entry if (entry.kind, entry.traits) == (kind, traits) else replace(entry, kind=kind, traits=traits)


copyreg.pickle(Entry, _by_name)  # type: ignore[arg-type]


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
    found = _found(name)
    if found is None:  # it may be a loss of another package; they are looked for only now, as that takes a while
        _load_entry_points()
        found = _found(name)
    if found is None:
        raise ValueError(f"unknown loss {name!r}; {closest(name, [*_ENTRIES, *_ALIASES])}")
    return found


def _found(name: str) -> Entry | None:
    return _ENTRIES.get(name) or _ENTRIES.get(_ALIASES.get(name, ""))


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
