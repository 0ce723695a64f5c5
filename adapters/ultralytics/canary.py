# SPDX-License-Identifier: AGPL-3.0-or-later
"""The canary: fixed boxes and scores through a live criterion must come back as the loss that was asked for."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from loss_plugins import Loss, build_loss
from loss_plugins.fusion import by_autograd
from loss_plugins.module.image_size import with_image_size

from . import probe
from .box_slot import STOCK, STOCK_NAMES, BoxSlot
from .calls import Calls
from .class_slot import ClassSlot
from .errors import UnsupportedUltralytics
from .slots import Slot

TOLERANCE = 1e-5


def fixed_arguments(bbox_loss: nn.Module) -> dict[str, Any]:
    """Fixed arguments for one `BboxLoss.forward`: four anchors, three of them foreground, two strides."""
    dfl = getattr(bbox_loss, "dfl_loss", None)
    bins = dfl.reg_max if dfl is not None else 1
    pred = torch.tensor([[1.0, 1.5, 4.0, 5.0], [2.0, 1.0, 6.5, 4.0], [0.5, 0.5, 1.5, 3.5], [3.0, 3.0, 5.0, 6.0]])
    target = torch.tensor([[1.5, 1.0, 4.5, 4.5], [2.5, 2.0, 5.5, 5.0], [3.0, 0.5, 4.5, 2.5], [3.0, 3.5, 6.0, 6.0]])
    scores = torch.tensor([[0.9, 0.0], [0.0, 0.4], [0.7, 0.0], [0.0, 0.0]])
    kind = probe.kind_of(bbox_loss)
    if kind == "rotated_box":
        pred, target = (rotated(boxes) for boxes in (pred, target))
    arguments = {
        "pred_dist": torch.linspace(-1, 1, 4 * 4 * bins).view(1, 4, 4 * bins),
        "pred_bboxes": pred[None],
        "anchor_points": torch.tensor([[2.5, 2.5], [3.5, 3.5], [3.5, 1.5], [4.5, 4.5]]),
        "target_bboxes": target[None],
        "target_scores": scores[None],
        "target_scores_sum": scores.sum(),
        "fg_mask": torch.tensor([[True, True, True, False]]),
        "imgsz": torch.tensor([64.0, 96.0]),
        "stride": torch.tensor([[8.0], [8.0], [16.0], [16.0]]),
    }
    names = inspect.signature(probe.stock_forward(kind)).parameters
    return {name: value for name, value in arguments.items() if name in names}


def rotated(boxes: Tensor) -> Tensor:
    """The same boxes as centre, sides and an angle, another one for each."""
    angle = torch.linspace(-0.5, 0.7, len(boxes))[:, None]
    return torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2], angle], dim=-1)


def expected_box_loss(per_box: Callable[[Tensor, Tensor], Tensor], arguments: dict[str, Any], pixels: bool) -> Tensor:
    """The box loss of the fixed arguments, weighted and normalised by a plain loop over the foreground."""
    rows = [anchor for anchor, foreground in enumerate(arguments["fg_mask"][0].tolist()) if foreground]
    pred, target = arguments["pred_bboxes"][0, rows].clone(), arguments["target_bboxes"][0, rows].clone()
    if pixels:  # an angle has no unit
        for boxes in (pred, target):
            boxes[:, :4] = boxes[:, :4] * arguments["stride"][rows]
    losses = per_box(pred, target)
    weights = [sum(scores) for scores in arguments["target_scores"][0, rows].tolist()]
    total = sum((loss * weight for loss, weight in zip(losses, weights, strict=True)), start=torch.zeros(()))
    scaled: Tensor = total / arguments["target_scores_sum"]
    return scaled


def check_stock_contract(bbox_loss: nn.Module) -> float:
    """The stock box loss of the fixed arguments, after checking that it is CIoU, of rotated boxes ProbIoU, weighted
    and normalised as known.

    Raises:
        UnsupportedUltralytics: loss, weights or normaliser of the stock loss are not those known.
    """
    arguments, kind = fixed_arguments(bbox_loss), probe.kind_of(bbox_loss)
    with torch.no_grad():
        stock = float(probe.stock_forward(kind)(bbox_loss, **cloned(arguments))[0])
    floor = {} if kind == "box" else {"floor": getattr(bbox_loss, "floor", 0.0)}  # older versions have none
    expected = float(expected_box_loss(partial(STOCK[kind], **floor), arguments, pixels=False))
    if abs(stock - expected) > TOLERANCE:
        raise UnsupportedUltralytics(
            f"its own box loss gives {stock:.6f} where weighted {STOCK_NAMES[kind]} gives {expected:.6f}: the contract "
            "has changed",
            probe.REMEDY,
        )
    return stock


def check_box(branch: Any, slot: BoxSlot) -> float:
    """The box loss of the fixed arguments through the live branch, after comparing it with a plain loop.

    Value and gradient are compared, so that what trains is what was looked at: a recorded program, machine code.

    Raises:
        UnsupportedUltralytics: the live branch does not return the plugged loss and its gradient.
    """
    arguments = fixed_arguments(branch.bbox_loss)

    def through(loss: Callable[[dict[str, Any]], Tensor]) -> tuple[Tensor, Tensor]:
        boxes = arguments["pred_bboxes"].clone().requires_grad_()
        return value_and_gradient(slot, loss({**cloned(arguments), "pred_bboxes": boxes}), boxes)

    plain = twin(slot, branch.bbox_loss)
    if slot.units == "image":  # in pixels, and told the size of the image
        plain = build_loss(with_image_size(plain.spec(), arguments["imgsz"].tolist()))
    with set_apart(slot, branch.bbox_loss):
        live = through(lambda given: branch.bbox_loss(**given)[0])
    with by_autograd():
        expected = through(lambda given: expected_box_loss(plain.elementwise, given, slot.units != "any"))
    return checked(slot, live, expected)


def check_cls(branch: Any, slot: ClassSlot) -> float:
    """The mean class loss of fixed scores through the live branch, after comparing it with the loss itself.

    Raises:
        UnsupportedUltralytics: the live branch does not return the plugged loss and its gradient.
    """
    classes = slot.classes or 3
    scores = torch.linspace(-2.0, 3.0, 2 * classes).view(1, 2, classes)
    target = torch.zeros_like(scores)
    target[0, 0, -1], target[0, 1, 0] = 0.8, 0.3

    def through(loss: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        logits = scores.clone().requires_grad_()
        found = loss(logits, target.clone())
        if found.shape != logits.shape:
            raise UnsupportedUltralytics(
                f"the live criterion's class loss has shape {tuple(found.shape)}, not {tuple(logits.shape)}",
                probe.REMEDY,
            )
        return value_and_gradient(slot, found.mean(), logits)

    plain = twin(slot, branch.bce)
    with set_apart(slot, branch.bce):
        live = through(branch.bce)
    with by_autograd():
        expected = through(lambda logits, wanted: plain.elementwise(logits[0], wanted[0])[None])
    return checked(slot, live, expected)


def twin(slot: Slot, part: Any) -> Loss:
    """A copy of the branch's loss on the CPU, with the running statistics that it has, which do not learn."""
    return copy.deepcopy(slot.loss_of(part, torch.device("cpu"))).eval()


