"""What `doctor` finds in a config of MMDetection, and the text that mends it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from loss_plugins.errors import in_one_line, refusal, shown

from .bases import holds_dict
from .checks import Check, checked
from .construction import Construction, construct
from .edits import ROOT, Edited
from .fragment import fragment
from .handed import WORDS
from .inspection import NO_ROW, Inspection, inspect
from .lost_hooks import HOOK, LINE, has_hook, in_words, lost_hooks
from .remedies import Changes
from .slots import LossSlot

#: how often a config that was mended is looked at anew, as one fault may hide another
ROUNDS = 6
HOOK_KEY = "default_hooks.loss_plugins"
NO_LOSS_OF_OURS = "no loss of loss_plugins is in it: write the scope, type='loss_plugins.EIoULoss'"
NAME_A_MODEL = "write model = dict(type=...), or name a config in _base_ that has one"


class Examined:
    """A model's config, built and tried.

    Attributes:
        built: what came of building it.
        inspection: what was found out about its losses; None: it could not be built.
    """

    def __init__(self, config: Any) -> None:
        self.built: Construction = construct(config)
        self.inspection: Inspection | None = None
        if self.built.model is not None:
            self.inspection = inspect(self.built.model, self.built.config)

    @property
    def has_losses(self) -> bool:
        """Whether there is a model with a loss of loss_plugins, as the hook asks for."""
        return self.inspection is not None and bool(self.inspection.slots)

    def changes(self) -> Changes:
        """What mends the config, as far as this look shows."""
        found = {key: value for fault in self.built.faults.values() for key, value in fault.changes.items()}
        if self.inspection is not None:
            for finding in self.inspection.findings:
                found |= finding.changes
        return found

    def unmended(self) -> Iterator[str]:
        """What is still wrong."""
        yield from (f"{key}: {fault.message}" for key, fault in self.built.faults.items())
        if self.inspection is None:
            error = self.built.error
            yield f"the model cannot be built: {'' if error is None else in_one_line(error)}"
            return
        yield from (f"{each.slot.key}: {each.message}" for each in self.inspection.findings)
        if not self.inspection.slots:
            yield f"{ROOT}: {NO_LOSS_OF_OURS}"


def read(file: str, cfg_options: Sequence[str] = ()) -> Config:
    """A config with the values that the shell sets, as MMDetection's own tools take them."""
    wrong = [pair for pair in cfg_options if not pair.partition("=")[0] or "=" not in pair]
    if wrong:
        raise refusal(
            "doctor", f"--cfg-options {wrong[0]!r} names no key or no value", "KEY=VALUE ...", "write KEY=VALUE"
        )
    if not holds_dict(Path(file)):
        raise refusal("doctor", f"{file} holds no dict", "a dict with the model of MMDetection", NAME_A_MODEL)
    cfg = Config.fromfile(file)
    if cfg_options:
        parser = argparse.ArgumentParser()
        parser.add_argument("--cfg-options", nargs="+", action=DictAction)
        cfg.merge_from_dict(parser.parse_args(["--cfg-options", *cfg_options]).cfg_options)
    return cfg


def config_checks(file: str, cfg_options: Sequence[str] = (), fix: bool = False) -> tuple[list[Check], list[str]]:
    """The checks of a config; with `fix`, the lines that mend it as well."""
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    found: list[Config] = []

    def reading() -> str:
        found.append(read(file, cfg_options))
        return "as MMEngine reads it"

    readable = checked(f"{file} can be read", reading)
    if not found:
        return [readable], []
    (cfg,) = found
    built = f"the model of {file} can be built"
    if not isinstance(cfg.get("model"), Mapping):
        came = f"its `model` is {shown(cfg.model)}, no dict" if cfg.get("model") is not None else "it has no `model`"
        detail = f"{came}: {NAME_A_MODEL}"
        return [readable, _check(built, detail)], [f"# no change is known for {file}: {detail}"] if fix else []
    examined = Examined(cfg.model)
    checks = [
        checked(built, partial(_built, examined)),
        checked(HOOK, partial(_hook, cfg)),
    ]
    checks += [_check(key, fault.message) for key, fault in examined.built.faults.items()]
    if examined.inspection is not None:
        checks += _slot_checks(examined.inspection, set(examined.built.faults))
    return checks, _lines(Path(file), cfg, examined, cfg_options) if fix else []


