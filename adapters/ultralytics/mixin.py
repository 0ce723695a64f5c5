# SPDX-License-Identifier: AGPL-3.0-or-later
"""What makes an Ultralytics trainer train with plugged losses, prove it, and raise if they were not used."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import ultralytics
import yaml
from ultralytics.nn.tasks import guess_model_task
from ultralytics.utils import RANK

import loss_plugins
from loss_plugins.errors import LossNotUsed, refusal, shown
from loss_plugins.module.image_size import given_sizes
from loss_plugins.reports import write_whole

from . import bases, own, probe, ratio
from .box_slot import BoxSlot
from .errors import UnsupportedUltralytics
from .functions import changed, functions_of, renamed
from .loss_plot import LossPlot, ratio_column
from .plug import Plug, plugged
from .prompts import require_lasting_classes
from .record import PROOF_FILE, STAMP, Record, read_stamp, write_comment
from .resuming import require_unfinished
from .slot_table import SLOTS
from .slots import log, non_defaults
from .spec import Spec, differences
from .sweeps import not_passed_over

ENVIRONMENT = "LOSS_PLUGINS_ULTRALYTICS"
#: ClearML, Comet and Ultralytics' platform read the settings at the first event, W&B and MLflow at the second, DVC last
LOGGERS_READ_SETTINGS = ("on_pretrain_routine_start", "on_pretrain_routine_end", "on_train_start")
#: what Ultralytics calls the task of a model that has another trainer; one of YOLOE trains masks if the model has them
SEEN_AS = {"world": ("detect",), "yoloe": ("detect", "segment"), "yoloe-seg": ("segment",)}
OVERRIDDEN_METHODS = (
    "_do_train",
    "_setup_train",
    "setup_model",
    "preprocess_batch",
    "validate",
    "save_metrics",
    "resume_training",
    "save_model",
    "plot_metrics",
    "run_callbacks",
    "train",
)


class LossPluginMixin:
    """Makes an Ultralytics trainer train with the losses of a spec, prove it, and raise if they were not used."""

    loss_plot: LossPlot | None = None

    def __init__(self, *args: Any, loss_spec: Spec | None = None, **kwargs: Any) -> None:
        text = os.environ.get(ENVIRONMENT)
        if loss_spec is None and text is None:
            raise LossNotUsed(
                f"{type(self).__name__} was started without a loss: neither lpu.trainer(...) nor ${ENVIRONMENT} "
                "says which one to use"
            )
        self.loss_spec = loss_spec if loss_spec is not None else Spec.from_json(str(text))
        self.loss_plug: Plug | None = None
        self.loss_record = Record()
        check_trainer(type(self))
        if kwargs.get("overrides"):
            kwargs["overrides"] = without_losses(kwargs["overrides"], self.loss_spec)
            require_unfinished(kwargs["overrides"])
        super().__init__(*args, **kwargs)
        if RANK in {-1, 0}:
            write_comment(Path(self.save_dir) / "args.yaml", self.loss_spec)  # type: ignore[attr-defined]

    def train(self) -> Any:
        """Train; processes that training starts (one per GPU) find the spec in the environment."""
        with not_passed_over():
            return self._train()

    def _train(self) -> Any:
        if getattr(self, "ddp", False):
            check_imports(self.loss_spec)
            bases.check_importable(type(self))
        with in_environment(self.loss_spec.to_json() if getattr(self, "ddp", True) else None):
            result = super().train()  # type: ignore[misc]
        if not getattr(self, "ddp", False):  # with several GPUs each child proves itself
            self._prove_at_end()
        return result

    def _do_train(self, *args: Any, **kwargs: Any) -> Any:
        imgsz = self.args.imgsz  # type: ignore[attr-defined]
        side = max(imgsz) if isinstance(imgsz, (list, tuple)) else imgsz
        resumed = bool(getattr(self, "resume", False))
        with plugged(self.loss_spec, bound=True, image_size=side, resumed=resumed) as plug:
            self.loss_plug = plug
            if plug.box is not None and given_sizes(plug.box.asked.spec()):
                self._require_image_size(plug.box, imgsz if isinstance(imgsz, (list, tuple)) else [imgsz, imgsz])
            return super()._do_train(*args, **kwargs)  # type: ignore[misc]

    def _require_image_size(self, box: BoxSlot, size: Sequence[int]) -> None:
        varies = getattr(self.args, "multi_scale", 0)  # type: ignore[attr-defined]
        if varies:
            came = f"an image_size was given, and multi_scale={varies} changes that of each batch"
            raise refusal(box.loss_name, came, "no image_size", "leave image_size out: the trainer knows it")
        box.require_size(size, "the trainer's imgsz is")

    def setup_model(self, *args: Any, **kwargs: Any) -> Any:
        """Make the model; the criteria of it and of its copies, as the EMA, belong to this training's plug."""
        result = super().setup_model(*args, **kwargs)  # type: ignore[misc]
        check_task(type(self), bare(self.model))  # type: ignore[attr-defined]
        self._plug.bind(bare(self.model))  # type: ignore[attr-defined]
        return result

    def _setup_train(self, *args: Any, **kwargs: Any) -> Any:
        result = super()._setup_train(*args, **kwargs)  # type: ignore[misc]
        plug = self._plug
        require_lasting_classes(self.train_loader.dataset, plug.slots)  # type: ignore[attr-defined]
        model = learner(self.model)  # type: ignore[attr-defined]
        criterion = getattr(model, "criterion", None) or model.init_criterion()
        parts = [SLOTS[slot.name].attribute for slot in plug.slots]
        bases.check_criterion([criterion, *probe.find_branches(criterion)], parts)
        branches = plug.check(criterion)
        plug.prepare(branches, self.device)  # type: ignore[attr-defined]
        for slot in plug.slots:
            values = ", ".join(f"{value:.5f}" for value in plug.report.canary[slot.name])
            matched = f" x {slot.calls.gain:.3g}, matched" if slot.calls.norms else ""
            assigned = f", assigner {self.loss_spec.assigner}" if slot.name == "box" else ""
            log(
                f"{slot.name} loss {slot.loss_name} {non_defaults(slot.prototype)}in {branches} criterion branch(es), "
                f"gain {plug.stock_gains[slot.name]:g}{matched}{assigned}; verified on a fixed batch: {values}"
            )
        self._write_proof()
        if RANK in {-1, 0} and self.args.plots:  # type: ignore[attr-defined]
            self.loss_plot = LossPlot(plug, Path(self.save_dir))  # type: ignore[attr-defined]
            log(f"plotting the losses to {self.loss_plot.file}")
            self._plot_losses()
        return result

    def resume_training(self, ckpt: Any) -> Any:
        """Resume, after checking that the checkpoint was trained with the same losses."""
        if ckpt is not None and self.resume and ckpt.get("epoch", -1) >= 0:  # type: ignore[attr-defined]
            stamp = getattr(ckpt.get("ema"), STAMP, None)
            if stamp is None:
                came = f"the checkpoint was trained with the stock loss, and {self._plug.names} was asked for"
                remedy = "resume with the stock trainer, or start a new run from these weights"
                raise refusal("resume", came, "a checkpoint of the same losses", remedy)
            stamp = read_stamp(stamp, "the checkpoint")
            trained, now = stamp.get("functions", {}), functions_of(self._plug.slots)
            different = differences(renamed(stamp["losses"], trained, now), self.loss_spec.as_dict())
            different += changed(trained, now)
            if different:
                came = f"the checkpoint was trained with other losses: {'; '.join(different)}"
                keys = " and ".join(SLOTS[slot.name].shell for slot in self._plug.slots)
                remedy = f"pass the same, or config='.../{PROOF_FILE}' of that run (on the shell leave {keys} out)"
                raise refusal("resume", came, "the losses of the checkpoint", remedy)
            self._plug.restore(stamp)
            self.loss_record = Record.resumed(stamp, first=ckpt["epoch"] + 2)
        return super().resume_training(ckpt)  # type: ignore[misc]

    def preprocess_batch(self, batch: Any) -> Any:
        """Move a batch to the device, and hand it to the guard against NaN."""
        batch = super().preprocess_batch(batch)  # type: ignore[misc]
        epoch = getattr(self, "epoch", None)  # there is none yet where batches calibrate a quantized model
        if self._plug.guard is not None and epoch is not None:
            self._plug.guard.begin(batch, epoch + 1, Path(self.save_dir))  # type: ignore[attr-defined]
        return batch

    def save_model(self, *args: Any, **kwargs: Any) -> Any:
        """Save, with a stamp of plain types on the EMA model that names the losses which trained it."""
        for model in (bare(self.ema.ema), learner(self.ema.ema)):  # type: ignore[attr-defined]
            setattr(model, STAMP, self._stamp())
        return super().save_model(*args, **kwargs)  # type: ignore[misc]

    def run_callbacks(self, event: str) -> Any:
        """Keep the running statistics in step with the batches, and check after each epoch that the losses were used.

        Every rank passes here. Gradients may be accumulated over several batches; the statistics learn from each.
        """
        if event == "on_train_epoch_start":
            self._plug.begin_epoch()  # out of memory, an epoch begins again
        elif event == "on_train_batch_start":
            self._plug.begin_step()
            if self._plug.takes_progress:
                self._plug.set_progress(min(self.epoch / self.epochs, 1.0))  # type: ignore[attr-defined]
        elif event == "on_train_batch_end":
            self._plug.sync()
            self._plug.require_branch_call()
            if self._plug.guard is not None:
                self._plug.guard.require_finite_sum(self.loss_items, self.loss_names)  # type: ignore[attr-defined]
            self._plug.end_step()
        elif event == "on_train_epoch_end":
            self._plug.sync()  # a time limit stops between the last batch and its end
            self._plug.end_step()
            self._plug.require_use()
            self.loss_record.last = self.epoch + 1  # type: ignore[attr-defined]
            self._log_epoch()
            self._write_proof()
        elif event == "on_fit_epoch_end" and self.loss_plot and (self.epoch + 1).bit_count() == 1:  # type: ignore[attr-defined]
            self._plot_losses()  # after epochs 1, 2, 4, 8 ...: the checkpoint is saved by now
        if event in LOGGERS_READ_SETTINGS:
            return self._tell_loggers(event)
        return super().run_callbacks(event)  # type: ignore[misc]

    def _tell_loggers(self, event: str) -> Any:
        """The losses are among the settings while loggers read them, and only then.

        A lasting key would reach checkpoints and the processes of several GPUs, which refuse unknown keys.
        """
        self.args.loss_plugins = self.loss_spec.as_dict()  # type: ignore[attr-defined]
        try:
            return super().run_callbacks(event)  # type: ignore[misc]
        finally:
            del self.args.loss_plugins  # type: ignore[attr-defined]

    @property
    def _plug(self) -> Plug:
        if self.loss_plug is None:
            raise LossNotUsed(
                f"{type(self).__name__} trained without passing through _do_train: the losses "
                f"{self.loss_spec.as_dict()} were never plugged in"
            )
        return self.loss_plug

    def _stamp(self) -> dict[str, Any]:
        return {
            **self.loss_record.as_dict(),
            "losses": self.loss_spec.as_dict(),
            "report": self._plug.report.as_dict(),
            "functions": functions_of(self._plug.slots),
            "state": self._plug.state(),
            "versions": ultralytics_versions(),
        }

    def _write_proof(self) -> None:
        if RANK in {-1, 0}:
            file = Path(self.save_dir) / PROOF_FILE  # type: ignore[attr-defined]
            proof = {**self._stamp(), "seed": self.args.seed}  # type: ignore[attr-defined]
            write_whole(file, yaml.safe_dump(proof, sort_keys=False))

    def _log_epoch(self) -> None:
        for slot in self._plug.slots:
            for text in slot.news(ratio.counts(self.epoch + 1, self.epochs)):  # type: ignore[attr-defined]
                log(f"epoch {self.epoch + 1}: {text}")  # type: ignore[attr-defined]

    def validate(self, *args: Any, **kwargs: Any) -> Any:
        """Validate; the epoch's numbers of the losses stand beside the metrics, where loggers read them."""
        metrics, fitness = super().validate(*args, **kwargs)  # type: ignore[misc]
        return (metrics if metrics is None else {**metrics, **self._numbers()}), fitness

    def save_metrics(self, metrics: dict[str, Any]) -> Any:
        """Write a row of results.csv, the epoch's numbers of the losses last: also where nothing was validated."""
        numbers = self._numbers()
        others = {name: value for name, value in metrics.items() if name not in numbers}
        return super().save_metrics({**others, **numbers})  # type: ignore[misc]

    def _numbers(self) -> dict[str, float]:
        ratios = {slot.name: math.nan if slot.ratio is None else slot.ratio for slot in self._plug.slots}
        return {ratio_column(name): ratio for name, ratio in ratios.items()}

    def plot_metrics(self) -> Any:
        """Plot the columns of results.csv, and the losses."""
        result = super().plot_metrics()  # type: ignore[misc]
        self._plot_losses()
        return result

    def _plot_losses(self) -> None:
        if self.loss_plot is not None:
            self.loss_plot.draw(Path(self.csv))  # type: ignore[attr-defined]
            self.on_plot(self.loss_plot.file)  # type: ignore[attr-defined]

    def _prove_at_end(self) -> None:
        self._plug.require_use()
        self._write_proof()
        if RANK not in {-1, 0}:
            return
        for slot in self._plug.slots:
            log(f"{slot.outcome()} (proof in {Path(self.save_dir) / PROOF_FILE})")  # type: ignore[attr-defined]
            if slot.unfair():
                log(f"WARNING at the end of the training {slot.unfair()}")


