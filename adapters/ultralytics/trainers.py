# SPDX-License-Identifier: AGPL-3.0-or-later
"""Trainers that train with plugged losses. They are importable by name, so that other processes find them."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import ultralytics
import yaml
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.models.yolo.pose import PoseTrainer
from ultralytics.models.yolo.segment import SegmentationTrainer
from ultralytics.models.yolo.world import WorldTrainer
from ultralytics.nn.tasks import guess_model_task
from ultralytics.utils import RANK

import loss_plugins
from loss_plugins import Loss
from loss_plugins.catalog.ranges import closest
from loss_plugins.errors import LossNotUsed, in_our_words, refusal, shown
from loss_plugins.reports import write_whole

from . import bases, own, probe
from .errors import UnsupportedUltralytics
from .plug import Plug, plugged
from .slots import log
from .spec import LossSpec, Spec, differences, make_spec, read_stamp

ENVIRONMENT = "LOSS_PLUGINS_ULTRALYTICS"
STAMP = "loss_plugins"
PROOF_FILE = "loss_plugins.yaml"
OVERRIDDEN_METHODS = (
    "_do_train",
    "_setup_train",
    "setup_model",
    "validate",
    "save_metrics",
    "resume_training",
    "save_model",
    "run_callbacks",
    "train",
)
REFUSED = {
    "obb": "its boxes are rotated, and the catalogue's box losses are axis-aligned",
    "rtdetr": "its criterion (DETRLoss) has no BboxLoss: the box loss is computed inside the matcher's class",
    "classify": "it has no boxes",
    "semantic": "it has no boxes",
    "depth": "it has no boxes",
    "yoloe": "its visual-prompt criterion drops the box loss",
}


class LossPluginMixin:
    """Makes an Ultralytics trainer train with the losses of a spec, prove it, and raise if they were not used."""

    def __init__(self, *args: Any, loss_spec: Spec | None = None, **kwargs: Any) -> None:
        text = os.environ.get(ENVIRONMENT)
        if loss_spec is None and text is None:
            raise LossNotUsed(
                f"{type(self).__name__} was started without a loss: neither lpu.trainer(...) nor ${ENVIRONMENT} "
                "says which one to use"
            )
        self.loss_spec = loss_spec if loss_spec is not None else Spec.from_json(str(text))
        self.loss_plug: Plug | None = None
        check_trainer(type(self))
        super().__init__(*args, **kwargs)

    def train(self) -> Any:
        """Train; processes that training starts (one per GPU) find the spec in the environment."""
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
        with plugged(self.loss_spec, bound=True, image_size=side) as plug:
            self.loss_plug = plug
            return super()._do_train(*args, **kwargs)  # type: ignore[misc]

    def setup_model(self, *args: Any, **kwargs: Any) -> Any:
        """Make the model; the criteria of it and of its copies, as the EMA, belong to this training's plug."""
        result = super().setup_model(*args, **kwargs)  # type: ignore[misc]
        check_task(type(self), bare(self.model))  # type: ignore[attr-defined]
        self._plug.bind(bare(self.model))  # type: ignore[attr-defined]
        return result

    def _setup_train(self, *args: Any, **kwargs: Any) -> Any:
        result = super()._setup_train(*args, **kwargs)  # type: ignore[misc]
        plug = self._plug
        model = bare(self.model)  # type: ignore[attr-defined]
        criterion = getattr(model, "criterion", None) or model.init_criterion()
        parts = [{"box": "bbox_loss", "cls": "bce"}[slot.name] for slot in plug.slots]
        bases.check_criterion([criterion, *probe.find_branches(criterion)], parts)
        branches = plug.check(criterion)
        plug.prepare(branches, self.device)  # type: ignore[attr-defined]
        for slot in plug.slots:
            values = ", ".join(f"{value:.5f}" for value in plug.report.canary[slot.name])
            matched = f" x {slot.calls.gain:.3g}, matched" if slot.calls.norms else ""
            log(
                f"{slot.name} loss {slot.loss_name} {non_defaults(slot.prototype)}in {branches} criterion branch(es), "
                f"gain {getattr(self.args, slot.name):g}{matched}, "  # type: ignore[attr-defined]
                f"assigner {self.loss_spec.assigner}; verified on a fixed batch: {values}"
            )
        self._write_proof()
        return result

    def resume_training(self, ckpt: Any) -> Any:
        """Resume, after checking that the checkpoint was trained with the same losses.

        What is not to be resumed, a finished run, is left to Ultralytics, which says so.
        """
        if ckpt is not None and self.resume and ckpt.get("epoch", -1) >= 0:  # type: ignore[attr-defined]
            stamp = getattr(ckpt.get("ema"), STAMP, None)
            if stamp is None:
                came = f"the checkpoint was trained with the stock loss, and {self._plug.names} was asked for"
                remedy = "resume with the stock trainer, or start a new run from these weights"
                raise refusal("resume", came, "a checkpoint of the same losses", remedy)
            stamp = read_stamp(stamp, "the checkpoint")
            different = differences(stamp["losses"], self.loss_spec.as_dict())
            if different:
                came = f"the checkpoint was trained with other losses: {'; '.join(different)}"
                remedy = f"pass the same, or config='.../{PROOF_FILE}' of that run"
                raise refusal("resume", came, "the losses of the checkpoint", remedy)
            self._plug.restore(stamp)
        return super().resume_training(ckpt)  # type: ignore[misc]

    def save_model(self, *args: Any, **kwargs: Any) -> Any:
        """Save, with a stamp of plain types on the EMA model that names the losses which trained it."""
        setattr(self.ema.ema, STAMP, self._stamp())  # type: ignore[attr-defined]
        return super().save_model(*args, **kwargs)  # type: ignore[misc]

    def run_callbacks(self, event: str) -> Any:
        """Keep the running statistics in step with the batches, and check after each epoch that the losses were used.

        Every rank passes here. Gradients may be accumulated over several batches; the statistics learn from each.
        """
        if event == "on_train_epoch_start":
            self._plug.begin_epoch()
        elif event == "on_train_batch_start":
            self._plug.begin_step()
        elif event == "on_train_batch_end":
            self._plug.sync()
            self._plug.require_branch_call()
        elif event == "on_train_epoch_end":
            self._plug.sync()  # a time limit stops between the last batch and its end
            self._plug.require_use()
            self._log_epoch()
            self._write_proof()
        return super().run_callbacks(event)  # type: ignore[misc]

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
            "losses": self.loss_spec.as_dict(),
            "report": self._plug.report.as_dict(),
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
            for text in slot.news():
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
        return {f"plug/{name}_gradient_ratio": ratio for name, ratio in ratios.items()}

    def _prove_at_end(self) -> None:
        self._plug.require_use()
        self._write_proof()
        if RANK not in {-1, 0}:
            return
        for slot in self._plug.slots:
            log(f"{slot.outcome()} (proof in {Path(self.save_dir) / PROOF_FILE})")  # type: ignore[attr-defined]


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


