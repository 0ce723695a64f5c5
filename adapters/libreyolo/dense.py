"""A box loss in the place of one that a dense criterion keeps as an object, or calls as a function of its module."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from loss_plugins import Loss, build_loss
from loss_plugins.module.gain import box_gain

from ..detr import UnsupportedCriterion, making
from ..detr.agreement import close, leaf_gradient
from ..detr.base import BasePlug
from ..detr.box_slot import BoxSlot
from ..detr.rebound import rebound
from ..detr.slot import at_least_single
from ..detr.steps import Steps
from .forms import STOCKS, Form, entrance, probe

#: the attribute of an object that holds what is computed instead
SEAT = "loss_plugins_box"


class DenseSlot(BoxSlot):
    """The box loss of dense criteria.

    Args:
        loss: takes corners, one number per box.
        form: how the losses are called that it replaces.
    """

    always = False

    def __init__(self, loss: Loss, form: Form) -> None:
        super().__init__(loss, None)
        self.form = form
        self.stock = form.stock

    def of_corners(self, pred: Tensor, target: Tensor) -> Tensor:
        """(n,) the loss of each pair of corners with its factors, counted."""
        pred = self.use.follow(pred)
        loss_module = self.loss_on(pred.device)
        with torch.autocast(pred.device.type, enabled=False):
            loss = loss_module.elementwise(at_least_single(pred), at_least_single(target)) * self.factor
        self.use.count(loss, pred)
        return loss

    def match(self) -> None:
        """Set the gain so that the loss pulls as hard as the one that it replaces."""
        found = box_gain(self.loss, build_loss(STOCKS[self.stock]).elementwise)
        self.gain, self.norms = found.factor, (found.stock, found.new)


class Place:
    """Where a box loss is put in: an object that is one, or an object whose `forward` calls a function that is one.

    Args:
        owner: the object.
        form: of its loss.
        function: the global name by which `forward` calls a function; "": the object itself is the loss.
    """

    def __init__(self, owner: Any, form: Form, function: str = "") -> None:
        self.owner, self.form, self.function = owner, form, function
        self.stock = type(owner)

    @property
    def title(self) -> str:
        """The class, and the function where there is one."""
        return f"{self.stock.__name__}, {self.function}" if self.function else self.stock.__name__

    @property
    def call(self) -> Callable[..., Any]:
        """What computes the loss now."""
        if not self.function:
            return self.owner  # type: ignore[no-any-return]
        if SEAT in vars(self.owner):
            return functools.partial(instead_of, self.owner)
        return global_function(self.stock, self.function)

    def put_in(self, losses: Steps) -> None:
        """Make the object compute another loss.

        Args:
            losses: of which the one slot is a `DenseSlot`.

        Raises:
            UnsupportedCriterion: its class cannot be changed.
        """
        made_of = functools.partial(plugged_class, function=self.function)
        making.put_in(self.owner, made_of, SEAT, (losses, self.form, self.function))

    def take_out(self) -> None:
        """Give the object its class back; a second call does nothing."""
        if SEAT in vars(self.owner):
            making.take_out(self.owner, SEAT)


class DensePlug(BasePlug):
    """The box loss of dense criteria; a context manager that takes it out again.

    Args:
        losses: with the slot that is put in.
        places: where.

    Attributes:
        losses: the loss, one for all places. Its `begin_step` is called before each step of a training.
        places: where it is in.
    """

    where = "libreyolo adapter"

    def __init__(self, losses: Steps, places: Iterable[Place]) -> None:
        self.losses = losses
        self.places: list[Place] = []
        self.add(places)

    @property
    def name(self) -> str:
        """The classes of the criteria."""
        return ", ".join(sorted({place.title for place in self.places}))

    @property
    def slot(self) -> DenseSlot:
        """The box loss."""
        (slot,) = self.losses.slots
        assert isinstance(slot, DenseSlot)
        return slot

    @property
    def plugged(self) -> bool:
        """Whether the loss is in."""
        return any(SEAT in vars(place.owner) for place in self.places)

    def add(self, places: Iterable[Place]) -> None:
        """Put the loss in."""
        for place in places:
            place.put_in(self.losses)
            self.places.append(place)

    def unplug(self) -> None:
        """Give all objects their classes back; a second call does nothing."""
        for place in self.places:
            place.take_out()

    def _parts(self) -> list[tuple[str, Steps, str]]:
        return [(self.name, self.losses, "is the loss computed by another criterion, as a copy of this one?")]


def compared(place: Place, slot: DenseSlot) -> None:
    """Compare what comes back through a place, on fixed boxes, with plain autograd; then take the loss out again.

    Raises:
        UnsupportedCriterion: value or gradient differ, or are not finite.
    """
    theirs, ours, _ = probe(place.call, place.form, build_loss(STOCKS[place.form.stock]))
    slot.probe = (float(theirs.detach().sum()), float(ours.detach().sum()))
    losses = Steps([slot])
    with losses.set_apart():
        place.put_in(losses)
        try:
            live, expected, boxes = probe(place.call, place.form, slot.loss, slot.factor)
        finally:
            place.take_out()
    pairs = [(live, expected), (leaf_gradient(live, boxes), leaf_gradient(expected, boxes))]
    for one, other in pairs:
        same = one is not None and other is not None and close(one.reshape(-1), other.reshape(-1))
        if not same or not other.isfinite().all():  # type: ignore[union-attr]
            raise UnsupportedCriterion(
                place.owner,
                f"the {slot.title} does not come back through {place.title} with a finite value and gradient",
                "mend the loss: `loss-plugins check` names the input",
            )
    slot.canary = float(live.detach().sum())


@functools.cache
def plugged_class(stock: Any, function: str) -> type:
    """The subclass of a class whose objects compute another loss, made once.

    Args:
        stock: the class.
        function: the global name that its entrance reads the loss by; "": its objects are the loss.
    """
    name = entrance(stock)
    method = _through(getattr(stock, name), function) if function else _instead(getattr(stock, name))
    return making.subclass_of(stock, {name: method}, SEAT, _again)


def _again(owner: Any, held: tuple[Steps, Form, str]) -> None:
    losses, form, function = held
    Place(owner, form, function).put_in(losses)


def _instead(replaced: Callable[..., Any]) -> Callable[..., Any]:
    """A call of a loss."""
    signature = inspect.signature(replaced)

    @functools.wraps(replaced)
    def call(self: Any, *arguments: Any, **named: Any) -> Tensor:
        losses, form, _ = vars(self)[SEAT]
        return losses.alone(_value(self, losses, form, signature.bind(self, *arguments, **named), first=1))  # type: ignore[no-any-return]

    return call


def _through(replaced: Callable[..., Any], function: str) -> Callable[..., Any]:
    """The call of a criterion, whose function computes the loss of the criterion that is called."""

    @functools.wraps(replaced)
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        return rebound(replaced, **{function: functools.partial(instead_of, self)})(self, *arguments, **named)

    return call


def instead_of(owner: Any, *arguments: Any, **named: Any) -> Tensor:
    """What a criterion gets where it calls its function of boxes."""
    losses, form, function = vars(owner)[SEAT]
    signature = inspect.signature(global_function(type(owner), function))
    return losses.alone(_value(owner, losses, form, signature.bind(*arguments, **named)))  # type: ignore[no-any-return]


def _value(owner: Any, losses: Steps, form: Form, given: inspect.BoundArguments, first: int = 0) -> Tensor:
    """The loss, in the shape of the one that it replaces.

    Raises:
        UnsupportedCriterion: an argument that nobody knows would be lost.
    """
    given.apply_defaults()
    names = list(given.arguments)[first:]
    known, more = names[: form.arguments], names[form.arguments :]
    lost = [name for name in more if not _is_default(given, name)]
    if lost:
        found = f"it calls its box loss with {lost[0]}=..., which is not known"
        raise UnsupportedCriterion(owner, found, "plug the stock criterion")
    slot: Any = losses.slots[0]
    loss = form.value(slot.of_corners, *(given.arguments[name] for name in known))
    return loss[:, None] if form.column else loss


def _is_default(given: inspect.BoundArguments, name: str) -> bool:
    value = given.arguments[name]
    return not isinstance(value, Tensor) and bool(value == given.signature.parameters[name].default)


def global_function(cls: type, name: str) -> Callable[..., Any]:
    """A function that the entrance of a class finds under a global name."""
    method = inspect.unwrap(getattr(cls, entrance(cls)))
    return method.__globals__[name]  # type: ignore[attr-defined, no-any-return]
