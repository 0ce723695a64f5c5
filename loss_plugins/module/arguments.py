"""What a module is built with and called with, looked at before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..catalog.declare import COLUMNS
from ..catalog.entries import Entry, add_alias, get_entry
from ..catalog.entry import SETTINGS as SETTINGS
from ..catalog.evaluation import fitted_weight
from ..catalog.identity import place_of
from ..catalog.ranges import check_value, plain
from ..errors import refusal, shown
from ..labels import Given
from ..tensors import check_weight, holds_numbers
from .reduction import REDUCTIONS


def named_entry(cls: type, name: str | None, known: Any) -> Entry:
    """The loss that a class names, from now on known by the name of the class too.

    Raises unless it names one, and no class of another module has the name of the class.

    Args:
        cls: the new class.
        name: the catalogue name that it was given.
        known: the class that has the same name.
    """
    if name is None:
        came, remedy = f"class {cls.__name__}(Loss) names no loss", "write class MyIoULoss(Loss, name='my_iou')"
        raise refusal("Loss", came, "the name of a registered loss", remedy, TypeError)
    entry = get_entry(name)
    if known is not None and known.entry is entry and known.__module__ != cls.__module__:
        came = f"class {cls.__name__} has the name of {known.__module__}.{known.__qualname__}"
        raise refusal(name, came, "a class name of its own", f"call the class My{cls.__name__}, say")
    add_alias(cls.__name__, entry.name)
    return entry


def current(cls: type) -> Any:
    """The loss of a class; of one that a user wrote, what its name stands for since the function was registered again.

    So a cell of a notebook that registers the function may run again beside the class. Losses of this package, and
    classes that `build_loss` makes, stay what they are.
    """
    owner = next((each for each in cls.__mro__ if "entry" in vars(each)), cls)
    entry = getattr(owner, "entry", None)
    if isinstance(entry, Entry) and getattr(owner, "follows_its_name", False):
        owner.entry = entry = _again(entry)  # type: ignore[attr-defined]
    return entry


def _again(entry: Entry) -> Entry:
    """The entry that has come in the place of this one, as its function was registered again; else itself."""
    try:
        now = get_entry(entry.name)
    except ValueError:  # it has been taken out: the class is all that is left of it
        return entry
    return now if place_of(now.function) == place_of(entry.function) else entry


def entry_of(cls: type) -> Entry:
    """The loss of a module class, as `current` says; raise for the base classes, which have none."""
    entry = current(cls)
    if not isinstance(entry, Entry):
        came, remedy = f"{cls.__name__} is the base of all losses and computes none", "call build_loss('ciou'), say"
        raise refusal(cls.__name__, came, "the class of a loss, as CIoULoss", remedy, TypeError)
    return entry


def check_settings(
    entry: Entry, reduction: Any, loss_weight: Any, compile: Any, positional: tuple[Any, ...]
) -> tuple[Any, float, bool]:
    """The keywords of every module as plain values; raise for what is not allowed, or came by position."""
    if positional:
        raise entry.by_position(positional[0], len(positional))
    settings = {"reduction": plain(reduction), "loss_weight": plain(loss_weight), "compile": plain(compile)}
    for name, value in settings.items():
        if value not in SETTINGS[name]:
            by_name = f"hyper-parameters go by name ({', '.join(entry.parameters)})" if entry.parameters else ""
            check_value(entry.name, name, value, SETTINGS[name], by_name or "leave it out for the default")
    return settings["reduction"], settings["loss_weight"], settings["compile"]


def reduction_of_call(
    entry: Entry, reduction: Any, reduction_override: Any, positional: tuple[Any, ...], unknown: Mapping[str, Any]
) -> Any:
    """The reduction of a call; raise for what `forward` does not know."""
    if positional or unknown:
        name, value = next(iter(unknown.items()), ("a sixth argument", positional[0] if positional else None))
        allowed = "pred, target, weight, avg_factor, reduction_override"
        remedy = "leave it out; hyper-parameters are given when the loss is built"
        raise refusal(entry.name, f"{name}={shown(value)} is unknown to forward", allowed, remedy, TypeError)
    if reduction_override is None:
        return reduction
    asked, remedy = plain(reduction_override), f"leave it out for this module's {reduction!r}"
    check_value(entry.name, "reduction_override", asked, REDUCTIONS, remedy)
    return asked


def check_weight_of(entry: Entry, weight: Tensor, given: Given, learnt: bool) -> None:
    """Raise for a weight that is none; if running statistics learn from it, also for one of another shape.

    They would learn before the loss is there to compare its shape with.
    """
    check_weight(entry.name, weight, given.pred)
    if learnt:
        shape = given.pred.shape
        loss = shape[:-1] if entry.kind in COLUMNS else shape
        fitted_weight(entry, weight, loss, given.pred)


def hyper_parameters(entry: Entry, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as plain values and lists; raise for tensors that hold no numbers to read."""
    found = {name: as_lists(value) for name, value in parameters.items()}
    for name, value in found.items():
        if isinstance(value, Tensor):
            came, remedy = f"{name}={shown(value)} has no numbers to read", "pass a number, or a list of numbers"
            raise refusal(entry.name, came, "Python's numbers, or a dense tensor of them", remedy, TypeError)
    return found


def as_lists(value: Any) -> Any:
    """Plain values, with tuples and tensors as lists: what YAML and JSON give back."""
    if isinstance(value, Tensor) and (value.is_meta or not (holds_numbers(value) or value.dtype == torch.bool)):
        return value
    value = plain(value.tolist() if isinstance(value, Tensor) else value)
    return [as_lists(item) for item in value] if isinstance(value, (list, tuple)) else value
