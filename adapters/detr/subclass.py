"""The class of a criterion whose losses are replaced: a subclass of its own, which pickles and copies."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from . import making
from .class_probe import METHODS
from .errors import UnsupportedCriterion
from .losses import READ, Losses

#: the attribute of a criterion that holds its losses; no module, so that its state dict has the keys it had
SEAT = "loss_plugins_losses"


def losses_of(criterion: Any) -> Losses | None:
    """The losses that a criterion computes instead of its own; None: it has no plug."""
    return getattr(criterion, "__dict__", {}).get(SEAT)


def put_in(criterion: Any, losses: Losses) -> None:
    """Make an object compute other losses.

    Raises:
        UnsupportedCriterion: its class cannot be changed.
    """
    making.put_in(criterion, plugged_class, SEAT, losses)


def take_out(criterion: Any) -> None:
    """Give an object its class back."""
    making.take_out(criterion, SEAT)


@functools.cache
def plugged_class(stock: Any) -> type:
    """The subclass of a class of criteria, made once."""
    methods = {name: _scores(stock, name) for name in METHODS.values() if hasattr(stock, name)}
    called = [name for name in ("forward", "__call__") if any(name in vars(cls) for cls in stock.__mro__)]
    entrance = {name: _entrance(stock, name) for name in called[:1]}
    return making.subclass_of(stock, {"loss_boxes": _boxes(stock), **entrance, **methods}, SEAT, put_in)


def _stock_method(criterion: Any, stock: type, name: str) -> Callable[..., Any]:
    """A method of a plugged criterion as its own class has it now, static or not."""
    found: Callable[..., Any] = getattr(super(plugged_class(stock), criterion), name)
    return found


def _entrance(stock: type, name: str) -> Callable[..., Any]:
    def entered(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return _stock_method(self, stock, name)(*arguments, **keywords)

    @functools.wraps(getattr(stock, name))
    def enter(self: Any, *arguments: Any, **keywords: Any) -> Any:
        losses = losses_of(self)
        if losses is None:
            return entered(self, *arguments, **keywords)
        return losses.run(entered, self, arguments, keywords)

    return enter


def _boxes(stock: Any) -> Callable[..., Any]:
    @functools.wraps(stock.loss_boxes)
    def loss_boxes(self: Any, *arguments: Any, **named: Any) -> Any:
        losses, replaced = losses_of(self), _stock_method(self, stock, "loss_boxes")
        if losses is None or losses.box is None:
            return replaced(*arguments, **named)
        usual, more = _read(self, replaced, arguments, named)
        returned = losses.of_boxes(*usual, more)
        if not losses.box.others:
            return returned
        return {**replaced(*arguments, **named), losses.box.key: returned[losses.box.key]}

    return loss_boxes


def _scores(stock: type, name: str) -> Callable[..., Any]:
    @functools.wraps(getattr(stock, name))
    def loss_labels(self: Any, *arguments: Any, **named: Any) -> Any:
        losses, replaced = losses_of(self), _stock_method(self, stock, name)
        slot = None if losses is None else losses.scores
        if losses is None or slot is None or slot.method != name:
            return replaced(*arguments, **named)
        usual, more = _read(self, replaced, arguments, named)
        returned = losses.of_scores(self, slot, *usual, more)
        return {**replaced(*arguments, **named), **returned} if slot.others else returned

    return loss_labels


def _read(
    criterion: Any, method: Callable[..., Any], arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> tuple[tuple[Any, Any, Any, Any], dict[str, Any]]:
    """The four arguments that all criteria have, whatever their names, and those beyond by name.

    Raises:
        UnsupportedCriterion: one that nobody knows would be lost.
    """
    if len(arguments) == 4 and not named:
        outputs, targets, indices, num_boxes = arguments
        return (outputs, targets, indices, num_boxes), {}
    signature = inspect.signature(method)
    given = signature.bind(*arguments, **named).arguments
    usual = list(signature.parameters.values())[:4]
    more: dict[str, Any] = {}
    for name, value in given.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            more.update(value)
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            more.update({f"*{name}": value})
        else:
            more[name] = value
    outputs, targets, indices, num_boxes = (more.pop(each.name, each.default) for each in usual)
    lost = [name for name, value in more.items() if name not in READ and value is not None]
    if lost:
        raise UnsupportedCriterion(
            criterion, f"it calls its losses with {lost[0]}=..., which is not known", "plug the stock criterion"
        )
    return (outputs, targets, indices, num_boxes), more
