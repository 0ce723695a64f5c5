# SPDX-License-Identifier: AGPL-3.0-or-later
"""A warning where a stock trainer goes on with a run, or into the folder of one, that trained with plugged losses."""

from __future__ import annotations

from typing import Any

from ultralytics.utils import LOGGER
from ultralytics.utils.callbacks.base import default_callbacks

from . import owners
from .record import PROOF_FILE, names_of, read_record

EVENT = "on_pretrain_routine_start"


def warn_of_record(trainer: Any) -> None:
    """Ultralytics calls this as a training begins."""
    if hasattr(trainer, "loss_spec"):
        return
    try:
        record = read_record(trainer.save_dir)
    except ValueError as error:
        LOGGER.warning(f"loss_plugins: {trainer.save_dir / PROOF_FILE} cannot be read: {error}")
        return
    if record is None:
        return
    file, losses, inside = trainer.save_dir / PROOF_FILE, names_of(record["losses"]), owners.context()
    now = "the stock losses" if inside is None else f"the {names_of(inside.spec.as_dict())} of patched(...), unrecorded"
    if trainer.resume:
        LOGGER.warning(
            f"loss_plugins: this run was trained with {losses}, and a stock trainer goes on with {now}; "
            f"to go on with its own, pass trainer=lpu.trainer(config={str(file)!r}) to train(resume=True)"
        )
    else:
        LOGGER.warning(
            f"loss_plugins: {file} tells of an earlier run, which was trained with {losses}; this one trains "
            f"{now}: delete the file, or train into another folder"
        )


def install() -> None:
    """Add the warning to Ultralytics' callbacks, once; nothing of Ultralytics is replaced."""
    if warn_of_record not in default_callbacks[EVENT]:
        default_callbacks[EVENT].append(warn_of_record)
