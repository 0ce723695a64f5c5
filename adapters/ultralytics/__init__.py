# SPDX-License-Identifier: AGPL-3.0-or-later
"""Train Ultralytics detectors with a catalogued loss, with proof that it is the one trained.

from ultralytics import YOLO
from loss_plugins.adapters import ultralytics as lpu

YOLO("yolo11n.yaml").train(trainer=lpu.trainer("detect", box="eiou"), data="data.yaml")
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

if find_spec("ultralytics") is None:
    raise ImportError('the Ultralytics adapter needs ultralytics: pip install "loss-plugins[ultralytics]"')

from loss_plugins.errors import LossNotUsed, in_our_words

from .doctor import doctor
from .errors import UnsupportedUltralytics
from .guards import subprocess_training_refused
from .plug import Report, plugged
from .spec import LossSpec, Spec, make_spec
from .trainers import trainer

__all__ = [
    "LossNotUsed",
    "Report",
    "Spec",
    "UnsupportedUltralytics",
    "doctor",
    "make_spec",
    "patched",
    "trainer",
]


@in_our_words
@contextmanager
def patched(
    box: LossSpec | None = None,
    cls: LossSpec | None = None,
    *,
    gain: str | None = None,
    assigner: str | None = None,
    config: str | Path | None = None,
) -> Iterator[Report]:
    """For your own loops: inside the context, every Ultralytics criterion of this process computes the given losses.

    Args:
        box: the box loss: a name, a dict with `type`, or a module; None: the stock loss.
        cls: the class loss, likewise; for criteria that are built inside the context (set model.criterion to None).
        gain: "keep" (default) or "match", as in `trainer`.
        assigner: "keep" (default) or "match", as in `trainer`.
        config: YAML file with a `losses` section.

    Yields:
        The report: calls, boxes and gradients of each slot.

    Raises:
        ValueError, TypeError: unknown loss, parameter or value.
        UnsupportedUltralytics: an installation that cannot be served.
        LossNotUsed: the context ended and no criterion had called the loss.
    """
    spec = make_spec(box, cls, gain=gain, assigner=assigner, config=config)
    with subprocess_training_refused(), plugged(spec) as plug:
        yield plug.report
    for slot in plug.slots:
        if slot.calls.train_calls + slot.calls.val_calls == 0:
            raise LossNotUsed(
                f"the context ended and no criterion had called the {slot.name} loss {slot.loss_name}: was a model's "
                "loss computed, with a criterion built inside the context?"
            )
