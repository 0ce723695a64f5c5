"""Which part of a model computes a loss."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn
from torchvision.models.detection import retinanet, roi_heads, rpn, ssd

from .errors import UnsupportedModel
from .seams import SEAMS, Seam, owner_of
from .subclass import seat_of

SERVED = "FCOS, RetinaNet, and the boxes of Faster, Mask and Keypoint R-CNN"
HARD_NEGATIVES = (
    "its scores are a softmax with background, and it picks its negatives by the cross-entropy itself: another loss "
    "would be another sampler too"
)
SOFTMAX = (
    "its scores are a softmax with background, which its detections are made of: a loss of single scores would train "
    "others"
)
#: why a part of a model is not served, by what it is and the slot
REFUSED: dict[tuple[type, str], str] = {
    (ssd.SSD, "box"): "its box loss compares encoded offsets, between the lines of one method with its sampler",
    (ssd.SSD, "cls"): HARD_NEGATIVES,
    (roi_heads.RoIHeads, "cls"): SOFTMAX,
    (rpn.RegionProposalNetwork, "cls"): "its one score says whether there is an object, and has no class",
}


class LossPart(NamedTuple):
    """A part of a model that computes a loss."""

    model: nn.Module
    path: str
    part: nn.Module
    seam: Seam


def places(model: nn.Module, slot: str) -> LossPart:
    """Where a model computes the loss of a slot.

    Raises:
        UnsupportedModel: nowhere, in a part that is not served, or in several.
    """
    held = [
        LossPart(model, path, part, seam)
        for path, part in model.named_modules()
        for seam in SEAMS.get(owner_of(part), ())  # type: ignore[arg-type]  # which None is no key of
        if seam.slot == slot and not (isinstance(part, rpn.RegionProposalNetwork) and part is not model)
    ]
    if len(held) == 1:
        return held[0]
    if held:
        paths = ", ".join(place.path for place in held)
        raise UnsupportedModel(model, f"sought one part with a {slot} loss, found {paths}", "plug each model by itself")
    for (owner, of), why in REFUSED.items():
        part = next((part for part in model.modules() if isinstance(part, owner) and of == slot), None)
        if part is not None:
            remedy = f"served are {SERVED}" if owner is ssd.SSD else "leave cls out: the box loss can be plugged alone"
            raise UnsupportedModel(part, f"its {slot} loss is not served: {why}", remedy)
    heads = sorted({type(part).__name__ for part in model.modules() if hasattr(part, "compute_loss")})
    found = ", ".join(heads) or f"a {type(model).__name__} without compute_loss"
    raise UnsupportedModel(
        model, f"sought a head of {SERVED} with a {slot} loss, found {found}", "plug a model of those"
    )


def knows_boxes(place: LossPart) -> tuple[str, nn.Module] | None:
    """The part around a loss of scores that knows the boxes beside them, and its path; None: the part itself does.

    Raises:
        UnsupportedModel: it is held by something else than torchvision's head.
    """
    if not isinstance(place.part, retinanet.RetinaNetClassificationHead):
        return None
    path = place.path.rpartition(".")[0]
    above = place.model.get_submodule(path)
    if not isinstance(above, retinanet.RetinaNetHead):
        sought = "sought a RetinaNetHead around it, which knows the boxes for a loss of qualities"
        found = f"{sought}, found {type(above).__name__}"
        raise UnsupportedModel(place.part, found, "take a class loss of labels, 'focal' say")
    return path, above


def plugged_parts(model: nn.Module) -> list[nn.Module]:
    """The parts of a model whose losses are replaced."""
    return [part for part in model.modules() if seat_of(part) is not None]
