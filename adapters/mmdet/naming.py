"""The name under which a config has the class of a loss, and what a class of a user's own is built with beside."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Collection, Iterator, Mapping
from itertools import takewhile
from typing import Any

from mmengine.registry import MODELS, Registry
from torch import Tensor

from loss_plugins.errors import shown
from loss_plugins.module.arguments import as_lists
from loss_plugins.registry import SCOPE

#: kinds of arguments that have no name of their own
COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
PLAIN = (str, int, float, bool, type(None))


def is_ours(cls: type) -> bool:
    """Whether a class is of this package, as opposed to one that a user derived from it."""
    return cls.__module__.partition(".")[0] == SCOPE


def type_name(cls: type) -> str:
    """The type of a loss as a config writes it: by its scope where it is registered, otherwise by its full path."""
    if is_ours(cls):
        return f"{SCOPE}.{cls.__name__}"
    return next(_registered(cls), f"{cls.__module__}.{cls.__qualname__}")


def class_named(name: str) -> type | None:
    """The class that a config names; None: none that was imported.

    Args:
        name: with a scope; without one, which never means a class of ours; or the full path.
    """
    scope, _, key = name.rpartition(".")
    for registry in _registries(MODELS):
        meant = scope == registry.scope or (not scope and registry.scope != SCOPE)
        if meant and isinstance(registry.module_dict.get(key), type):
            return registry.module_dict[key]  # type: ignore[no-any-return]
    found = getattr(sys.modules.get(scope), key, None)
    return found if isinstance(found, type) else None


def own_defaults(cls: type) -> dict[str, Any]:
    """The defaults of the keywords that a class of a user's own declares and ours do not, in plain types."""
    ours = {each.name for each in _keywords(cls, ours=True)}
    theirs = [each for each in _keywords(cls, ours=False) if each.name not in ours]
    return {each.name: in_plain_types(each.default) for each in theirs if each.default is not each.empty}


def own_names(cls: type) -> set[str]:
    """The keywords that a class of a user's own declares."""
    return {each.name for each in _keywords(cls, ours=False)}


def own_keywords(cls: type, given: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """What a class of a user's own is built with beside what its loss is, defaults resolved.

    Args:
        cls: the class; of one of ours it is nothing.
        given: the keywords that came.
        known: the parameters of the loss.
    """
    ours = {each.name for each in _keywords(cls, ours=True)}
    said = [name for name in given if name not in ours and (name in own_names(cls) or name not in known)]
    return {**own_defaults(cls), **{name: given[name] for name in said}}


def in_plain_types(value: Any) -> Any:
    """A value as YAML keeps it; functions and classes by their full path, other objects as messages show them."""
    if isinstance(value, Mapping):
        return {str(key): in_plain_types(each) for key, each in value.items()}
    value = as_lists(value)
    if isinstance(value, list):
        return [in_plain_types(each) for each in value]
    if isinstance(value, PLAIN):
        return value
    named = not isinstance(value, Tensor) and hasattr(value, "__qualname__")
    return f"{value.__module__}.{value.__qualname__}" if named else shown(value)


def _registered(cls: type) -> Iterator[str]:
    """The names under which a class is registered, with their scopes."""
    for registry in _registries(MODELS):
        names = [name for name, each in registry.module_dict.items() if each is cls]
        yield from (f"{registry.scope}.{name}" for name in sorted(names, key=lambda name: name != cls.__name__))


def _registries(root: Registry) -> Iterator[Registry]:
    yield root
    for child in root.children.values():
        yield from _registries(child)


def _keywords(cls: type, ours: bool) -> list[inspect.Parameter]:
    """The keywords that our classes name, or those that the user's classes above them do; the last class first."""
    theirs = list(takewhile(lambda each: not is_ours(each), cls.__mro__))
    classes = [each for each in cls.__mro__ if is_ours(each)] if ours else theirs
    made = [each.__init__ for each in classes if "__init__" in vars(each)]  # type: ignore[misc]
    named = [part for each in made for part in list(inspect.signature(each).parameters.values())[1:]]
    return [part for part in {part.name: part for part in reversed(named)}.values() if part.kind not in COLLECTING]
