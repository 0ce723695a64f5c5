# SPDX-License-Identifier: AGPL-3.0-or-later
"""Trainers that train with plugged losses. They are importable by name, so that other processes find them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ultralytics.models.rtdetr.train import RTDETRTrainer
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.models.yolo.obb import OBBTrainer
from ultralytics.models.yolo.pose import PoseTrainer
from ultralytics.models.yolo.segment import SegmentationTrainer
from ultralytics.models.yolo.world import WorldTrainer
from ultralytics.nn.tasks import RTDETRDetectionModel, WorldModel, torch_safe_load, yaml_model_load
from ultralytics.utils import SETTINGS

from loss_plugins.catalog.ranges import closest
from loss_plugins.errors import in_our_words, refusal, shown

from . import bases, probe, prompts, yoloe
from .box_slot import BoxSlot
from .detr import require_losses
from .errors import UnsupportedUltralytics
from .mixin import SEEN_AS, LossPluginMixin, check_trainer
from .plug import Plug
from .record import PROOF_FILE
from .slot_table import SLOTS, UNSERVED
from .spec import LossSpec, Spec, make_spec
from .sweeps import not_passed_over

#: tasks that Ultralytics calls "detect", known by the class of the model
BY_CLASS = {RTDETRDetectionModel: "rtdetr", WorldModel: "world", **yoloe.MODELS}
#: and by the last layer of a model in YAML
BY_HEAD = {"RTDETRDecoder": "rtdetr", "WorldDetect": "world", **yoloe.HEADS}
REFUSED = {
    "classify": "it has no boxes",
    "depth": "it has no boxes",
}


class LossPluginDetectionTrainer(LossPluginMixin, DetectionTrainer):  # type: ignore[misc]
    """Detection with plugged losses."""

    plugged_task = "detect"


class LossPluginSegmentationTrainer(LossPluginMixin, SegmentationTrainer):  # type: ignore[misc]
    """Instance segmentation with plugged losses."""

    plugged_task = "segment"


class LossPluginPoseTrainer(LossPluginMixin, PoseTrainer):  # type: ignore[misc]
    """Pose estimation with plugged losses."""

    plugged_task = "pose"


class LossPluginOBBTrainer(LossPluginMixin, OBBTrainer):  # type: ignore[misc]
    """Detection of rotated boxes with plugged losses."""

    plugged_task = "obb"


class LossPluginRTDETRTrainer(LossPluginMixin, RTDETRTrainer):  # type: ignore[misc]
    """RT-DETR with plugged losses."""

    plugged_task = "rtdetr"


class LossPluginWorldTrainer(LossPluginMixin, WorldTrainer):  # type: ignore[misc]
    """Open-vocabulary detection with plugged losses."""

    plugged_task = "world"


if find_spec("ultralytics.models.yolo.semantic") is not None:  # older versions know no such task
    from ultralytics.models.yolo.semantic import SemanticSegmentationTrainer

    class LossPluginSemanticTrainer(LossPluginMixin, SemanticSegmentationTrainer):  # type: ignore[misc]
        """Semantic segmentation with plugged losses."""

        plugged_task = "semantic"

    OF_MAPS: dict[str, type[LossPluginMixin]] = {"semantic": LossPluginSemanticTrainer}
else:
    OF_MAPS = {}
    REFUSED["semantic"] = "this version has no such task"

TRAINERS: dict[str, type[LossPluginMixin]] = {
    "detect": LossPluginDetectionTrainer,
    "segment": LossPluginSegmentationTrainer,
    "pose": LossPluginPoseTrainer,
    "obb": LossPluginOBBTrainer,
    "rtdetr": LossPluginRTDETRTrainer,
    "world": LossPluginWorldTrainer,
    **yoloe.TRAINERS,
    **OF_MAPS,
}


@partial(in_our_words, refused=UNSERVED)
def trainer(
    task: str | None = None,
    box: LossSpec | None = None,
    cls: LossSpec | None = None,
    *,
    dfl: LossSpec | None = None,
    mask: LossSpec | None = None,
    sem: LossSpec | None = None,
    keypoint: LossSpec | None = None,
    gain: str | None = None,
    assigner: str | None = None,
    nan_guard: bool | None = None,
    config: str | Path | None = None,
    base: type | None = None,
) -> Callable[..., Any]:
    """What to pass as `trainer=` to `YOLO(...).train(...)`.

    Args:
        task: "detect", "segment", "semantic", "pose", "obb", "rtdetr", "world", "yoloe" or "yoloe-seg"; None: that of
            the model.
        box: the box loss: a name, a dict with `type`, a module, or a function (pred, target) of boxes (n, 4), as x1,
            y1, x2, y2, to (n,); None: the stock loss. It gets pixels, unless boxes of any scale cost the same.
        cls: the class loss, likewise: one that works per anchor and class on soft targets.
        dfl: the loss of the distances to the sides of a box, likewise: of distributions over bins, in the place of DFL,
            or of single distances, in the place of the L1 of models without bins, as YOLO26.
        mask: the mask loss of a segment model, likewise: a region loss, which sees the pixels inside each target's box,
            or a loss per pixel, that takes the place of binary cross-entropy.
        sem: the loss of semantic maps, likewise: of a yolo26-seg model's semantic branch, or of a semantic model, where
            it takes the place of cross-entropy plus Dice. A region loss, one per pixel, or a mix of both.
        keypoint: the loss of key points of a pose model, likewise: `oks`, `wing`, or a mix of them. It gets pixels,
            unless points of any scale cost the same, and deviations that are not said are the model's.
        gain: "keep" (default) the trainer's gains, or "match": multiply each loss by the constant with
            which it pulls as hard as the stock loss on a fixed set (see `loss_plugins.module.gain`).
        assigner: "keep" (default) the stock IoU in the assigner, or "match" the new box loss.
        nan_guard: True: a loss that is NaN or infinite ends the training with `LossNotFinite`; image, boxes and value
            are saved. The host waits for the device in each batch then. False (default): nobody looks.
        config: YAML file with a `losses` section, as in configs/ultralytics/, or a run's loss_plugins.yaml.
        base: another trainer class of Ultralytics, as YOLOETrainerFromScratch, or one of your own, whose methods call
            `super()`; its task is the task.

    Raises:
        ValueError, TypeError: unknown loss, parameter or value.
        UnsupportedUltralytics: a task or an installation that cannot be served.
    """
    if task is not None:
        trainer_of(task)
    spec = make_spec(
        box,
        cls,
        dfl=dfl,
        mask=mask,
        sem=sem,
        keypoint=keypoint,
        gain=gain,
        assigner=assigner,
        nan_guard=nan_guard,
        config=config,
    )
    return trainer_for(task, spec, base, may_resume=config is not None and Path(config).name == PROOF_FILE)


def trainer_for(task: str | None, spec: Spec, base: type | None = None, may_resume: bool = False) -> Callable[..., Any]:
    """As `trainer`, of losses that are resolved already.

    Args:
        task: as there.
        spec: the losses.
        base: as there.
        may_resume: they are those of a run: a gain that would be refused today is refused when a new run starts.
    """
    if task is not None:
        trainer_of(task)
    plug = Plug(spec, resumed=may_resume)  # refuses losses that this version cannot feed
    probe.stock_forward(plug.box.kind if plug.box is not None else "box")
    if task is not None:
        check_served(TRAINERS[task], plug)
    if base is not None:
        cls = plugged_base(task, base)
        if prompts.is_visual(cls, prompts.TRAINERS):
            prompts.require_trained(base.__name__, [slot.name for slot in plug.slots])
        check_served(cls, plug)
        return partial(cls, loss_spec=spec)
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


def slots_of(cls: Any) -> tuple[str, ...]:
    """The slots that models of a trainer may have."""
    if cls.plugged_task == "semantic":
        return ("sem",)
    if issubclass(cls, RTDETRTrainer):
        return ("box", "cls")
    either = cls not in TRAINERS.values() and "segment" in SEEN_AS.get(cls.plugged_task, ())  # the model decides
    if not (either or issubclass(cls, SegmentationTrainer)):
        return ("box", "cls", "dfl", *(("keypoint",) if cls.plugged_task == "pose" else ()))
    prompted = (
        cls.plugged_task in yoloe.TRAINERS
    )  # the heads of YOLOE have layers for semantic maps, and never call them
    lacking = ("sem", "keypoint") if prompted else ("keypoint",)
    return tuple(slot for slot in SLOTS if slot not in lacking)


def check_served(cls: Any, plug: Plug) -> None:
    """Raise unless models of a trainer may have every loss that was asked for.

    Raises:
        ValueError: one is a loss of something else.
        UnsupportedUltralytics: no model of the task can compute one.
    """
    check_slots(cls, plug)
    if plug.box is not None:
        check_kind(cls.plugged_task, plug.box)
    if cls.plugged_task == "rtdetr":
        require_losses("task='rtdetr'", plug.slots, plug.spec)


def check_slots(cls: Any, plug: Plug) -> None:
    """Raise unless the models of a trainer may have a loss in each slot that was asked for.

    Raises:
        ValueError: one has none.
    """
    served = slots_of(cls)
    for slot in plug.slots:
        if slot.name not in served:
            came = f"task={cls.plugged_task!r} has no {slot.name} loss, and {slot.name}={slot.loss_name} was asked for"
            remedy = f"leave {slot.name} out" + (", and pass sem='dice'" if served == ("sem",) else "")
            raise refusal("trainer", came, " or ".join(served), remedy)


def check_kind(task: str, box: BoxSlot) -> None:
    """Raise unless a box loss computes on the boxes of a task.

    Raises:
        ValueError: it computes on other ones.
    """
    kind = "rotated_box" if task == "obb" else "box"
    if box.kind != kind:
        came = f"task={task!r} has {probe.BOXES[kind]}, and {box.loss_name} is a loss of {probe.BOXES[box.kind]}"
        raise refusal("trainer", came, f"losses of kind {kind}", f"see loss-plugins list --kind {kind}")


def start(*args: Any, task: str | None, loss_spec: Spec, **kwargs: Any) -> LossPluginMixin:
    """The trainer of a task, or of the task that Ultralytics found in the model."""
    overrides = kwargs.get("overrides") or {}
    found = kind_of(overrides.get("model"))
    if task is None:
        task = found or overrides.get("task") or "detect"
    elif found not in (None, task):
        came = f"task={task!r}, and the model is one for {found!r}"
        raise refusal("trainer", came, "the task of the model", f"pass lpu.trainer({found!r}, ...), or no task")
    with not_passed_over():
        return trainer_of(task)(*args, loss_spec=loss_spec, **kwargs)


def kind_of(model: Any) -> str | None:
    """The key of BY_CLASS whose model a file holds, by its head or its class; None: the task says enough.

    A checkpoint that is given by its name alone is the one in Ultralytics' folder of weights, if it is there. What is
    nowhere is left to Ultralytics, which says so.
    """
    file = Path(str(model))
    if file.suffix.lower() in (".yaml", ".yml"):
        try:
            heads = [str(layer[2]) for layer in yaml_model_load(file).get("head", [])]
        except (OSError, LookupError, TypeError, AttributeError):
            return None
        return next((BY_HEAD[head] for head in reversed(heads) if head in BY_HEAD), None)
    places = (file, Path(SETTINGS["weights_dir"]) / file)
    found_at = next((place for place in places if place.is_file()), None)
    if found_at is None:
        return None
    held = torch_safe_load(str(found_at))[0]
    found = held.get("ema") or held.get("model") if isinstance(held, dict) else held
    return next((task for cls, task in BY_CLASS.items() if isinstance(found, cls)), None)


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
