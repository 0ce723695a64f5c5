# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which epochs of a run its losses trained: the part of record and stamp that goes on over resumes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from loss_plugins.errors import in_one_line, refusal, shown
from loss_plugins.reports import write_whole

from .slot_table import SLOTS
from .spec import Spec

#: the record in the run's folder, and the attribute of a checkpoint's model that holds the same
PROOF_FILE = "loss_plugins.yaml"
STAMP = "loss_plugins"
#: begins the line of args.yaml that names the losses: a comment, as a key of ours would break `cfg=args.yaml`
COMMENT = "# loss_plugins: "


class TornError(ValueError):
    """A file of a run that is not whole, or holds something else; the doctor tells of it."""


@dataclass
class Record:
    """The epochs of a run.

    Attributes:
        run: the identity of the run, the same in its checkpoints and after each resume.
        first: the first epoch of this part, from 1.
        last: the last one that was trained to its end; first - 1: none yet.
        earlier: the parts before this one, each with its epochs, versions and report.
    """

    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    first: int = 1
    last: int = 0
    earlier: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def resumed(cls, stamp: Mapping[str, Any], first: int) -> Record:
        """The record of a run that goes on.

        Args:
            stamp: of the checkpoint; one of an earlier version names no run.
            first: the epoch that comes next, from 1.
        """
        part = {key: stamp[key] for key in ("report", "versions") if key in stamp}
        part = {"epochs": list(stamp.get("epochs", (1, first - 1))), **part}
        named = {"run": stamp["run"]} if "run" in stamp else {}
        return cls(first=first, last=first - 1, earlier=[*stamp.get("earlier", ()), part], **named)

    def as_dict(self) -> dict[str, Any]:
        """Plain types, as stored in run folder and checkpoint."""
        return {"run": self.run, "epochs": [self.first, self.last], "earlier": self.earlier}


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a run's folder; None: it has none. What cannot be read is a ValueError."""
    file = folder / PROOF_FILE
    if not file.is_file():
        return None
    return checked(read_yaml(file))


def read_yaml(file: Path) -> Any:
    """What a file of a run holds. What is no YAML is a ValueError."""
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise TornError(f"no YAML: {in_one_line(error)}") from error


def checked(said: Any) -> dict[str, Any]:
    """A record or a stamp whose parts have the types that readers expect. What has not is a ValueError."""
    parts = said if isinstance(said, Mapping) else {}
    check_losses(parts.get("losses"))
    if not isinstance(parts.get("run", ""), str):
        raise TornError(f"run={shown(parts['run'])} is no text")
    if not isinstance(parts.get("earlier", ()), (list, tuple)):
        raise TornError(f"earlier={shown(parts['earlier'])} is no list")
    for part in (*parts.get("earlier", ()), parts):
        epochs = part.get("epochs", (1, 1)) if isinstance(part, Mapping) else None
        if not (isinstance(epochs, (list, tuple)) and [type(epoch) for epoch in epochs] == [int, int]):
            raise TornError(f"epochs={shown(epochs)} are not the first and the last epoch")
    return dict(parts)


def read_stamp(stamp: Any, checkpoint: str) -> dict[str, Any]:
    """The stamp of a checkpoint that a run goes on from: as `checked`, with the state of its losses.

    Raises:
        ValueError: it is none that this version wrote.
    """
    try:
        parts = checked(stamp)
        if not isinstance(parts.get("state"), Mapping):
            raise TornError(f"state={shown(parts.get('state'))} is no dict")
    except TornError as error:
        came = f"the stamp of {checkpoint} cannot be read: {error}"
        remedy = "name the losses, and start a new run from these weights"
        raise refusal("ultralytics adapter", came, "a stamp of loss_plugins", remedy) from error
    return parts


def check_losses(losses: Any) -> None:
    """Losses by slot, one at least, each with its name. Anything else is a ValueError."""
    if not isinstance(losses, Mapping):
        raise TornError(f"losses={shown(losses)} is no dict")
    given = {slot: losses[slot] for slot in SLOTS if losses.get(slot) is not None}
    if not given:
        raise TornError(f"losses={shown(losses)} names no loss")
    for slot, loss in given.items():
        if not (isinstance(loss, Mapping) and isinstance(loss.get("type"), str)):
            raise TornError(f"{slot}={shown(loss)} names no loss by its type")


def names_of(losses: Mapping[str, Any]) -> str:
    """For messages: "box loss eiou and cls loss focal"."""
    found = [f"{slot} loss {loss['type']}" for slot, loss in losses.items() if isinstance(loss, Mapping)]
    return " and ".join(found) or "no loss"


def write_comment(file: Path, spec: Spec) -> None:
    """Name the losses in the last line of args.yaml."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith(COMMENT)]
    write_whole(file, "\n".join([*lines, COMMENT + spec.to_json()]) + "\n")


def read_comment(file: Path) -> dict[str, Any] | None:
    """The losses that a line of args.yaml names; None: there is none. What cannot be read is a ValueError."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    found = [line.removeprefix(COMMENT) for line in lines if line.startswith(COMMENT)]
    if not found:
        return None
    losses = json.loads(found[-1])
    check_losses(losses)
    return dict(losses)
