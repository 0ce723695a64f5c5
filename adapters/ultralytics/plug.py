# SPDX-License-Identifier: AGPL-3.0-or-later
"""The plug: one spec, in Ultralytics for the time of a context, and what was computed through it."""

from __future__ import annotations

import itertools
import uuid
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from loss_plugins import Loss
from loss_plugins.errors import LossNotUsed, refusal, shown
from loss_plugins.module.gain import IMAGE_SIZE
from loss_plugins.module.state import sync_losses

from . import marks, owners, probe, seams
from .box_slot import BoxSlot
from .calls import Calls
from .canary import set_apart
from .class_slot import ClassSlot
from .dfl_slot import DflSlot
from .errors import no_attribute
from .families import Family, parts_of
from .keypoint_slot import KeypointSlot
from .mask_slot import MaskSlot
from .nan_guard import Guard
from .sem_canary import require_head
from .sem_slot import SemSlot
from .slot_table import SLOTS
from .slots import Slot, State, Stock, log
from .spec import Spec


@dataclass
class Report:
    """What was computed in this process: calls per slot (None where no loss was asked for), and the canary.

    Attributes:
        box: calls of the box slot.
        cls: calls of the class slot.
        dfl: calls of the slot of the sides.
        mask: calls of the mask slot.
        sem: calls of the slot of semantic maps.
        keypoint: calls of the slot of key points.
        canary: on a fixed batch: the "stock" box loss, and by slot one value per criterion branch.
    """

    box: Calls | None = None
    cls: Calls | None = None
    dfl: Calls | None = None
    mask: Calls | None = None
    sem: Calls | None = None
    keypoint: Calls | None = None
    canary: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        raise no_attribute(self, name)

    def as_dict(self) -> dict[str, Any]:
        """Plain types, as stored in run folder and checkpoint."""
        slots = {name: getattr(self, name) for name in SLOTS}
        return {**{name: calls.as_dict() for name, calls in slots.items() if calls}, "canary": self.canary}


