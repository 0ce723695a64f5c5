"""Lines at the end of a config file, tried on a copy of it before they are proposed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from loss_plugins.reports import for_a_while_beside

from .written import written


@dataclass(frozen=True)
class Attempt:
    """A config file with other lines at its end.

    Attributes:
        file: the config.
        text: what the lines are put behind.
        read: reads a config file, with the values of the shell.
    """

    file: Path
    text: str
    read: Callable[[str], Config]

    def holds(self, lines: Iterable[str], name: str, wanted: Any) -> bool:
        """Whether a top-level name is as wanted in a copy that ends with these lines."""
        with for_a_while_beside(self.file, ".py") as part:  # from where it finds its bases
            part.write_text("\n".join([self.text, *lines, ""]), encoding="utf-8")
            try:
                found = self.read(str(part)).get(name)
            except Exception:  # lines that do not suit the file may make it raise anything, and so do not hold
                return False
        return bool(_plain(found) == _plain(wanted))


def _plain(value: Any) -> Any:
    """What a config says, whatever the registries of its bases, and whether by classes or by names."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items() if name != "_scope_"}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return written(value).strip('"') if isinstance(value, type) else value
