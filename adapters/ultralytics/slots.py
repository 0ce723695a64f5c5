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

from . import probe
from .errors import UnsupportedUltralytics

BranchIndex = Callable[[object], "int | None"]
State = dict[str, dict[str, Any]]


@dataclass
class Calls:
    """The calls of one slot in this process.

    Attributes:
        train_calls: losses computed with gradient.
        val_calls: losses computed without.
        rows: boxes (or anchors) in the train calls.
        gain: factor on the loss: 1, or the matched one once it is known.
        norms: mean gradient norm per row of the stock and of the new loss, where gain is "match".
    """

    train_calls: int = 0
    val_calls: int = 0
    rows: int = 0
    gain: float = 1.0
    norms: tuple[float, float] | None = None
    _gradients: Tensor | None = field(default=None, repr=False)

    @property
    def gradient_calls(self) -> int:
        """Train calls whose loss received a gradient other than 0."""
        return 0 if self._gradients is None else int(self._gradients)

    def count(self, loss: Tensor, rows: int, training: bool) -> None:
        """Count a call, and the gradient that comes back to it."""
        if not training:
            self.val_calls += 1
            return
        self.train_calls += 1
        self.rows += rows
        loss.register_hook(self._count_gradient)  # type: ignore[no-untyped-call]

    def _count_gradient(self, gradient: Tensor) -> None:
        # the count stays on the device: reading it here would make the host wait in every step
        arrived = (gradient != 0).any().long()
        self._gradients = arrived if self._gradients is None else self._gradients + arrived

    def as_dict(self) -> dict[str, Any]:
        """Plain types, as stored in run folder and checkpoint."""
        return {
            "train_calls": self.train_calls,
            "val_calls": self.val_calls,
            "rows": self.rows,
            "gradient_calls": self.gradient_calls,
            "gain": self.gain,
            "norms": list(self.norms) if self.norms else None,
        }


class Slot:
    """A place of the criterion with the loss that was asked for there.

    Args:
        name: "box" or "cls".
        build: makes a new module of the loss.
        match_gain: whether to scale the loss to the gradient norm of the stock loss.
        branch_index: the number of the criterion branch that a part belongs to, or None.

    Attributes:
        prototype: a module of the loss that no branch trains with: for checks, and for the assigner.
        loss_name: the catalogue's name of the loss.
        gain_settled: whether `calls.gain` is final.
    """

    def __init__(self, name: str, build: Callable[[], Loss], match_gain: bool, branch_index: BranchIndex) -> None:
        self.name = name
        self.calls = Calls()
        self.prototype = build()
        self.loss_name = self.prototype.entry.name
        self.gain_settled = not match_gain
        self._build = build
        self._branch_index = branch_index
        self._shared: dict[int, Loss] = {}
        self._own: WeakKeyDictionary[Any, Loss] = WeakKeyDictionary()

    def loss_of(self, branch: Any, device: torch.device) -> Loss:
        """The loss of one criterion branch.

        Branches never share a running statistic, but the same branch of the model and of its EMA copy do, so that
        validation uses what training has learnt.
        """
        if branch not in self._own:
            index = self._branch_index(branch)
            self._own[branch] = self._build() if index is None else self._shared.setdefault(index, self._build())
        return self._own[branch].to(device)

    def prepare(self, branches: int, device: torch.device) -> None:
        """Make the losses of all branches: every rank syncs the same ones, even one that has seen no object yet."""
        for index in range(branches):
            self._shared.setdefault(index, self._build()).to(device)

    @property
    def losses(self) -> list[Loss]:
        """The losses that training and EMA copy share, one per branch."""
        return [loss for _, loss in sorted(self._shared.items())]

    def state(self) -> State:
        """Running statistics by branch, as in the loss's state dict, in plain types."""
        states = {str(index): loss.state_dict() for index, loss in sorted(self._shared.items())}
        return {
            index: {key: value.tolist() for key, value in state.items()} for index, state in states.items() if state
        }

    def restore(self, state: State, calls: dict[str, Any]) -> None:
        """Go on with the statistics and the gain of an earlier run."""
        for index, values in state.items():
            loss = self._shared.setdefault(int(index), self._build())
            loss.load_state_dict({key: torch.tensor(value, dtype=torch.float64) for key, value in values.items()})
        if not self.gain_settled and calls["norms"]:
            self.calls.gain, self.calls.norms = calls["gain"], tuple(calls["norms"])
            self.gain_settled = True

    def require_use(self) -> None:
        """Raise LossNotUsed unless the loss was called in training and received a gradient."""
        if self.calls.train_calls == 0:
            raise LossNotUsed(
                f"the {self.name} loss {self.loss_name} was never called during training: the stock loss was trained"
            )
        if self.calls.gradient_calls == 0:
            raise LossNotUsed(
                f"the {self.name} loss {self.loss_name} was computed {self.calls.train_calls} times, but no gradient "
                f"came back from it: it is logged, not trained (is the {self.name} gain 0, or the loss outside of the "
                "sum?)"
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

    def __init__(self, build: Callable[[], Loss], match_gain: bool, branch_index: BranchIndex) -> None:
        super().__init__("box", build, match_gain, branch_index)
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
    """The criterion's `bce`: logits and soft targets to one number per image, anchor and class.

    Attributes:
        active: whether the plug is in; after that the stock loss is computed.
    """

    active = True

    def __init__(self, build: Callable[[], Loss], match_gain: bool, branch_index: BranchIndex) -> None:
        super().__init__("cls", build, match_gain, branch_index)

    def compute(self, branch: object, logits: Tensor, target: Tensor) -> Tensor:
        """The class loss in float32, unreduced: the trainer weights, sums and normalises it.

        Args:
            branch: the object in the criterion's `bce`.
            logits: (b, anchors, classes).
            target: soft targets of that shape.
        """
        shape = logits.shape
        logits, target = logits.float().flatten(0, -2), target.float().flatten(0, -2)  # rows: their classes are last
        training = torch.is_grad_enabled() and logits.requires_grad
        loss_module = self.loss_of(branch, logits.device)
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
