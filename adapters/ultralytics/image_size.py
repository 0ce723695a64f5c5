# SPDX-License-Identifier: AGPL-3.0-or-later
"""The size of the image, which some losses take as a parameter and which the trainer knows: in each batch, its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loss_plugins import Loss, build_loss, get_entry
from loss_plugins.errors import refusal, shown

NAME = "image_size"
#: of a loss whose boxes come in sides of the image
NORMALISED = (1.0, 1.0)


def takes_image_size(name: Any) -> bool:
    """Whether the boxes of a loss are in the unit of the parameter, by the name or the class name of the loss."""
    try:
        entry = get_entry(name)
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


def given_sizes(spec: Mapping[str, Any]) -> list[tuple[float, ...]]:
    """The image sizes of a spec other than NORMALISED."""
    members = [size for each in spec.get("losses", ()) for size in given_sizes(each)]
    given = spec.get(NAME, NORMALISED) if takes_image_size(spec["type"]) else NORMALISED
    own = tuple(float(side) for side in given)
    return members + ([own] if own != NORMALISED else [])


def require_size(loss: Loss, size: Sequence[float], what: str) -> None:
    """Raise unless the image sizes that a loss was given are that of the images.

    Args:
        loss: the loss.
        size: (height, width) of the images.
        what: where the size comes from, for the error.

    Raises:
        ValueError: it was given another one.
    """
    for given in given_sizes(loss.spec()):
        if given != tuple(float(side) for side in size):
            came = f"image_size={shown(list(given))}, and {what} {list(size)}"
            raise refusal(loss.entry.name, came, f"{list(size)}, or nothing", "leave image_size out: it is known")


def normalised(loss: Loss) -> Loss:
    """The loss for boxes in sides of the image."""
    return build_loss(with_image_size(loss.spec(), NORMALISED))
