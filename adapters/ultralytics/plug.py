# SPDX-License-Identifier: AGPL-3.0-or-later
"""The plug: while it is in, `BboxLoss.forward` returns our box loss beside its own second value."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from loss_plugins import Loss, ciou_loss

from . import probe
from .errors import LossNotUsed, UnsupportedUltralytics
from .spec import Spec


@dataclass
class Report:
    """What the plug saw in this process.

    Attributes:
        train_calls: box losses computed with gradient.
        val_calls: box losses computed without.
        boxes: boxes in the train calls.
        gradient_calls: train calls whose loss received a gradient other than 0.
        gain: factor on the loss: 1, or the matched one once it is known.
        norms: mean gradient norm per box of the stock and of the new loss, where gain is "match".
        canary: box loss on fixed boxes: "stock" and one value per criterion.
    """

    train_calls: int = 0
    val_calls: int = 0
    boxes: int = 0
    gain: float = 1.0
    norms: tuple[float, float] | None = None
    canary: dict[str, Any] = field(default_factory=dict)
    _gradients: Tensor | None = field(default=None, repr=False)

    @property
    def gradient_calls(self) -> int:
        """Train calls whose loss received a gradient other than 0."""
        return 0 if self._gradients is None else int(self._gradients)

    def saw_gradient(self, gradient: Tensor) -> None:
        """Count a gradient on the device: no sync with the host until somebody asks."""
        arrived = (gradient != 0).sum()
        self._gradients = arrived if self._gradients is None else self._gradients + arrived

    def as_dict(self) -> dict[str, Any]:
        """Plain types, as stored in run folder and checkpoint."""
        return {
            "train_calls": self.train_calls,
            "val_calls": self.val_calls,
            "boxes": self.boxes,
            "gradient_calls": self.gradient_calls,
            "gain": self.gain,
            "norms": list(self.norms) if self.norms else None,
            "canary": self.canary,
        }

    def require_use(self, name: str) -> None:
        """Raise LossNotUsed unless the loss was called in training and moved the gradient."""
        if self.train_calls == 0:
            raise LossNotUsed(f"the box loss {name} was never called during training: the stock loss was trained")
        if self.gradient_calls == 0:
            raise LossNotUsed(
                f"the box loss {name} was computed {self.train_calls} times, but no gradient came back from it: "
                "it is logged, not trained (is the box gain 0, or the box loss outside of the sum?)"
            )


class Plug:
    """One spec, plugged in: builds a loss per `BboxLoss` object and counts what happens."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.report = Report()
        self.prototype = spec.build()
        self.name = self.prototype.entry.name
        self.units = self.prototype.entry.traits.units
        self.matched = spec.gain == "keep"
        self._losses: WeakKeyDictionary[nn.Module, Loss] = WeakKeyDictionary()
        if self.units != "any" and not probe.has_stride():
            raise UnsupportedUltralytics(
                f"{self.name} needs boxes in pixels, and this version does not pass the stride to BboxLoss.forward",
                "Use 8.4.0 or newer, or a scale-invariant loss",
            )

    def loss_of(self, bbox_loss: nn.Module) -> Loss:
        """The loss of one criterion branch; branches never share state."""
        if bbox_loss not in self._losses:
            self._losses[bbox_loss] = self.spec.build()
        return self._losses[bbox_loss]

    def box_loss(self, bbox_loss: nn.Module, call: dict[str, Any]) -> Tensor:
        """The weighted box loss over the foreground, as the trainer defines it, in float32."""
        foreground = call["fg_mask"].bool()
        weight = call["target_scores"][foreground].sum(-1)
        pred, target = call["pred_bboxes"][foreground].float(), call["target_bboxes"][foreground].float()
        if self.units == "pixels":
            stride = call["stride"].float().expand(*foreground.shape, 1)[foreground]
            pred, target = pred * stride, target * stride
        training = torch.is_grad_enabled() and pred.requires_grad
        loss_module = self.loss_of(bbox_loss).to(pred.device)
        total: Tensor
        with torch.autocast(pred.device.type, enabled=False):
            if training and not self.matched:
                self._match(pred, target, weight.float())
            loss = loss_module.elementwise(pred, target)
            if loss.shape != weight.shape:
                raise ValueError(
                    f"{self.name} returned shape {tuple(loss.shape)} for {len(weight)} boxes; "
                    f"return one number per box: ({len(weight)},)"
                )
            total = (loss * weight).sum() / call["target_scores_sum"] * (self.report.gain * loss_module.loss_weight)
        self._count(total, len(weight), training)
        return total

    def _count(self, total: Tensor, boxes: int, training: bool) -> None:
        if not training:
            self.report.val_calls += 1
            return
        self.report.train_calls += 1
        self.report.boxes += boxes
        total.register_hook(self.report.saw_gradient)  # type: ignore[no-untyped-call]

    def _match(self, pred: Tensor, target: Tensor, weight: Tensor) -> None:
        """Set the gain so that both losses pull equally hard on these boxes, over all processes."""
        stock = _gradient_sum(functools.partial(ciou_loss, dialect="ultralytics"), pred, target, weight)
        ours = _gradient_sum(self.prototype.elementwise, pred, target, weight)
        sums = torch.stack([stock, ours, weight.new_tensor(float(len(weight)))])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
        stock_sum, our_sum, boxes = sums.tolist()
        if boxes == 0 or our_sum == 0:
            return  # no box, or none that this loss pulls on: try again with the next batch
        self.matched = True
        self.report.gain = stock_sum / our_sum
        self.report.norms = (stock_sum / boxes, our_sum / boxes)
        log(
            f"gain matched: gradient norm per box {stock_sum / boxes:.4g} (stock) against {our_sum / boxes:.4g} "
            f"({self.name}), so the loss is multiplied by {self.report.gain:.4g}"
        )

    def restore_gain(self, gain: float) -> None:
        """Go on with the gain that an earlier run matched."""
        self.report.gain, self.matched = gain, True

    def check(self, criterion: Any) -> int:
        """Feed fixed boxes through every branch of a live criterion; the number of branches.

        Raises:
            UnsupportedUltralytics: a branch does not return the plugged loss.
        """
        branches = probe.find_bbox_losses(criterion)
        counted = self.report.train_calls, self.report.val_calls
        values = [probe.check_canary(branch, self.loss_of(branch), self.report.gain) for branch in branches]
        self.report.canary = {"stock": probe.check_stock_contract(branches[0]), "plugged": values}
        self.report.train_calls, self.report.val_calls = counted
        return len(branches)

    def similarity(self, pred: Tensor, target: Tensor) -> Tensor:
        """1 - loss, at least 0: what the assigner sees where it shall match."""
        return (1 - self.prototype.elementwise(pred.float(), target.float())).clamp(min=0).to(pred.dtype)


