"""What a trainer trains with: its objects are looked at, down from the trainer, for losses of boxes that are known."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import FunctionType
from typing import Any, NamedTuple

from torch import nn

from ..detr.subclass import losses_of
from .dense import SEAT, Place
from .forms import entrance, recognised

FAMILIES = "libreyolo.models."
#: how far from the trainer a criterion may be: trainer, average of the model, head, criterion, loss
DEPTH = 6


class Found(NamedTuple):
    """What is there to be plugged, and is not yet.

    Attributes:
        criteria: with `loss_boxes`, of the DETR family.
        places: of dense criteria, whose box loss is known.
        others: names of the classes of other objects that look like a criterion.
    """

    criteria: list[Any]
    places: list[Place]
    others: list[str]


def found_in(root: Any) -> Found:
    """What is to be plugged in an object, or in what it holds."""
    found = Found([], [], [])
    for each in _objects(root):
        if callable(getattr(each, "loss_boxes", None)):
            if losses_of(each) is None:
                found.criteria.append(each)
            continue
        if SEAT in _held(each):
            continue
        place = place_of(each)
        if place is not None:
            found.places.append(place)
        elif _computes_losses(each):
            found.others.append(type(each).__name__)
    return found


def plugged_in(root: Any) -> list[Any]:
    """The objects in an object whose losses are plugged."""
    return [each for each in _objects(root) if losses_of(each) is not None or SEAT in _held(each)]


def place_of(each: Any) -> Place | None:
    """The place that an object is; None: it computes no box loss that is known."""
    if isinstance(each, nn.Module) and next(each.parameters(), None) is not None:
        return None
    scale = getattr(each, "loss_weight", 1.0)
    form = recognised(each, scale) if _of_a_family(each) and callable(each) else None
    if form is not None:
        return Place(each, form)
    for name, function in _functions(each):
        form = recognised(function)
        if form is not None:
            return Place(each, form, name)
    return None


def _functions(each: Any) -> Iterator[tuple[str, FunctionType]]:
    """The functions of LibreYOLO's families that a call of an object finds under global names."""
    if not _of_a_family(each) or not callable(each):
        return
    method = inspect.unwrap(getattr(type(each), entrance(type(each))))
    if not isinstance(method, FunctionType):
        return
    for name in method.__code__.co_names:
        function = method.__globals__.get(name)
        if isinstance(function, FunctionType) and function.__module__.startswith(FAMILIES):
            yield name, function


def _computes_losses(each: Any) -> bool:
    """Whether an object without parameters is called to compute losses, going by its class."""
    if isinstance(each, nn.Module) and next(each.parameters(), None) is not None:
        return False
    return _of_a_family(each) and callable(each) and type(each).__name__.endswith(("Loss", "Criterion"))


def _objects(root: Any) -> Iterator[Any]:
    """The object, and what it holds: modules, and objects of LibreYOLO's families. Each once."""
    seen: set[int] = set()
    level = [root]
    for _ in range(DEPTH):
        below: list[Any] = []
        for each in level:
            if id(each) in seen:
                continue
            seen.add(id(each))
            yield each
            if not callable(getattr(each, "loss_boxes", None)):
                below += [value for value in _parts(each) if _is_looked_at(value)]
        level = below


def _parts(each: Any) -> Iterator[Any]:
    """What an object holds; of a module all that is in it, at any depth."""
    modules = list(each.modules()) if isinstance(each, nn.Module) else [each]
    for module in modules:
        if module is not each:
            yield module
        yield from _held(module).values()


def _held(each: Any) -> dict[str, Any]:
    return getattr(each, "__dict__", {})


def _is_looked_at(value: Any) -> bool:
    return isinstance(value, nn.Module) or _of_a_family(value) or _holds_a_model(value)


def _of_a_family(value: Any) -> bool:
    return not isinstance(value, type) and type(value).__module__.startswith(FAMILIES)


def _holds_a_model(value: Any) -> bool:
    """Whether an object of LibreYOLO holds a module, as the average of the weights does."""
    held = _held(value).values() if type(value).__module__.startswith("libreyolo.") else ()
    return any(isinstance(each, nn.Module) for each in held)
