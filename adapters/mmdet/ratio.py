"""How hard losses pull beside the usual ones of their slots, on one batch of each epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from loss_plugins.errors import in_one_line

from .gain import at_odds, matching_weight, named
from .modules import PluggedLoss
from .record import Record
from .slots import LossSlot
from .usual import usual_loss

#: what the scalar of a slot is called behind the path of the loss
SCALAR = "gradient_over_usual"


class Ratios:
    """The gradient of each loss over that of the usual loss of its slot, both with their `loss_weight`.

    Only the first call of an epoch with a gradient is looked at, on detached copies: elsewhere nothing waits for a GPU.

    Attributes:
        usual: the usual loss by path, of the slots whose loss can be compared.
        found: the ratio by path, of the epoch in hand.
    """

    def __init__(self) -> None:
        self.slots: dict[str, LossSlot] = {}
        self.usual: dict[str, nn.Module] = {}
        self.found: dict[str, float] = {}
        self.handles: dict[str, RemovableHandle] = {}
        self.failed: dict[str, str] = {}

    def start(self, slots: Sequence[LossSlot], runner: Runner, record: Record) -> None:
        """Log the matching `loss_weight` of each slot, or why there is none; one process does."""
        for slot in slots if is_main_process() else ():
            if not isinstance(slot.loss, PluggedLoss):
                continue
            usual, reason = comparable(slot.head, slot.slot, slot.loss)
            if usual is None:
                runner.logger.info(f"loss_plugins: {slot.key}: no gain is measured: {reason}")
                continue
            self.slots[slot.path], self.usual[slot.path] = slot, usual
            record.measured[slot.path] = {"usual": named(usual)}
            weight = matching_weight(slot.loss, usual)
            if isinstance(weight, str):
                runner.logger.info(f"loss_plugins: {slot.key}: {weight}")
                continue
            record.measured[slot.path]["matching_loss_weight"] = weight
            text = f"loss_weight={weight:.3g} would pull as hard as {named(usual)} (fixed set)"
            runner.logger.info(f"loss_plugins: {slot.key}: {text}")

    def begin(self) -> None:
        """An epoch begins: look at the next calls."""
        self.end()
        self.found = {}
        for path, slot in self.slots.items():
            if path not in self.failed:
                self.handles[path] = slot.loss.register_forward_pre_hook(_Looking(self, path), with_kwargs=True)

    def end(self) -> None:
        """Look at no more calls."""
        for handle in self.handles.values():
            handle.remove()
        self.handles = {}

    def report(self, runner: Runner, record: Record, epoch: int) -> None:
        """Log the ratios of an epoch, from 1, and write them into scalars and record."""
        self.end()
        for path, reason in self.failed.items():
            if path in self.slots:
                slot = self.slots.pop(path)
                runner.logger.info(f"loss_plugins: {slot.key}: {named(self.usual[path])} cannot be measured: {reason}")
        for path, ratio in self.found.items():
            text = f"its gradient is {ratio:.3g} times that of {named(self.usual[path])}"
            runner.logger.info(f"loss_plugins: {self.slots[path].key}: epoch {epoch}: {text}")
            runner.visualizer.add_scalar(f"{path}/{SCALAR}", ratio, runner.iter)
            record.measured[path].setdefault(SCALAR, {})[epoch] = ratio

    def look(self, path: str, loss: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Measure a call of the loss at a path, if it has a gradient and is the first of its epoch."""
        if not torch.is_grad_enabled() or path not in self.handles:
            return
        try:
            ratio = gradient_ratio(copy.deepcopy(loss), self.usual[path], *arguments, **keywords)
        except Exception as error:  # a loss of another package raises what it likes
            self.failed[path] = in_one_line(error)
            ratio = math.nan
        if ratio is not None:
            self.handles.pop(path).remove()
        if ratio is not None and math.isfinite(ratio):
            self.found[path] = ratio


class _Looking:
    """A hook on a loss; a copy of the loss, and one that is pickled, is looked at no more."""

    def __init__(self, ratios: Ratios | None = None, path: str = "") -> None:
        self.ratios, self.path = ratios, path

    def __call__(self, loss: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if self.ratios is not None:
            self.ratios.look(self.path, loss, arguments, keywords)

    def __reduce__(self) -> tuple[type[_Looking], tuple[()]]:
        return _Looking, ()


def comparable(head: nn.Module, slot: str, loss: PluggedLoss) -> tuple[nn.Module | None, str]:
    """The usual loss of a slot, or None and why a loss cannot be compared with it."""
    try:
        usual = usual_loss(head, slot, loss)
    except Exception as error:  # a head of another package may name anything
        return None, f"its usual loss cannot be built: {in_one_line(error)}"
    reason = "its head names no usual loss" if usual is None else at_odds(loss, usual)
    return (None, reason) if reason else (usual, "")


def gradient_ratio(
    ours: nn.Module,
    theirs: nn.Module,
    pred: Any = None,
    target: Any = None,
    weight: Tensor | None = None,
    avg_factor: Any = None,
    reduction_override: str | None = None,
    **others: Any,
) -> float | None:
    """The mean gradient norm per row of one loss over that of another one in the same call; None: there is none.

    Args:
        ours: a loss, which may be changed by it.
        theirs: another one.
        pred: of the call.
        target: likewise.
        weight: likewise.
        avg_factor: of both alike, so of no account.
        reduction_override: a call for "none" trains nothing as such, and is left out.
        **others: other keywords of the call.
    """
    if not isinstance(pred, Tensor) or not pred.numel() or reduction_override == "none":
        return None
    norms = []
    for loss in (theirs.to(pred.device), ours.eval()):
        leaf = pred.detach().float().requires_grad_()
        with torch.autocast(pred.device.type, enabled=False):
            # not called: hooks are copied with a loss
            total = loss.forward(leaf, target, weight, reduction_override="sum", **others)
        gradient = torch.autograd.grad(total, leaf)[0] if total.requires_grad else torch.zeros_like(leaf)
        norms.append(float(gradient.reshape(len(gradient), -1).double().norm(dim=1).sum()))
        if not norms[0] > 0:
            return None
    return norms[1] / norms[0]
