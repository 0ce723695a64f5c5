# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the user asked for, resolved to plain types: it travels by environment variable, YAML and checkpoint."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from loss_plugins import Loss, build_loss
from loss_plugins.checks import Choice, check_value, closest

GAINS = Choice("keep", "match")
ASSIGNERS = Choice("keep", "match")
KEYS = ("box", "gain", "assigner")
BoxSpec = str | Mapping[str, Any] | Loss


@dataclass(frozen=True)
class Spec:
    """The losses of a run.

    Attributes:
        box: catalogue spec of the box loss, all defaults resolved.
        gain: "keep" the trainer's box gain, or "match" the stock loss's gradient norm.
        assigner: "keep" the stock IoU in the assigner, or "match" the new loss.
        imports: modules that register the losses, for other processes.
    """

    box: dict[str, Any]
    gain: str = "keep"
    assigner: str = "keep"
    imports: tuple[str, ...] = ()

    def build(self) -> Loss:
        """A new module of the box loss."""
        for module in self.imports:
            importlib.import_module(module)
        return build_loss(self.box, reduction="none")

    def as_dict(self) -> dict[str, Any]:
        """Plain types, as stored in run folder and checkpoint."""
        return {**asdict(self), "imports": list(self.imports)}

    def to_json(self) -> str:
        """One line, for the environment variable."""
        return json.dumps(self.as_dict())

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """The inverse of `to_json`."""
        fields = json.loads(text)
        return cls(**{**fields, "imports": tuple(fields["imports"])})


def make_spec(
    box: BoxSpec | None = None,
    *,
    gain: str | None = None,
    assigner: str | None = None,
    config: str | Path | None = None,
) -> Spec:
    """Resolve what was asked for; every mistake is an error here, before training.

    Args:
        box: name, dict with `type`, or module of a box loss.
        gain: "keep" or "match".
        assigner: "keep" or "match".
        config: YAML file with a `losses` section; keywords given win over it.

    Raises:
        ValueError, TypeError: naming argument, value and remedy.
    """
    chosen = read_config(config) if config is not None else {}
    given = {"box": box, "gain": gain, "assigner": assigner}
    chosen.update({key: value for key, value in given.items() if value is not None})
    if "box" not in chosen:
        raise ValueError("no box loss was asked for; pass box='eiou' (or a config file with losses: {box: ...})")
    gain, assigner = chosen.get("gain", "keep"), chosen.get("assigner", "keep")
    check_value("ultralytics adapter", "gain", gain, GAINS)
    check_value("ultralytics adapter", "assigner", assigner, ASSIGNERS)
    loss = _box_module(chosen["box"])
    if assigner == "match" and loss.entry.traits.stateful:
        raise ValueError(
            f"assigner='match' does not go with {loss.entry.name}: its running statistic would count assignment "
            "candidates; use assigner='keep'"
        )
    resolved = {key: value for key, value in loss.spec().items() if key != "reduction"}
    return Spec(resolved, gain, assigner, _imports(loss))


def read_config(file: str | Path) -> dict[str, Any]:
    """The `losses` section of a YAML file.

    Raises:
        ValueError: no such file, no such section, or a key in it that is not known.
    """
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"config={str(file)!r} is not a file; ready-made ones lie in configs/ultralytics/")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    losses = content.get("losses") if isinstance(content, Mapping) else None
    if not isinstance(losses, Mapping):
        raise ValueError(f"config={str(file)!r} has no section 'losses:'; write, say, losses: {{box: {{type: eiou}}}}")
    allowed = (*KEYS, "imports")
    for key in losses:
        if key not in allowed:
            raise ValueError(f"config={str(file)!r}: unknown key losses.{key}; {closest(str(key), allowed)}")
    for module in losses.get("imports", ()):
        importlib.import_module(module)
    return {key: losses[key] for key in KEYS if key in losses}


def _box_module(box: Any) -> Loss:
    if isinstance(box, Loss):
        box = {key: value for key, value in box.spec().items() if key != "reduction"}
    if isinstance(box, Mapping) and "reduction" in box:
        raise ValueError(
            f"box={dict(box)!r}: reduction is the trainer's (weighted sum over assigned boxes); leave it out"
        )
    loss = build_loss(box, reduction="none")
    if loss.entry.kind != "box":
        raise ValueError(
            f"box={box!r} is a loss per {loss.entry.kind}; the box slot takes one number per box: "
            "see loss-plugins list --kind box"
        )
    return loss


def _imports(loss: Loss) -> tuple[str, ...]:
    module = loss.entry.function.__module__
    return () if module.partition(".")[0] == "loss_plugins" else (module,)
