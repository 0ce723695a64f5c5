"""The hook that proves which losses were trained, and leads the steps of their running statistics over ranks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.hooks import RemovableHandle

from loss_plugins.errors import LossNotUsed, check_type, closest, in_our_words, refusal, shown
from loss_plugins.module.state import sync_losses
from loss_plugins.registry import HOOKS

from .box_modules import BoxLoss
from .image_size import follow_batches, tell_size
from .inspection import Inspection, inspect
from .longtail import tell_classes
from .lost_hooks import in_words, lost_hooks
from .modules import PluggedLoss, SenselessSlot
from .proof import Proof, counted
from .ratio import Ratios
from .record import STAMP, Record, record_of, saves_now
from .resuming import check_resumed
from .slots import LossSlot


@in_our_words
class LossPluginsHook(Hook):  # type: ignore[misc]
    """Log which slots hold losses of loss_plugins, refuse slots they do not fit, and assert that each loss is called.

    default_hooks = dict(loss_plugins=dict(type="loss_plugins.LossPluginsHook"))

    A dict merges with that of a `_base_`; the list `custom_hooks` would replace the base's, whose EMA is lost then.

    Args:
        allow: paths or config keys ("bbox_head.loss_bbox") whose problems, and differences to a resumed checkpoint,
            are only warned of, and which need not be called.
        canary: whether to call `loss` of a copy of the model on two made-up images before training, which shows what
            each loss is handed. That takes some seconds; without it only what needs no call is looked at.
        measure_gain: whether to log, before training, the `loss_weight` with which each loss pulls as hard as the one
            that its head has by default, on a fixed set, and after each epoch the gradient of ours over that of the
            other in one call of the epoch, which is also a scalar of the visualizer and in `loss_plugins.yaml`.

    Raises:
        SenselessSlot: before training, naming each config key to set.
        LossNotUsed: no loss of loss_plugins in the model; or, after the first epoch (in loops without epochs, after the
            data were passed once), one that no head of any rank has called.
        ValueError: before training, a path in `allow` where no loss of loss_plugins is; the checkpoint of a resumed run
            was trained with other losses. While training, a batch whose images have another size than `image_size`.

    A copy that is not trained, as a teacher, and a loss of a later phase of its head need not be called.

    A loss that takes `image_size` (MPDIoU) gets that of each batch, as the network sees it, if the config gives none.

    Writes `loss_plugins.yaml` into the work directory: versions, slots, full specifications, calls and boxes of all
    ranks, iterations and epochs, and the same of the parts before a resume. The checkpoint carries it in
    `meta["loss_plugins"]`. Stateful losses learn once per iteration, and are synced after each.
    """

    def __init__(self, allow: Iterable[str] = (), canary: bool = True, measure_gain: bool = False) -> None:
        paths = (None,) if isinstance(allow, str) or not isinstance(allow, Iterable) else tuple(allow)
        if not all(isinstance(path, str) for path in paths):
            remedy = "write allow=['bbox_head.loss_bbox']"
            raise refusal(
                "LossPluginsHook", f"allow={shown(allow)} is no list of text", "a list of paths", remedy, TypeError
            )
        check_type("LossPluginsHook", "canary", canary, bool)
        self.allow = frozenset(str(path).removeprefix("model.") for path in paths)
        check_type("LossPluginsHook", "measure_gain", measure_gain, bool)
        self.canary, self.measure_gain = canary, measure_gain
        self.slots: list[LossSlot] = []
        self.loaded: dict[str, Any] | None = None
        self.epoch = 0  # the one that was trained last
        self.record: Record
        self.proof: Proof
        self.ratios = Ratios()
        self.following: RemovableHandle | None = None

    def before_run(self, runner: Runner) -> None:
        """Tell the losses how many classes there are, before their state is copied or loaded."""
        tell_classes(runner.model.module if is_model_wrapper(runner.model) else runner.model)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep what a checkpoint says of itself; before training it is known whether the run goes on from it."""
        self.loaded = dict(checkpoint.get("meta") or {})

    def before_train(self, runner: Runner) -> None:
        """Find the losses, refuse misplaced ones and those of another run, log the rest and write the record."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        found = inspect(model, runner.cfg.get("model"), self.canary)
        self.slots = found.slots
        if not self.slots:
            raise LossNotUsed(
                "LossPluginsHook found no loss of loss_plugins in the model: write the scope, "
                "type='loss_plugins.EIoULoss' (an unscoped name is MMDetection's own), or take the hook out"
            )
        for slot in self.slots:
            runner.logger.info(f"loss_plugins: {slot.key} of {type(slot.head).__name__}: {slot.loss.spec()}")
        self.refuse(runner, found)
        self.warn_of_lost_hooks(runner)
        self.record = record_of(self.slots, runner)
        if self.loaded is not None and runner.iter > 0:  # weights alone (load_from) begin at 0
            stamp = check_resumed(self.slots, self.loaded, runner, self.allow)
            self.record.goes_on(stamp, runner.iter, runner.epoch)
        self.ratios = Ratios()
        if self.measure_gain:
            self.ratios.start(self.slots, runner, self.record)
        self.proof = Proof(model, self.slots, self.allow, runner.iter, found.phased)
        self.write(runner)
        self.follow(model)

    def follow(self, model: nn.Module | None) -> None:
        """Tell the losses of a model the size of the images of each batch; None: do so no longer."""
        if self.following is not None:
            self.following.remove()
        self.following = None if model is None else follow_batches(model, self.allow)

    def refuse(self, runner: Runner, found: Inspection) -> None:
        """Raise one error that names every misplaced loss; only warn of those in `allow`, and of what is not known."""
        self.resolve_allowed()
        for each in found.findings:
            if each.slot.path in self.allow:
                runner.logger.warning(f"loss_plugins: allowed: {each.slot.key}: {each.message}")
        odd = [each for each in found.slots if each.path in found.scales.keys() - self.allow]
        for message in [*found.warnings, *(f"{each.key}: {found.scales[each.path]}" for each in odd)]:
            runner.logger.warning(f"loss_plugins: {message}")
        refused = [
            f"{each.slot.key} ({each.slot.name}): {each.message}"
            for each in found.findings
            if each.slot.path not in self.allow
        ]
        if refused:
            raise SenselessSlot("\n".join(refused))
        for slot in self.slots:
            if slot.path in self.allow and isinstance(slot.loss, BoxLoss):
                slot.loss.targets_seen = slot.loss.odd_named = True  # allowed to get what it gets

    def resolve_allowed(self) -> None:
        """Take `allow` for all losses of the config keys that it names; raise for one where no loss is."""
        keys = {slot.path: slot.key.removeprefix("model.") for slot in self.slots}
        unknown = sorted(self.allow - {*keys, *keys.values()})
        if unknown:
            came = f"allow={unknown} names no loss of loss_plugins"
            raise refusal("LossPluginsHook", came, ", ".join(sorted(keys)), closest(unknown[0], keys))
        named = {keys.get(each, each) for each in self.allow}
        self.allow = frozenset(path for path, key in keys.items() if key in named)

    def warn_of_lost_hooks(self, runner: Runner) -> None:
        """Name the hooks of a base that the list with this hook has replaced."""
        lost = lost_hooks(runner.cfg) if is_main_process() else []
        if lost:
            runner.logger.warning(f"loss_plugins: {in_words(lost)}")

    def before_train_epoch(self, runner: Runner) -> None:
        """Measure the gain in one of its calls."""
        self.ratios.begin()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """One update of running statistics per iteration, however often a head calls its loss."""
        for loss in self.losses:
            loss.steps.lead(loss.loss)
            if loss.loss.takes_progress:
                loss.loss.set_progress(min(runner.iter / runner.max_iters, 1.0))

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Make the ranks agree on the statistics: MMDetection's data parallelism leaves buffers alone."""
        sync_losses(self.losses)
        self.epoch = runner.epoch
        self.record.reached(iteration=runner.iter + 1)
        if saves_now(runner):
            self.count(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        """In loops without epochs, assert once the data were passed that each loss was called."""
        if self.slots:  # not a validation alone
            self.count(runner)
            self.proof.glance(self.record.counts, runner, self.epoch)

    def after_train_epoch(self, runner: Runner) -> None:
        """Assert that each loss was called."""
        self.record.reached(epoch=runner.epoch + 1)
        self.ratios.report(runner, self.record, runner.epoch + 1)
        self.count(runner)
        self.proof.judge(self.record.counts, runner, self.epoch)

    def after_train(self, runner: Runner) -> None:
        """Log and write how often each loss was called."""
        self.count(runner)
        self.proof.close(self.record.counts, runner, self.epoch)
        for slot in self.slots:
            count = self.record.counts[slot.path]
            runner.logger.info(
                f"loss_plugins: {slot.key}: {slot.name} called {count.calls} times on {count.boxes} boxes"
            )
        for loss in self.losses:
            loss.steps.leave(loss.loss)
        self.follow(None)
        self.ratios.end()
        for slot in self.slots:
            tell_size(slot.loss, None)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Write into the checkpoint which losses trained it, in plain types."""
        if self.slots:
            checkpoint.setdefault("meta", {})[STAMP] = self.record.as_dict()

    @property
    def losses(self) -> list[PluggedLoss]:
        """The losses of `slots`, without bare core modules, which `allow` may let pass."""
        return [slot.loss for slot in self.slots if isinstance(slot.loss, PluggedLoss)]

    def count(self, runner: Runner) -> None:
        """Sum calls and boxes over ranks, each of which has to pass here, and write the record."""
        self.record.counts = counted(self.slots)
        self.write(runner)

    def write(self, runner: Runner) -> None:
        """Write loss_plugins.yaml into the work directory."""
        if is_main_process():
            self.record.write(Path(runner.work_dir))


if "LossPluginsHook" not in HOOKS.module_dict:  # imported again, or under a second name
    HOOKS.register_module(module=LossPluginsHook)