def without_losses(settings: Mapping[str, Any], spec: Spec) -> dict[str, Any]:
    """The settings of a trainer without the section `losses` that a file has which `cfg=` names.

    Raises:
        ValueError: the section has other losses than the trainer.
    """
    losses = settings.get("losses")
    if losses is not None:
        different = differences(losses, spec.as_dict()) if isinstance(losses, Mapping) else [f"losses={shown(losses)}"]
        if different:
            came = f"cfg= and the trainer have different losses: in cfg= {'; '.join(different)}"
            remedy = "pass lpu.trainer(config=...) the same file, or one without `losses:` as cfg="
            raise refusal("trainer", came, "the losses of the trainer", remedy)
    return {key: value for key, value in settings.items() if key != "losses"}


def check_imports(spec: Spec) -> None:
    """Raise unless other processes can import the modules that register the losses.

    Raises:
        UnsupportedUltralytics: one of them is `__main__`, a script or a notebook.
    """
    if "__main__" in spec.imports:
        raise UnsupportedUltralytics(
            "a loss is registered in __main__, which the processes of several GPUs cannot import",
            "Move it to a module of its own, and import that",
        )
    lonely = [place for place in spec.imports if ":" in place and not own.importable(place)]
    if lonely:
        raise UnsupportedUltralytics(
            f"the box loss {lonely[0]} cannot be imported by the processes of several GPUs",
            "Define it at the top level of a module of its own, or register it there: @register_loss('my_loss')",
        )