def _lines(file: Path, cfg: Config, examined: Examined, cfg_options: Sequence[str]) -> list[str]:
    """The lines of `_mending`, or why there are none: what was found is told all the same."""
    try:
        lines = list(_mending(file, cfg, examined, cfg_options))
    except Exception as error:  # whatever reading a config again may raise
        lines = [f"# no lines could be made: {in_one_line(error)}"]
    unended = file.suffix == ".py" and not file.read_text(encoding="utf-8").endswith("\n")
    return ["", *lines] if lines and unended else lines


def _check(name: str, message: str) -> Check:
    return {"name": name, "ok": not message, "detail": message}


def _built(examined: Examined) -> str:
    built = examined.built
    if built.faults:
        raise RuntimeError(f"not with {', '.join(built.faults)} as it is, see below")
    if built.error is not None:
        raise built.error
    if not examined.has_losses:
        raise RuntimeError(NO_LOSS_OF_OURS)
    return type(built.model).__name__


def _hook(cfg: Config) -> str:
    lost = lost_hooks(cfg)
    if lost:
        raise RuntimeError(in_words(lost))
    if not has_hook(cfg):
        return f"not there, so nothing proves that the losses are trained: {LINE}"
    return "there; its bases cannot be read again" if lost is None else "there, and no hook of a base is lost by it"


def _slot_checks(inspection: Inspection, told: set[str]) -> Iterator[Check]:
    """One check a key of which nothing was told yet, and one if the model could not be tried.

    Several losses may have one key: those of student and teacher, of which one is called, and of stages.
    """
    slots = sorted(inspection.slots, key=lambda slot: (not inspection.of(slot), slot.path not in inspection.handed))
    first = {slot.key: slot for slot in reversed(slots)}
    for key in dict.fromkeys(slot.key for slot in inspection.slots):
        if key not in told:
            yield _slot_check(first[key], inspection)
    if inspection.untried:
        yield {"name": "the model could not be tried on made-up images", "ok": True, "detail": inspection.untried}


def _slot_check(slot: LossSlot, inspection: Inspection) -> Check:
    found = inspection.of(slot)
    handed = inspection.handed.get(slot.path)
    gets = f", which gets {WORDS[handed]}" if handed not in (None, "nothing") else ""
    told = [inspection.scales.get(slot.path), NO_ROW if slot in inspection.unknown else None]
    more = "".join(f"; {each}" for each in told if each)
    detail = "; ".join(found) if found else f"{slot.name} in {type(slot.head).__name__}{gets}{more}"
    return {"name": slot.key, "ok": not found, "detail": detail}


def _mending(file: Path, cfg: Config, examined: Examined, cfg_options: Sequence[str]) -> Iterator[str]:
    """Lines that mend a config, of changes that were tried; as comments, what none is known for, and what none reaches.

    Args:
        file: the config.
        cfg: the same, merged, with the values of the shell.
        examined: what was found in it.
        cfg_options: KEY=VALUE that the shell sets, after the file.
    """
    edited = Edited(cfg.get("model"))
    for _ in range(ROUNDS):
        if not edited.apply(examined.changes()):
            break
        examined = Examined(edited.config)
    for fault in examined.unmended():
        yield f"# no change is known for {fault}"
    changes = dict(edited.changes)
    for key in sorted({pair.partition("=")[0] for pair in cfg_options} & set(changes)):
        yield f"# on the shell, which has the last word: {key}={changes.pop(key)}"
    if lost := lost_hooks(cfg):
        yield f"# by hand: {in_words(lost)}"
    elif not has_hook(cfg) and examined.has_losses:
        changes[HOOK_KEY] = {"type": f"loss_plugins.{HOOK}"}
    yield from fragment(file, cfg, changes, partial(read, cfg_options=cfg_options))
