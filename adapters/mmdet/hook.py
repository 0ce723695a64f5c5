"""The hook that proves which losses were trained, and syncs their running statistics over ranks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mmengine
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from loss_plugins.errors import LossNotUsed, in_our_words, refusal, shown
from loss_plugins.module.state import sync_losses
from loss_plugins.registry import HOOKS
from loss_plugins.reports import beside

from .install import mmdet_versions
from .modules import PluggedLoss, SenselessSlot
from .slots import LossSlot, find_losses, problems

YAML = "loss_plugins.yaml"
LATE = {"loss_l1"}  # slots that may stay uncalled: YOLOX adds its L1 in the last epochs


@in_our_words
class LossPluginsHook(Hook):  # type: ignore[misc]
    """Log which slots hold losses of loss_plugins, refuse slots they do not fit, and assert that each loss is called.

    Args:
        allow: paths ("bbox_head.loss_bbox") whose problems are only warned of, and which need not be called.

    Raises:
        SenselessSlot: before training, naming each config key to set.
        LossNotUsed: no loss of loss_plugins in the model; or, after the first epoch (in loops without epochs, before
            the first validation), one that no head has called.

    Writes `loss_plugins.yaml` into the work directory: versions, slots, full specifications, calls and boxes. The
    checkpoint carries the specifications in `meta["loss_plugins"]`. Stateful losses are synced after each iteration.
    """

    def __init__(self, allow: Iterable[str] = ()) -> None:
        paths = (None,) if isinstance(allow, str) or not isinstance(allow, Iterable) else tuple(allow)
        if not all(isinstance(path, str) for path in paths):
            remedy = "write allow=['bbox_head.loss_bbox']"
            raise refusal(
                "LossPluginsHook", f"allow={shown(allow)} is no list of text", "a list of paths", remedy, TypeError
            )
        self.allow = frozenset(paths)
        self.slots: list[LossSlot] = []
        self.proven = False

    def before_train(self, runner: Runner) -> None:
        """Find the losses, refuse misplaced ones, log the rest and write the record."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self.slots = find_losses(model)
        if not self.slots:
            raise LossNotUsed(
                "LossPluginsHook found no loss of loss_plugins in the model: write the scope, "
                "type='loss_plugins.EIoULoss' (an unscoped name is MMDetection's own), or take the hook out"
            )
        for slot in self.slots:
            runner.logger.info(f"loss_plugins: {slot.key} of {type(slot.head).__name__}: {slot.loss.spec()}")
        self.refuse(runner)
        self.write(runner)

    def refuse(self, runner: Runner) -> None:
        """Raise one error that names every misplaced loss; only warn of those in `allow`."""
        found = [(slot, message) for slot in self.slots for message in problems(slot)]
        for slot, message in found:
            if slot.path in self.allow:
                runner.logger.warning(f"loss_plugins: allowed: {slot.key}: {message}")
        refused = [f"{slot.key} ({slot.name}): {message}" for slot, message in found if slot.path not in self.allow]
        if refused:
            raise SenselessSlot("\n".join(refused))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """One update of running statistics per iteration, however often a head calls its loss."""
        for loss in self.losses:
            loss.loss.begin_step()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Make the ranks agree on the statistics: MMDetection's data parallelism leaves buffers alone."""
        sync_losses(self.losses)

    def before_val_epoch(self, runner: Runner) -> None:
        """In loops without epochs, assert before the first validation that each loss was called."""
        if runner.iter > 0:
            self.prove(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Assert that each loss was called."""
        self.prove(runner)
        self.write(runner)

    def after_train(self, runner: Runner) -> None:
        """Log and write how often each loss was called."""
        self.write(runner)
        for slot, loss in zip(self.slots, self.losses, strict=True):
            runner.logger.info(f"loss_plugins: {slot.key}: {slot.name} called {loss.calls} times on {loss.rows} boxes")

    def prove(self, runner: Runner) -> None:
        """Raise if a loss was never called; done once."""
        if self.proven or not self.slots:
            return
        called = {slot.path for slot, loss in zip(self.slots, self.losses, strict=True) if loss.calls}
        excused = self.allow | called | {slot.path for slot in self.slots if slot.slot in LATE}
        idle = [f"{slot.key} ({slot.name})" for slot in self.slots if slot.path not in excused]
        if idle:
            raise LossNotUsed(
                f"after {runner.iter} iterations no head has called {', '.join(idle)}: either no image of the data set "
                "has a box, or this head ignores the key"
            )
        self.proven = True
        for slot, loss in zip(self.slots, self.losses, strict=True):
            if loss.is_stateful and not loss.lessons:
                runner.logger.warning(
                    f"loss_plugins: {slot.key}: the running statistics of {slot.name} stay at their start, as "
                    f"{type(slot.head).__name__} only asks for losses per row (reduction_override='none')"
                )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Write into the checkpoint which losses trained it, in plain types."""
        checkpoint.setdefault("meta", {})["loss_plugins"] = [slot.describe() for slot in self.slots]

    @property
    def losses(self) -> list[PluggedLoss]:
        """The losses of `slots`; bare core modules among them were refused before training."""
        return [slot.loss for slot in self.slots if isinstance(slot.loss, PluggedLoss)]

    def write(self, runner: Runner) -> None:
        """Write loss_plugins.yaml into the work directory."""
        if not is_main_process():
            return
        record = [
            {**slot.describe(), "calls": loss.calls, "boxes": loss.rows}
            for slot, loss in zip(self.slots, self.losses, strict=True)
        ]
        with beside(Path(runner.work_dir) / YAML) as part:
            mmengine.dump({"versions": mmdet_versions(), "losses": record}, part, sort_keys=False)


if "LossPluginsHook" not in HOOKS.module_dict:  # imported again, or under a second name
    HOOKS.register_module(module=LossPluginsHook)
