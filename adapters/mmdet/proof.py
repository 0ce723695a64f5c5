"""Whether each loss was trained: calls and boxes of all ranks, and what is said where there were none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass

import torch
from mmengine.dist import all_reduce
from mmengine.runner import Runner
from torch import nn

from loss_plugins.errors import LossNotUsed

from .modules import PluggedLoss
from .slots import LossSlot

NO_BOXES = (
    "look whether the classes in metainfo are those of the annotation file (the usual cause), whether filter_cfg and "
    "the pipeline leave boxes, and whether the assigner finds positives among them"
)
PHASED = "its head calls it in another phase of the training"
INITIAL, FINAL = "initial_loss_cls", "loss_cls"  # slots of a head that changes from one to the other in `initial_epoch`


@dataclass(frozen=True)
class Count:
    """How often a loss was called, in all ranks together.

    Attributes:
        calls: with gradients on.
        boxes: rows in those calls.
        lessons: those of the calls that could update running statistics.
    """

    calls: int = 0
    boxes: int = 0
    lessons: int = 0


def counted(slots: Sequence[LossSlot]) -> dict[str, Count]:
    """The count of each loss by its path, summed over ranks: each of them has to pass here."""
    losses = [slot.loss for slot in slots]
    own = [(loss.calls, loss.rows, loss.lessons) if isinstance(loss, PluggedLoss) else (0, 0, 0) for loss in losses]
    numbers = torch.tensor(own, dtype=torch.int64)
    all_reduce(numbers)
    return {slot.path: Count(*row) for slot, row in zip(slots, numbers.tolist(), strict=True)}


class Proof:
    """The losses of a training that were not seen at work yet; as all ranks have the same counts, they raise together.

    Args:
        model: the detector.
        slots: where its losses are.
        allow: paths of losses that need not be called.
        first: the iterations that were done before this training.
        phased: paths of losses that were seen to be called in some phases of the training only.
    """

    def __init__(
        self,
        model: nn.Module,
        slots: Iterable[LossSlot],
        allow: Iterable[str],
        first: int,
        phased: Iterable[str] = (),
    ) -> None:
        self.phased = frozenset(phased)
        excused = frozenset(allow)
        self.model, self.first = model, first
        self.unseen = {slot.path: slot for slot in slots if slot.path not in excused}
        self.said: set[tuple[str, str]] = set()

    def judge(self, counts: Mapping[str, Count], runner: Runner, epoch: int) -> None:
        """Raise LossNotUsed if no rank has called a loss, and nothing excuses it.

        Args:
            counts: by path, of all ranks.
            runner: the training.
            epoch: the one that was trained last, from 0.
        """
        idle = self.idle(counts, runner, epoch)
        if idle:
            names = ", ".join(f"{slot.key} ({slot.name})" for slot in idle)
            raise LossNotUsed(
                f"after {runner.iter - self.first} iterations no head has called {names}: either no image of the data "
                "set has a box, or this head ignores the key: put the loss into a key that the head reads, or write "
                f"allow={[slot.path for slot in idle]} in LossPluginsHook if it is called later"
            )

    def glance(self, counts: Mapping[str, Count], runner: Runner, epoch: int) -> None:
        """As `judge`; but until the data were passed once, a loss that was not called is only warned of."""
        if self._passed(runner):
            self.judge(counts, runner, epoch)
            return
        for slot in self.idle(counts, runner, epoch):
            text = f"no head has called it in {runner.iter - self.first} iterations; an error once each image was seen"
            self._say(slot, "idle", text, runner)

    def close(self, counts: Mapping[str, Count], runner: Runner, epoch: int) -> None:
        """At the end of the training, warn once more of the losses that have trained nothing."""
        self.said.clear()
        self.idle(counts, runner, epoch)

    def idle(self, counts: Mapping[str, Count], runner: Runner, epoch: int) -> list[LossSlot]:
        """The losses that no rank has called, without excuse; those seen at work are crossed off, others warned of."""
        found = []
        for path, slot in list(self.unseen.items()):
            count, teacher = counts[path], untrained(self.model, slot)
            phase = later(slot, epoch) or (PHASED if path in self.phased and not tells_phase(slot) else "")
            if count.boxes:
                self.unseen.pop(path)
                self._warn_of_start(slot, count, runner)
            elif count.calls:
                text = f"called {count.calls} times on 0 boxes, so it has trained nothing: {NO_BOXES}"
                self._say(slot, "boxes", text, runner)
            elif teacher:
                self.unseen.pop(path)
                runner.logger.info(f"loss_plugins: {slot.key} ({slot.name}) is not trained: {teacher}")
            elif phase:
                self._say(slot, "later", f"not called yet: {phase}", runner)
            else:
                found.append(slot)
        return found

    def _passed(self, runner: Runner) -> bool:
        loader = runner.train_dataloader
        return isinstance(loader.dataset, Sized) and runner.iter - self.first >= len(loader)

    def _say(self, slot: LossSlot, about: str, text: str, runner: Runner) -> None:
        """Warn, once of each."""
        if (slot.path, about) not in self.said:
            self.said.add((slot.path, about))
            runner.logger.warning(f"loss_plugins: {slot.key} ({slot.name}): {text}")

    def _warn_of_start(self, slot: LossSlot, count: Count, runner: Runner) -> None:
        if isinstance(slot.loss, PluggedLoss) and slot.loss.is_stateful and not count.lessons:
            runner.logger.warning(
                f"loss_plugins: {slot.key}: the running statistics of {slot.name} stay at their start, as "
                f"{type(slot.head).__name__} only asks for losses per row (reduction_override='none')"
            )


def untrained(model: nn.Module, slot: LossSlot) -> str:
    """Why the copy of a detector that holds this head is not trained, as a teacher; "": it is."""
    head = slot.path.removesuffix(slot.slot).removesuffix(".")
    path = head.rpartition(".")[0]
    if not path:  # the detector itself
        return ""
    holder = model.get_submodule(path)
    parameters = list(holder.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        return f"no parameter of model.{path} requires a gradient"
    return "" if holder.training else f"model.{path} is in evaluation mode during the training"


def tells_phase(slot: LossSlot) -> bool:
    """Whether the head has an attribute by which its phases can be told, see `later`."""
    return hasattr(slot.head, "use_l1") or hasattr(slot.head, "initial_epoch")


def later(slot: LossSlot, epoch: int) -> str:
    """Why the head has no use for this loss in an epoch (from 0); "": it has one."""
    head = type(slot.head).__name__
    if slot.slot == "loss_l1" and not getattr(slot.head, "use_l1", True):
        return f"{head} adds its L1 once YOLOXModeSwitchHook sets use_l1, in the last epochs"
    change = getattr(slot.head, "initial_epoch", None)
    if change is not None and slot.slot == (FINAL if epoch < change else INITIAL):
        return f"{head} calls {INITIAL} in the first initial_epoch={change} epochs, and {FINAL} afterwards"
    return ""
