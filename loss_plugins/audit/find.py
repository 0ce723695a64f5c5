"""From a name to a subject: a catalogue name, `package.module:callable`, or a callable in hand."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from ..catalog.declare import Kind, Traits
from ..catalog.entries import get_entry, is_shipped, meaning_of
from ..catalog.entry import Entry
from ..module.build import build_loss, module_class
from ..module.imported import OWN, registered_as, resolve
from .subject import NO_CODE, LossCallable, Scores, Subject, frozen


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
    name = registered_as(function)
    if name is not None:
        return catalogued(name)
    return subject_of(function, name=target, kind=kind, scores=scores, setup=import_line(target))
