"""What a loss may be called, and what its module class is called then."""

from __future__ import annotations

import functools
import pkgutil
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import refusal, shown
from .entry import Entry
from .identity import is_shipped, place_of

PACKAGE = __name__.partition(".")[0]
#: what configs of MMEngine write before the name of a class
IN_CONFIGS = f"{PACKAGE}."
SNAKE_CASE = re.compile("[a-z][a-z0-9]*(_[a-z0-9]+)*")


def check_name(name: Any, entries: Mapping[str, Entry], aliases: Mapping[str, str]) -> None:
    """Raise unless a loss may be called that: snake case, not one of this package's, and no other thing of it.

    Args:
        name: the name.
        entries: the losses that there are.
        aliases: names of module classes, and whose they are.
    """
    allowed = "snake case, as 'my_iou'"
    if not isinstance(name, str):
        remedy = "pass the name: @register_loss('my_iou')"
        raise refusal("register_loss", f"name={shown(name)} is no text", allowed, remedy, TypeError)
    if not SNAKE_CASE.fullmatch(name):
        remedy = _call_it(snake_case(name), entries, aliases)
        raise refusal("register_loss", f"name={name!r} is no snake case", allowed, remedy)
    if name in entries:
        taken = entries[name].function
        if is_shipped(taken):
            raise name_taken(name, taken)
        return
    if name in aliases or name in _modules():
        other = f"a class of {aliases[name]!r}" if name in aliases else f"the module {PACKAGE}.{name}"
        raise refusal(
            "register_loss", f"name={name!r} stands for {other}", "a new name", _call_it(name, entries, aliases)
        )
    cls = class_name(name)
    if cls in aliases:
        came = f"name={name!r} would make the class {cls}, which is that of {aliases[cls]!r}"
        raise refusal("register_loss", came, "a new name", _call_it(name, entries, aliases))


def _call_it(name: str, entries: Mapping[str, Entry], aliases: Mapping[str, str]) -> str:
    """The remedy with a name like this one, in snake case, that is free."""
    taken = {*entries, *aliases, *_modules()}
    while name in taken or class_name(name) in taken:
        name = f"my_{name}"
    return f"call it {name!r}, say"


def name_taken(name: str, function: Callable[..., Any]) -> ValueError:
    """The error for a name that another function has."""
    came = f"the name {name!r} is taken by {place_of(function)}"
    return refusal("register_loss", came, "a new name", f"choose another, or call unregister_loss({name!r}) first")


@functools.cache
def _modules() -> frozenset[str]:
    """The modules of this package, which MMEngine would find under `type='loss_plugins.<name>'`."""
    found = pkgutil.iter_modules(sys.modules[PACKAGE].__path__)
    return frozenset({*(module.name for module in found), "adapters"})  # which may lie beside the package


def snake_case(name: str) -> str:
    """A name of Python's as that of a loss, without accents and what is no letter of English or digit.

    >>> snake_case("MyIoULoss"), snake_case("2nd-Dice"), snake_case("---")
    ('my_iou', 'nd_dice', 'my_iou')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().replace("IoU", "Iou")
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", plain.removesuffix("Loss"))
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).lstrip("_0123456789").rstrip("_") or "my_iou"


def class_name(name: str) -> str:
    """What the module class of a loss is called where nobody names it: "my_iou" to "MyIouLoss"."""
    return "".join(part.capitalize() for part in name.split("_")) + "Loss"