class Plug:
    """One spec, and the criteria that compute it.

    Args:
        spec: what was asked for.
        bound: serve the models that are given to `bind` alone; else every criterion of the thread that has no plug.
        image_size: side of the training images in pixels: gain="match" looks at boxes of a tenth of it.
        resumed: a run goes on: `restore` brings the gains that it has recorded.

    Attributes:
        stock_gains: by slot, the factor that the criterion which was checked puts on the loss.
        stock_losses: by slot, the loss that this criterion has without a plug; None: none is known for rows alone.
        leaving: what takes it out; kept here, or a context that nobody keeps would end when it is collected.
    """

    def __init__(self, spec: Spec, bound: bool = False, image_size: float = IMAGE_SIZE, resumed: bool = False) -> None:
        self.spec = spec
        self.bound = bound
        self.token = uuid.uuid4().hex
        match_gain = spec.gain == "match"
        match_overlap = spec.assigner == "match"
        box, cls, dfl, mask, sem, keypoint = (partial(spec.build, slot) for slot in SLOTS)
        self.box = BoxSlot(box, match_gain, self.token, image_size, match_overlap, resumed) if spec.box else None
        alone = self.box.matched_alone() if self.box is not None and match_gain else ""
        self.cls = ClassSlot(cls, match_gain, self.token, resumed, alone) if spec.cls else None
        self.dfl = DflSlot(dfl, self.token) if spec.dfl else None
        self.mask = MaskSlot(mask, self.token) if spec.mask else None
        self.sem = SemSlot(sem, self.token) if spec.sem else None
        self.keypoint = KeypointSlot(keypoint, self.token) if spec.keypoint else None
        self.report = Report()
        for slot in self.slots:
            setattr(self.report, slot.name, slot.calls)
        self.guard = Guard() if spec.nan_guard else None
        for slot in self.slots:
            slot.guard = self.guard
            slot.beside = [other for other in self.slots if other is not slot]
        self.leaving: ExitStack | None = None
        self.stock_losses: dict[str, Stock | None] = {}
        self.stock_gains: dict[str, float] = {}
        self._models: list[weakref.ref[nn.Module]] = []
        self._parts: list[tuple[Family, weakref.ref[Any]]] = []
        self._criteria = 0
        self._proven: set[tuple[type, ...]] = set()

    @property
    def slots(self) -> list[Slot]:
        """The slots in use."""
        return [slot for slot in (getattr(self, name) for name in SLOTS) if slot is not None]

    def slot(self, name: str) -> Slot | None:
        """The slot of that name, if a loss was asked for there."""
        return next((slot for slot in self.slots if slot.name == name), None)

    @property
    def names(self) -> str:
        """For messages: "box loss eiou and cls loss quality_focal"."""
        return " and ".join(f"{slot.name} loss {slot.loss_name}" for slot in self.slots)

    # --- whose losses it computes --------------------------------------------------------------------------------

    def bind(self, model: nn.Module) -> None:
        """Serve the criteria of a model, the one it has and those it will build; its copies, as the EMA, likewise.

        Raises:
            TypeError: it is no model of Ultralytics.
            ValueError: the model has a plug.
            UnsupportedUltralytics: the criterion that it has cannot be served.
        """
        parts = model.modules() if isinstance(model, nn.Module) else ()
        models = [part for part in parts if hasattr(type(part), "init_criterion")]
        if not models:
            came = f"model={shown(model)} has no criterion"
            remedy = "pass YOLO(...), or its model"
            raise refusal("ultralytics adapter", came, "a model of Ultralytics", remedy, TypeError)
        for part in models:
            if owners.owner(part) not in (None, self):
                came = f"the losses of model={type(part).__name__} are plugged by another context or training"
                raise refusal("ultralytics adapter", came, "one plug for each model", "leave the other context first")
        for part in models:
            marks.mark(part, self.token)
            self._models.append(weakref.ref(part))
            if getattr(part, "criterion", None) is not None:
                self.adopt(part.criterion, part)

    def adopt(self, criterion: Any, model: Any = None) -> None:
        """Serve a criterion; one of a kind that the checks before training have not seen is checked first.

        Args:
            criterion: the criterion.
            model: whose it is, where that is known.

        Raises:
            UnsupportedUltralytics: it computes no loss that could be replaced.
        """
        group = "" if self.bound else f"{self._criteria}."  # a model and its EMA copy share their running statistics
        self._criteria += 1
        family, parts = parts_of(criterion, self.slots, self.spec)
        if any(isinstance(getattr(part, "hyp", None), dict) for part in parts):
            came, remedy = (
                "model.args is a dict",
                "set model.args = get_cfg(), of ultralytics.cfg, before its first loss",
            )
            raise refusal("ultralytics adapter", came, "settings that have the gains as attributes", remedy)
        for slot in self.slots:
            slot.matches, slot.gain_name = family.matches, family.gain_of(slot)
        if self.sem is not None and model is not None:
            require_head(model)
        for index, part in enumerate(parts):
            if self.cls is not None or not self.bound:  # a context around this one may ask for the class loss
                family.put_in(part)
            for each in family.objects(part):
                marks.mark(each, self.token, f"{group}{index}")
            self.inherit(family, part)
        if self._proven and torch.is_grad_enabled() and probe.classes_of(criterion) not in self._proven:
            self.check(criterion)
            log(f"{type(criterion).__name__}, which this batch is trained with, verified on a fixed batch as well")

    def inherit(self, family: Family, part: Any) -> None:
        """Serve a part of a criterion whose own context has left, and put it back in the end."""
        self._parts.append((family, weakref.ref(part)))

    def release(self, heir: owners.Owner | None) -> None:
        """Take the marks off, and put the class losses back that were found.

        Args:
            heir: the context around this one, which serves the criteria from now on.
        """
        self.end_step()
        for model in filter(None, (each() for each in self._models)):
            _unmark(model)
        for family, reference in self._parts:
            part = reference()
            if part is None:
                continue
            for each in family.objects(part):
                _unmark(each)
            if isinstance(heir, Plug):
                heir.inherit(family, part)
            else:
                family.take_out(part)

    # --- proof ---------------------------------------------------------------------------------------------------

    def check(self, criterion: Any) -> int:
        """Feed fixed boxes and scores through every branch of a live criterion; the number of branches.

        Raises:
            UnsupportedUltralytics: a branch does not compute the plugged loss.
        """
        family, parts = parts_of(criterion, self.slots, self.spec)
        self.report.canary = {"stock": family.check_stock(parts[0])}
        self.stock_losses = {slot.name: family.stock(slot) for slot in self.slots}
        self.stock_gains = {slot.name: family.gain(parts[0], slot) for slot in self.slots}
        with ExitStack() as apart:  # what is computed beside the slot that is checked learns and counts as little
            for part, slot in itertools.product(parts, self.slots):
                apart.enter_context(set_apart(slot, part))
            for slot in self.slots:
                self.report.canary[slot.name] = [family.check(part, slot) for part in parts]
        self._proven.add(probe.classes_of(criterion))
        return len(parts)

    def expect(self, foreground: Tensor) -> None:
        """A branch was called in training: each slot should follow."""
        if self.guard is not None and torch.is_grad_enabled():
            self.guard.expect(foreground)
        for slot in self.slots if torch.is_grad_enabled() else ():
            slot.calls.expect(slot.due(foreground))

    def require_branch_call(self) -> None:
        """Raise LossNotUsed if a batch has passed and no branch of a criterion that belongs to this plug was called, or
        if none of those called has predictions that learn.
        """
        if all(slot.calls.branch_calls == 0 for slot in self.slots):
            raise LossNotUsed(
                f"a batch was trained and no criterion of the {self.names} was called: the stock loss was trained "
                "(does the model build a criterion of its own?)"
            )
        for slot in self.slots:
            slot.require_learners()

    def require_use(self) -> None:
        """Raise LossNotUsed unless the loss of every slot was called as often as expected, and received gradients."""
        for slot in self.slots:
            slot.require_use()

    # --- running statistics --------------------------------------------------------------------------------------

    def prepare(self, branches: int, device: torch.device) -> None:
        """Make the losses of all criterion branches, on every rank alike."""
        for slot in self.slots:
            slot.prepare(branches, device)

    def begin_epoch(self) -> None:
        """Count anew, and measure on the next batch how hard the losses pull, beside the stock losses."""
        if self.guard is not None:
            self.guard.begin_epoch()
        for slot in self.slots:
            slot.measure_next = True
            slot.calls.begin_epoch()

    def begin_step(self) -> None:
        """Before each batch: the calls on it make one update of the running statistics."""
        self.end_step()
        for slot in self.slots:
            slot.calls.begin_step()
        for loss in self._losses:
            loss.begin_step()

    @property
    def takes_progress(self) -> bool:
        """Whether a loss changes in the course of the training."""
        return any(loss.takes_progress for loss in self._losses)

    def set_progress(self, progress: float) -> None:
        """Tell the losses how much of the training is over, from 0 to 1."""
        for loss in self._losses:
            loss.set_progress(progress)

    def end_step(self) -> None:
        """After each batch, also one that was given up: nothing of it is kept."""
        if self.guard is not None:
            self.guard.let_go()

    def sync(self) -> None:
        """After each batch, on every rank: one state, made of the boxes of all ranks."""
        for slot in self.slots:
            slot.calls.end_step()
        sync_losses(self._losses)

    @property
    def _losses(self) -> list[Loss]:
        return [loss for slot in self.slots for loss in slot.losses]

    def state(self) -> dict[str, State]:
        """Running statistics by slot and branch, in plain types."""
        return {slot.name: slot.state() for slot in self.slots}

    def restore(self, stamp: dict[str, Any]) -> None:
        """Go on with the statistics and the matched gains of an earlier run."""
        report = stamp.get("report") or {}
        for slot in self.slots:
            slot.restore(stamp["state"].get(slot.name, {}))
            slot.restore_gain(report.get(slot.name) or {})


def _unmark(part: Any) -> None:
    """Take the mark off, unless it is that of another plug which is in."""
    if owners.owner(part) is None:
        marks.unmark(part)


@contextmanager
def plugged(spec: Spec, bound: bool = False, image_size: float = IMAGE_SIZE, resumed: bool = False) -> Iterator[Plug]:
    """Put the losses in; leaving, by return or by exception, puts back the very objects found.

    Args:
        spec: what was asked for.
        bound: serve the models that are given to `Plug.bind` alone.
        image_size: side of the training images in pixels.
        resumed: a run goes on, see `Plug`.

    Raises:
        UnsupportedUltralytics: this installation cannot be served for certain.
    """
    plug = Plug(spec, bound, image_size, resumed)
    probe.stock_forward(plug.box.kind if plug.box is not None else "box")
    seams.enter(plug)
    try:
        yield plug
    finally:
        around = owners.beside(plug)
        seams.leave(plug)
        plug.release(owners.context(plugs=around))
