"""loss_plugins.yaml: which losses trained a checkpoint, what was computed, and where their running statistics stand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from loss_plugins import Loss
from loss_plugins.errors import in_one_line, refusal, shown
from loss_plugins.reports import write_whole

from ..detr.losses import Losses
from .stock import WHERE

RECORD_FILE = "loss_plugins.yaml"
PARTS = ("model", "asked", "steps", "report", "state")


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record into a folder."""
    write_whole(folder / RECORD_FILE, yaml.safe_dump(dict(record), sort_keys=False))


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a folder.

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    file = folder / RECORD_FILE
    if not file.is_file():
        came = f"there is no {file}: the checkpoint was trained without a plug, or lies elsewhere"
        remedy = "callback(resumed_from=FOLDER) names the folder of the checkpoint; or train anew from its weights"
        raise refusal(WHERE, came, "the checkpoint of a training with the callback", remedy)
    try:
        record = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        record = f"no YAML: {in_one_line(error)}"
    if not isinstance(record, Mapping) or not all(part in record for part in PARTS):
        came = f"{file} cannot be read: {shown(record)}"
        raise refusal(WHERE, came, "what the callback wrote", "train anew from the weights of the checkpoint")
    return dict(record)


def in_plain_types(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of losses with lists for tensors."""
    return {
        slot: {**parts, "statistics": {name: value.tolist() for name, value in parts["statistics"].items()}}
        for slot, parts in state.items()
    }


def as_tensors(state: Mapping[str, Any], losses: Losses) -> dict[str, Any]:
    """What `in_plain_types` has made, for these losses."""
    loss_of = {slot.name: slot.loss for slot in losses.slots}
    return {
        slot: {**parts, "statistics": _tensors(parts["statistics"], loss_of[slot])} if slot in loss_of else parts
        for slot, parts in state.items()
    }


def _tensors(statistics: Mapping[str, Any], loss: Loss) -> dict[str, Any]:
    own = loss.state_dict()
    return {
        name: torch.as_tensor(value, dtype=own[name].dtype if name in own else None)
        for name, value in statistics.items()
    }