@contextmanager
def in_environment(spec: str | None) -> Iterator[None]:
    """The spec where other processes find it; None: there are none."""
    before = os.environ.get(ENVIRONMENT)
    if spec is not None:
        os.environ[ENVIRONMENT] = spec
    try:
        yield
    finally:
        if spec is not None and before is None:
            del os.environ[ENVIRONMENT]
        elif spec is not None and before is not None:
            os.environ[ENVIRONMENT] = before


def bare(model: Any) -> Any:
    """The model inside the wrappers of DDP and torch.compile (Ultralytics' own helper changed its name)."""
    for wrapper in ("module", "_orig_mod"):
        model = getattr(model, wrapper, model)
    return model


def learner(model: Any) -> Any:
    """The model that learns, beside a teacher with `distill_model=`: it has the criterion, and is all that is kept."""
    model = bare(model)
    return getattr(model, "student_model", model)


def check_task(cls: type, model: Any) -> None:
    """Raise unless a trainer computes all losses of a model: a detection trainer would drop the loss of keypoints.

    Raises:
        ValueError: the model is one of another task.
    """
    task = "rtdetr" if decodes_queries(bare(model)) else guess_model_task(bare(model).yaml)
    ours = getattr(cls, "plugged_task", None)
    if ours is not None and task not in SEEN_AS.get(ours, (ours,)):
        came = f"task={ours!r}, and the model is one for {task!r}"
        raise refusal("trainer", came, "the task of the model", f"pass lpu.trainer({task!r}, ...), or no task")


def decodes_queries(model: Any) -> bool:
    """Whether a model, or one that is described by `yaml` alone, is an RT-DETR."""
    return "RTDETRDecoder" in str(model.yaml.get("head", [[]])[-1])


def check_trainer(cls: type) -> None:
    """Raise unless other processes can import the class and the base trainer has the methods overridden here.

    Raises:
        UnsupportedUltralytics: one of them fails.
    """
    found = getattr(importlib.import_module(cls.__module__), cls.__qualname__, None)
    if found is not cls or cls.__module__ == "__main__":
        raise UnsupportedUltralytics(
            f"the trainer class {cls.__module__}.{cls.__qualname__} cannot be imported by other processes",
            "Define it at the top level of an importable module",
        )
    bases = [base for base in cls.__mro__ if base is not LossPluginMixin]
    missing = [name for name in OVERRIDDEN_METHODS if not any(name in vars(base) for base in bases)]
    if missing:
        raise UnsupportedUltralytics(f"the trainer lacks the methods {missing}", probe.REMEDY)


def ultralytics_versions() -> dict[str, str]:
    """Versions that a run depends on."""
    return {
        "loss_plugins": loss_plugins.__version__,
        "ultralytics": ultralytics.__version__,
        "torch": str(torch.__version__),
    }
