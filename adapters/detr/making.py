"""Subclasses made of the classes of objects that compute losses: they copy, pickle, and leave the very class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .errors import STOCK, UnsupportedCriterion

#: what the names of classes made here begin with
PREFIX = "Plugged"
#: gets a new object, and puts into it what is computed instead; a function of a module, as it is pickled by name
Again = Callable[[Any, Any], None]


def subclass_of(stock: Any, methods: Mapping[str, Callable[..., Any]], seat: str, again: Again) -> type:
    """A subclass of a class.

    Args:
        stock: the class.
        methods: in the place of its own.
        seat: the attribute of its objects that holds what they compute instead.
        again: is called with a copy, or an object that was pickled, and what the seat held.
    """

    def reduced(self: Any, protocol: Any) -> tuple[Any, ...]:
        """Copies and other processes get the object's own class, and make the subclass of it there."""
        return _rebuilt, (stock, again, vars(self).get(seat)), _state(self, stock)

    about = {"__doc__": stock.__doc__, "__module__": stock.__module__, "__reduce_ex__": reduced, STOCK: stock}
    return type(f"{PREFIX}{stock.__name__}", (stock,), {**about, **methods})


def stock_class(instance: Any) -> type:
    """The class that an object has without a plug."""
    cls: type = getattr(type(instance), STOCK, type(instance))
    return cls


def put_in(
    instance: Any,
    made_of: Callable[[Any], type],
    seat: str,
    held: Any,
    error: type[UnsupportedCriterion] = UnsupportedCriterion,
    remedy: str = "plug an object of a class",
) -> None:
    """Give an object a class made here, and what it computes instead.

    Args:
        instance: the object.
        made_of: gives the class that is made of its own.
        seat: the attribute for what it computes.
        held: that itself.
        error: the type of the exception.
        remedy: what to do where its class cannot be changed.

    Raises:
        UnsupportedCriterion: its class cannot be changed.
    """
    try:
        instance.__class__ = made_of(type(instance))
    except (AttributeError, TypeError) as refused:
        raise error(instance, f"its class cannot be changed: {refused}", remedy) from refused
    instance.__dict__[seat] = held


def take_out(instance: Any, seat: str) -> None:
    """Give an object its class back, unless somebody has put one of his own over it; a second call does nothing."""
    if STOCK in vars(type(instance)):
        instance.__class__ = stock_class(instance)
    instance.__dict__.pop(seat, None)


def _state(instance: Any, stock: type) -> Any:
    """What an object of a class pickles of itself, in whatever form that class does it."""
    own = getattr(stock, "__getstate__", None)
    if own is not None and own is not getattr(object, "__getstate__", None):
        return own(instance)
    return dict(vars(instance))


def _rebuilt(stock: Any, again: Again, held: Any) -> Any:
    instance = stock.__new__(stock)
    again(instance, held)
    return instance