def _gradient_sum(per_box: Callable[[Tensor, Tensor], Tensor], pred: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    leaf = pred.detach().requires_grad_()
    (gradient,) = torch.autograd.grad((per_box(leaf, target) * weight).sum(), leaf)
    total: Tensor = gradient.norm(dim=-1).sum()
    return total


def _plugged_forward(stock: Callable[..., Any], plug: Plug) -> Callable[..., Any]:
    signature = inspect.signature(stock)

    @functools.wraps(stock)
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        own = stock(self, *args, **kwargs)
        call = signature.bind(self, *args, **kwargs).arguments
        return (plug.box_loss(self, call), *own[1:])

    forward.plugged_over = stock  # type: ignore[attr-defined]
    return forward


@contextmanager
def plugged(spec: Spec) -> Iterator[Plug]:
    """Put the plug in; leaving, by return or by exception, puts back the very objects found.

    Raises:
        UnsupportedUltralytics: this installation offers no certain place for it.
    """
    from ultralytics.utils.loss import BboxLoss
    from ultralytics.utils.tal import TaskAlignedAssigner

    plug = Plug(spec)
    with ExitStack() as stack:
        forward = _plugged_forward(probe.stock_forward(), plug)
        stack.enter_context(replaced(BboxLoss, "forward", forward))
        if spec.assigner == "match":

            def overlap(self: nn.Module, gt_bboxes: Tensor, pd_bboxes: Tensor) -> Tensor:
                return plug.similarity(pd_bboxes, gt_bboxes)

            stack.enter_context(replaced(TaskAlignedAssigner, "iou_calculation", overlap))
        yield plug


@contextmanager
def replaced(owner: type, name: str, new: Any) -> Iterator[None]:
    """Set a class attribute for the time of the context, then put back the very object found."""
    found = vars(owner)[name]
    setattr(owner, name, new)
    try:
        yield
    finally:
        setattr(owner, name, found)


def log(text: str) -> None:
    """One line in the trainer's style."""
    from ultralytics.utils import LOGGER, colorstr

    LOGGER.info(f"{colorstr('loss_plugins:')} {text}")
