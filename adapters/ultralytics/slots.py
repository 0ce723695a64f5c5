# SPDX-License-Identifier: AGPL-3.0-or-later
"""The two places of a criterion that take a loss, box and cls: one loss per branch, counted calls, a matched gain."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional

from loss_plugins import Loss, ciou_loss
from loss_plugins.errors import LossNotUsed
from loss_plugins.module.gain import Gain, box_gain, class_gain, gradient_of
from loss_plugins.tensors import warn_of_inverted

from . import marks, probe
from .calls import Calls
from .errors import UnsupportedUltralytics

State = dict[str, dict[str, Any]]
#: how hard a loss may pull, over the stock loss, before a training is told
FAIR = (0.3, 3.0)
Function = Callable[[Tensor, Tensor], Tensor]


class Slot:
    """A place of the criterion with the loss that was asked for there.

    Args:
        name: "box" or "cls".
        build: makes a new module of the loss.
        match: what makes the loss pull as hard as the stock loss, on a fixed set; None: the loss as it is.
        token: of the plug: parts of a criterion with its mark know their branch.

    Attributes:
        prototype: a module of the loss that no branch trains with: for checks, and for the assigner.
        loss_name: the catalogue's name of the loss.
        ratio: gradient of the loss over the stock loss's, on the last batch that was measured.
        measure_next: measure it on the next batch.
    """

    def __init__(self, name: str, build: Callable[[], Loss], match: Callable[[Loss], Gain] | None, token: str) -> None:
        self.name = name
        self.calls = Calls()
        self.prototype = build()
        self.loss_name = self.prototype.entry.name
        self.ratio: float | None = None
        self.measure_next = False
        if match is not None:
            found = match(self.prototype)
            self.calls.gain, self.calls.norms = found.factor, (found.stock, found.new)
        self._build = build
        self._token = token
        self._broken = 0
        self._warned = False
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

    def restore(self, state: State) -> None:
        """Go on with the statistics of an earlier run."""
        for branch, values in state.items():
            loss = self._made(self._shared, branch)
            loss.load_state_dict({key: torch.tensor(value, dtype=torch.float64) for key, value in values.items()})

    def require_call_and_gradient(self) -> None:
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

    def news(self) -> list[str]:
        """What an epoch has to tell of the loss, a line each; read once."""
        lines = [] if self.ratio is None else [self.of_ratio()]
        if self.ratio is not None and not FAIR[0] <= self.ratio <= FAIR[1] and not self._warned:
            self._warned = True
            lines.append(f"WARNING {self.of_ratio()}, which changes the balance of the losses; {self._remedy()}")
        broken = self.calls.broken_calls - self._broken
        self._broken += broken
        if broken:
            lines.append(f"WARNING the {self.name} loss {self.loss_name} was NaN or infinite in {broken} calls")
        return lines

    def _remedy(self) -> str:
        other = "set loss_weight" if self.calls.norms else 'use gain="match", or set loss_weight'
        return f"{other} or the trainer's {self.name}="

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

    def measure(self, loss: Loss, stock: Function, pred: Tensor, target: Tensor, rows: Tensor) -> None:
        """Compare the gradient of the loss with that of the stock loss, on the rows of a batch that `rows` weighs.

        It takes a second backward pass, and the host waits for it: once in an epoch. It changes nothing.
        """
        self.measure_next = False
        twin = copy.deepcopy(loss).eval()  # with what its running statistic has learnt
        gradients = [gradient_of(each, pred, target) * rows for each in (stock, twin.elementwise)]
        before, now = (float(gradient.norm(dim=-1).sum()) for gradient in gradients)
        if before > 0:
            self.ratio = self.calls.gain * abs(twin.loss_weight) * now / before

    def of_ratio(self) -> str:
        """The measured ratio, in words."""
        return f"the gradient of the {self.name} loss {self.loss_name} is {self.ratio:.3g} times the stock loss's"


class BoxSlot(Slot):
    """The first of the two losses that `BboxLoss.forward` returns."""

    def __init__(self, build: Callable[[], Loss], match_gain: bool, token: str, image_size: float) -> None:
        match = partial(box_gain, stock=stock_box_loss, image_size=image_size) if match_gain else None
        super().__init__("box", build, match, token)
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
            if training and self.measure_next and len(pred):
                self.measure(loss_module, stock_box_loss, pred, target, weight.float()[:, None])
            loss = loss_module.elementwise(pred, target)
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
        super().__init__("cls", build, partial(class_gain, stock=stock_class_loss) if match_gain else None, token)

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
            if training and self.measure_next:
                self.measure_positives(loss_module, logits, target)
            loss = loss_module.elementwise(logits, target) * (self.calls.gain * loss_module.loss_weight)
        self.calls.count(loss, len(loss), training)
        return loss.view(shape)

    def measure_positives(self, loss: Loss, logits: Tensor, target: Tensor) -> None:
        """As `measure`, on the scores of a batch that have something to find."""
        found = target.amax(-1) > 0
        if found.any():
            self.measure(loss, stock_class_loss, logits[found], target[found], (target[found] > 0).float())


def stock_box_loss(pred: Tensor, target: Tensor) -> Tensor:
    """Ultralytics' box loss, one number per box."""
    return ciou_loss(pred, target, dialect="ultralytics")


def stock_class_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Ultralytics' class loss, one number per score."""
    return functional.binary_cross_entropy_with_logits(logits, target, reduction="none")


def log(text: str) -> None:
    """One line in the trainer's style."""
    from ultralytics.utils import LOGGER, colorstr

    LOGGER.info(f"{colorstr('loss_plugins:')} {text}")
