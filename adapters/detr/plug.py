"""Plug losses into a criterion: one call, with proof that they are computed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from loss_plugins.catalog.ranges import Choice, check_value
from loss_plugins.errors import LossNotUsed, check_type, in_our_words, refusal, shown

from . import asked, box_probe, canary, class_probe
from . import gain as gains
from .asked import LossSpec, names_of, per_row, per_score
from .box_slot import BoxSlot
from .class_slot import ClassSlot
from .errors import UnsupportedCriterion
from .fast import Fast
from .losses import Losses
from .matcher import MatcherPlug, matcher_plug
from .report import Report, report_of
from .subclass import losses_of, put_in, take_out

WHERE = "detr adapter"
GAINS = Choice("keep", "match")
MATCHERS = Choice("keep", "match")
IN_SIDES = "boxes of this criterion are in sides of the image"
logger = logging.getLogger("loss_plugins")


class Plug:
    """The losses of one criterion; a context manager that takes them out again.

    Made by `plug`. Leaving the context without an exception raises `LossNotUsed` where the criterion was trained and a
    loss was not used, or where it was not called at all.
    """

    def __init__(self, criterion: Any, losses: Losses, matcher: MatcherPlug | None) -> None:
        self._criterion, self._losses, self._matcher = criterion, losses, matcher
        self._stock = type(criterion)
        put_in(criterion, losses)
        if matcher is not None:
            matcher.put_in(criterion.matcher)

    @property
    def report(self) -> Report:
        """Which loss replaces which, what the probe found, and what was computed since."""
        return report_of(self._losses)

    @property
    def plugged(self) -> bool:
        """Whether the losses are in."""
        return losses_of(self._criterion) is self._losses

    def unplug(self) -> None:
        """Give the criterion its own class back; a second call does nothing."""
        if self._matcher is not None:
            self._matcher.take_out(self._criterion.matcher)
        if self.plugged:
            take_out(self._criterion, self._stock)

    def require_use(self) -> None:
        """Raise unless the losses were used.

        Raises:
            LossNotUsed: the criterion was not called; or it was trained, and a loss was not computed there, or nothing
                learnt from it.
        """
        if not self._losses.trained + self._losses.validated:
            raise LossNotUsed(
                f"{self._stock.__name__} was not called since its losses were plugged: is the loss computed by another "
                "criterion, as one that the trainer built anew?"
            )
        self._losses.require_use()

    def state_dict(self) -> dict[str, Any]:
        """The losses, their gains and running statistics, to be saved beside a checkpoint."""
        return {
            slot.name: {
                "loss": asked.resolved(slot.loss),
                "gain": slot.gain,
                "statistics": {name: value.clone() for name, value in slot.loss.state_dict().items()},
            }
            for slot in self._losses.slots
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the running statistics and gains of an earlier plug.

        Raises:
            ValueError: its losses were others.
        """
        for slot in self._losses.slots:
            loss, saved = asked.resolved(slot.loss), state.get(slot.name)
            if saved is None or saved["loss"] != loss:
                came = f"{slot.name}: the state is of {shown(None if saved is None else saved['loss'])}"
                raise refusal(WHERE, came, shown(loss), "plug the losses that the state is of")
        for slot in self._losses.slots:
            slot.gain = state[slot.name]["gain"]
            slot.loss.load_state_dict(state[slot.name]["statistics"])

    def __enter__(self) -> Plug:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self.unplug()
        if kind is None:
            self.require_use()

    def __repr__(self) -> str:
        return f"Plug({self._stock.__name__}: {self.report})"


@in_our_words
def plug(
    criterion: Any,
    *,
    box: LossSpec | None = None,
    cls: LossSpec | None = None,
    image_size: tuple[float, float] | None = None,
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
    >>> with torch.no_grad(), plug(criterion, box="eiou"):
    ...     criterion(outputs, targets, indices)  # 1/2, twice 0, and 1/4 for the height
    {'loss_giou': tensor(0.7500)}
    """
    check_value(WHERE, "gain", gain, GAINS)
    check_value(WHERE, "matcher", matcher, MATCHERS)
    check_type(WHERE, "fast", fast, bool)
    size = asked.checked_size(WHERE, image_size)
    _check_criterion(criterion, box, cls)
    box_slot = _box_slot(box, size) if box is not None else None
    cls_slot = _class_slot(cls) if cls is not None else None
    if box_slot is not None:
        box_probe.examine_boxes(criterion, box_slot)
    if cls_slot is not None:
        class_probe.examine_scores(criterion, cls_slot)
        _check_form(cls_slot)
        cls_slot.padded = box_slot is not None and box_slot.padded
    if gain == "match":
        _match(box_slot, cls_slot)
    losses = Losses(box_slot, cls_slot)
    matching = matcher_plug(criterion, box_slot if matcher == "match" else None, fast)
    if fast:
        losses.fast = Fast(matching, alone=box_slot is None or box_slot.others)
    made = Plug(criterion, losses, matching)
    try:
        if box_slot is not None:
            canary.check_boxes(criterion, losses, box_slot)
        if cls_slot is not None:
            canary.check_scores(criterion, losses, cls_slot)
    except BaseException:
        made.unplug()
        raise
    logger.info("%s: %s", type(criterion).__name__, made.report)
    return made


def _check_criterion(criterion: Any, box: Any, cls: Any) -> None:
    if box is None and cls is None:
        raise refusal(WHERE, "box=None and cls=None: no loss was asked for", "one of them, or both", "pass box='eiou'")
    if losses_of(criterion) is not None:
        came = f"the losses of criterion={type(criterion).__name__} are plugged already"
        raise refusal(WHERE, came, "one plug for each criterion", "call .unplug() of the first one")
    if isinstance(criterion, type):
        came = f"criterion={criterion.__name__} is a class"
        raise refusal(WHERE, came, "an object that computes the losses", "pass an instance of it", TypeError)
    if not callable(getattr(criterion, "loss_boxes", None)):
        methods = [name for name in dir(criterion) if name.startswith("loss") and callable(getattr(criterion, name))]
        found = ", ".join(methods) or "no method whose name begins with 'loss'"
        raise UnsupportedCriterion(
            criterion,
            f"sought loss_boxes(outputs, targets, indices, num_boxes), found {found}",
            "pass the criterion, not the model: the object that computes loss_bbox and loss_giou",
        )


def _box_slot(box: Any, size: Any) -> BoxSlot:
    loss, unit = asked.box_module(WHERE, box, size, IN_SIDES)
    return BoxSlot(loss, unit)


def _class_slot(cls: Any) -> ClassSlot:
    loss = asked.module_of(WHERE, "cls", cls)
    if loss.entry.kind != "classification":
        came = f"cls={loss.entry.name!r} is a loss of kind {loss.entry.kind}"
        raise refusal(WHERE, came, f"a class loss: {names_of(per_score)}", "pass one of these")
    return ClassSlot(loss)


def _check_form(slot: ClassSlot) -> None:
    """Raise unless the class loss works on what the criterion has: softmax or sigmoids."""
    softmax = slot.stock_form.softmax
    fits = per_row if softmax else per_score
    for each in asked.singles(slot.loss):
        if each.entry.name != "mix" and not fits(each.entry):
            what = "a softmax over classes and 'no object'" if softmax else "sigmoids, one score per class"
            came = f"cls={each.entry.name!r} does not go with {slot.stock}, which is of {what}"
            raise refusal(WHERE, came, names_of(fits), "pass one of these")


def _match(box: BoxSlot | None, cls: ClassSlot | None) -> None:
    if box is not None:
        gains.match_boxes(box)
    if cls is not None:
        gains.match_scores(cls)
