# SPDX-License-Identifier: AGPL-3.0-or-later
"""A function of one's own as box loss: what it is called, in which units it gets its boxes, where others find it."""

from __future__ import annotations

import functools
import importlib
import itertools
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from loss_plugins import ciou_loss, get_entry, list_losses, register_loss
from loss_plugins.catalog.declare import Traits
from loss_plugins.catalog.entries import shipped
from loss_plugins.catalog.identity import PACKAGE, identity_of
from loss_plugins.catalog.names import SNAKE_CASE, class_name, snake_case
from loss_plugins.errors import WrongResult, refusal, shown
from loss_plugins.samples import ordinary

from .places import found_at

Function = Callable[[Tensor, Tensor], Tensor]
#: of the names that a function has in the catalogue, that of a box loss is meant
KINDS = ("box", "rotated_box", "quad", "coordinate", "classification", "region", "keypoint", "distribution")
WANTED = "one number per box, computed from the prediction"
#: boxes that are any of so many times as large cost the same, to this relative difference, if the scale does not matter
FACTORS, INVARIANT = (1e-4, 1e-2, 1 / 8, 1e2, 1e3, 1e4, 1e6), 1e-4


def name_of_own(function: Any, said: str) -> str:
    """The name in the catalogue of a function (pred, target) to one number per box; it is entered if it is not there.

    Args:
        function: any callable that takes boxes (n, 4) as x1, y1, x2, y2; also a loss of the catalogue.
        said: what the slot is called where the user writes it.

    Raises:
        ValueError: it gives something else, or no gradient.
    """
    same = sorted(_names_of(function), key=lambda name: KINDS.index(get_entry(name).kind))
    known = next(iter(same), None) or next(_names_of_same(function), None)
    if known is not None:
        return known
    came = f"{said}={shown(function)}"
    if isinstance(function, nn.Module) and function.state_dict():
        came += " has parameters or buffers, which nobody would train, move or save"
        remedy = "register a function that needs none: @register_loss('my_loss')"
        raise refusal("ultralytics adapter, box loss", came, "a function of boxes", remedy)
    reason, remedy = fault_of(function)
    if reason:
        raise refusal("ultralytics adapter, box loss", f"{came} {reason}", WANTED, remedy)
    return _entered(function)


def _names_of(function: Any) -> Iterator[str]:
    checked = getattr(function, "__code__", None) is ciou_loss.__code__  # what register_loss gives, around the function
    given = (function, function.__wrapped__) if checked else (function,)
    for name in list_losses():
        computed = get_entry(name).function
        if any(each is computed or each is getattr(computed, "own", computed) for each in given):
            yield name


def _names_of_same(function: Any) -> Iterator[str]:
    """Names of functions that this one has come in the place of, and that compute the same: a cell run again.

    What they call by a global name is looked up in one place.
    """
    mine = identity_of([_wrapped(function)])
    for name in list_losses():
        entry = get_entry(name)
        earlier = getattr(entry.function, "own", None)
        if earlier is not None and entry.identity == mine and _globals_of(earlier) is _globals_of(function):
            yield name


def _globals_of(function: Any) -> Any:
    return getattr(getattr(function, "func", function), "__globals__", None)


def _wrapped(function: Any) -> Any:
    """A plain function that calls it, and is told where it is."""

    def own(pred: Tensor, target: Tensor) -> Tensor:
        return function(pred, target)  # type: ignore[no-any-return]

    place = place_of(function)
    own.__module__, _, own.__qualname__ = place.partition(":")
    own.__doc__ = getattr(function, "__doc__", None) or f"{place}, a function of one's own."
    own.own = function  # type: ignore[attr-defined]
    return own


def _entered(function: Any) -> str:
    own = _wrapped(function)
    free = scale_free(function)
    traits = Traits(units="any" if free else "pixels", scale_invariant=free)
    name = _free_name(function, importable(place_of(function)))
    register_loss(name, kind="box", traits=traits)(own)
    return name


