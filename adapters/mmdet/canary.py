"""One call of a copy of the model's `loss` on a known scene, which shows what each loss is handed."""

from __future__ import annotations

import copy
import random
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

import numpy as np
import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from torch import nn

from loss_plugins.errors import check_type, in_one_line

from .calls import Call, Calls, note_factors, recording
from .handed import Handed, what
from .image_size import tell_size
from .keys import trained_part
from .modules import PluggedLoss
from .scene import WIDER, Scene, make_scene

#: heights of the images: the smallest is taken that the model takes
SIDES = (128, 256, 512)
#: epochs and iterations before the first, and long after all, so that heads with phases show both
PHASES = (0, 10**6)
#: switches that training hooks turn on in the last epochs
SWITCHES = ("use_l1",)


class Setting(NamedTuple):
    """What scene is made: see `make_scene`."""

    side: int
    masks: bool = True
    scale: int = 1
    wider: float = WIDER

    def scene(self, model: nn.Module) -> Scene:
        """The scene on the device of the model, with its number of classes."""
        device = next((each.device for each in model.parameters()), torch.device("cpu"))
        scene = make_scene(self.side, classes_of(model), *self[1:], device)
        return _preprocessed(scene, getattr(model, "data_preprocessor", None))


def _preprocessed(scene: Scene, preprocessor: Any) -> Scene:
    """The scene after a data preprocessor that does more to batches than MMDetection's: BoxInst's makes its targets."""
    common = DetDataPreprocessor.forward
    if not isinstance(preprocessor, DetDataPreprocessor) or type(preprocessor).forward is common:
        return scene
    images = scene.images
    if hasattr(preprocessor, "mean"):  # it normalises
        images = images * preprocessor.std + preprocessor.mean
    found = preprocessor({"inputs": list(images), "data_samples": scene.samples}, training=True)
    return replace(scene, images=found["inputs"], samples=found["data_samples"])


#: the scenes that are tried; HTC's map of classes has an eighth of the image, some heads fail where masks are, and the
#: anchors of SSD are laid for one square
SETTINGS = (
    *(Setting(side, masks, scale) for side in SIDES for masks, scale in ((True, 1), (True, 8), (False, 1))),
    *(Setting(side, wider=1) for side in (300, 512)),
)


@dataclass
class Trial:
    """What the calls of a model's `loss` have shown.

    Attributes:
        setting: what scene the model was called on.
        scene: that scene, as the last phase had it.
        phases: the calls of each phase, by path of the loss.
        error: what the model raised; None: it went through.
        culprit: the path of the loss that raised it; "": something else did.
        place: the file and line that raised it.
    """

    setting: Setting
    scene: Scene | None = None
    phases: list[Calls] = field(default_factory=list)
    error: Exception | None = None
    culprit: str = ""
    place: tuple[str, int] | None = None

    def calls(self, path: str) -> list[Call]:
        """The calls of a loss in all phases."""
        return [call for phase in self.phases for call in phase.get(path, ())]

    def handed(self, path: str) -> Handed:
        """What a loss is handed."""
        return "nothing" if self.scene is None else what(self.calls(path), self.scene)

    @property
    def count(self) -> int:
        """How many calls were made."""
        return sum(len(made) for phase in self.phases for made in phase.values())

    @property
    def where(self) -> str:
        """The file and line of the error: "mylosses.py:12"."""
        return "" if self.place is None else f"{Path(self.place[0]).name}:{self.place[1]}"

    @property
    def reason(self) -> str:
        """The error in one line."""
        return "" if self.error is None else in_one_line(self.error)[:400]


def canary(model: nn.Module, prepare: Callable[[nn.Module], None] | None = None, like: Trial | None = None) -> Trial:
    """Call `loss` of a copy of a detector on a scene with known objects, in each phase of training.

    Neither the model, nor the state of random numbers, nor MMEngine's MessageHub is changed.

    Args:
        model: a detector, or a module with `loss(images, samples)`.
        prepare: what to do to the copy first.
        like: an earlier trial of this model: scenes that it has found to be none for the model are left out.
    """
    if isinstance(getattr(model, "loss", None), (nn.Module, NoneType)):
        return Trial(Setting(SIDES[0]), error=TypeError("it has no method loss(images, samples)"))
    try:
        tried = _copied(model)
        if prepare is not None:
            prepare(tried)
    except Exception as error:  # a model may hold what cannot be copied, and its head name a loss that is not there
        return Trial(SETTINGS[0], error=_without_frames(error))
    trials: list[Trial] = []
    with undisturbed():
        for setting in _settings(like):
            if trials and setting.side != trials[-1].setting.side and any(trial.count for trial in trials):
                break  # the model took this size: larger images would fail alike
            if _is_of_no_use(setting, trials):
                continue
            trials.append(_trial(tried, setting))
            if trials[-1].error is None or trials[-1].culprit:
                return trials[-1]
    return max(trials, key=lambda trial: trial.count)


