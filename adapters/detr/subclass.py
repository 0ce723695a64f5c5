"""The class of a criterion whose losses are replaced: a subclass of its own, which pickles and copies."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from .class_probe import METHODS
from .errors import UnsupportedCriterion
from .losses import READ, Losses

#: the attribute of a criterion that holds its losses; no module, so that its state dict has the keys it had
SEAT = "loss_plugins_losses"
PREFIX = "Plugged"


def losses_of(criterion: Any) -> Losses | None:
    """The losses that a criterion computes instead of its own; None: it has no plug."""
    return getattr(criterion, "__dict__", {}).get(SEAT)


def put_in(criterion: Any, losses: Losses) -> None:
    """Make an object compute other losses.

    Raises:
        UnsupportedCriterion: its class cannot be changed.
    """
    stock = type(criterion)
    try:
        criterion.__dict__[SEAT] = losses
        criterion.__class__ = plugged_class(stock)  # type: ignore[arg-type]
    except (AttributeError, TypeError) as error:
        raise UnsupportedCriterion(
            criterion, f"its class cannot be changed: {error}", "plug an object of a class"
        ) from error


def take_out(criterion: Any, stock: type) -> None:
    """Give an object its class back."""
    criterion.__class__ = stock
    criterion.__dict__.pop(SEAT, None)


@functools.cache
def plugged_class(stock: Any) -> type:
    """The subclass of a class of criteria, made once."""
    methods = {name: _scores(stock, name) for name in METHODS.values() if hasattr(stock, name)}
    entrance = "forward" if hasattr(stock, "forward") else "__call__"
    return type(
        f"{PREFIX}{stock.__name__}",
        (stock,),
        {
            "__doc__": stock.__doc__,
            "__module__": stock.__module__,
            "__reduce_ex__": _reduce,
            "loss_boxes": _boxes(stock),
            entrance: _entrance(stock, entrance),
            **methods,
        },
    )


def stock_class(criterion: Any) -> type:
    """The class that a criterion has without a plug."""
    cls = type(criterion)
    return cls.__bases__[0] if losses_of(criterion) is not None else cls


def _entrance(stock: type, name: str) -> Callable[..., Any]:
    entered = getattr(stock, name)

    @functools.wraps(entered)
    def enter(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return losses_of(self).run(entered, self, arguments, keywords)  # type: ignore[union-attr]

    return enter


def _boxes(stock: Any) -> Callable[..., Any]:
    replaced, names = stock.loss_boxes, _names(stock.loss_boxes)

    @functools.wraps(replaced)
    def loss_boxes(
        self: Any, outputs: Any, targets: Any, indices: Any, num_boxes: Any, *more: Any, **named: Any
    ) -> Any:
        losses = losses_of(self)
        if losses is None or losses.box is None:
            return replaced(self, outputs, targets, indices, num_boxes, *more, **named)
        given = _read(self, names, more, named)
        returned = losses.of_boxes(outputs, targets, indices, num_boxes, given)
        if not losses.box.others:
            return returned
        theirs = replaced(self, outputs, targets, indices, num_boxes, *more, **named)
        return {**theirs, losses.box.key: returned[losses.box.key]}

    return loss_boxes


def _scores(stock: type, name: str) -> Callable[..., Any]:
    replaced = getattr(stock, name)
    names = _names(replaced)

    @functools.wraps(replaced)
    def loss_labels(
        self: Any, outputs: Any, targets: Any, indices: Any, num_boxes: Any, *more: Any, **named: Any
    ) -> Any:
        losses = losses_of(self)
        slot = None if losses is None else losses.scores
        if losses is None or slot is None or slot.method != name:
            return replaced(self, outputs, targets, indices, num_boxes, *more, **named)
        given = _read(self, names, more, named)
        returned = losses.of_scores(self, slot, outputs, targets, indices, num_boxes, given)
        if not slot.others:
            return returned
        return {**replaced(self, outputs, targets, indices, num_boxes, *more, **named), **returned}

    return loss_labels


def _names(method: Callable[..., Any]) -> list[str]:
    """The arguments of a method beyond the object itself and the four that all criteria have."""
    return list(inspect.signature(method).parameters)[5:]


def _read(criterion: Any, names: list[str], more: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments beyond the four, by name.

    Raises:
        UnsupportedCriterion: one that nobody knows would be lost.
    """
    given = {**dict(zip(names, more, strict=False)), **named}
    lost = [name for name, value in given.items() if name not in READ and value is not None]
    if lost:
        raise UnsupportedCriterion(
            criterion, f"it calls its losses with {lost[0]}=..., which is not known", "plug the stock criterion"
        )
    return given


def _reduce(self: Any, protocol: Any) -> tuple[Any, ...]:
    """Copies and other processes get the criterion's own class, and make the subclass of it there."""
    stock = stock_class(self)
    return _rebuilt, (stock, losses_of(self)), state_of(self, stock, SEAT)


def state_of(instance: Any, stock: type, seat: str) -> dict[str, Any]:
    """What an object of a class pickles of itself, without what a plug has put there."""
    own = getattr(stock, "__getstate__", None)
    given = own(instance) if own is not None and own is not getattr(object, "__getstate__", None) else vars(instance)
    return {name: value for name, value in given.items() if name != seat}


def _rebuilt(stock: Any, losses: Losses) -> Any:
    criterion = stock.__new__(stock)
    put_in(criterion, losses)
    return criterion
