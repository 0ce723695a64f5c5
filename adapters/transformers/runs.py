"""What trained the model in a folder: the record of the Trainer's callback, and the config of the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from loss_plugins.errors import in_one_line

from ..detr.doctors import Check
from .record import RECORD_FILE, read_record

CONFIG_FILE, KEY = "config.json", "loss_plugins"


def examine(folder: Path) -> list[Check] | None:
    """What `loss-plugins doctor FOLDER` shows.

    Args:
        folder: where a Trainer has written, a checkpoint of it, or a saved model.

    Returns:
        what each of them says; None: there is neither a record of the callback nor a config that names losses.
    """
    asked, recorded = _of_config(folder), _is_recorded(folder)
    if asked is None and not recorded:
        return None
    checks = [_record(folder)] if recorded else []
    if asked is not None:
        checks.append(_config(folder, asked, recorded))
    return checks


def _is_recorded(folder: Path) -> bool:
    """Whether there is a record, and not one of another framework, which has no "asked"."""
    file = folder / RECORD_FILE
    try:
        return file.is_file() and "asked" in (yaml.safe_load(file.read_text(encoding="utf-8")) or ())
    except (yaml.YAMLError, UnicodeDecodeError, TypeError):
        return False


def _of_config(folder: Path) -> dict[str, Any] | None:
    """The losses that the config of a model names."""
    file = folder / CONFIG_FILE
    try:
        said = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError:
        return None
    named = said.get(KEY) if isinstance(said, Mapping) else None
    return dict(named) if isinstance(named, Mapping) else None


def _record(folder: Path) -> Check:
    try:
        record = read_record(folder)
        parts = [_part(part) for part in (*record["earlier"], record)]
    except (ValueError, KeyError, TypeError) as error:
        return {"name": RECORD_FILE, "ok": False, "detail": in_one_line(error)}
    return {"name": "trained by", "ok": True, "detail": "; resumed: ".join(parts)}


def _part(part: Mapping[str, Any]) -> str:
    """The losses of some steps, with what came back to each."""
    first, last = part["steps"]
    slots = [
        f"{slot['loss']} in the place of {slot['stock']}, gradient in {slot['gradient_rows']} of {slot['rows']} rows"
        for slot in (part["report"]["box"], part["report"]["cls"])
        if slot is not None
    ]
    return f"steps {first} to {last}: {', '.join(slots)}"


def _config(folder: Path, asked: Mapping[str, Any], recorded: bool) -> Check:
    """The config says which losses are to be plugged again; a record beside it has to say the same."""
    names = [f"{slot}={_type(asked[slot])}" for slot in ("box", "cls") if asked.get(slot) is not None]
    detail = f"{', '.join(names)}: plug_again(model) plugs {'it' if len(names) == 1 else 'them'}"
    try:
        same = not recorded or read_record(folder)["asked"] == asked
    except ValueError:
        same = True  # the record's own line tells of it
    told = detail if same else f"{detail}; {RECORD_FILE} names other losses, or with other parameters"
    return {"name": f"{KEY} of {CONFIG_FILE}", "ok": same, "detail": told}


def _type(spec: Any) -> str:
    return str(spec.get("type", spec)) if isinstance(spec, Mapping) else str(spec)
