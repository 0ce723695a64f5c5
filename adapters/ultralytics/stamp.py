# SPDX-License-Identifier: AGPL-3.0-or-later
"""What two trainings have in common, told so that it can be compared: data, settings, assigners, weights."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from ultralytics.utils import SETTINGS

from . import probe
from .mixin import bare
from .record import STAMP

#: settings that say where a training lies, or which of several it is, the losses for loggers among them
OF_PLACE = (
    "model",
    "data",
    "project",
    "name",
    "save_dir",
    "seed",
    "exist_ok",
    "resume",
    "cfg",
    "mode",
    "session",
    STAMP,
)


def settings_of(args: Any) -> dict[str, Any]:
    """Every setting of a trainer that may change a number, the gains of the losses among them."""
    return {
        key: value if isinstance(value, (int, float, str, bool, type(None))) else str(value)
        for key, value in sorted(vars(args).items())
        if key not in OF_PLACE
    }


def data_of(trainer: Any) -> dict[str, str]:
    """A digest of the names, sizes and labels of what is trained and validated on."""
    loaders = {"train": trainer.train_loader, "val": trainer.test_loader}
    return {split: _digest(_told(loader.dataset.labels)) for split, loader in loaders.items()}


def _told(labels: Iterable[dict[str, Any]]) -> Iterable[bytes]:
    for label in sorted(labels, key=lambda label: str(label["im_file"])):
        image = Path(label["im_file"])
        yield f"{image.name} {image.stat().st_size}".encode()
        yield from (np.ascontiguousarray(label[key]).tobytes() for key in ("cls", "bboxes"))
        yield from (np.ascontiguousarray(segment).tobytes() for segment in label.get("segments") or ())
        if label.get("keypoints") is not None:
            yield np.ascontiguousarray(label["keypoints"]).tobytes()


def assigners_of(model: nn.Module) -> list[str]:
    """Class and settings of what assigns objects to predictions, in every branch of the criterion."""
    criterion = getattr(bare(model), "criterion", None)
    if criterion is None:
        return []
    parts = {id(part): part for part in (criterion, *probe.find_branches(criterion))}.values()
    found = [getattr(part, name) for part in parts for name in ("assigner", "matcher") if hasattr(part, name)]
    return [_said(each) for each in found]


def _said(assigner: Any) -> str:
    """By the class of Ultralytics, from which a plugged one may be derived, and what it is built with."""
    cls = next((cls for cls in type(assigner).__mro__ if cls.__module__.startswith("ultralytics")), type(assigner))
    asked = [key for key in inspect.signature(cls).parameters if hasattr(assigner, key)]
    return f"{cls.__name__}({', '.join(f'{key}={getattr(assigner, key)}' for key in asked)})"


def digest_of_weights(model: nn.Module) -> str:
    """Of all numbers of a model."""
    state = bare(model).state_dict()
    return _digest(part for key, value in state.items() for part in (key.encode(), value.cpu().numpy().tobytes()))


def digest_of_file(file: str) -> str:
    """Of a model's file; of one that is nowhere here, as a model that Ultralytics brings, its name."""
    for place in (Path(file), Path(SETTINGS["weights_dir"]) / file):
        if place.is_file():
            return _digest([place.read_bytes()])
    return file


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
        digest.update(b"\0")
    return digest.hexdigest()[:16]
