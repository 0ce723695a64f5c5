# SPDX-License-Identifier: AGPL-3.0-or-later
"""Train Ultralytics detectors with a catalogued loss, with proof that it is the one trained.

from ultralytics import YOLO
from loss_plugins.adapters import ultralytics as lpu

YOLO("yolo11n.yaml").train(trainer=lpu.trainer("detect", box="eiou"), data="data.yaml")
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

if find_spec("ultralytics") is None:
    raise ImportError('the Ultralytics adapter needs ultralytics: pip install "loss-plugins[ultralytics]"')

from loss_plugins.errors import LossNotUsed, in_our_words, refusal, shown

from .context import Patched
from .doctor import doctor
from .errors import LossNotFinite, UnsupportedUltralytics
from .plug import Report
from .slot_table import UNSERVED
from .spec import LossSpec, Spec, make_spec
from .sweeps import SweepEnded
from .trainers import trainer
from .tuned import IterationFailed, Tuning
from .tuning import tune
from .watch import install

__all__ = [
    "IterationFailed",
    "LossNotFinite",
    "LossNotUsed",
    "Report",
    "Spec",
    "SweepEnded",
    "Tuning",
    "UnsupportedUltralytics",
    "doctor",
    "make_spec",
    "patched",
    "trainer",
    "tune",
]

install()


@partial(in_our_words, refused={**UNSERVED, "nan_guard": "leave it out: lpu.trainer has it, as it saves into a run"})
def patched(
    box: LossSpec | None = None,
    cls: LossSpec | None = None,
    *,
    dfl: LossSpec | None = None,
    mask: LossSpec | None = None,
    sem: LossSpec | None = None,
    keypoint: LossSpec | None = None,
    model: Any = None,
    gain: str | None = None,
    assigner: str | None = None,
    config: str | Path | None = None,
) -> AbstractContextManager[Report]:
    """For your own loops: inside the context, the criteria of a model compute the given losses.

    Contexts may be entered and left in any order and in any thread. Leaving puts back the very objects found. One
    that is entered and never left stays in force until the process ends; it keeps no model alive.

    Args:
        box: the box loss: a name, a dict with `type`, a module, or a function as in `trainer`; None: the stock loss.
        cls: the class loss, likewise.
        dfl: the loss of the sides, as in `trainer`.
        mask: the mask loss of a segment model, likewise, as in `trainer`.
        sem: the loss of semantic maps, of yolo26-seg or of a semantic model, likewise, as in `trainer`.
        keypoint: the loss of key points of a pose model, likewise, as in `trainer`.
        model: whose criteria are served, the one it has and those it will build, and those of its copies. None: every
            criterion that is called in this thread and that no other context or training owns; for `cls`, one that was
            built inside the context (set model.criterion to None).
        gain: "keep" (default) or "match", as in `trainer`.
        assigner: "keep" (default) or "match", as in `trainer`.
        config: YAML file with a `losses` section.

    Returns:
        The context, or decorator. Entering it gives the report: calls, boxes and gradients of each slot.

    Raises:
        ValueError, TypeError: unknown loss, parameter or value; a model that has a plug, or is no model.
        UnsupportedUltralytics: an installation, or a criterion built inside the context, that cannot be served.
        LossNotUsed: the context ended and no criterion had called the loss, or no gradient had come back from it.
    """
    losses: dict[str, Any] = {"dfl": dfl, "mask": mask, "sem": sem, "keypoint": keypoint}
    spec = make_spec(box, cls, **losses, gain=gain, assigner=assigner, config=config)
    if spec.nan_guard:
        came = f"config={shown(str(config))} has nan_guard, which saves into the folder of a trainer's run"
        raise refusal("patched", came, "nan_guard in lpu.trainer(...)", "leave it out, and look at the losses yourself")
    return Patched(spec, model)
