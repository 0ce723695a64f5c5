"""Which part of a run its losses trained: what the work directory and the checkpoints tell, over resumes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mmengine
from mmengine.hooks import CheckpointHook
from mmengine.runner import EpochBasedTrainLoop, Runner

from loss_plugins.reports import beside

from .install import mmdet_versions
from .proof import Count
from .runs import RECORD_FILE
from .slots import LossSlot

#: the key in a checkpoint's meta that holds the same as the record in the work directory
STAMP = "loss_plugins"


@dataclass
class Record:
    """The iterations of a run.

    Attributes:
        losses: slot, head and loss of each as the model was built; schedules may set a loss_weight later.
        counts: by path, as all ranks last had them.
        by_epoch: whether the loop has epochs.
        run: the identity of the run, the same in its checkpoints and after each resume.
        iterations: the first of this part, from 1, and the last that is known; first - 1: none yet.
        epochs: likewise, of whole ones.
        earlier: the parts before this one.
        measured: by path, what a loss was compared with, and what that has shown.
    """

    losses: list[dict[str, Any]]
    counts: Mapping[str, Count] = field(default_factory=dict)
    by_epoch: bool = True
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    iterations: tuple[int, int] = (1, 0)
    epochs: tuple[int, int] = (1, 0)
    earlier: list[dict[str, Any]] = field(default_factory=list)
    measured: dict[str, dict[str, Any]] = field(default_factory=dict)

    def goes_on(self, stamp: Mapping[str, Any] | None, iteration: int, epoch: int) -> None:
        """Continue the run of a checkpoint.

        Args:
            stamp: what the checkpoint says; None: nothing, as others trained it.
            iteration: how many it has done.
            epoch: how many.
        """
        part = {"iterations": [1, iteration], "epochs": [1, epoch], "losses": []} if stamp is None else stamp
        kept = ("versions", "iterations", "epochs", "losses") if self.by_epoch else ("versions", "iterations", "losses")
        self.run = str((stamp or {}).get("run", self.run))
        self.earlier = [*(stamp or {}).get("earlier", ()), {key: part[key] for key in kept if key in part}]
        self.iterations, self.epochs = (iteration + 1, iteration), (epoch + 1, epoch)

    def reached(self, iteration: int | None = None, epoch: int | None = None) -> None:
        """So many iterations, or whole epochs, of the run are done."""
        self.iterations = (self.iterations[0], self.iterations[1] if iteration is None else iteration)
        self.epochs = (self.epochs[0], self.epochs[1] if epoch is None else epoch)

    def as_dict(self) -> dict[str, Any]:
        """Plain types, as stored in work directory and checkpoint."""
        counts = [self.counts.get(loss["where"], Count()) for loss in self.losses]
        return {
            "run": self.run,
            "versions": mmdet_versions(),
            "iterations": list(self.iterations),
            **({"epochs": list(self.epochs)} if self.by_epoch else {}),
            "losses": [
                {**loss, "calls": count.calls, "boxes": count.boxes, **self.measured.get(loss["where"], {})}
                for loss, count in zip(self.losses, counts, strict=True)
            ],
            "earlier": self.earlier,
        }

    def write(self, folder: Path) -> None:
        """Write loss_plugins.yaml."""
        with beside(folder / RECORD_FILE) as part:
            mmengine.dump(self.as_dict(), part, sort_keys=False)


def record_of(slots: Sequence[LossSlot], runner: Runner) -> Record:
    """The record of a training that begins."""
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    return Record([slot.describe() for slot in slots], by_epoch=by_epoch)


def saves_now(runner: Runner) -> bool:
    """Whether MMEngine saves a checkpoint after this iteration; only the main process will."""
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook) and not hook.by_epoch]
    return any(
        hook.every_n_train_iters(runner, hook.interval, hook.save_begin)
        or (hook.save_last and hook.is_last_train_iter(runner))
        for hook in hooks
    )
