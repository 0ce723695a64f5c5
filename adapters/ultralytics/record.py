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

from loss_plugins.reports import write_whole

from .spec import Spec

#: the record in the run's folder, and the attribute of a checkpoint's model that holds the same
PROOF_FILE = "loss_plugins.yaml"
STAMP = "loss_plugins"
#: begins the line of args.yaml that names the losses: a comment, as a key of ours would break `cfg=args.yaml`
COMMENT = "# loss_plugins: "


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
    """The record of a run's folder; None: it has none, or one that cannot be read."""
    file = folder / PROOF_FILE
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("losses"), dict) else None


def names_of(losses: Mapping[str, Any]) -> str:
    """For messages: "box loss eiou and cls loss focal"."""
    found = [f"{slot} loss {loss['type']}" for slot, loss in losses.items() if isinstance(loss, Mapping)]
    return " and ".join(found) or "no loss"


def write_comment(file: Path, spec: Spec) -> None:
    """Name the losses in the last line of args.yaml."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith(COMMENT)]
    write_whole(file, "\n".join([*lines, COMMENT + spec.to_json()]) + "\n")


def read_comment(file: Path) -> dict[str, Any] | None:
    """The losses that a line of args.yaml names; None: there is none."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    found = [line.removeprefix(COMMENT) for line in lines if line.startswith(COMMENT)]
    losses: dict[str, Any] | None = json.loads(found[-1]) if found else None
    return losses
