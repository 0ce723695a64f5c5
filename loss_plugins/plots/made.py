"""What made a result: the command, the seed and the versions, as every picture, table and JSON says it."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..version import __version__

PROGRAM = "loss-plugins"


def versions() -> dict[str, str]:
    """Of what a result without a framework depends on."""
    return {"loss_plugins": __version__, "torch": str(torch.__version__), "python": platform.python_version()}


@dataclass(frozen=True)
class Made:
    """How a result came about.

    Attributes:
        command: the line that makes it again.
        seed: of all that was drawn; None: nothing was.
        versions: by name.
    """

    command: str
    seed: int | None = None
    versions: Mapping[str, str] = field(default_factory=versions)

    def __str__(self) -> str:
        seed = "" if self.seed is None else f"seed {self.seed}, "
        return f"{self.command}\n{seed}{', '.join(f'{name} {version}' for name, version in self.versions.items())}"

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {"command": self.command, "seed": self.seed, "versions": dict(self.versions)}


def command_line(words: Sequence[str], options: Mapping[str, Any]) -> str:
    """The line of a command: its words, then the options that are not None, False or empty.

    >>> command_line(["simulate", "nwd(constant=1)"], {"full": True, "seed": 0, "convention": ["ties"], "out": None})
    "loss-plugins simulate 'nwd(constant=1)' --full --seed 0 --convention ties"
    """
    parts = [PROGRAM, *words]
    for name, value in options.items():
        if value is True:
            parts.append(f"--{name}")
        elif isinstance(value, (list, tuple)):
            parts += [part for each in value for part in (f"--{name}", str(each))]
        elif value is not None and value is not False:
            parts += [f"--{name}", str(value)]
    return shlex.join(parts)