def _settings(like: Trial | None) -> tuple[Setting, ...]:
    """The scenes to try after an earlier trial: behind one in which a loss raised, others may still be wanted."""
    if like is None:
        return SETTINGS
    return SETTINGS[SETTINGS.index(like.setting) :] if like.culprit else (like.setting,)


def _is_of_no_use(setting: Setting, trials: list[Trial]) -> bool:
    """Whether smaller images failed where these did, with and without masks: then masks are not what it is about."""
    here = [trial for trial in trials if trial.setting.side == setting.side]
    return bool(here) and len(here) < len(trials) and len({trial.place for trial in trials}) == 1


def _copied(model: nn.Module) -> nn.Module:
    """A copy that trains, of the detector that is trained where there are several."""
    # ranks see the same images, so there is nothing to sum
    tried: nn.Module = revert_sync_batchnorm(copy.deepcopy(trained_part(model)))
    return tried.train()


def plugged(model: nn.Module) -> dict[str, PluggedLoss]:
    """The losses of loss_plugins in a model, by path."""
    return {path: each for path, each in model.named_modules() if isinstance(each, PluggedLoss)}


def _trial(model: nn.Module, setting: Setting) -> Trial:
    trial = Trial(setting)
    has_phases = False
    for phase in PHASES:
        if phase and not (has_phases or _switches(model)):
            break
        with recording(plugged(model)) as calls, listening() as asked:
            trial.phases.append(calls)
            try:
                trial.scene = setting.scene(model)  # anew, as a head may change what it is given
                note_factors(calls, losses_in(model, trial.scene, phase))
            except Exception as error:  # whatever a head raises is what this is to find out
                frame = traceback.extract_tb(error.__traceback__)[-1]
                trial.place, trial.culprit = (frame.filename, frame.lineno or 0), _culprit(calls)
                trial.error = _without_frames(error)
                return trial
        has_phases = bool(asked)
    return trial


def _without_frames(error: Exception) -> Exception:
    """An error without the frames that hold the whole graph."""
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)


@contextmanager
def listening() -> Iterator[list[str]]:
    """What is asked of MMEngine's MessageHub while the context lasts."""
    hub: Any = MessageHub.get_current_instance()
    asked: list[str] = []

    def get_info(key: str, default: Any = None) -> Any:
        asked.append(key)
        return type(hub).get_info(hub, key, default)

    hub.get_info = get_info
    try:
        yield asked
    finally:
        del hub.get_info


def losses_in(model: Any, scene: Scene, phase: int) -> dict[str, Any]:
    """The losses of a scene in a phase of training; what it draws and what the MessageHub says is not put back."""
    _enter(model, phase)
    tell_size(model, scene.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in (torch.manual_seed, random.seed, np.random.seed):  # alike on all ranks
            seed(0)
        with torch.enable_grad():  # type: ignore[no-untyped-call]
            found = model.loss(scene.images, scene.samples)
    check_type(type(model).__name__, "the result of loss(images, samples)", found, Mapping)
    return dict(found)


def _culprit(calls: Calls) -> str:
    """The path of the loss that raised: its last call has no result."""
    raised = [path for path, made in calls.items() if made and made[-1].result is None]
    return raised[0] if raised else ""


def _enter(model: nn.Module, phase: int) -> None:
    told = {"epoch": phase, "iter": phase, "max_epochs": max(PHASES), "max_iters": max(PHASES)}
    MessageHub.get_current_instance().runtime_info.update(told)
    for module, switch in _switches(model):
        setattr(module, switch, phase > 0)


def _switches(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Modules and their switches that training hooks turn on."""
    each = [(module, switch) for module in model.modules() for switch in SWITCHES]
    return [(module, switch) for module, switch in each if isinstance(getattr(module, switch, None), bool)]


def classes_of(model: nn.Module) -> int:
    """The least number of classes that a head of objects has; heads of proposals have one and are told so."""
    found = [
        each.num_classes
        for path, each in model.named_modules()
        if isinstance(getattr(each, "num_classes", None), int) and "rpn" not in path
    ]
    return min(found, default=1)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put back the states of random numbers and MMEngine's MessageHub afterwards."""
    states = random.getstate(), np.random.get_state()
    hub = MessageHub.get_current_instance()
    kept = [(each, dict(each)) for each in (hub.runtime_info, hub.log_scalars)]
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if started else []
    with torch.random.fork_rng(devices):
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
            for each, before in kept:
                each.clear()
                each.update(before)
