"""The equality probe: a part has to have the loss that is known, before anything is replaced; and the canary after."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.models.detection import retinanet

from loss_plugins import Loss
from loss_plugins.errors import in_one_line, refusal, shown
from loss_plugins.fusion import by_autograd

from ..detr.agreement import FAILURES, close, device_of
from ..detr.making import stock_class
from ..detr.rebound import globals_of
from .asked import WHERE
from .errors import UnsupportedModel
from .fixed import HeadOutputs, classes_of, fixed, losses_by_name
from .seams import Seam, owner_of
from .seat import Seat
from .slot import BoxSlot, HeadSlot
from .stocks import box_stock, class_stock, of_boxes
from .subclass import SEAT, put_in, seat_of

Function = Callable[..., Tensor]
#: how far values and gradients may lie apart, in float64
TOLERANCE = 1e-6
STOCK_ONLY = "plug the stock part, or write your loss into your own"


class StandIn:
    """Stands for a slot: another loss in its place, times a factor, and how often it was called."""

    def __init__(self, function: Function, factor: float = 1.0, of_quality: bool = False) -> None:
        self.function, self.factor, self.of_quality, self.calls = function, factor, of_quality, 0

    def rows(self, pred: Tensor, target: Tensor, anchors: Tensor | None = None, coder: object = None) -> Tensor:
        """A number for each pair of boxes."""
        self.calls += 1
        return self.factor * self.function(pred, target, anchors, coder)

    def scores(self, logits: Tensor, target: Tensor) -> Tensor:
        """A number for each score."""
        self.calls += 1
        return self.factor * self.function(logits, target)


def examine(part: nn.Module, seam: Seam, slot: HeadSlot) -> None:
    """Find out which loss a part has; the slot is told.

    Raises:
        UnsupportedModel: its losses of fixed outputs are not those known, in value or gradient.
    """
    if isinstance(slot, BoxSlot):
        stock = box_stock(part)
        if stock is None:
            found = f"_loss_type={shown(getattr(part, '_loss_type', None))}"
            raise UnsupportedModel(part, f"sought a box loss of torchvision's, found {found}", STOCK_ONLY)
        slot.stock, slot.probe = stock.name, _compared(part, seam, stock.name, stock.rows)
        if isinstance(part, retinanet.RetinaNetRegressionHead) and not stock.name.endswith("iou"):
            twin = copy.copy(part)
            twin.__dict__["_loss_type"] = "giou"
            slot.probe = _compared(twin, seam, "giou", of_boxes("giou").rows)
    else:
        slot.stock, slot.probe = "focal", _compared(part, seam, "focal", class_stock)


def _compared(part: nn.Module, seam: Seam, name: str, function: Function) -> tuple[float, float]:
    """The value of the part's own loss, and that of ours in its place: equal, with objects and without."""
    method = getattr(type(part), seam.method)
    if seam.name not in globals_of(method):
        found = f"{method.__qualname__}, which does not call it itself (but the one that it overrides, maybe)"
        raise UnsupportedModel(part, f"sought {seam.key} by way of {seam.name}, found {found}", STOCK_ONLY)
    numbers = []
    for objects in (True, False):
        given = fixed(classes_of(part), device_of(part), objects)
        theirs = _tried(part, seam, given)
        trial, twice = StandIn(function), StandIn(function, 2.0)
        ours, doubled = (_tried(_twin(part, seam, each), seam, given) for each in (trial, twice))
        if seam.key not in theirs or not trial.calls:
            found = f"found {', '.join(theirs)} without a call of {seam.name}"
            raise UnsupportedModel(part, f"sought {seam.key} by way of {seam.name}, {found}", STOCK_ONLY)
        wanted = {key: loss * (2 if key == seam.key else 1) for key, loss in theirs.items()}
        if not (_equal(theirs, ours, given) and _equal(wanted, doubled, given)):
            raise UnsupportedModel(
                part,
                f"sought {name}, {_shown(ours[seam.key], given)} on fixed outputs (value, norm of the gradient), found "
                f"{_shown(theirs[seam.key], given)} as {seam.key}",
                STOCK_ONLY,
            )
        numbers.append((float(theirs[seam.key].detach()), float(ours[seam.key].detach())))
    return numbers[0]


