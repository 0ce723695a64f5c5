"""Build a loss module from a name or a spec."""

from __future__ import annotations

import functools
import typing
from collections.abc import Collection, Mapping
from typing import Any

from ..catalog.entries import Entry, get_entry, meaning_of
from ..catalog.names import class_name
from ..catalog.ranges import plain
from ..catalog.registration import CHECKS
from ..errors import refusal, shown
from .arguments import current
from .loss import CLASSES, Loss
from .state import check_statistics

SPECS = "the name of a loss, or a dict with 'type' and its parameters"


def module_class(name: str) -> type[Loss]:
    """The `nn.Module` class of a loss; one that has none, as a user's own, gets it here."""
    return class_of(get_entry(name))


def class_of(entry: Entry) -> type[Loss]:
    """Likewise, of an entry; the name of that may stand for another function by now."""
    for cls in (*CLASSES.values(), *Loss.__subclasses__()):
        if current(cls) is entry:
            return cls
    attributes = {"__reduce_ex__": _reduce_by_name}
    if get_entry(entry.name) is entry:
        return type(class_name(entry.name), (Loss,), attributes, name=entry.name)
    return type(class_name(entry.name), (Loss,), {"entry": entry, **attributes})


def build_loss(spec: str | Mapping[str, Any] | None = None, *positional: Any, **parameters: Any) -> Loss:
    """Build a loss module.

    Args:
        spec: a name (`"ciou"`, `"CIoULoss"`, or as typed, `"Inner-CIoU"`) or a dict with `type` and parameters.
        *positional: nothing; an error says how parameters are passed.
        **parameters: parameters; they win over the dict's.

    Raises:
        ValueError: unknown loss, or a parameter out of range.
        TypeError: unknown parameter, or a spec that is neither name nor dict.

    >>> build_loss({"type": "EIoULoss", "loss_weight": 2.0})
    EIoULoss(reduction='mean', loss_weight=2.0)
    >>> build_loss("Inner-CIoU")
    CIoULoss(reduction='mean', loss_weight=1.0, inner_ratio=0.75)
    """
    if positional:
        example = "'mix', losses=[...]" if isinstance(positional[0], (list, tuple)) else "'ciou', eps=1e-7"
        came, remedy = f"{shown(positional[0])} came by position", f"name the parameters: build_loss({example})"
        raise refusal("build_loss", came, "one spec, then keywords", remedy, TypeError)
    if isinstance(spec, str):
        cls, preset = _class_called(plain(spec), "spec")
        return cls(**{**preset, **parameters})
    if not isinstance(spec, Mapping):
        came = f"spec={shown(spec)}: spec must be a name or a dict with 'type', got {type(spec).__name__}"
        remedy = "pass loss.spec() for a loss in hand, or an entry of list_losses()"
        if isinstance(spec, (list, tuple)):
            remedy = "for the sum of several pass {'type': 'mix', 'losses': [...]}"
        raise refusal("build_loss", came, SPECS, remedy, TypeError)
    given = plain(spec)
    if not isinstance(given.get("type"), str):
        what = "has no 'type'" if "type" not in given else f"has type={shown(given['type'])}, which is no text"
        raise refusal("build_loss", f"spec {shown(given)} {what}", SPECS, "add the name of a loss", TypeError)
    odd = [key for key in given if not isinstance(key, str)]
    if odd:
        came = f"spec {shown(given)} has the key {shown(odd[0])}, which is no text"
        raise refusal("build_loss", came, "names of parameters as keys", "take it out", TypeError)
    cls, preset = _class_called(given["type"], "type")
    return cls(**{**preset, **{key: value for key, value in given.items() if key != "type"}, **parameters})


def _class_called(name: str, argument: str) -> tuple[type[Loss], Mapping[str, Any]]:
    """The module class for the name of a loss, or of a class, and the parameters that the name sets."""
    known = CLASSES.get(name)
    try:
        meant = meaning_of(name, "build_loss", argument)
    except ValueError as error:
        if known is None:
            raise
        raise _taken_out(known, f"{argument}={name!r}") from error
    if known is not None and current(known) is not meant.entry:  # another loss has its name now
        raise _taken_out(known, f"{argument}={name!r}")
    return class_of(meant.entry), meant.parameters


def _taken_out(cls: type[Loss], came: str) -> ValueError:
    """The error for the class of a loss that is in the catalogue no more."""
    name = cls.entry.name
    remedy = f"build the class itself, {cls.__name__}(), or say {name!r} for a loss that has that name now"
    came = f"{came} is the class of a loss {name!r} that has been taken out of the catalogue"
    return refusal("build_loss", came, "a name of list_losses()", remedy)


def _reduce_by_name(self: Loss, protocol: typing.SupportsIndex) -> Any:
    if "__reduce_ex__" not in vars(type(self)):  # a class that somebody derived
        return super(Loss, self).__reduce_ex__(protocol)
    # the class was made by `class_of` and cannot be imported; the catalogue finds it again
    return _restore, (type(self).entry,), self.__getstate__()


def _restore(entry: Entry) -> Loss:
    cls = class_of(entry)
    return cls.__new__(cls)


@functools.cache
def attributes() -> frozenset[str]:
    """The names that a module has for itself, found out by looking at one without running statistics."""
    return frozenset(dir(build_loss("l1")))


def _check_statistics(where: str, names: Collection[str]) -> None:
    if names:  # a module is built for it
        check_statistics(where, names, attributes())


CHECKS.append(_check_statistics)
