"""Plug losses into a model of transformers: one call, with proof that they are computed."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from transformers import PreTrainedModel

from loss_plugins.errors import check_type, in_our_words, refusal

from ..detr.asked import Asked, LossSpec, resolved
from ..detr.base import BasePlug
from ..detr.examination import examined
from ..detr.losses import Losses
from ..detr.steps import Steps
from .callback import PlugCallback
from .plugged_loss import PluggedLoss
from .stock import OWN, WHERE, stock_of

#: the key of a model's config that holds what `plug` was asked for, in plain types
KEY = "loss_plugins"
logger = logging.getLogger("loss_plugins")
Method = TypeVar("Method", bound=Callable[..., Any])


def told_without_brackets(method: Method) -> Method:
    """Decorator of a method that makes a callback: a Trainer that is handed the method itself says what to write."""
    vars(method)["on_init_end"] = _no_callback  # what a Trainer calls first
    return method


def _no_callback(*_: Any, **__: Any) -> None:
    came, remedy = "callbacks=[plugged.callback] holds a method", "write callbacks=[plugged.callback()]"
    raise refusal(WHERE, came, "the callback that it returns", remedy, TypeError)


class Plug(BasePlug):
    """The losses of one model; a context manager that takes them out again.

    Made by `plug`. Leaving the context without an exception raises `LossNotUsed` where a loss was not trained; a
    training without it ends with that after a few calls already. In a loop of one's own every rank calls `sync` after
    the optimizer's step, before the state is saved; the callback does it for a Trainer.

    Attributes:
        model: whose losses they are.
    """

    where = WHERE
    owner = "model"

    def __init__(self, model: Any, loss: PluggedLoss) -> None:
        self.model, self._loss = model, loss

    @property
    def name(self) -> str:
        """The class of the model."""
        return type(self.model).__name__

    @property
    def losses(self) -> Losses:
        """The losses themselves, for adapters."""
        return self._loss.losses

    @property
    def calls(self) -> int:
        """How often the model computed its loss."""
        return self._loss.calls

    @property
    def asked(self) -> dict[str, Any]:
        """The arguments of `plug`, in plain types: what `model.config.loss_plugins` holds."""
        return dict(self._loss.asked)

    @property
    def plugged(self) -> bool:
        """Whether the losses are in."""
        return vars(self.model).get(OWN) is self._loss

    @told_without_brackets
    def callback(self, resumed_from: Path | None = None) -> PlugCallback:
        """A callback for `Trainer(..., callbacks=[...])`, which proves that the losses train and keeps their record.

        Args:
            resumed_from: the folder of the checkpoint that a training goes on from, where it is not in its own.
        """
        return PlugCallback(self, resumed_from)

    def unplug(self) -> None:
        """Give the model its loss function and its config back; a second call does nothing."""
        if not self.plugged:
            return
        for owner, name in ((self.model, OWN), (self.model.config, KEY)):
            if name in self._loss.before:
                setattr(owner, name, self._loss.before[name])
            else:
                delattr(owner, name)

    def _parts(self) -> list[tuple[str, Steps, str]]:
        question = "is another model trained, as one that a Trainer built by model_init, or were there no labels?"
        return [(self.name, self.losses, question)]


@in_our_words
def plug(
    model: Any,
    *,
    box: LossSpec | None = None,
    cls: LossSpec | None = None,
    image_size: Sequence[float] | None = None,
    gain: str = "keep",
    matcher: str = "keep",
    fast: bool = False,
) -> Plug:
    """Replace the box loss, the class loss, or both, of a DETR-like model of transformers.

    The model's loss function stays as it is: matching, weights, auxiliary layers and names of the losses. The criterion
    that it builds has to compute on fixed outputs what the catalogue says, in value and gradient, before anything is
    replaced. The arguments are kept in `model.config.loss_plugins`, which is saved with the model.

    Args:
        model: the model itself, before anything wraps it.
        box: name, dict with `type`, or module of a loss of boxes; takes the place of `loss_giou`.
        cls: the same of a class loss: per score where the own one is of sigmoids, per row where it is a softmax.
        image_size: (height, width) in pixels. With it boxes are handed over in pixels; without, in sides of the image.
        gain: "keep", or "match": times the constant that makes the loss pull as hard as the one it replaces.
        matcher: "keep" its own GIoU cost, or "match": the new box loss is the cost.
        fast: match image by image, and compute the box loss of all layers in one call, where that gives the same.

    Returns:
        the plug, with `.callback()` for a Trainer, `.report`, `.unplug()`, `.require_use()`, `.state_dict()`, and as a
        context manager.

    Raises:
        TypeError: it is no model of transformers.
        ValueError: a loss or an argument that does not go with the model; a second plug on it.
        UnsupportedCriterion: the model computes no loss of boxes, or none that is known.
    """
    asked = Asked(box, cls, image_size, gain, matcher, fast)
    asked.check_any(WHERE)
    if isinstance(getattr(model, OWN, None), PluggedLoss):
        came = f"the losses of model={type(model).__name__} are plugged already"
        raise refusal(WHERE, came, "one plug for each model", "call unplug(model) first")
    stock = stock_of(model)
    losses, matching = examined(WHERE, stock.live_criterion(model.config), asked, steps=False)
    before = {name: vars(owner)[name] for owner, name in ((model, OWN), (model.config, KEY)) if name in vars(owner)}
    size = image_size and [float(side) for side in image_size]
    plain = {
        **{slot.name: resolved(slot.loss) for slot in losses.slots},
        **{"image_size": size, "gain": gain, "matcher": matcher, "fast": fast},
    }
    loss = PluggedLoss(stock, losses, matching, plain, before)
    model.loss_function = loss
    setattr(model.config, KEY, copy.deepcopy(plain))
    made = Plug(model, loss)
    logger.info("%s: %s", type(model).__name__, made.report)
    return made


@in_our_words
def plug_again(model: Any) -> Plug:
    """Plug the losses that a saved model was trained with; from_pretrained gives it the stock loss.

    Raises:
        ValueError: its config names none.
    """
    asked = getattr(getattr(model, "config", None), KEY, None)
    if asked is None:
        came = f"the config of model={type(model).__name__} has no {KEY}"
        raise refusal(WHERE, came, "a model that was saved with a plug", "name the losses: plug(model, box=...)")
    return plug(model, **asked)


@in_our_words
def plug_of(model: Any) -> Plug:
    """The plug of a model, such as a copy of one that was plugged.

    Raises:
        ValueError: it has none.
    """
    loss = getattr(model, OWN, None)
    if not isinstance(loss, PluggedLoss):
        came = f"model={type(model).__name__} has no plug"
        raise refusal(WHERE, came, "a model whose losses were plugged, or its copy", "call plug(model, box=...)")
    return Plug(model, loss)


@in_our_words
def unplug(model: Any) -> None:
    """Give a model its loss function back: a copy, say, for which nobody has the plug. Without a plug nothing changes.

    Raises:
        TypeError: it is no model of transformers.
    """
    check_type(WHERE, "model", model, PreTrainedModel)
    if isinstance(getattr(model, OWN, None), PluggedLoss):
        plug_of(model).unplug()
