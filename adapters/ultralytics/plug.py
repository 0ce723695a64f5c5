# SPDX-License-Identifier: AGPL-3.0-or-later
"""The plug: one spec, put into Ultralytics for the time of a context, and what was computed through it."""

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

from loss_plugins import Loss
from loss_plugins.module.state import sync_losses

from . import canary, probe
from .slots import BoxSlot, Calls, ClassSlot, Slot, State
from .spec import Spec

Criteria = Callable[[], list[Any]]


@dataclass
class Report:
    """What was computed in this process: calls per slot (None where no loss was asked for), and the canary.

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
        self.box = BoxSlot(spec.build_box, match_gain, self._branch_index) if spec.box else None
        self.cls = ClassSlot(spec.build_cls, match_gain, self._branch_index) if spec.cls else None
        self.report = Report(self.box.calls if self.box else None, self.cls.calls if self.cls else None)

    @property
    def slots(self) -> list[Slot]:
        """The slots in use."""
        return [slot for slot in (self.box, self.cls) if slot is not None]

    @property
    def names(self) -> str:
        """For messages: "box loss eiou and cls loss quality_focal"."""
        return " and ".join(f"{slot.name} loss {slot.loss_name}" for slot in self.slots)

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
        counted = [(slot.calls, slot.calls.train_calls, slot.calls.val_calls) for slot in self.slots]
        self.report.canary = {"stock": canary.check_stock_contract(branches[0].bbox_loss)}
        if self.box is not None:
            self.report.canary["box"] = [canary.check_box(branch, self.box) for branch in branches]
        if self.cls is not None:
            self.report.canary["cls"] = [canary.check_cls(branch, self.cls) for branch in branches]
        for calls, train_calls, val_calls in counted:  # calls of the canary are no proof of training
            calls.train_calls, calls.val_calls = train_calls, val_calls
        return len(branches)

    def require_use(self) -> None:
        """Raise LossNotUsed unless the loss of every slot was called in training and received a gradient."""
        for slot in self.slots:
            slot.require_use()

    def prepare(self, branches: int, device: torch.device) -> None:
        """Make the losses of all criterion branches, on every rank alike."""
        for slot in self.slots:
            slot.prepare(branches, device)

    def begin_step(self) -> None:
        """Before each batch: the calls on it make one update of the running statistics."""
        for loss in self._losses:
            loss.begin_step()

    def sync(self) -> None:
        """After each batch, on every rank: one state, made of the boxes of all ranks."""
        sync_losses(self._losses)

    @property
    def _losses(self) -> list[Loss]:
        return [loss for slot in self.slots for loss in slot.losses]

    def state(self) -> dict[str, State]:
        """Running statistics by slot and branch, in plain types."""
        return {slot.name: slot.state() for slot in self.slots}

    def restore(self, stamp: dict[str, Any]) -> None:
        """Go on with the statistics and gains of an earlier run."""
        for slot in self.slots:
            slot.restore(stamp["state"].get(slot.name, {}), stamp["report"][slot.name])


class BCEReplacement:
    """What a criterion holds in `bce` in place of `BCEWithLogitsLoss(reduction="none")`.

    After the context, and once unpickled, it is that stock loss.
    """

    def __init__(self, slot: ClassSlot) -> None:
        self.slot = slot

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """(b, anchors, classes) logits and soft targets to a loss of that shape."""
        if not self.slot.active:
            return functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return self.slot.compute(self, logits, target)

    def __deepcopy__(self, memo: dict[int, Any]) -> BCEReplacement:
        return BCEReplacement(self.slot)

    def __reduce__(self) -> tuple[Any, ...]:
        # some versions pickle the criterion into last.pt, which must load where loss_plugins is not installed
        return nn.BCEWithLogitsLoss, (None, None, None, "none")


@contextmanager
def plugged(spec: Spec, criteria: Criteria = list) -> Iterator[Plug]:
    """Put the losses in; leaving, by return or by exception, puts back the very objects found.

    Raises:
        UnsupportedUltralytics: this installation cannot be served for certain.
    """
    from ultralytics.utils.loss import BboxLoss, v8DetectionLoss
    from ultralytics.utils.tal import TaskAlignedAssigner

    stock = probe.stock_forward()
    plug = Plug(spec, criteria)
    with ExitStack() as stack:
        if plug.box is not None:
            stack.enter_context(replaced(BboxLoss, "forward", _box_forward(stock, plug.box)))
            if spec.assigner == "match":
                stack.enter_context(replaced(TaskAlignedAssigner, "iou_calculation", _overlap(plug.box)))
        if plug.cls is not None:
            stack.enter_context(replaced(v8DetectionLoss, "__init__", _criterion_init(v8DetectionLoss, plug.cls)))
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


def _box_forward(stock: Callable[..., Any], slot: BoxSlot) -> Callable[..., Any]:
    """`BboxLoss.forward` with the first of its losses, the box loss, replaced."""
    signature = inspect.signature(stock)

    @functools.wraps(stock)
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        losses = stock(self, *args, **kwargs)
        call = signature.bind(self, *args, **kwargs).arguments
        return (slot.compute(self, call), *losses[1:])

    forward.plugged_over = stock  # type: ignore[attr-defined]
    return forward


def _criterion_init(owner: type, slot: ClassSlot) -> Callable[..., None]:
    """The criterion's `__init__`, with its `bce` replaced."""
    stock = vars(owner)["__init__"]

    @functools.wraps(stock)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        stock(self, *args, **kwargs)
        self.bce = BCEReplacement(slot)

    return init


def _overlap(slot: BoxSlot) -> Callable[..., Tensor]:
    """The assigner's overlap, computed from the box loss."""

    def overlap(self: nn.Module, gt_bboxes: Tensor, pd_bboxes: Tensor) -> Tensor:
        return slot.similarity(pd_bboxes, gt_bboxes)

    return overlap
