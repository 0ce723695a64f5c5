# SPDX-License-Identifier: AGPL-3.0-or-later
"""The two places of a criterion that take a loss, box and cls: one loss per branch, counted calls, a matched gain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional

from loss_plugins import Loss, ciou_loss
from loss_plugins.errors import LossNotUsed, refusal
from loss_plugins.tensors import warn_of_inverted

from . import marks, probe
from .errors import UnsupportedUltralytics

State = dict[str, dict[str, Any]]


@dataclass
class Calls:
    """The calls of one slot in this process.

    Attributes:
        branch_calls: calls of a branch of the criterion in training.
        train_calls: losses computed with gradient.
        val_calls: losses computed without.
        rows: boxes (or anchors) in the train calls.
        gain: factor on the loss: 1, or the matched one once it is known.
        norms: mean gradient norm per row of the stock and of the new loss, where gain is "match".
    """

    branch_calls: int = 0
    train_calls: int = 0
    val_calls: int = 0
    rows: int = 0
    gain: float = 1.0
    norms: tuple[float, float] | None = None
    _counts: dict[str, Tensor] = field(default_factory=dict, repr=False)
    _of_step: dict[str, Tensor] = field(default_factory=dict, repr=False)

    @property
    def expected_calls(self) -> int:
        """Train calls that were due: one for each call of a branch, in the box slot for each with foreground."""
        return self._count("expected")

    @property
    def filled_calls(self) -> int:
        """Train calls on one row or more."""
        return self._count("filled")

    @property
    def gradient_calls(self) -> int:
        """Train calls whose loss received a gradient other than 0."""
        return self._count("gradients")

    @property
    def gradient_rows(self) -> int:
        """Boxes to whose prediction the loss sent a gradient other than 0."""
        return self._count("gradient_rows")

    @property
    def broken_calls(self) -> int:
        """Train calls whose loss was NaN or infinite."""
        return self._count("broken")

    def _count(self, name: str) -> int:
        return sum(int(counts[name]) for counts in (self._counts, self._of_step) if name in counts)

    def expect(self, due: Tensor) -> None:
        """Count the call of a branch, and the call of the slot that is due if `due`, of 0 dimensions, is true."""
        self.branch_calls += 1
        _add(self._of_step, "expected", due)

    def count(self, loss: Tensor, rows: int, training: bool) -> None:
        """Count a call, and the gradient that comes back to it."""
        if not training:
            self.val_calls += 1
            return
        self.train_calls += 1
        self.rows += rows
        total = loss.detach().sum()
        _add(self._of_step, "filled", torch.full_like(total, float(rows > 0)))
        _add(self._counts, "broken", ~total.isfinite())
        loss.register_hook(self._count_gradient)  # type: ignore[no-untyped-call]

    def follow(self, boxes: Tensor) -> None:
        """Count the boxes (n, 4) to which a gradient comes back."""
        if boxes.requires_grad:
            boxes.register_hook(self._count_rows)  # type: ignore[no-untyped-call]

    # the counts stay on the device: reading them here would make the host wait in every step

    def _count_gradient(self, gradient: Tensor) -> None:
        _add(self._counts, "gradients", (gradient != 0).any())

    def _count_rows(self, gradient: Tensor) -> None:
        _add(self._counts, "gradient_rows", (gradient != 0).any(-1).sum())

    def begin_step(self) -> None:
        """Forget what was due in a step that did not come to its end: out of memory, it begins again."""
        self._of_step.clear()

    def end_step(self) -> None:
        """Keep what was due in this step, and what was done."""
        for name, count in self._of_step.items():
            _add(self._counts, name, count)
        self._of_step.clear()

    def as_dict(self) -> dict[str, Any]:
        """Plain types, as stored in run folder and checkpoint."""
        return {
            "train_calls": self.train_calls,
            "expected_calls": self.expected_calls,
            "val_calls": self.val_calls,
            "rows": self.rows,
            "gradient_calls": self.gradient_calls,
            "gradient_rows": self.gradient_rows,
            "gain": self.gain,
            "norms": list(self.norms) if self.norms else None,
        }


def _add(counts: dict[str, Tensor], name: str, more: Tensor) -> None:
    counts[name] = counts[name] + more.long() if name in counts else more.long()


class Slot:
    """A place of the criterion with the loss that was asked for there.

    Args:
        name: "box" or "cls".
        build: makes a new module of the loss.
        match_gain: whether to scale the loss to the gradient norm of the stock loss.
        token: of the plug: parts of a criterion with its mark know their branch.

    Attributes:
        prototype: a module of the loss that no branch trains with: for checks, and for the assigner.
        loss_name: the catalogue's name of the loss.
        gain_settled: whether `calls.gain` is final.
    """

    def __init__(self, name: str, build: Callable[[], Loss], match_gain: bool, token: str) -> None:
        self.name = name
        self.calls = Calls()
        self.prototype = build()
        self.loss_name = self.prototype.entry.name
        self.gain_settled = not match_gain
        self._build = build
        self._token = token
        self._broken = 0
        self._shared: dict[str, Loss] = {}
        self._own: WeakKeyDictionary[Any, Loss] = WeakKeyDictionary()

    def loss_of(self, part: Any, device: torch.device) -> Loss:
        """The loss of one criterion branch.

        Branches never share a running statistic, but the same branch of the model and of its EMA copy do, so that
        validation uses what training has learnt.
        """
        mark = marks.mark_of(part)
        if mark is not None and mark.token == self._token:
            return self._made(self._shared, mark.branch).to(device)
        return self._made(self._own, part).to(device)

    def _made(self, losses: Any, key: Any) -> Loss:
        if key not in losses:
            losses[key] = self._build()
        loss: Loss = losses[key]
        return loss

    def prepare(self, branches: int, device: torch.device) -> None:
        """Make the losses of all branches: every rank syncs the same ones, even one that has seen no object yet."""
        for index in range(branches):
            self._made(self._shared, str(index)).to(device)

    @property
    def losses(self) -> list[Loss]:
        """The losses that training and EMA copy share, one per branch."""
        return [loss for _, loss in sorted(self._shared.items())]

    def state(self) -> State:
        """Running statistics by branch, as in the loss's state dict, in plain types."""
        states = {branch: loss.state_dict() for branch, loss in sorted(self._shared.items())}
        return {
            branch: {key: value.tolist() for key, value in state.items()} for branch, state in states.items() if state
        }

    def restore(self, state: State, calls: dict[str, Any]) -> None:
        """Go on with the statistics and the gain of an earlier run."""
        for branch, values in state.items():
            loss = self._made(self._shared, branch)
            loss.load_state_dict({key: torch.tensor(value, dtype=torch.float64) for key, value in values.items()})
        if not self.gain_settled and calls["norms"]:
            self.calls.gain, self.calls.norms = calls["gain"], tuple(calls["norms"])
            self.gain_settled = True

    def require_call(self) -> None:
        """Raise LossNotUsed if no criterion called the loss, or none sent a gradient back to it."""
        calls, loss = self.calls, f"the {self.name} loss {self.loss_name}"
        if calls.train_calls + calls.val_calls + calls.branch_calls == 0:
            raise LossNotUsed(
                f"the context ended and no criterion had called {loss}: was a model's loss computed, with a criterion "
                "that was built inside the context? (model=... serves the one that a model has)"
            )
        if calls.filled_calls and calls.gradient_calls == 0:
            raise LossNotUsed(
                f"the context ended and {loss} was computed {calls.train_calls} times, but no gradient came back from "
                "it: it was logged, not trained (to look at values alone, compute them under torch.no_grad())"
            )

    def require_use(self) -> None:
        """Raise LossNotUsed unless the loss was called in training as often as it was due, and received a gradient.

        Without a box there is nothing to train on, which is no fault of the plug.
        """
        calls, loss = self.calls, f"the {self.name} loss {self.loss_name}"
        due, done = calls.expected_calls, calls.filled_calls
        if calls.branch_calls and due == done == 0:
            return
        if done == 0:
            raise LossNotUsed(f"{loss} was never called during training: the stock loss was trained")
        if done < due:
            raise LossNotUsed(
                f"{loss} was called {done} times in training where {due} calls were due: the others trained the stock "
                "loss (did other code replace the criterion, or a method of it?)"
            )
        if calls.gradient_calls == 0:
            raise LossNotUsed(
                f"{loss} was computed {calls.train_calls} times, but no gradient "
                f"came back from it: it is logged, not trained (is the {self.name} gain 0, or the loss outside of the "
                "sum?)"
            )

    def broken_since_last(self) -> str:
        """The calls since the last question whose loss was NaN or infinite, in words; "" if there were none."""
        broken = self.calls.broken_calls - self._broken
        self._broken += broken
        return f"the {self.name} loss {self.loss_name} was NaN or infinite in {broken} calls" if broken else ""

    def outcome(self) -> str:
        """What training did with the loss, in one line."""
        calls, loss = self.calls, f"{self.name} loss {self.loss_name}"
        if calls.rows == 0:
            return f"{loss}: nothing to train on, no box in {calls.branch_calls} calls of the criterion"
        rows = f"{calls.rows} {'boxes' if self.name == 'box' else 'anchors'}"
        reached = (
            f"{calls.gradient_calls}, for {calls.gradient_rows} boxes" if self.name == "box" else calls.gradient_calls
        )
        return (
            f"{loss} was trained: {calls.train_calls} training calls on {rows}, gradient in {reached}; "
            f"{calls.val_calls} validation calls"
        )

    def match_gain(self, stock: Callable[[Tensor], Tensor], new: Callable[[Tensor], Tensor], pred: Tensor) -> None:
        """Set the gain to the ratio of the gradient norms of stock and new loss, summed over rows and processes.

        Args:
            stock: the stock loss of predictions, summed.
            new: the new loss of predictions, summed.
            pred: (n, k) predictions of one batch.
        """
        sums = torch.stack(
            [_gradient_norms(stock, pred), _gradient_norms(new, pred), pred.new_tensor(float(len(pred)))]
        )
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
        stock_sum, new_sum, rows = sums.tolist()
        if rows == 0 or new_sum == 0:
            return  # this batch has no gradient to compare: the next one may
        self.gain_settled = True
        self.calls.gain = stock_sum / new_sum
        self.calls.norms = (stock_sum / rows, new_sum / rows)
        log(
            f"{self.name} gain matched: gradient norm {self.calls.norms[0]:.4g} (stock) against "
            f"{self.calls.norms[1]:.4g} ({self.loss_name}), so the loss is multiplied by {self.calls.gain:.4g}"
        )