def non_defaults(loss: Loss) -> str:
    """The parameters that differ from the catalogue's defaults, for one line of a log."""
    given = {**loss.parameters_given, **({"loss_weight": loss.loss_weight} if loss.loss_weight != 1 else {})}
    defaults = {name: parameter.default for name, parameter in loss.entry.parameters.items()}
    changed = {name: value for name, value in given.items() if name not in defaults or value != defaults[name]}
    return f"({', '.join(f'{name}={value}' for name, value in changed.items())}) " if changed else ""


class LossPluginDetectionTrainer(LossPluginMixin, DetectionTrainer):  # type: ignore[misc]
    """Detection with plugged losses."""


class LossPluginSegmentationTrainer(LossPluginMixin, SegmentationTrainer):  # type: ignore[misc]
    """Instance segmentation with plugged losses."""


class LossPluginPoseTrainer(LossPluginMixin, PoseTrainer):  # type: ignore[misc]
    """Pose estimation with plugged losses."""


class LossPluginWorldTrainer(LossPluginMixin, WorldTrainer):  # type: ignore[misc]
    """Open-vocabulary detection with plugged losses."""


TRAINERS: dict[str, type[LossPluginMixin]] = {
    "detect": LossPluginDetectionTrainer,
    "segment": LossPluginSegmentationTrainer,
    "pose": LossPluginPoseTrainer,
    "world": LossPluginWorldTrainer,
}