def check_live(part: nn.Module, seam: Seam, slot: HeadSlot) -> None:
    """Compare the new loss of fixed outputs through the live part with plain autograd; the slot is told its value.

    Raises:
        UnsupportedModel: value or gradient differ, are not finite, or there is no gradient.
        ValueError: the loss does not take what the part gives it.
    """
    given, seat, stock = fixed(classes_of(part), device_of(part)), seat_of(part), stock_twin(part)
    loss = copy.deepcopy(slot.loss).eval()
    plain = StandIn(lambda pred, target, *_: _elementwise(loss, pred, target), slot.factor, slot.of_quality)
    twin = _twin(stock, seam, plain)
    try:
        with seat.steps.set_apart():  # type: ignore[union-attr]  # it has just been put in
            live = losses_by_name(part, getattr(type(part), seam.method), seam.key, given)[seam.key]
        with by_autograd():
            wanted = losses_by_name(twin, getattr(type(twin), seam.method), seam.key, given)[seam.key]
    except (ValueError, TypeError, RuntimeError) as error:
        came = f"{slot.name}={slot.loss.entry.name!r} does not take what {type(stock).__name__} gives it: {error}"
        raise refusal(WHERE, came, "a loss that does", "change its parameters") from error
    _require_gradient(stock, slot, live, given)
    if not _equal({seam.key: wanted}, {seam.key: live}, given):
        raise UnsupportedModel(
            stock,
            f"sought {_shown(wanted, given)} as the {slot.title} (value, norm of the gradient), found "
            f"{_shown(live, given)}: the plug does not hold",
            "report it, with the versions",
        )
    slot.canary = float(live.detach())


def _elementwise(loss: Loss, pred: Tensor, target: Tensor) -> Tensor:
    if loss.entry.kind == "box":
        return loss.elementwise(pred, target)
    return loss.elementwise(pred.flatten(0, -2), target.flatten(0, -2)).view(pred.shape)


def _require_gradient(part: nn.Module, slot: HeadSlot, loss: Tensor, given: HeadOutputs) -> None:
    gradients = [gradient for gradient in _gradients(loss, given) if gradient is not None]
    if not gradients:
        raise UnsupportedModel(
            part,
            f"the {slot.title} comes back without gradient: it would be logged, not trained",
            "compute it from the prediction without detach(), item() or numpy",
        )
    if not all(bool(each.isfinite().all()) for each in (loss, *gradients)):
        found = f"the {slot.title} is {_shown(loss, given)} on fixed ordinary outputs (value, norm of the gradient)"
        raise UnsupportedModel(part, found, "mend the loss: `loss-plugins check` names the input")


def stock_twin(part: nn.Module) -> nn.Module:
    """A copy of a plugged part that is none: it shares all tensors."""
    twin = copy.copy(part)
    twin.__dict__.pop(SEAT)
    twin.__class__ = stock_class(part)
    return twin


def _twin(part: nn.Module, seam: Seam, trial: StandIn) -> nn.Module:
    """A copy of a part that calls the trial: it shares all tensors."""
    twin = copy.copy(part)
    put_in(twin, Seat({seam: trial}, counted=False))  # type: ignore[dict-item]  # which has what the seams call
    return twin


def _tried(part: nn.Module, seam: Seam, given: HeadOutputs) -> dict[str, Tensor]:
    """The losses that a part returns.

    Raises:
        UnsupportedModel: it cannot be called as torchvision's own.
    """
    try:
        return losses_by_name(part, getattr(type(part), seam.method), seam.key, given)
    except FAILURES as error:
        own = f"torchvision's {owner_of(part).__name__}"  # type: ignore[union-attr]
        found = f"sought {seam.method} as in {own}, found that it raises {in_one_line(error)}"
        raise UnsupportedModel(part, found, STOCK_ONLY) from error


def _equal(wanted: dict[str, Tensor], found: dict[str, Tensor], given: HeadOutputs) -> bool:
    """Whether all losses and their gradients are equal."""
    if wanted.keys() != found.keys():
        return False
    for key, loss in wanted.items():
        pairs = [(loss, found[key]), *zip(_gradients(loss, given), _gradients(found[key], given), strict=True)]
        if not all(close(other, one, TOLERANCE) for one, other in pairs):
            return False
    return True


def _gradients(loss: Tensor, given: HeadOutputs) -> list[Tensor | None]:
    """The gradients of a loss for the leaves; None: it does not depend on one."""
    if not loss.requires_grad:
        return [None] * len(given.leaves)
    return list(torch.autograd.grad(loss.sum(), given.leaves, retain_graph=True, allow_unused=True))


def _shown(loss: Tensor, given: HeadOutputs) -> str:
    """A loss as errors show it: the value, and the norm of the gradient."""
    norms = [float(gradient.norm()) for gradient in _gradients(loss, given) if gradient is not None]
    return f"({float(loss.detach().sum()):.6f}, {f'{max(norms):.6f}' if norms else 'no gradient'})"
