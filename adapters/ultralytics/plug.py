# SPDX-License-Identifier: AGPL-3.0-or-later
"""The plug: while it is in, the criterion computes our box loss, our class loss, or both."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from loss_plugins import Loss, ciou_loss

from . import probe
from .errors import UnsupportedUltralytics
from .slots import BranchIndex, Calls, Hook, State
from .spec import Spec

Criteria = Callable[[], list[Any]]


@dataclass
class Report:
    """What the plug saw in this process: calls per slot (None where no loss was asked for), and the canary.

    Attributes:
        box: calls of the box slot.
        cls: calls of the class slot.
        canary: on a fixed batch: the "stock" box loss, and by slot ("box", "cls") one value per criterion branch.
    """

    box: Calls | None = None
    cls: Calls | None = None
    canary: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain types, as stored in run folder and checkpoint."""
        slots = {"box": self.box, "cls": self.cls}
        return {**{name: calls.as_dict() for name, calls in slots.items() if calls}, "canary": self.canary}


class BoxHook(Hook):
    """Stands beside `BboxLoss.forward` and replaces the first of the two losses that it returns."""

    def __init__(self, build: Callable[[], Loss], match_gain: bool, branch_index: BranchIndex) -> None:
        super().__init__("box", build, match_gain, branch_index)
        self.units = self.prototype.entry.traits.units
        if self.units != "any" and not probe.has_stride():
            raise UnsupportedUltralytics(
                f"{self.name} needs boxes in pixels, and this version does not pass the stride to BboxLoss.forward",
                "Use 8.4.0 or newer, or a scale-invariant loss",
            )

    def compute(self, bbox_loss: nn.Module, call: dict[str, Any]) -> Tensor:
        """The weighted box loss over the foreground, as the trainer defines it, in float32."""
        foreground = call["fg_mask"].bool()
        weight = call["target_scores"][foreground].sum(-1)
        pred, target = call["pred_bboxes"][foreground].float(), call["target_bboxes"][foreground].float()
        if self.units != "any":
            stride = call["stride"].float().expand(*foreground.shape, 1)[foreground]
            pred, target = pred * stride, target * stride
        training = torch.is_grad_enabled() and pred.requires_grad
        loss_module = self.loss_of(bbox_loss, pred.device)
        with torch.autocast(pred.device.type, enabled=False):
            if training and not self.matched:
                self.match(
                    lambda p: (ciou_loss(p, target, dialect="ultralytics") * weight.float()).sum(),
                    pred,
                    lambda p: (self.prototype.elementwise(p, target) * weight.float()).sum(),
                )
            loss = loss_module.elementwise(pred, target)
        if loss.shape != weight.shape:
            raise ValueError(
                f"{self.name} returned shape {tuple(loss.shape)} for {len(weight)} boxes; "
                f"return one number per box: ({len(weight)},)"
            )
        factor = self.calls.gain * loss_module.loss_weight
        total: Tensor = (loss * weight).sum() / call["target_scores_sum"] * factor
        self.calls.count(total, len(weight), training)
        return total

    def similarity(self, pred: Tensor, target: Tensor) -> Tensor:
        """1 - loss, at least 0: what the assigner sees where it shall match."""
        return (1 - self.prototype.elementwise(pred.float(), target.float())).clamp(min=0).to(pred.dtype)


class ClassHook(Hook):
    """Stands in the criterion's `bce`: one number per image, anchor and class, for soft targets."""

    active = True

    def __init__(self, build: Callable[[], Loss], match_gain: bool, branch_index: BranchIndex) -> None:
        super().__init__("cls", build, match_gain, branch_index)

    def compute(self, slot: ClassSlot, logits: Tensor, target: Tensor) -> Tensor:
        """The class loss in float32, unreduced: the trainer weights, sums and normalises it."""
        logits, target = logits.float(), target.float()
        training = torch.is_grad_enabled() and logits.requires_grad
        loss_module = self.loss_of(slot, logits.device)
        with torch.autocast(logits.device.type, enabled=False):
            if training and not self.matched:
                rows, wanted = logits.flatten(0, -2), target.flatten(0, -2)
                self.match(
                    lambda x: functional.binary_cross_entropy_with_logits(x, wanted, reduction="sum"),
                    rows,
                    lambda x: self.prototype.elementwise(x, wanted).sum(),
                )
            loss = loss_module.elementwise(logits, target) * (self.calls.gain * loss_module.loss_weight)
        self.calls.count(loss, loss[..., 0].numel(), training)
        return loss


class ClassSlot:
    """What a criterion holds as `bce`. Outside of the context, and unpickled, it is the stock loss."""

    def __init__(self, hook: ClassHook) -> None:
        self.hook = hook

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """(b, anchors, nc) logits and soft targets to a loss of that shape."""
        if not self.hook.active:
            return functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return self.hook.compute(self, logits, target)

    def __deepcopy__(self, memo: dict[int, Any]) -> ClassSlot:
        return ClassSlot(self.hook)

    def __reduce__(self) -> tuple[Any, ...]:
        # versions that pickle the criterion into last.pt must find nothing of ours there
        return nn.BCEWithLogitsLoss, (None, None, None, "none")