@contextmanager
def set_apart(slot: Slot, part: Any) -> Iterator[None]:
    """Losses with gradients that are no training: nothing is counted, learnt or measured."""
    calls, measure, loss = slot.calls, slot.measure_next, slot.loss_of(part, torch.device("cpu"))
    training = loss.training
    slot.calls, slot.measure_next = Calls(gain=calls.gain), False
    loss.eval()
    try:
        with torch.enable_grad():  # type: ignore[no-untyped-call]
            yield
    finally:
        slot.calls, slot.measure_next = calls, measure
        loss.train(training)


def value_and_gradient(slot: Slot, loss: Tensor, leaf: Tensor) -> tuple[Tensor, Tensor]:
    """The loss and its gradient.

    Raises:
        UnsupportedUltralytics: it has none.
    """
    if not loss.requires_grad:
        raise UnsupportedUltralytics(
            f"the {slot.name} loss {slot.loss_name} comes back without gradient: it would be logged, not trained",
            "Compute it from the prediction without detach(), item() or numpy",
        )
    (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.detach(), gradient


def checked(slot: Slot, live: tuple[Tensor, Tensor], unscaled: tuple[Tensor, Tensor]) -> float:
    """The live value, after comparing it and its gradient with those of the loss, scaled as the slot scales it.

    Raises:
        UnsupportedUltralytics: they differ, or are not finite.
    """
    factor = slot.calls.gain * slot.prototype.loss_weight
    for what, found, plain in zip(("value", "gradient"), live, unscaled, strict=True):
        expected = factor * plain
        if not expected.isfinite().all():
            raise UnsupportedUltralytics(
                f"the {what} of {slot.loss_name} is not finite on a fixed batch of ordinary boxes and scores",
                "Mend the loss: `loss-plugins check` names the input",
            )
        off = (found - expected).abs().max()
        if not off <= TOLERANCE * max(1.0, float(expected.abs().max())):
            raise UnsupportedUltralytics(
                f"the live criterion gives {_shown(found)} as {what} where {slot.loss_name} is {_shown(expected)}: "
                "the plug does not hold",
                probe.REMEDY,
            )
    return float(live[0])


def _shown(tensor: Tensor) -> str:
    return f"{float(tensor):.6f}" if tensor.ndim == 0 else f"{float(tensor.norm()):.6f} (norm)"


def cloned(arguments: dict[str, Any]) -> dict[str, Any]:
    """A copy for each call: some versions write into their arguments."""
    return {name: value.clone() for name, value in arguments.items()}
