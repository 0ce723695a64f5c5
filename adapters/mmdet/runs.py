"""What `doctor` finds in the work directory of a training: the config that MMEngine kept there, and the record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .checks import Check, checked

#: how MMEngine calls the folder of the logs of one start
STARTED = re.compile(r"\d{8}_\d{6}")
#: the config as a start had it, in that folder
KEPT = Path("vis_data", "config.py")
#: what `hook.LossPluginsHook` writes into the work directory
RECORD_FILE = "loss_plugins.yaml"
TRAINED = "trained by"
WITHOUT = f"there is no {RECORD_FILE}, as no LossPluginsHook was there: nothing tells what was trained"


def work_dir_of(path: Path) -> Path | None:
    """The work directory that a folder is, or a checkpoint lies in; None: it is none of MMEngine.

    That of one start in it stands for it.
    """
    folder = path if path.is_dir() else path.parent
    if path.is_dir() and STARTED.fullmatch(folder.name) and (folder / KEPT).is_file():
        return folder.parent
    return folder if _starts(folder) else None


def _starts(folder: Path) -> list[Path]:
    """The folders of logs, the last start last."""
    return sorted(each for each in folder.iterdir() if each.is_dir() and STARTED.fullmatch(each.name))


def config_of(folder: Path) -> Path | None:
    """The config of the last start in a work directory; None: MMEngine kept none."""
    kept = [start / KEPT for start in _starts(folder) if (start / KEPT).is_file()]
    beside = sorted(folder.glob("*.py"), key=lambda file: file.stat().st_mtime)
    return kept[-1] if kept else beside[-1] if beside else None


def record_check(folder: Path) -> Check:
    """Which losses trained, as the record of the hook says."""
    file = folder / RECORD_FILE
    if not file.is_file():
        return {"name": TRAINED, "ok": False, "detail": WITHOUT}
    return checked(TRAINED, lambda: "; resumed: ".join(map(_part, _parts(file))))


def _parts(file: Path) -> list[Mapping[str, Any]]:
    """The parts of a run, from its first start on."""
    import mmengine

    said = mmengine.load(file)
    return [*said["earlier"], said]


def _part(part: Mapping[str, Any]) -> str:
    """The losses of some iterations, with how often each was called."""
    losses = ", ".join(map(_loss, part["losses"])) or "no loss of loss_plugins"
    first, last = part["iterations"]
    return f"iterations {first} to {last}: {losses}"


def _loss(said: Mapping[str, Any]) -> str:
    called = f", called {said['calls']} times on {said['boxes']} boxes" if "calls" in said else ""
    return f"{said['loss']['type']} in {said['where']}{called}"
