"""The losses that a user asks for, as names, dicts or modules: every mistake is an error here, before training."""

from __future__ import annotations

from typing import Any

from loss_plugins import Loss
from loss_plugins.errors import refusal
from loss_plugins.module.image_size import NORMALISED, image_sizes

from ..detr.asked import module_of, names_of, per_score, upright_module

WHERE = "torchvision adapter"
SOFTMAX = "is a softmax over classes, of which one is true: these heads have a score and a sigmoid for each class"


def box_module(asked: Any) -> Loss:
    """The module of a box loss: of upright boxes, given as corners in pixels.

    Raises:
        TypeError: something else than a loss.
        ValueError: an unknown loss; one of something else, or of boxes in another form; one that needs the size of the
            images.
    """
    loss = upright_module(WHERE, asked, "these heads compare")
    if NORMALISED in image_sizes(loss.spec()):
        came = f"box={loss.entry.name!r} needs the size of the images, and boxes are in pixels here"
        remedy = "write {'type': 'mpdiou', 'image_size': (height, width)}, the size that model.transform resizes to"
        raise refusal(WHERE, came, "a size in pixels", remedy)
    return loss


def class_module(asked: Any) -> Loss:
    """The module of a class loss: one number for each logit and its target.

    Raises:
        TypeError: something else than a loss.
        ValueError: an unknown loss, or one of something else.
    """
    loss = module_of(WHERE, "cls", asked)
    if not per_score(loss.entry):
        came = f"cls={loss.entry.name!r} {_otherwise(loss)}"
        raise refusal(WHERE, came, f"losses of single scores: {names_of(per_score)}", "pass one of these")
    return loss


def _otherwise(loss: Loss) -> str:
    """What a loss is that is none of single scores."""
    kind, scale = loss.entry.kind, loss.entry.traits.scale
    if kind != "classification":
        return f"is a loss of kind {kind}, and these heads have scores here"
    return SOFTMAX if scale == "logits" else f"takes {scale.replace('_', '-')}, and these heads have logits"
