"""What `help` and editors show of a module class, written from its catalogue entry when it is first asked for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ..catalog.declare import Parameter
from ..catalog.docstring import parsed
from ..catalog.entry import Entry
from ..catalog.ranges import Allowed
from ..catalog.text import class_signature, class_text

#: (entry, parameters that every module takes) to a docstring or signature
Writer = Callable[[Entry, list[Parameter]], Any]


class OnDemand:
    """An attribute of a class that is written when it is read."""

    def __init__(self, cls: Any, base: Any, allowed: Mapping[str, Allowed], write: Writer) -> None:
        self.cls, self.base, self.allowed, self.write = cls, base, allowed, write

    def __get__(self, instance: Any, owner: Any) -> Any:
        own = own_parameters(self.base, self.allowed)
        return self.write(self.cls.entry, [self.cls.other_settings.get(each.name, each) for each in own])


class SignatureOnDemand(OnDemand):
    """Not for instances, which are called otherwise, nor for a subclass, whose `__init__` may be another."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is not None or owner is not self.cls:
            raise AttributeError("the signature is that of the class alone")
        return super().__get__(instance, owner)


def explain(cls: Any, base: Any, allowed: Mapping[str, Allowed]) -> None:
    """Give a class the docstring and the signature of its loss.

    A class keeps its own docstring. With an `__init__` of its own it keeps that one's signature, unless it has
    `other_settings` of its own too, which say what that `__init__` takes otherwise.

    Args:
        cls: a subclass of `base` with an `entry`.
        base: the module class that takes what every loss takes; its docstring gives the meaning.
        allowed: the names of those parameters, and what they may be.
    """
    if cls.__doc__ is None:
        cls.__doc__ = OnDemand(cls, base, allowed, class_text)
    if cls.__init__ is base.__init__ or "other_settings" in vars(cls):
        cls.__signature__ = SignatureOnDemand(cls, base, allowed, class_signature)


def own_parameters(base: Any, allowed: Mapping[str, Allowed]) -> list[Parameter]:
    """The parameters that every module takes beside those of its loss: `reduction` and its like."""
    found = inspect.signature(base.__init__, eval_str=True).parameters
    meanings = parsed(base).arguments
    return [
        Parameter(name, found[name].default, allowed[name], meaning=meanings[name], hint=found[name].annotation)
        for name in allowed
    ]
