# SPDX-License-Identifier: AGPL-3.0-or-later
"""Classes that are prompts: texts or pictures that each image brings along, in an order of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loss_plugins.errors import refusal

from .class_slot import ClassSlot
from .errors import UnsupportedUltralytics
from .slots import Slot

#: what criteria of visual prompts, and Ultralytics' trainers with them, are called
CRITERIA = ("TVPDetectLoss", "TVPSegmentLoss")
TRAINERS = ("YOLOEVPTrainer", "YOLOESegVPTrainer")
#: what Ultralytics trains there: it computes and logs the others, and drops them
TRAINED = ("cls",)
#: the step of a data set that numbers the classes of each image anew
NUMBERS_ANEW = "RandomLoadText"


def require_trained(name: str, slots: Iterable[str]) -> None:
    """Raise unless a criterion of visual prompts trains the losses of these slots.

    Args:
        name: of the criterion or the trainer.
        slots: their names.
    """
    for slot in slots:
        if slot not in TRAINED:
            raise UnsupportedUltralytics(
                f"{name} (visual prompts) drops the {slot} loss: it would be logged, but not trained",
                "Train with text prompts or classes, or replace the class loss alone",
            )


def is_visual(cls: type, names: Iterable[str]) -> bool:
    """Whether a class is one of these of Ultralytics, or made of one."""
    return any(each.__name__ in names and each.__module__.startswith("ultralytics.") for each in cls.__mro__)


def require_lasting_classes(data: Any, slots: Iterable[Slot]) -> None:
    """Raise if a class loss has numbers per class, and the class of a number is another one in each image.

    Args:
        data: the data set that is trained on.
        slots: the losses that were asked for.
    """
    parts = getattr(data, "datasets", [data])
    steps = [type(step).__name__ for part in parts for step in getattr(part.transforms, "transforms", [])]
    for slot in slots:
        if isinstance(slot, ClassSlot) and slot.classes is not None and NUMBERS_ANEW in steps:
            came = f"it has one number for each of {slot.classes} classes, and each image has its own order of prompts"
            remedy = "pass one number for all classes, or fine-tune on the classes: lpu.trainer('yoloe', ...)"
            raise refusal(slot.loss_name, came, "a class loss without numbers per class", remedy)
