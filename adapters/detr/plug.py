"""Plug losses into a criterion: one call, with proof that they are computed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from torch import nn

from loss_plugins.errors import in_our_words, refusal, shown

from .agreement import check_method
from .asked import Asked, LossSpec
from .base import BasePlug
from .errors import UnsupportedCriterion
from .examination import examined
from .losses import Losses
from .making import stock_class
from .matcher import MatcherPlug, plug_of_matcher
from .steps import Steps
from .subclass import losses_of, put_in, take_out

WHERE = "detr adapter"
logger = logging.getLogger("loss_plugins")


class Plug(BasePlug):
    """The losses of one criterion; a context manager that takes them out again.

    Made by `plug`. Leaving the context without an exception raises `LossNotUsed` where a loss was not trained; a
    training without it ends with that after a few calls already.
    """

    def __init__(self, criterion: Any, losses: Losses, matcher: MatcherPlug | None, where: str = WHERE) -> None:
        self.where = where
        self._criterion, self._losses, self._matcher = criterion, losses, matcher
        self._stock = stock_class(criterion)
        if not self.plugged:
            put_in(criterion, losses)
            if matcher is not None:
                matcher.put_in(criterion.matcher)

    @property
    def name(self) -> str:
        """The class of the criterion."""
        return self._stock.__name__

    @property
    def losses(self) -> Losses:
        """The losses, of which other criteria may compute the same."""
        return self._losses

    @property
    def plugged(self) -> bool:
        """Whether the losses are in."""
        return losses_of(self._criterion) is self._losses

    def unplug(self) -> None:
        """Give the criterion its own class back; a second call does nothing."""
        if self._matcher is not None:
            self._matcher.take_out(self._criterion.matcher)
        if self.plugged:
            take_out(self._criterion)

    def _parts(self) -> list[tuple[str, Steps, str]]:
        question = "is the loss computed by another criterion, as one that the trainer built anew?"
        return [(self.name, self._losses.first or self._losses, question)]

    def require_use(self) -> None:
        """As of every plug; a matcher that is in the place of the one whose cost is the new loss is told too."""
        super().require_use()
        if self.plugged:
            self._losses.check_matcher(self._criterion)


@in_our_words
def plug(
    criterion: Any,
    *,
    box: LossSpec | None = None,
    cls: LossSpec | None = None,
    image_size: Sequence[float] | None = None,
    gain: str = "keep",
    matcher: str = "keep",
    fast: bool = False,
) -> Plug:
    """Replace the box loss, the class loss, or both, of a criterion of the DETR family.

    It works on any object with `loss_boxes(outputs, targets, indices, num_boxes)`: the criteria of DETR, Deformable
    DETR, DINO, RT-DETR, D-FINE, DEIM, RF-DETR and their kin. Before anything is replaced, the criterion's own loss on
    fixed outputs has to equal the catalogue's form of it, in value and gradient. The distance of the sides, matching,
    weights and names of the losses stay as they are.

    Args:
        criterion: the object that computes the losses. It keeps its identity, its state dict and its pickle.
        box: name, dict with `type`, or module of a loss of boxes; takes the place of `loss_giou`.
        cls: the same of a class loss: per score where the criterion's own is one of sigmoids, per row where it is a
            softmax. Losses of qualities get the IoU of the matched boxes, others labels.
        image_size: (height, width) in pixels. With it boxes are handed over in pixels; without, in sides of the image,
            which losses with constants in pixels refuse.
        gain: "keep", or "match": times the constant that makes the loss pull as hard as the one it replaces.
        matcher: "keep" its own GIoU cost, or "match": the new box loss is the cost.
        fast: match image by image, and compute the box loss of all layers in one call, where that gives the same.

    Returns:
        the plug, with `.report`, `.unplug()`, `.require_use()`, `.state_dict()`, and as a context manager.

    Raises:
        UnsupportedCriterion: its losses are none that are known; the message has both numbers.
        ValueError, TypeError: a loss or an argument that does not go with the criterion; a second plug on it.

    >>> class Criterion:  # one's own, of one layer
    ...     def loss_boxes(self, outputs, targets, indices, num_boxes):
    ...         pred = torch.cat([boxes[found] for boxes, (found, _) in zip(outputs["pred_boxes"], indices)])
    ...         target = torch.cat([each["boxes"][found] for each, (_, found) in zip(targets, indices)])
    ...         loss = giou_loss(cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target))
    ...         return {"loss_giou": loss.sum() / num_boxes}
    ...     def __call__(self, outputs, targets, indices):
    ...         return self.loss_boxes(outputs, targets, indices, 1)
    >>> import torch
    >>> from loss_plugins import cxcywh_to_xyxy, giou_loss
    >>> criterion, box = Criterion(), torch.tensor([[0.5, 0.5, 0.2, 0.2]])
    >>> outputs, targets = {"pred_boxes": box[None]}, [{"boxes": box * torch.tensor([1, 1, 1, 2])}]
    >>> indices = [(torch.tensor([0]), torch.tensor([0]))]
    >>> plugged = plug(criterion, box="eiou")
    >>> criterion(outputs, targets, indices)  # 1/2, twice 0, and 1/4 for the height
    {'loss_giou': tensor(0.7500)}
    >>> plugged.unplug()
    """
    return plugged(WHERE, criterion, Asked(box, cls, image_size, gain, matcher, fast))


def plugged(where: str, criterion: Any, asked: Asked) -> Plug:
    """As `plug`, for the adapter of a framework.

    Args:
        where: the adapter, for errors.
        criterion: as of `plug`.
        asked: likewise.
    """
    asked.check_any(where)
    _check_criterion(where, criterion)
    losses, matching = examined(where, criterion, asked)
    made = Plug(criterion, losses, matching, where)
    logger.info("%s: %s", made.name, made.report)
    return made


@in_our_words
def plug_of(criterion: Any) -> Plug:
    """The plug of a criterion, such as a copy of one that was plugged.

    Raises:
        ValueError: it has none.
    """
    losses = losses_of(criterion)
    if losses is None:
        came = f"criterion={type(criterion).__name__} has no plug"
        raise refusal(
            WHERE, came, "a criterion whose losses were plugged, or its copy", "call plug(criterion, box=...)"
        )
    return Plug(criterion, losses, plug_of_matcher(getattr(criterion, "matcher", None)))


@in_our_words
def unplug(criterion: Any) -> None:
    """Give a criterion its own class back: a copy, say, for which nobody has the plug. Without one nothing changes."""
    if losses_of(criterion) is not None:
        plug_of(criterion).unplug()


def _check_criterion(where: str, criterion: Any) -> None:
    if losses_of(criterion) is not None:
        came = f"the losses of criterion={stock_class(criterion).__name__} are plugged already"
        raise refusal(
            where, came, "one plug for each criterion", "call .unplug() of the first one, or unplug(criterion)"
        )
    if isinstance(criterion, type):
        came = f"criterion={criterion.__name__} is a class"
        raise refusal(where, came, "an object that computes the losses", "pass an instance of it", TypeError)
    if not callable(getattr(criterion, "loss_boxes", None)):
        methods = [name for name in dir(criterion) if name.startswith("loss") and callable(getattr(criterion, name))]
        if not methods and not isinstance(criterion, nn.Module):
            came = f"criterion={shown(criterion)} is of type {type(criterion).__name__}"
            raise refusal(where, came, "an object that computes losses", "pass the criterion", TypeError)
        found = ", ".join(methods) or "no method whose name begins with 'loss'"
        raise UnsupportedCriterion(
            criterion,
            f"sought loss_boxes(outputs, targets, indices, num_boxes), found {found}",
            "pass the criterion, not the model: the object that computes loss_bbox and loss_giou",
        )
    check_method(criterion, "loss_boxes")
