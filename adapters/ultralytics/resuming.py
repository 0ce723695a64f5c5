# SPDX-License-Identifier: AGPL-3.0-or-later
"""What can be resumed: a training that has epochs left. In the place of others Ultralytics starts a new training."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from ultralytics.engine.model import Model
from ultralytics.nn.tasks import torch_safe_load
from ultralytics.utils.files import get_latest_run

from loss_plugins.errors import refusal

from .sweeps import in_sweep

ALLOWED = "a checkpoint of a training with epochs left"


def require_unfinished(overrides: Mapping[str, Any]) -> None:
    """Raise if a training is to be resumed that has come to its end, or was none.

    Args:
        overrides: the settings that a trainer is made with.

    Raises:
        ValueError: there is nothing to resume.
    """
    asked = overrides.get("resume")
    model = None if asked or in_sweep() else _dropped()
    if model is not None:
        asked = model.ckpt_path
        if asked is None or not Path(asked).is_file():
            came, remedy = f"model={model.overrides.get('model')} is no checkpoint", "leave resume out"
            raise refusal("resume", f"{came}: nothing to resume", ALLOWED, remedy)
    if not asked:
        return
    file = Path(asked if isinstance(asked, (str, Path)) and Path(asked).is_file() else get_latest_run())
    reason = ended(torch_safe_load(str(file))[0]) if file.is_file() else ""  # Ultralytics says what it misses
    if reason:
        remedy = f"to train on, start a new run from its weights: model={file}, without resume"
        raise refusal("resume", f"{file} {reason}: nothing to resume", ALLOWED, remedy)


def ended(checkpoint: Any) -> str:
    """Why a training cannot go on from a checkpoint; "": it can.

    The end of a training strips the checkpoints of their optimizer, and their epoch is -1 then.
    """
    if not isinstance(checkpoint, Mapping):
        return "is no checkpoint of a training"
    planned = (checkpoint.get("train_args") or {}).get("epochs", 0)
    epoch = checkpoint.get("epoch", -1)
    if epoch is not None and epoch >= 0 and checkpoint.get("optimizer") is not None and epoch + 1 < planned:
        return ""
    trained = (checkpoint.get("train_results") or {}).get("epoch") or ()
    return "has finished" + (f" ({int(max(trained))} of {planned} epochs)" if trained else "")


def _dropped() -> Model | None:
    """The model of a `YOLO(...).train(resume=True)` below which the caller runs, where Ultralytics resumes nothing."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None:
        found = frame.f_locals
        if frame.f_code.co_name == "train" and isinstance(found.get("self"), Model) and "kwargs" in found:
            asked = {**(found.get("overrides") or {}), **found["kwargs"]}.get("resume")
            model: Model = found["self"]
            return model if asked else None
        frame = frame.f_back
    return None