class BoxSlot(Slot):
    """The first of the two losses that `BboxLoss.forward` returns."""

    def __init__(self, build: Callable[[], Loss], match_gain: bool, token: str) -> None:
        super().__init__("box", build, match_gain, token)
        self.inverted_named = False
        self.units = self.prototype.entry.traits.units
        if self.units != "any" and not probe.has_stride():
            raise UnsupportedUltralytics(
                f"{self.loss_name} needs boxes in pixels, and this version does not pass the stride to "
                "BboxLoss.forward",
                "Use 8.4.0 or newer, or a scale-invariant loss",
            )

    def compute(self, bbox_loss: nn.Module, call: dict[str, Any]) -> Tensor:
        """The box loss over the foreground in float32, weighted and normalised as the stock loss is.

        Args:
            bbox_loss: the `BboxLoss` that was called.
            call: the arguments of its `forward`, by name.
        """
        foreground = call["fg_mask"].bool()
        weight = call["target_scores"][foreground].sum(-1)
        pred, target = call["pred_bboxes"][foreground].float(), call["target_bboxes"][foreground].float()
        if self.units != "any":
            stride = call["stride"].float().expand(*foreground.shape, 1)[foreground]
            pred, target = pred * stride, target * stride
        training = torch.is_grad_enabled() and pred.requires_grad
        if not self.inverted_named:  # on the CPU only: on a GPU the host would wait in every step
            self.inverted_named = warn_of_inverted(self.loss_name, target, target[:, 2:] - target[:, :2])
        self.calls.follow(pred)
        loss_module = self.loss_of(bbox_loss, pred.device)
        with torch.autocast(pred.device.type, enabled=False):
            if training and not self.gain_settled:
                self.match_gain(
                    lambda p: (ciou_loss(p, target, dialect="ultralytics") * weight.float()).sum(),
                    lambda p: (self.prototype.elementwise(p, target) * weight.float()).sum(),
                    pred,
                )
            loss = loss_module.elementwise(pred, target)
        if loss.shape != weight.shape:
            came = f"returned shape {tuple(loss.shape)} for {len(weight)} boxes"
            raise refusal(self.loss_name, came, f"({len(weight)},)", "return one number per box")
        factor = self.calls.gain * loss_module.loss_weight
        total: Tensor = (loss * weight).sum() / call["target_scores_sum"] * factor
        self.calls.count(total, len(weight), training)
        return total

    def similarity(self, pred: Tensor, target: Tensor) -> Tensor:
        """1 - loss, at least 0: the overlap for the assigner with assigner="match"."""
        return (1 - self.prototype.elementwise(pred.float(), target.float())).clamp(min=0).to(pred.dtype)