@in_our_words
def trainer(
    task: str | None = None,
    box: LossSpec | None = None,
    cls: LossSpec | None = None,
    *,
    gain: str | None = None,
    assigner: str | None = None,
    config: str | Path | None = None,
    base: type | None = None,
) -> Callable[..., Any]:
    """What to pass as `trainer=` to `YOLO(...).train(...)`.

    Args:
        task: "detect", "segment", "pose" or "world"; None: the one of the model.
        box: the box loss: a name, a dict with `type`, a module, or a function (pred, target) of boxes (n, 4), as x1,
            y1, x2, y2, to (n,); None: the stock loss. It gets pixels, unless boxes of any scale cost the same.
        cls: the class loss, likewise: one that works per anchor and class on soft targets.
        gain: "keep" (default) the trainer's gains, or "match": multiply each loss by the constant with
            which it pulls as hard as the stock loss on a fixed set (see `loss_plugins.module.gain`).
        assigner: "keep" (default) the stock IoU in the assigner, or "match" the new box loss.
        config: YAML file with a `losses` section, as in configs/ultralytics/, or a run's loss_plugins.yaml.
        base: a trainer class of your own, whose task it then is; its methods call `super()`.

    Raises:
        ValueError, TypeError: unknown loss, parameter or value.
        UnsupportedUltralytics: a task or an installation that cannot be served.
    """
    if task is not None:
        trainer_of(task)
    return trainer_for(task, make_spec(box, cls, gain=gain, assigner=assigner, config=config), base)


def trainer_for(task: str | None, spec: Spec, base: type | None = None) -> Callable[..., Any]:
    """As `trainer`, of losses that are resolved already."""
    if task is not None:
        trainer_of(task)
    probe.stock_forward()
    Plug(spec)  # refuses losses that this version cannot feed
    if base is not None:
        return partial(plugged_base(task, base), loss_spec=spec)
    for cls in TRAINERS.values() if task is None else [TRAINERS[task]]:
        check_trainer(cls)
    return partial(start, task=task, loss_spec=spec)


def plugged_base(task: str | None, base: type) -> type:
    """The class of a user's trainer that trains with plugged losses.

    Raises:
        TypeError: it is no trainer of a task.
        ValueError: it is one of another task.
        UnsupportedUltralytics: its task cannot be served, or it replaces what the losses come in by.
    """
    own = bases.task_of(base)
    trainer_of(own)
    if task not in (None, own):
        came = f"task={task!r}, and base={base.__qualname__} is a trainer for {own!r}"
        raise refusal("trainer", came, "the task of the base", "leave the task out")
    bases.check_base(base)
    cls = bases.with_plug(base, LossPluginMixin, __name__, own)
    check_trainer(cls)
    return cls


def __getattr__(name: str) -> Any:
    """Classes of users' trainers with plugged losses, which are made as other processes ask for them."""
    base = bases.base_called(name)
    if base is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return bases.with_plug(base, LossPluginMixin, __name__, bases.task_of(base))


def start(*args: Any, task: str | None, loss_spec: Spec, **kwargs: Any) -> LossPluginMixin:
    """The trainer of a task, or of the task that Ultralytics found in the model."""
    overrides = kwargs.get("overrides") or {}
    if task is None:
        world = "world" in Path(str(overrides.get("model", ""))).stem
        task = "world" if world else overrides.get("task") or "detect"
    return trainer_of(task)(*args, loss_spec=loss_spec, **kwargs)


def trainer_of(task: Any) -> type[LossPluginMixin]:
    """The trainer class of a task.

    Raises:
        TypeError: it is no text.
        ValueError: no such task.
        UnsupportedUltralytics: a task that cannot be served.
    """
    if not isinstance(task, str):
        raise refusal("trainer", f"task={shown(task)} is no text", ", ".join(TRAINERS), "pass one of those", TypeError)
    if task in REFUSED:
        raise UnsupportedUltralytics(f"task {task!r} cannot be served: {REFUSED[task]}", f"Served: {list(TRAINERS)}")
    if task not in TRAINERS:
        raise refusal("trainer", f"task={task!r} is unknown", ", ".join(TRAINERS), closest(task, TRAINERS))
    return TRAINERS[task]


def check_task(cls: type, model: Any) -> None:
    """Raise unless a trainer computes all losses of a model: a detection trainer would drop the loss of keypoints.

    Raises:
        ValueError: the model is one of another task.
    """
    task = guess_model_task(bare(model).yaml)
    known = (task for task, trainer in TRAINERS.items() if issubclass(cls, trainer))
    ours = getattr(cls, "plugged_task", None) or next(known, None)
    if ours is not None and task not in (ours, "detect" if ours == "world" else ours):
        came = f"task={ours!r}, and the model is one for {task!r}"
        raise refusal("trainer", came, "the task of the model", f"pass lpu.trainer({task!r}, ...), or no task")


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
