"""What a resumed checkpoint was trained with, against what the model has now."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mmengine.runner import Runner, find_latest_checkpoint

from loss_plugins.errors import refusal, shown

from .naming import own_defaults
from .record import STAMP
from .runs import RECORD_FILE
from .slots import LossSlot

#: how a loss is computed, not which
MAY_CHANGE = ("compile",)
NONE = "no loss of loss_plugins"


def check_resumed(slots: Sequence[LossSlot], meta: Mapping[str, Any], runner: Runner, allow: Collection[str]) -> Any:
    """Raise unless a checkpoint was trained with these losses.

    Args:
        slots: of the model.
        meta: of the checkpoint.
        runner: the training that goes on from it.
        allow: paths whose differences are only warned of.

    Returns:
        What the checkpoint says of its losses; None: nothing, which is warned of.

    Raises:
        ValueError: the checkpoint was trained with other losses, or what it says of them cannot be read.
    """
    checkpoint = f"{_name(runner)} (epoch {meta.get('epoch')}, iteration {meta.get('iter')})"
    if STAMP not in meta:
        names = ", ".join(f"{slot.key}: {slot.name}" for slot in slots)
        runner.logger.warning(
            f"loss_plugins: {checkpoint} names no loss of loss_plugins: it was trained with the stock losses, or "
            f"without LossPluginsHook, and goes on with {names}. To train with one loss from the start, begin a new run"
        )
        return None
    stamp = read_stamp(meta[STAMP], checkpoint)
    different = differences(stamp["losses"], slots)
    for path in [path for path in different if path in allow]:
        runner.logger.warning(f"loss_plugins: allowed: {'; '.join(different.pop(path))}")
    if different:
        texts = dict.fromkeys(
            text for of_path in different.values() for text in of_path
        )  # student and teacher share keys
        came = f"{checkpoint} was trained with other losses: {'; '.join(texts)}"
        remedy = (
            f"set these keys as they were ({RECORD_FILE} of that run has them), or start a new run from these weights: "
            f"load_from=..., resume=False; allow={list(different)} in LossPluginsHook lets the run go on all the same"
        )
        raise refusal("resume", came, "the losses of the checkpoint", remedy)
    return stamp


def differences(trained: Sequence[Mapping[str, Any]], slots: Sequence[LossSlot]) -> dict[str, list[str]]:
    """What was trained with and is not asked for now, by path and then parameter by parameter, in words.

    Args:
        trained: slot and loss, as a record has them; a parameter that it does not have had today's default.
        slots: of the model.
    """
    before = {part["where"]: part["loss"] for part in trained}
    now = {slot.path: slot for slot in slots}
    found = {path: _difference(before.get(path), now.get(path), path) for path in {**before, **now}}
    return {path: texts for path, texts in found.items() if texts}


def _difference(before: Mapping[str, Any] | None, slot: LossSlot | None, path: str) -> list[str]:
    key = slot.key if slot else f"model.{path}"
    asked = slot.loss.spec() if slot else {}
    if before is None or before["type"] != asked.get("type"):
        was, now = (before or {}).get("type", NONE), asked.get("type", NONE)
        return [f"{key}.type was {was!r}, asked for now: {now!r}"]
    defaults = {name: parameter.default for name, parameter in slot.loss.entry.parameters.items()} if slot else {}
    own = own_defaults(type(slot.loss)) if slot else {}
    trained = {**defaults, **own, **before}
    return [
        f"{key}.{name} was {trained.get(name)!r}, asked for now: {asked.get(name)!r}"
        for name in {**trained, **asked}
        if name not in MAY_CHANGE and trained.get(name) != asked.get(name)
    ]


def read_stamp(stamp: Any, checkpoint: str) -> dict[str, Any]:
    """What a checkpoint says of its losses, or a ValueError if no version of this package has written it."""
    losses = stamp.get("losses") if isinstance(stamp, Mapping) else None
    if not isinstance(losses, list) or not all(_is_named(part) for part in losses):
        came = f"meta[{STAMP!r}] of {checkpoint} cannot be read: {shown(stamp)}"
        raise refusal("resume", came, "a stamp of loss_plugins", "start a new run from these weights: resume=False")
    return dict(stamp)


def _is_named(part: Any) -> bool:
    loss = part.get("loss") if isinstance(part, Mapping) else None
    return isinstance(loss, Mapping) and isinstance(loss.get("type"), str) and isinstance(part.get("where"), str)


def _name(runner: Runner) -> str:
    """The file that a run goes on from."""
    return str(runner.cfg.get("load_from") or find_latest_checkpoint(runner.work_dir) or "the checkpoint")