class ClassSlot(Slot):
    """The criterion's `bce`: logits and soft targets to one number per image, anchor and class."""

    def __init__(self, build: Callable[[], Loss], match_gain: bool, token: str) -> None:
        super().__init__("cls", build, match_gain, token)

    def compute(self, bce: object, logits: Tensor, target: Tensor) -> Tensor:
        """The class loss in float32, unreduced: the trainer weights, sums and normalises it.

        Args:
            bce: the object in the criterion's `bce`.
            logits: (b, anchors, classes).
            target: soft targets of that shape.
        """
        shape = logits.shape
        logits, target = logits.float().flatten(0, -2), target.float().flatten(0, -2)  # rows: their classes are last
        training = torch.is_grad_enabled() and logits.requires_grad
        loss_module = self.loss_of(bce, logits.device)
        with torch.autocast(logits.device.type, enabled=False):
            if training and not self.gain_settled:
                self.match_gain(
                    lambda x: functional.binary_cross_entropy_with_logits(x, target, reduction="sum"),
                    lambda x: self.prototype.elementwise(x, target).sum(),
                    logits,
                )
            loss = loss_module.elementwise(logits, target) * (self.calls.gain * loss_module.loss_weight)
        self.calls.count(loss, len(loss), training)
        return loss.view(shape)


def _gradient_norms(loss: Callable[[Tensor], Tensor], pred: Tensor) -> Tensor:
    """The gradient norm of each row, summed."""
    leaf = pred.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf)
    total: Tensor = gradient.norm(dim=-1).sum()
    return total


def log(text: str) -> None:
    """One line in the trainer's style."""
    from ultralytics.utils import LOGGER, colorstr

    LOGGER.info(f"{colorstr('loss_plugins:')} {text}")
