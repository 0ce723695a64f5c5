# SPDX-License-Identifier: AGPL-3.0-or-later
"""A place of the criterion that takes a loss: one loss per branch, counted calls, a matched gain."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from loss_plugins import Loss
from loss_plugins.errors import LossNotUsed
from loss_plugins.module.gain import Gain, gradient_of, is_fair
from loss_plugins.module.mix import MixLoss

from . import marks, ratio
from .calls import Calls
from .nan_guard import Guard, ImageOf
from .slot_table import SLOTS, many

State = dict[str, dict[str, Any]]
#: relative difference of two matched gains that is rounding
SAME = 1e-4
Function = Callable[[Tensor, Tensor], Tensor]
Match = Callable[[Loss], Gain]


class Stock(NamedTuple):
    """The loss that a slot replaces.

    Attributes:
        name: as papers call it.
        function: predictions and targets to one number per row, or score.
    """

    name: str
    function: Function


class Slot:
    """A place of the criterion with the loss that was asked for there.

    Args:
        name: as in `slot_table`.
        build: makes a new module of the loss.
        match: what makes a loss pull as hard as the stock loss, on a fixed set; None: there is no such set.
        token: of the plug: parts of a criterion with its mark know their branch.
        match_gain: use it.
        resumed: a run goes on, whose record has the gain: one that would be refused today is no error.

    Attributes:
        prototype: a module of the loss that no branch trains with: for checks, and for the assigner.
        loss_name: the catalogue's name of the loss.
        ratio: gradient of the loss over the stock loss's, on the last batch that was measured.
        measure_next: measure it on the next batch.
        matches: whether gain="match" and the trainer's settings reach the criterion.
        gain_name: what the factor on the loss is called where it is set; "": the criterion has none.
        may_rest: whether the loss may be without gradient on each row of an epoch, as where all boxes lie apart.
        classes: how many the loss has numbers for; None: it takes any number of classes, or knows none.
        beside: the other slots in use, whose losses gain="match" is for as well.
        guard: looks for losses that are not finite; None: nobody does.
    """

    classes: int | None = None

    def __init__(
        self,
        name: str,
        build: Callable[[], Loss],
        match: Match | None,
        token: str,
        match_gain: bool = False,
        resumed: bool = False,
    ) -> None:
        self.name = name
        self.calls = Calls()
        self.prototype = build()
        self.loss_name = self.prototype.entry.name
        self.ratio: float | None = None
        self.measure_next = False
        self.matches = True
        self.gain_name = f"the trainer's {SLOTS[name].gain}"
        self.may_rest = False
        self.guard: Guard | None = None
        self.beside: list[Slot] = []
        self._match = match
        self._match_gain = match is not None and match_gain
        self._refused: ValueError | None = None
        if match is not None and match_gain:
            self._use_matched(match, resumed)
        self._build = build
        self._token = token
        self._broken = 0
        self._warned = self._noted = False
        self._shared: dict[str, Loss] = {}
        self._own: WeakKeyDictionary[Any, Loss] = WeakKeyDictionary()

    def _use_matched(self, match: Match, resumed: bool) -> None:
        try:
            found = match(self.prototype)
        except ValueError as refused:
            if not resumed:
                raise
            self._refused = refused
        else:
            self.calls.gain, self.calls.norms = found.factor, (found.stock, found.new)

    def restore_gain(self, recorded: Mapping[str, Any]) -> None:
        """Go on with the matched gain of an earlier run, also where today another one is found, or none.

        Args:
            recorded: what its record says of the calls of this slot.

        Raises:
            ValueError: today there is none, and the record has none.
        """
        gain, norms = recorded.get("gain"), recorded.get("norms")
        if not self._match_gain:
            return
        if not isinstance(gain, float) or not isinstance(norms, (list, tuple)):
            if self._refused is not None:
                raise self._refused
            return
        if self._refused is not None or not math.isclose(gain, self.calls.gain, rel_tol=SAME):
            today = f"refused ({self._refused})" if self._refused is not None else f"{self.calls.gain:.3g}"
            said = f"WARNING the run goes on with its gain of {gain:.3g} for the {self.name} loss {self.loss_name}"
            log(f"{said}; in a new run gain='match' would be {today}")
        self.calls.gain, self.calls.norms = gain, (norms[0], norms[1])

    def due(self, foreground: Tensor) -> Tensor:
        """How many calls a branch should make whose anchors (b, anchors) are foreground: one where there is some."""
        return foreground.any()

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

    def look(self, losses: Tensor, pred: Tensor, target: Tensor, image_of: ImageOf | None) -> None:
        """Hand the rows of a call to the guard against NaN, see `Guard.look`."""
        if self.guard is not None:
            self.guard.look(f"{self.name} loss {self.loss_name}", losses, pred, target, image_of)

    def require_call_and_gradient(self) -> None:
        """Raise LossNotUsed if no criterion called the loss, or none sent a gradient back to it."""
        calls, loss = self.calls, f"the {self.name} loss {self.loss_name}"
        if calls.train_calls + calls.val_calls + calls.branch_calls == 0:
            raise LossNotUsed(
                f"the context ended and no criterion had called {loss}: was a model's loss computed, with a criterion "
                "that was built inside the context? (model=... serves the one that a model has)"
            )
        if self._is_frozen():  # values alone may have been wanted
            log(f"WARNING {self._frozen()}; torch.no_grad() around an evaluation leaves this line out")
        if calls.filled_calls and calls.gradient_calls == 0:
            raise LossNotUsed(
                f"the context ended and {loss} was computed {calls.train_calls} times, but no gradient came back from "
                "it: it was logged, not trained (to look at values alone, compute them under torch.no_grad())"
            )
        self._require_rows()
        if self._rests():
            log(f"WARNING {self._without_gradient()}")

    def require_use(self) -> None:
        """Raise LossNotUsed unless the loss was called in training as often as it was due, and received a gradient.

        Without a box there is nothing to train on, which is no fault of the plug.
        """
        calls, loss = self.calls, f"the {self.name} loss {self.loss_name}"
        due, done = calls.expected_calls, calls.filled_calls
        if calls.branch_calls and due == done == 0:
            return
        self.require_learners()
        if done == 0:
            raise LossNotUsed(f"{loss} was never called during training: the stock loss was trained")
        if done + calls.frozen_calls < due:
            raise LossNotUsed(
                f"{loss} was called {done} times in training where {due} calls were due: the others trained the stock "
                "loss (did other code replace the criterion, or a method of it?)"
            )
        if calls.in_epoch("filled") and calls.in_epoch("gradients") == 0:
            raise LossNotUsed(
                f"{loss} was computed {calls.in_epoch('filled')} times, but no gradient came back from it: it is "
                f"logged, not trained ({self._cause()})"
            )
        self._require_rows()

    def require_learners(self) -> None:
        """Raise LossNotUsed if all predictions that the loss was computed on in training take no gradient."""
        if self._is_frozen():
            raise LossNotUsed(self._frozen())

    def _is_frozen(self) -> bool:
        return self.calls.train_calls == 0 and bool(self.calls.frozen_calls)  # of a GPU the host waits only then

    def _frozen(self) -> str:
        return (
            f"the {self.name} loss {self.loss_name} was computed {self.calls.frozen_calls} times in training on "
            "predictions that take no gradient: it trains nothing (are the layers frozen that make them, freeze=?"
            f" then leave {self.name} out)"
        )

    def _cause(self) -> str:
        return (
            f"is {self.gain_name} 0, or the loss outside of the sum?" if self.gain_name else "is it outside of the sum?"
        )

    def _require_rows(self) -> None:
        if self._rests() and not self.may_rest:
            cause = "is it multiplied by 0, or by a gain that is 0 in float32?"
            raise LossNotUsed(f"{self._without_gradient()}: it trains nothing ({cause})")

    def _rests(self) -> bool:
        """Whether there were rows in this epoch, and none got a gradient."""
        return self.calls.in_epoch("rows") > 0 and self.calls.in_epoch("gradient_rows") == 0

    def _without_gradient(self) -> str:
        rows = many(self.calls.in_epoch("rows"), SLOTS[self.name].rows)
        return f"the {self.name} loss {self.loss_name} was computed on {rows}, and the gradient of each was 0"

    def news(self, counts: bool = True) -> list[str]:
        """What an epoch has to tell of the loss, a line each; read once.

        Args:
            counts: whether the ratio tells of the balance of the losses, see `ratio.counts`.
        """
        lines = [] if self.ratio is None else [self.of_ratio()]
        unfair = "" if self._warned else self.unfair()
        if unfair and (counts or not math.isfinite(self.ratio or 0.0)):
            self._warned = True
            lines.append(f"WARNING {unfair}")
        elif unfair and not self._noted:
            self._noted = True
            lines[0] += " (early in a training, as predictions are far from their targets, that tells little)"
        if self._rests():
            lines.append(f"WARNING {self._without_gradient()}")
        broken = self.calls.broken_calls - self._broken
        self._broken += broken
        if broken:
            lines.append(
                f"WARNING the {self.name} loss {self.loss_name} was NaN or infinite in {many(broken, 'calls')}"
            )
        return lines

    def unfair(self) -> str:
        """What is wrong with the measured ratio, and what mends it; "": it is fair, or none was measured."""
        if self.ratio is None or is_fair(self.ratio):
            return ""
        if not math.isfinite(self.ratio):
            return f"{self.of_ratio()}; mend the loss: `loss-plugins check {self.loss_name}` names the input"
        return f"{self.of_ratio()}, which changes the balance of the losses; {self._remedy(self.ratio)}"

    def _remedy(self, measured: float) -> str:
        gain = None if self.calls.norms else self.matched_gain()
        taken = all(slot.matched_gain() is not None for slot in self.beside)
        alone = SLOTS[self.name].gain if self.matches and SLOTS[self.name].gain == self.name else ""
        matched = None if gain is None else measured * gain
        return ratio.remedy(measured, matched, taken, self.prototype.loss_weight, alone)

    def matched_gain(self) -> float | None:
        """The constant of gain="match"; None: the loss, or the criterion, takes none."""
        if self._match is None or not self.matches:
            return None
        try:
            return self._match(self.prototype).factor
        except ValueError:
            return None

    def outcome(self) -> str:
        """What training did with the loss, in one line."""
        calls, loss = self.calls, f"{self.name} loss {self.loss_name}"
        if calls.rows == 0:
            return f"{loss}: nothing to train on, no box in {many(calls.branch_calls, 'calls')} of the criterion"
        what = SLOTS[self.name].rows
        reached = f"{calls.gradient_calls}" + (
            f", for {many(calls.gradient_rows, what)}" if calls.rows_followed else ""
        )
        detached = f" ({calls.detached_calls} had {what} that the criterion detaches)" if calls.detached_calls else ""
        return (
            f"{loss} was trained: {many(calls.train_calls, 'training calls')} on {many(calls.rows, what)}, gradient in "
            f"{reached}{detached}; {many(calls.val_calls, 'validation calls')}"
            + ("" if self.ratio is None else f"; in the end {self.of_ratio()}")
        )

    def measure(
        self, loss: Loss, stock: Function, pred: Tensor, target: Tensor, rows: Tensor, scale: Tensor | float = 1.0
    ) -> None:
        """Compare the gradient of the loss with that of the stock loss, on the rows of a batch that `rows` weighs.

        It takes a second backward pass, and the host waits for it: once in an epoch. It changes nothing.

        Args:
            loss: the loss of the branch.
            stock: the loss that it replaces.
            pred: predictions, in the unit of the stock loss.
            target: their targets.
            rows: weight of each row's gradient.
            scale: from the unit of the stock loss to that of the loss.
        """

        def scaled(twin: Loss, boxes: Tensor, wanted: Tensor) -> Tensor:
            return twin.elementwise(boxes * scale, wanted * scale)

        self.compare(loss, stock, scaled, pred, target, rows)

    def compare(
        self,
        loss: Loss,
        stock: Function,
        computed: Callable[[Loss, Tensor, Tensor], Tensor],
        pred: Tensor,
        target: Tensor,
        rows: Tensor | float = 1.0,
        weighted: bool = False,
    ) -> None:
        """Note the gradient of the loss over that of the stock loss, each row's norm summed, and measure no more.

        Args:
            loss: the loss of the branch, which learns nothing from it.
            stock: the loss that it replaces.
            computed: how the criterion computes a loss from predictions and targets.
            pred: predictions, rows first.
            target: their targets.
            rows: weight of each row's gradient.
            weighted: whether `computed` multiplies by the loss_weight.
        """
        self.measure_next = False
        twin = copy.deepcopy(loss).eval()  # with what its running statistic has learnt
        weight = 1.0 if weighted else twin.loss_weight
        gradients = [gradient_of(each, pred, target) * rows for each in (stock, partial(computed, twin))]
        before, now = (float(gradient.flatten(1).norm(dim=-1).sum()) for gradient in gradients)
        if before > 0:
            self.ratio = self.calls.gain * abs(weight) * now / before

    def of_ratio(self) -> str:
        """The measured ratio, in words."""
        return f"the gradient of the {self.name} loss {self.loss_name} is {self.ratio:.3g} times the stock loss's"


def non_defaults(loss: Loss, leave_out: Collection[str] = ()) -> str:
    """The parameters that differ from the catalogue's defaults, for one line of a log; of a mix its losses."""
    changed = changed_parameters(loss, leave_out)
    if isinstance(loss, MixLoss):
        members = (each for each in loss.members if isinstance(each, Loss))
        changed["losses"] = " + ".join(f"{each.entry.name} {non_defaults(each)}".strip() for each in members)
    return f"({', '.join(f'{name}={value}' for name, value in changed.items())}) " if changed else ""


def changed_parameters(loss: Loss, leave_out: Collection[str] = ()) -> dict[str, Any]:
    """The parameters that differ from the catalogue's defaults."""
    given = {**loss.parameters_given, **({"loss_weight": loss.loss_weight} if loss.loss_weight != 1 else {})}
    given = {name: value for name, value in given.items() if name not in leave_out}
    defaults = {name: parameter.default for name, parameter in loss.entry.parameters.items()}
    return {name: value for name, value in given.items() if name not in defaults or value != defaults[name]}


def log(text: str) -> None:
    """One line in the trainer's style."""
    from ultralytics.utils import LOGGER, colorstr

    LOGGER.info(f"{colorstr('loss_plugins:')} {text}")