class Plug:
    """One spec, plugged in.

    Args:
        spec: what was asked for.
        criteria: the live criteria (of the model and of its EMA copy), to tell their branches apart.
    """

    def __init__(self, spec: Spec, criteria: Criteria = list) -> None:
        self.spec = spec
        self._criteria = criteria
        match_gain = spec.gain == "match"
        self.box = BoxHook(spec.build_box, match_gain, self._branch_index) if spec.box else None
        self.cls = ClassHook(spec.build_cls, match_gain, self._branch_index) if spec.cls else None
        self.report = Report(self.box.calls if self.box else None, self.cls.calls if self.cls else None)

    @property
    def hooks(self) -> list[Hook]:
        """The slots in use."""
        return [hook for hook in (self.box, self.cls) if hook is not None]

    @property
    def names(self) -> str:
        """For messages: "box loss eiou and cls loss quality_focal"."""
        return " and ".join(f"{hook.slot} loss {hook.name}" for hook in self.hooks)

    def _branch_index(self, part: object) -> int | None:
        for criterion in self._criteria():
            for index, branch in enumerate(probe.find_branches(criterion)):
                if part is branch.bbox_loss or part is branch.bce:
                    return index
        return None

    def check(self, criterion: Any) -> int:
        """Feed fixed boxes and scores through every branch of a live criterion; the number of branches.

        Raises:
            UnsupportedUltralytics: a branch does not compute the plugged loss.
        """
        branches = probe.require_branches(criterion)
        counted = [(hook.calls, hook.calls.train_calls, hook.calls.val_calls) for hook in self.hooks]
        self.report.canary = {"stock": probe.check_stock_contract(branches[0].bbox_loss)}
        if self.box is not None:
            self.report.canary["box"] = [probe.check_box(branch, self.box) for branch in branches]
        if self.cls is not None:
            self.report.canary["cls"] = [probe.check_cls(branch, self.cls) for branch in branches]
        for calls, train_calls, val_calls in counted:
            calls.train_calls, calls.val_calls = train_calls, val_calls
        return len(branches)

    def require_use(self) -> None:
        """Raise LossNotUsed unless every slot was called in training and moved the gradient."""
        for hook in self.hooks:
            hook.require_use()

    def average_state(self) -> None:
        """Give all processes the mean of their running statistics."""
        for hook in self.hooks:
            hook.average_state()

    def state(self) -> dict[str, State]:
        """Running statistics by slot and branch, in plain types."""
        return {hook.slot: hook.state() for hook in self.hooks}

    def restore(self, stamp: dict[str, Any]) -> None:
        """Go on with the statistics and gains of an earlier run."""
        for hook in self.hooks:
            hook.restore(stamp["state"].get(hook.slot, {}), stamp["report"][hook.slot])


@contextmanager
def plugged(spec: Spec, criteria: Criteria = list) -> Iterator[Plug]:
    """Put the plug in; leaving, by return or by exception, puts back the very objects found.

    Raises:
        UnsupportedUltralytics: this installation offers no certain place for it.
    """
    from ultralytics.utils.loss import BboxLoss, v8DetectionLoss
    from ultralytics.utils.tal import TaskAlignedAssigner

    stock = probe.stock_forward()
    plug = Plug(spec, criteria)
    with ExitStack() as stack:
        if plug.box is not None:
            stack.enter_context(replaced(BboxLoss, "forward", _plugged_forward(stock, plug.box)))
            if spec.assigner == "match":
                stack.enter_context(replaced(TaskAlignedAssigner, "iou_calculation", _overlap(plug.box)))
        if plug.cls is not None:
            stack.enter_context(replaced(v8DetectionLoss, "__init__", _plugged_init(v8DetectionLoss, plug.cls)))
            stack.callback(setattr, plug.cls, "active", False)
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


def _plugged_forward(stock: Callable[..., Any], hook: BoxHook) -> Callable[..., Any]:
    signature = inspect.signature(stock)

    @functools.wraps(stock)
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        own = stock(self, *args, **kwargs)
        call = signature.bind(self, *args, **kwargs).arguments
        return (hook.compute(self, call), *own[1:])

    forward.plugged_over = stock  # type: ignore[attr-defined]
    return forward


def _plugged_init(owner: type, hook: ClassHook) -> Callable[..., None]:
    init = vars(owner)["__init__"]

    @functools.wraps(init)
    def plugged_init(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self.bce = ClassSlot(hook)

    return plugged_init


def _overlap(hook: BoxHook) -> Callable[..., Tensor]:
    def overlap(self: nn.Module, gt_bboxes: Tensor, pd_bboxes: Tensor) -> Tensor:
        return hook.similarity(pd_bboxes, gt_bboxes)

    return overlap