def _free_name(function: Any, for_others: bool) -> str:
    """Made of the function's own; one that others import is called the same in every process."""
    said = getattr(function, "func", function)
    name = snake_case(getattr(said, "__name__", type(said).__name__)).strip("_")
    name = name if SNAKE_CASE.fullmatch(name) else "own_loss"
    classes = {class_name(entry.name).lower(): entry.name for entry in shipped()}
    if class_name(name).lower() in classes:
        name = f"own_{classes[class_name(name).lower()]}"
    elif find_spec(f"{PACKAGE}.{name}") is not None:  # a module of ours
        name = f"own_{name}"
    if for_others:
        return name
    numbered = (f"{name}_{number}" for number in itertools.count(2))
    return next(each for each in itertools.chain([name], numbered) if each not in list_losses())


def place_of(function: Any) -> str:
    """Where a function is: "mylosses:my_iou"; "mylosses:<my_iou>" if nobody could import it from there."""
    inner = getattr(function, "func", function)  # of a partial
    named = next(each for each in (function, inner, type(inner)) if hasattr(each, "__qualname__"))
    module, name = named.__module__ or "builtins", named.__qualname__
    if found_at(module, name) is function:
        return f"{module}:{name}"
    ours = (
        module.partition(".")[0] == PACKAGE
    )  # a partial or a method of ours is the user's: there are many of one name
    return f"{type(function).__module__ if ours else module}:<{name}>"


def importable(place: str) -> bool:
    """Whether another process finds what is there."""
    return "<" not in place and place.partition(":")[0] != "__main__"


def entered_from(place: str) -> bool:
    """Whether the function that is at a place is in the catalogue of this process."""
    functions = (get_entry(name).function for name in list_losses())
    return any(hasattr(each, "own") and f"{each.__module__}:{each.__qualname__}" == place for each in functions)


def enter_from(place: str) -> None:
    """Import the function of a place, and enter it.

    Raises:
        ImportError: there is none.
        ValueError: it is no loss of boxes.
    """
    module, _, name = place.partition(":")
    found = importlib.import_module(module)  # what its own body raises is told by who called
    try:
        function = functools.reduce(getattr, name.split("."), found)
    except AttributeError as error:
        raise ImportError(f"{module} has no {name}") from error
    name_of_own(function, place)


def scale_free(function: Function) -> bool:
    """Whether pairs of boxes cost the same when they are made smaller or larger, by any factor: measured."""
    boxes: Any = ordinary("box")(64, seed=0)
    pred, target = boxes
    with torch.no_grad():
        cost, *others = (function(pred * factor, target * factor) for factor in (1.0, *FACTORS))
    return all(bool(torch.isclose(cost, other, rtol=INVARIANT, atol=INVARIANT * 1e-2).all()) for other in others)


def fault_of(function: Function, columns: int = 4) -> tuple[str, str]:
    """What is wrong with a box loss of one's own, found out on three boxes, and the remedy; "" if nothing is."""
    boxes = [[20.0, 30, 90, 70, 0.3], [10, 10, 50, 60, 0], [5, 5, 60, 40, -0.8]]
    pred = torch.tensor(boxes)[:, :columns].requires_grad_()
    try:
        with torch.enable_grad():  # type: ignore[no-untyped-call]
            found = function(pred, pred.detach() + torch.tensor([3.0, -2, 4, 1, 0.2])[:columns])
    except WrongResult:
        raise
    except Exception as error:  # whatever the loss raises: it would have ended the training
        return f"raised {type(error).__name__} on three boxes (3, {columns}): {error}", "mend the loss"
    if not isinstance(found, torch.Tensor):
        return f"returned {shown(found)} for 3 boxes", "return a tensor, one number per box"
    if found.shape != (3,):
        return f"returned shape {tuple(found.shape)} for 3 boxes", "return one number per box, without mean or sum"
    return _fault_of_gradient(found, pred)


def _fault_of_gradient(found: Tensor, pred: Tensor) -> tuple[str, str]:
    """As `fault_of`, of the numbers that the loss returned for these boxes."""
    if not found.requires_grad:
        return "comes back without gradient: it would be logged, not trained", "do not use detach(), item() or numpy"
    (gradient,) = torch.autograd.grad(found.sum(), pred)
    if not (found.isfinite().all() and gradient.isfinite().all()):
        return "is NaN or infinite on three ordinary boxes, or its gradient is", "mend the loss"
    if not (gradient != 0).any():
        return "has the gradient 0 on three boxes: nothing would be trained", "do not multiply it by 0"
    return "", ""
