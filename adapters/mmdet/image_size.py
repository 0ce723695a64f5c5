"""The size of the image, which MPDIoU takes: that of each batch, where the config gives none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from loss_plugins.errors import refusal, shown
from loss_plugins.module.image_size import LEAVE_OUT, filled, given_sizes, image_sizes, require_size, units_at_odds
from loss_plugins.module.loss import Loss
from loss_plugins.tensors import upcast

from .lost_hooks import LINE

GIVE = "give image_size=(height, width) of the images as the network sees them"


@dataclass
class ImageSize:
    """What a loss that takes an image size knows of it.

    Attributes:
        given: whether the config gives one: boxes then reach the loss as they come.
        batch: (height, width) of the images of the batch in hand; None: nobody has said.
    """

    given: bool
    batch: tuple[int, int] | None = None

    def scaled(self, where: str, *boxes: Tensor) -> tuple[Tensor, ...]:
        """Boxes in pixels in the unit of the loss, in which the squares of the image's sides add up to 2.

        Raises:
            ValueError: the size is neither given nor known of the batch.
        """
        if self.given:
            return boxes
        if self.batch is None:
            came = "image_size was left out, and nobody tells the size of the images"
            raise refusal(where, came, "a size", f"add LossPluginsHook, {LINE}, or {GIVE}")
        height, width = self.batch
        factor = (2 / (height**2 + width**2)) ** 0.5
        return tuple(each * factor for each in upcast(*boxes))


def completed(name: str, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The parameters of a loss, with a size of (1, 1) wherever one is left out, and whether one was."""
    spec = {"type": name, **parameters}
    full = filled(spec)
    return {key: value for key, value in full.items() if key != "type"}, full != spec


def size_of(loss: Loss, left_out: bool) -> ImageSize | None:
    """What a loss knows of the image's size; None: it does not ask.

    Raises:
        ValueError: of a mix, some losses were given a size and others not; sizes are left out, so that boxes come in
            sides of the image, and another loss needs pixels.
    """
    if not image_sizes(loss.spec()):
        return None
    if not left_out:
        return ImageSize(given=True)
    given = given_sizes(loss.spec())
    if given:
        came = f"losses: one has image_size={shown(list(given[0]))}, and another has none"
        raise refusal(loss.entry.name, came, "a size for all or none of them", LEAVE_OUT)
    odds = units_at_odds(loss)
    if odds:
        raise refusal(loss.entry.name, f"losses: {odds}", "losses of one unit, where image_size is left out", GIVE)
    return ImageSize(given=False)


def sizes_in(model: nn.Module) -> dict[str, Any]:
    """The losses of a model that ask for the size of the image, by path."""
    return {path: each for path, each in model.named_modules() if isinstance(getattr(each, "image", None), ImageSize)}


def tell_size(model: nn.Module, size: tuple[int, int] | None) -> None:
    """Tell the losses of a model the size of the images in hand; None: it is not known any more."""
    for loss in sizes_in(model).values():
        loss.image.batch = size


def follow_batches(model: nn.Module, allow: Collection[str]) -> RemovableHandle | None:
    """Tell the losses of a detector the size of each batch as the network sees it; None: none of them asks.

    A size that was given, but by a loss in `allow`, has to be that of each batch that trains: the first other one
    raises. Inputs that are no images, as the branches of semi-supervised models, tell nothing.
    """
    losses = sizes_in(model)
    return model.register_forward_pre_hook(_Telling(losses, frozenset(allow)), with_kwargs=True) if losses else None


@dataclass(frozen=True)
class _Telling:
    """A hook that copies and pickles with its model: a copy tells its own losses."""

    losses: dict[str, Any]
    allow: frozenset[str]

    def __call__(self, model: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        inputs = keywords.get("inputs", arguments[0] if arguments else None)
        size = tuple(inputs.shape[-2:]) if isinstance(inputs, Tensor) and inputs.ndim >= 4 else None
        for path, loss in self.losses.items():
            loss.image.batch = size
            if loss.image.given and model.training and size is not None and path not in self.allow:
                require_size(loss.loss, image_sizes(loss.loss.spec()), size, "the images of this batch have")
