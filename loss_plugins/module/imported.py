"""Losses that are named from outside: by `package.module:name`, or by a name of the catalogue."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..catalog.entries import get_entry, list_losses, meaning_of
from ..catalog.typed import Meaning
from ..errors import closest, refusal
from .loss import Loss

#: (pred, target) to the loss
LossCallable = Callable[[Tensor, Any], Tensor]
OWN = "one of your own is MODULE:FUNCTION, say mylosses:my_iou_loss"
TARGETS = "a loss of the catalogue, or package.module:callable"


def resolve(target: str, where: str = "check", **parameters: Any) -> Any:
    """Import what `package.module:name` names; a class is built, unreduced if it can be.

    Args:
        target: the text.
        where: the command that was given it, for errors.
        **parameters: keywords of the function, or of the class; others have their defaults.

    Raises:
        ValueError: not of that form, no such module, no such name, or nothing callable.

    >>> resolve("torch.nn:L1Loss").reduction
    'none'
    """
    return unreduced(_imported(target, where), where, parameters)


def unreduced(found: Any, where: str, parameters: Mapping[str, Any]) -> LossCallable:
    """An instance, if it is a class; with reduction="none", if it takes `reduction`."""
    asks = "reduction" in inspect.signature(found).parameters
    said = {**parameters, **({"reduction": "none"} if asks else {})}
    if isinstance(found, type):
        try:
            return found(**said)  # type: ignore[no-any-return]
        except SystemExit as error:
            came = f"cannot build {found.__qualname__}: it calls sys.exit({error})"
            raise refusal(where, came, TARGETS, "take the call out") from error
    return functools.partial(found, **said) if said else found  # type: ignore[no-any-return]


def _imported(target: str, where: str) -> Any:
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
    return found


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
    name = registered_as(resolve(target, where))
    if name is None:
        remedy = "enter it by the decorator @register_loss"
        raise refusal(where, f"{argument}={target!r} is in no catalogue", "a loss that is registered", remedy)
    return Meaning(get_entry(name))


def registered_as(found: LossCallable) -> str | None:
    """The catalogue name of a registered function, or of a module of one; None where it is in no catalogue."""
    if isinstance(found, Loss):
        return found.entry.name
    function = inspect.unwrap(found)
    return next((name for name in list_losses() if get_entry(name).function is function), None)
