"""The size of the image, which some losses take as a parameter and which a trainer knows: in each batch, its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..catalog.entries import meaning_of
from ..errors import refusal, shown
from .build import build_loss
from .loss import Loss

NAME = "image_size"
#: of a loss whose boxes come in sides of the image
NORMALISED = (1.0, 1.0)
#: what to do about a size that is not that of the images
LEAVE_OUT = "leave image_size out: it is known"


def takes_image_size(name: Any) -> bool:
    """Whether the boxes of a loss are in the unit of the parameter, by the name or the class name of the loss."""
    try:
        entry = meaning_of(name, "image_size", "type").entry
    except (ValueError, TypeError):  # a loss that there is not is refused elsewhere
        return False
    return entry.traits.units == "image" and NAME in entry.parameters


def filled(spec: Any) -> Any:
    """A spec in which the losses that take an image size and were not given one have NORMALISED."""
    if isinstance(spec, str):
        return {"type": spec, NAME: NORMALISED} if takes_image_size(spec) else spec
    if not isinstance(spec, Mapping):
        return spec
    if isinstance(spec.get("losses"), (list, tuple)):
        return {**spec, "losses": [filled(each) for each in spec["losses"]]}
    return {**({NAME: NORMALISED} if takes_image_size(spec.get("type")) else {}), **spec}


def with_image_size(spec: Mapping[str, Any], size: Sequence[float]) -> dict[str, Any]:
    """A spec in which every loss that takes an image size has this one."""
    members = {"losses": [with_image_size(each, size) for each in spec["losses"]]} if "losses" in spec else {}
    own = {NAME: tuple(size)} if takes_image_size(spec["type"]) else {}
    return {**spec, **members, **own}


def without_image_size(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec in which no loss has an image size."""
    members = {"losses": [without_image_size(each) for each in spec["losses"]]} if "losses" in spec else {}
    taken = takes_image_size(spec["type"])
    return {**{name: value for name, value in spec.items() if not (taken and name == NAME)}, **members}


def image_sizes(spec: Mapping[str, Any]) -> list[tuple[float, ...]]:
    """The image sizes of all losses of a spec, which is that of a loss."""
    members = [size for each in spec.get("losses", ()) for size in image_sizes(each)]
    own = [tuple(float(side) for side in spec[NAME])] if NAME in spec and takes_image_size(spec["type"]) else []
    return members + own


def given_sizes(spec: Mapping[str, Any]) -> list[tuple[float, ...]]:
    """The image sizes of a spec other than NORMALISED."""
    return [size for size in image_sizes(spec) if size != NORMALISED]


def require_size(loss: Loss, given: Iterable[tuple[float, ...]], size: Sequence[float], what: str) -> None:
    """Raise unless the image sizes that a loss was given are that of the images.

    Args:
        loss: the loss.
        given: those sizes.
        size: (height, width) of the images.
        what: where the size comes from, for the error.

    Raises:
        ValueError: it was given another one.
    """
    for each in given:
        if each != tuple(float(side) for side in size):
            came = f"image_size={shown(list(each))}, and {what} {list(size)}"
            raise refusal(loss.entry.name, came, f"{list(size)}, or nothing", LEAVE_OUT)


def units_at_odds(mix: Loss) -> str:
    """Which losses of a mix need boxes in other units than others do; "": all can take the same."""
    losses = [each for each in mix.modules() if isinstance(each, Loss) and each is not mix]
    units = {each.entry.traits.units: each.entry.name for each in losses}
    if not {"pixels", "image"} <= {*units}:
        return ""
    return f"{units['pixels']} needs pixels, and {units['image']} sides of the image"


def normalised(loss: Loss) -> Loss:
    """The loss for boxes in sides of the image."""
    return build_loss(with_image_size(loss.spec(), NORMALISED))
