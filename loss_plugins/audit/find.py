"""From a name to a subject: a catalogue name, `package.module:callable`, or a callable in hand."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from ..catalog.declare import Kind, Traits
from ..catalog.entries import get_entry, is_shipped, list_losses, meaning_of
from ..catalog.entry import Entry
from ..catalog.typed import Meaning
from ..errors import closest, refusal
from ..module.build import build_loss, module_class
from ..module.loss import Loss
from .subject import NO_CODE, LossCallable, Scores, Subject, frozen

OWN = "one of your own is MODULE:FUNCTION, say mylosses:my_iou_loss"
TARGETS = "a loss of the catalogue, or package.module:callable"


def resolve(target: str, where: str = "check") -> Any:
    """Import what `package.module:name` names; a class is built with its defaults, unreduced if it can be.

    Args:
        target: the text.
        where: the command that was given it, for errors.

    Raises:
        ValueError: not of that form, no such module, no such name, or nothing callable.

    >>> resolve("torch.nn:L1Loss").reduction
    'none'
    """
    module_name, _, path = target.partition(":")
    if not module_name or not path:
        came = f"{target!r} is neither a loss of the catalogue nor of the form package.module:callable"
        raise refusal(where, came, TARGETS, "look names up: loss-plugins list")
    try:
        found: Any = importlib.import_module(module_name)
    except (ImportError, SystemExit) as error:
        exits = isinstance(error, SystemExit)
        why = f"it calls sys.exit({error}) when it is imported" if exits else str(error)
        remedy = "correct the name, or put its folder on PYTHONPATH"
        raise refusal(where, f"{target!r}: cannot import {module_name!r}: {why}", TARGETS, remedy) from error
    for part in path.split("."):
        if not hasattr(found, part):
            came = f"{target!r}: {module_name!r} has no {path!r}"
            raise refusal(where, came, TARGETS, closest(part, [name for name in dir(found) if name[0] != "_"]))
        found = getattr(found, part)
    if not callable(found):
        came = f"{target!r} is not callable, it is of type {type(found).__name__}"
        raise refusal(where, came, TARGETS, "name a function or a class")
    return unreduced(found)


def unreduced(found: Any) -> LossCallable:
    """An instance, if it is a class; with reduction="none", if it takes `reduction`."""
    asks = "reduction" in inspect.signature(found).parameters
    if isinstance(found, type):
        try:
            return found(reduction="none") if asks else found()  # type: ignore[no-any-return]
        except SystemExit as error:
            came = f"cannot build {found.__qualname__}: it calls sys.exit({error})"
            raise refusal("check", came, TARGETS, "take the call out") from error
    return functools.partial(found, reduction="none") if asks else found  # type: ignore[no-any-return]


def import_line(target: str) -> str:
    """One line that defines `f` as `resolve` does."""
    module_name, _, path = target.partition(":")
    head = path.partition(".")[0]
    found = getattr(importlib.import_module(module_name), head, None)
    for part in path.split(".")[1:]:
        found = getattr(found, part)
    asks = callable(found) and "reduction" in inspect.signature(found).parameters
    if isinstance(found, type):
        built = f"{path}({'reduction=' + repr('none') if asks else ''})"
    elif asks:
        built = f"lambda p, t: {path}(p, t, reduction='none')"
    else:
        built = path
    return f"from {module_name} import {head}; f = {built}"


def subject_of(
    function: LossCallable,
    *,
    name: str = "",
    kind: Kind = "box",
    traits: Traits | None = None,
    scores: Scores | None = None,
    setup: str = "",
) -> Subject:
    """A subject for a callable in hand."""
    return Subject(
        name=name or _name_of(function),
        function=frozen(function),
        kind=kind,
        traits=traits,
        setup=setup or _setup_of(function),
        scores=scores or Scores(),
    )


def _name_of(function: object) -> str:
    if isinstance(function, nn.Module):
        return type(function).__name__
    if isinstance(function, functools.partial):
        return _name_of(function.func)
    return getattr(function, "__qualname__", repr(function))


def _setup_of(function: object) -> str:
    name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", "")
    return f"from {module} import {name} as f" if name.isidentifier() and module != "__main__" else NO_CODE


def catalogued(name: str, **parameters: Any) -> Subject:
    """A subject for a loss of the catalogue, with its declared traits.

    Raises:
        ValueError: no such loss, or a parameter out of range.
    """
    entry = get_entry(name)
    given = {**entry.example, **parameters}
    loss = build_loss(entry.name, reduction="none", **given)
    return Subject(
        name=entry.name,
        function=frozen(loss),
        kind=entry.kind,
        traits=loss.entry.traits,
        setup=f"import loss_plugins as lp; f = lp.build_loss({_arguments(entry, given)}).eval()",
        scores=Scores(entry.targets[0] if entry.targets else "dense"),
        forms=entry.targets,
        parameters=entry.parameters,
        rebuild=_rebuild(entry, given),
        denominator=_denominator(entry, given),
        pure=entry.pure,
        shipped=is_shipped(entry.function),
    )


def _arguments(entry: Entry, given: dict[str, Any]) -> str:
    return ", ".join([repr(entry.name), "reduction='none'", *(f"{key}={value!r}" for key, value in given.items())])


def _rebuild(entry: Entry, given: dict[str, Any]) -> Callable[..., LossCallable]:
    def build(**changes: Any) -> LossCallable:
        return module_class(entry.name)(**{"reduction": "none", **given, **changes}).eval()

    return build


def _denominator(entry: Entry, given: dict[str, Any]) -> Callable[[Any, Any], Any] | None:
    if entry.denominator is None:
        return None
    return functools.partial(entry.denominator, **entry.arguments(given))


def find_subject(target: str, kind: Kind = "box", scores: Scores | None = None) -> Subject:
    """A subject for a catalogue name or an import string; what is registered is held to its entry.

    Raises:
        ValueError: neither.
    """
    if ":" not in target:
        meant = meaning_of(target, "check", "TARGET", OWN)
        return catalogued(meant.entry.name, **meant.parameters)
    function = resolve(target)
    name = _registered_as(function)
    if name is not None:
        return catalogued(name)
    return subject_of(function, name=target, kind=kind, scores=scores, setup=import_line(target))


def look_here() -> None:
    """Find modules of the current folder: a console script does not look for them where it is called."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def meant_by(target: str, where: str, argument: str) -> Meaning:
    """The loss of a name, with the parameters that the name sets, or the loss that an import string names.

    Raises:
        ValueError: neither, or it is in no catalogue.
    """
    if ":" not in target:
        return meaning_of(target, where, argument, OWN)
    look_here()
    name = _registered_as(resolve(target, where))
    if name is None:
        remedy = "enter it by the decorator @register_loss"
        raise refusal(where, f"{argument}={target!r} is in no catalogue", "a loss that is registered", remedy)
    return Meaning(get_entry(name))


def _registered_as(found: LossCallable) -> str | None:
    """The catalogue name of a registered function, or of a module of one; None where it is in no catalogue."""
    if isinstance(found, Loss):
        return found.entry.name
    function = inspect.unwrap(found)
    return next((name for name in list_losses() if get_entry(name).function is function), None)
