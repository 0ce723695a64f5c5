"""The losses that a user asks for, as names, dicts or modules: every mistake is an error here, before training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from loss_plugins import Loss, build_loss
from loss_plugins.catalog.entries import Entry, meaning_of, shipped
from loss_plugins.errors import refusal, shown
from loss_plugins.module.image_size import filled, given_sizes, image_sizes, with_image_size
from loss_plugins.module.mix import RESOLVED, trains_nothing

LossSpec = str | Mapping[str, Any] | Loss
Size = tuple[float, float]
SPECS = "a name, a dict with 'type', or a module of loss_plugins"


@dataclass(frozen=True)
class Asked:
    """What a plug was asked for, as the user gave it.

    Attributes:
        box: the box loss; None: the own one stays.
        cls: the class loss, likewise.
        image_size: (height, width) in pixels.
        gain: "keep" or "match".
        matcher: "keep" or "match".
        fast: whether the layers are computed in fewer steps.
    """

    box: LossSpec | None = None
    cls: LossSpec | None = None
    image_size: Sequence[float] | None = None
    gain: str = "keep"
    matcher: str = "keep"
    fast: bool = False

    def check_any(self, where: str) -> None:
        """Raise unless a loss is asked for.

        Raises:
            ValueError: none is.
        """
        if self.box is None and self.cls is None:
            came = "box=None and cls=None: no loss was asked for"
            raise refusal(where, came, "one of them, or both", "pass box='eiou'")


def singles(loss: Loss) -> Iterator[Loss]:
    """The loss, and of a mix each of its losses."""
    return (each for each in loss.modules() if isinstance(each, Loss))


def resolved(loss: Loss) -> dict[str, Any]:
    """The loss in plain types, all defaults written out, without what the criterion decides."""
    return {key: value for key, value in loss.spec().items() if key != "reduction"}


def module_of(where: str, slot: str, asked: Any) -> Loss:
    """A new module of the loss that was asked for in a slot.

    Args:
        where: the adapter, for errors.
        slot: "box" or "cls".
        asked: name, dict with `type`, or module.

    Raises:
        TypeError: something else.
        ValueError: an unknown loss or parameter, a reduction, or factors that train nothing.
    """
    if isinstance(asked, Loss):
        asked = resolved(asked)
    if isinstance(asked, type) and issubclass(asked, Loss):
        remedy = f"pass {asked.__name__}() or {asked.entry.name!r}"
        raise refusal(where, f"{slot}={asked.__name__} is a class", SPECS, remedy, TypeError)
    if not isinstance(asked, (str, Mapping)):
        remedy = f"{slot}='...'"
        if callable(asked):
            remedy = f"enter a function with @register_loss(..., kind=...), and pass its name: {remedy}"
        raise refusal(where, f"{slot}={shown(asked)} is of type {type(asked).__name__}", SPECS, remedy, TypeError)
    if isinstance(asked, Mapping) and not isinstance(asked.get("type"), str):
        came = f"{slot}={shown(dict(asked))} has no 'type' that is the name of a loss"
        raise refusal(where, came, SPECS, f"write {slot}={{'type': 'eiou'}}, say", TypeError)
    if isinstance(asked, Mapping) and "reduction" in asked:
        came = f"{slot}={shown(dict(asked))}: the criterion reduces, by its sum over the number of objects"
        raise refusal(where, came, "no reduction", "leave it out")
    meaning_of(*((asked, where, slot) if isinstance(asked, str) else (asked["type"], where, f"{slot}.type")))
    loss = build_loss(filled(asked), reduction="none")
    reason = trains_nothing(loss)
    if reason:
        allowed = f"a loss_weight from {RESOLVED:g} on"
        raise refusal(where, f"{slot}={shown(asked)}: {reason}", allowed, "leave it out for 1.0")
    return loss


def upright_module(where: str, asked: Any, compares: str) -> Loss:
    """The module of a loss of upright boxes, which come as corners.

    Args:
        where: the adapter, for errors.
        asked: the loss.
        compares: who compares boxes there, with the verb, for errors.

    Raises:
        ValueError: one of something else; boxes in another form.
    """
    loss = module_of(where, "box", asked)
    if loss.entry.kind != "box":
        came = f"box={loss.entry.name!r} is a loss of kind {loss.entry.kind}, and {compares} upright boxes"
        raise refusal(where, came, "losses of kind box", "see `loss-plugins list --kind box`")
    for each in singles(loss):
        box_format = each.parameters_given.get("box_format", "xyxy")
        if box_format != "xyxy":
            remedy = "leave box_format out: boxes are handed over as corners"
            raise refusal(where, f"box={each.entry.name!r}: box_format={box_format!r}", "'xyxy'", remedy)
    return loss


def box_module(where: str, asked: Any, image_size: Size | None, why_unknown: str) -> tuple[Loss, Size | None]:
    """The module of a box loss, and the size of the image in whose pixels it takes boxes; None: sides of the image.

    Args:
        where: the adapter, for errors.
        asked: the loss.
        image_size: (height, width) as the user gave it.
        why_unknown: what boxes are measured in there, for errors.

    Raises:
        ValueError: no loss of axis-aligned boxes; its constants are in pixels, and nobody says how many there are.
    """
    loss = upright_module(where, asked, "this criterion compares")
    size = _the_size(where, loss, image_size)
    units = {each.entry.name: each.entry.traits.units for each in singles(loss)}
    asking = [name for name, unit in units.items() if unit in ("pixels", "image")]
    if asking and size is None:
        came = f"box={asking[0]!r} needs the size of the image, and {why_unknown}"
        raise refusal(where, came, "a size, or a loss that needs none", "pass image_size=(height, width) in pixels")
    if size is not None and image_sizes(loss.spec()):
        loss = build_loss(with_image_size(loss.spec(), size))
    return loss, size


def _the_size(where: str, loss: Loss, image_size: Size | None) -> Size | None:
    """The size that was given, as an argument or in the loss."""
    sizes = set(given_sizes(loss.spec())) | ({image_size} if image_size else set())
    if len(sizes) > 1:
        came = f"several sizes of the image: {', '.join(str(list(size)) for size in sorted(sizes))}"
        raise refusal(where, came, "one size", "give image_size once, to the plug or to the loss")
    return next(iter(sizes), None)  # type: ignore[return-value]


def checked_size(where: str, image_size: Any) -> Size | None:
    """(height, width) in pixels, or None.

    Raises:
        TypeError, ValueError: something else, or sides that are no lengths.
    """
    if image_size is None:
        return None
    allowed, remedy = "(height, width) in pixels, both above 0", "pass image_size=(480, 640), say"
    came = f"image_size={shown(image_size)}"
    if not isinstance(image_size, Sequence) or isinstance(image_size, str) or len(image_size) != 2:
        raise refusal(where, came, allowed, remedy, TypeError)
    if any(isinstance(side, bool) or not isinstance(side, Real) for side in image_size):
        raise refusal(where, came, allowed, remedy, TypeError)
    if not all(math.isfinite(side) and side > 0 for side in image_size):
        raise refusal(where, came, allowed, remedy)
    height, width = image_size
    return float(height), float(width)


def per_score(entry: Entry) -> bool:
    """Whether a loss is one of single scores: logits, each with a target of its own."""
    labels = "dense" in entry.targets and "class_map" not in entry.targets
    return entry.kind == "classification" and entry.traits.scale == "logits" and labels


def per_row(entry: Entry) -> bool:
    """Whether a loss is one of softmax: a row of logits, of which one class is true."""
    return entry.kind == "classification" and entry.traits.scale == "logits" and "class_map" in entry.targets


def of_quality(loss: Loss) -> bool:
    """Whether the targets of a class loss, or of one in a mix, are qualities, as the IoU of the box, beside labels."""
    return any("label_score" in each.entry.targets for each in singles(loss))


def names_of(fits: Any) -> str:
    """The losses of the catalogue that fit, for errors."""
    return ", ".join(entry.name for entry in shipped() if fits(entry))
