"""The losses that a comparison trains with: "stock" and others, as `named` reads them, without their being built.

A loss is built in the framework, which tells it what it has to know, as the size of the images.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..catalog.entries import Entry, get_entry
from ..catalog.identity import identity_of
from ..errors import refusal
from ..module.imported import LossCallable, look_here, registered_as, resolve
from .named import meant_by_call, read_call, said_of, split_outside_brackets

STOCK = "stock"


@dataclass(frozen=True)
class Contender:
    """What a training's loss is.

    Attributes:
        label: what results call it: its name, with the parameters that were set; "stock": the framework's own losses.
        text: as it was asked for.
        entry: what the catalogue says of it; None: it is stock, or in no catalogue.
        parameters: those that were set.
        function: a callable of one's own that is in no catalogue.
    """

    label: str
    text: str
    entry: Entry | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    function: LossCallable | None = None

    @property
    def is_stock(self) -> bool:
        """Whether it is the framework's own losses."""
        return self.label == STOCK

    @property
    def spec(self) -> dict[str, Any]:
        """Name and parameters of a loss of the catalogue, as both frameworks' adapters take them."""
        return {} if self.entry is None else {"type": self.entry.name, **self.parameters}

    def identity(self) -> list[Any]:
        """What tells it from every other loss, and one of one's own from itself after a change of its code."""
        if self.entry is not None:
            return [self.spec, *self.entry.identity]
        return [self.label] if self.function is None else [self.label, *identity_of([self.function])]


def contenders(text: str, where: str) -> list[Contender]:
    """The losses of `--losses`, stock first, each once.

    Args:
        text: names, separated by commas that stand in no brackets.
        where: the command, for errors.

    Raises:
        ValueError: a loss that there is not, or that is named in another form.

    >>> [each.label for each in contenders("CIoU,stock, nwd(constant=1)", "compare")]
    ['stock', 'ciou', 'nwd(constant=1)']
    """
    found = [contender(each, where) for each in split_outside_brackets(text)]
    return list({each.label: each for each in (Contender(STOCK, STOCK), *found)}.values())


def contender(text: str, where: str) -> Contender:
    """One of them."""
    name, parameters = read_call(text, where)
    if name.lower() == STOCK:
        if parameters:
            raise refusal(where, f"{text!r} gives stock parameters", STOCK, "write stock alone")
        return Contender(STOCK, STOCK)
    if ":" in name:
        look_here()
        found = resolve(name, where)
        registered = registered_as(found)
        if registered is None:
            return _of_your_own(name, parameters, text, where)
        return _catalogued(get_entry(registered), parameters, name + said_of(parameters), text, where)
    return _catalogued(*meant_by_call(name, parameters, where, "--losses"), text, where)


def _catalogued(entry: Entry, parameters: Mapping[str, Any], label: str, text: str, where: str) -> Contender:
    if "reduction" in parameters:
        raise refusal(where, f"{label} names a reduction", "that of the framework", "leave reduction out")
    return Contender(label, text, entry, parameters)


def _of_your_own(name: str, parameters: Mapping[str, Any], text: str, where: str) -> Contender:
    """A callable as it is, which other processes find by its name."""
    if parameters:
        came = f"{text!r} gives parameters to a function that is in no catalogue"
        raise refusal(where, came, "MODULE:FUNCTION", "enter it by @register_loss, or write a function without them")
    found = resolve(name, where)
    return Contender(name, text, function=inspect.unwrap(found) if inspect.isroutine(found) else found)


def require_stock_beside(found: Sequence[Contender], where: str) -> None:
    """Raise where there is nothing to compare with stock."""
    if len(found) < 2:
        raise refusal(where, "--losses names stock alone", "stock and other losses", "name one: --losses stock,ciou")
