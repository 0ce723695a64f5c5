# SPDX-License-Identifier: AGPL-3.0-or-later
"""The losses of a run in plain types, as environment variable, YAML file and checkpoint carry them."""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from loss_plugins import Loss, build_loss
from loss_plugins.catalog.entries import meaning_of
from loss_plugins.catalog.ranges import Choice, check_value
from loss_plugins.errors import check_type, in_our_words, refusal, shown
from loss_plugins.module.image_size import filled, units_at_odds
from loss_plugins.module.mix import RESOLVED, trains_nothing

from . import own
from .classes import classes_of
from .config import import_modules, read_config
from .dfl_fits import require_dfl_loss
from .fits import EXAMPLE_COLUMNS, fits_scores, misfit_of_scores, names_of, require_fit, says_otherwise, singles
from .keypoint_fits import require_keypoint_loss
from .mask_fits import require_mask_loss
from .sem_fits import require_sem_loss
from .slot_table import SLOTS, UNSERVED

GAINS = Choice("keep", "match")
ASSIGNERS = Choice("keep", "match")
#: slots whose loss gain="match" can make pull as hard as the stock loss
MATCHED = ("box", "cls")
BOX_KINDS = ("box", "rotated_box")
LossSpec = str | Mapping[str, Any] | Loss | own.Function
WANTED = f"a loss of {' or '.join(SLOTS)}, or several of them"


class Said(NamedTuple):
    """What slots and config are called where a user writes them, and how the name of a loss is written there."""

    box: str = "box"
    cls: str = "cls"
    dfl: str = "dfl"
    mask: str = "mask"
    sem: str = "sem"
    keypoint: str = "keypoint"
    config: str = "config"
    eiou: str = "'eiou'"


@in_our_words
@dataclass(frozen=True)
class Spec:
    """The losses of a run; at least one of the slots.

    Attributes:
        box: catalogue spec of the box loss, all defaults resolved; None: the stock loss.
        cls: the same of the class loss.
        mask: the same of the mask loss.
        dfl: the same of the loss of the sides.
        sem: the same of the loss of semantic maps.
        keypoint: the same of the loss of key points.
        gain: "keep" the trainer's gains, or "match" the stock losses' gradients on a fixed set.
        assigner: "keep" the stock IoU in the assigner, or "match" the new box loss.
        nan_guard: whether a loss that is NaN or infinite in training is saved, named and raised.
        imports: modules that register losses, and functions that are losses, "mylosses:my_iou", for other processes.
    """

    box: dict[str, Any] | None = None
    cls: dict[str, Any] | None = None
    gain: str = "keep"
    assigner: str = "keep"
    imports: tuple[str, ...] = ()
    mask: dict[str, Any] | None = None
    dfl: dict[str, Any] | None = None
    sem: dict[str, Any] | None = None
    keypoint: dict[str, Any] | None = None
    nan_guard: bool = False

    def __post_init__(self) -> None:
        for slot in SLOTS:
            check_type("Spec", slot, getattr(self, slot), dict, type(None))
        check_value("Spec", "gain", self.gain, GAINS)
        check_value("Spec", "assigner", self.assigner, ASSIGNERS)
        check_type("Spec", "nan_guard", self.nan_guard, bool)
        check_type("Spec", "imports", self.imports, tuple)
        for module in self.imports:
            check_type("Spec", "imports", module, str)

    def build(self, slot: str) -> Loss:
        """A new module of the loss of a slot.

        Raises:
            ValueError: no loss was asked for there.
        """
        spec = getattr(self, slot) if slot in SLOTS else None
        if spec is None:
            raise refusal("Spec", f"no loss was asked for in the slot {shown(slot)}", WANTED, "give it one")
        import_modules(self.imports, f"imports={list(self.imports)}")
        return build_loss(spec, reduction="none")

    def as_dict(self) -> dict[str, Any]:
        """Plain types, as stored in run folder and checkpoint."""
        return {**asdict(self), "imports": list(self.imports)}

    def to_json(self) -> str:
        """One line, for the environment variable."""
        return json.dumps(self.as_dict())

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """The inverse of `to_json`.

        Raises:
            ValueError: the text is none that `to_json` wrote.
        """
        try:
            fields = json.loads(text)
            return cls(**{**fields, "imports": tuple(fields["imports"])})
        except (ValueError, TypeError, KeyError) as error:
            came, remedy = f"the spec {shown(text)} cannot be read", "unset the variable LOSS_PLUGINS_ULTRALYTICS"
            raise refusal("ultralytics adapter", came, "what Spec.to_json wrote", remedy) from error


@partial(in_our_words, refused=UNSERVED)
def make_spec(
    box: LossSpec | None = None,
    cls: LossSpec | None = None,
    *,
    dfl: LossSpec | None = None,
    mask: LossSpec | None = None,
    sem: LossSpec | None = None,
    keypoint: LossSpec | None = None,
    gain: str | None = None,
    assigner: str | None = None,
    nan_guard: bool | None = None,
    config: str | Path | None = None,
) -> Spec:
    """Resolve names, dicts, modules or a config file to a spec; every mistake is an error here, before training.

    Args:
        box: name, dict with `type`, module or function of a box loss.
        cls: name, dict with `type`, or module of a class loss that works per anchor and class on soft targets.
        dfl: name, dict with `type`, or module of a loss of distributions over bins, or of single distances.
        mask: name, dict with `type`, or module of a region loss, or of one per pixel of logits and soft targets.
        sem: name, dict with `type`, or module of a region loss, one per pixel, or a mix of both, of semantic maps.
        keypoint: name, dict with `type`, or module of a loss of key points, or a mix of such.
        gain: "keep" or "match".
        assigner: "keep" or "match".
        nan_guard: True or False (default).
        config: YAML file with a `losses` section; keywords given win over it. Its `imports:` are code, which runs when
            the file is read: see `config.read_config`.

    Raises:
        ValueError, TypeError: naming argument, value and remedy.
    """
    asked = {"box": box, "cls": cls, "dfl": dfl, "mask": mask, "sem": sem, "keypoint": keypoint}
    return spec_of({**asked, "gain": gain, "assigner": assigner, "nan_guard": nan_guard, "config": config}, Said())


def spec_of(asked: Mapping[str, Any], said: Said) -> Spec:
    """What `make_spec` makes of these keywords.

    Args:
        asked: the keywords; one that is None or missing was not given.
        said: what the slots are called where the caller writes them, for errors.
    """
    given = {name: asked.get(name) for name in (*SLOTS, "gain", "assigner", "nan_guard")}
    config = asked.get("config")
    if callable(given["box"]):
        _box_module(given["box"], said.box)  # which enters a function, so that a run's record knows its imports
    of_file = read_config(config, said.config) if config is not None else {}
    chosen = {**of_file, **{key: value for key, value in given.items() if value is not None}}
    if all(chosen.get(slot) is None for slot in SLOTS):
        came = f"no loss was asked for ({', '.join(f'{getattr(said, slot)}=None' for slot in SLOTS)})"
        remedy = f"pass {said.box}={said.eiou} (or a config file with losses: {{box: ...}})"
        raise refusal("ultralytics adapter", came, WANTED, remedy)
    where = {key: f"{said.config}={shown(str(config))}, losses.{key}" for key in of_file if given[key] is None}
    gain, assigner = chosen.get("gain", "keep"), chosen.get("assigner", "keep")
    for key, value, allowed in (("gain", gain, GAINS), ("assigner", assigner, ASSIGNERS)):
        with _told_of(where.get(key)):
            check_value("ultralytics adapter", key, value, allowed)
    guarded = chosen.get("nan_guard", False)
    with _told_of(where.get("nan_guard")):
        check_type("ultralytics adapter", "nan_guard", guarded, bool)
    losses: dict[str, Loss] = {}
    modules = (_box_module, _cls_module, _dfl_module, _mask_module, _sem_module, _keypoint_module)
    for slot, build in zip(SLOTS, modules, strict=True):
        if chosen.get(slot) is not None:
            with _told_of(where.get(slot)):
                losses[slot] = build(chosen[slot], getattr(said, slot))
    if assigner == "match":
        _check_assigner(losses.get("box"))
    if gain == "match":
        _check_gain({getattr(said, slot): loss for slot, loss in losses.items() if slot not in MATCHED})
    imports = tuple(sorted({module for loss in losses.values() for module in _imports(loss)}))
    specs = {slot: _resolved(loss) for slot, loss in losses.items()}
    return Spec(gain=gain, assigner=assigner, nan_guard=guarded, imports=imports, **specs)


@contextmanager
def _told_of(place: str | None) -> Iterator[None]:
    """Errors begin with the file and the key that they are about; None: what is wrong was no file's."""
    try:
        yield
    except (ValueError, TypeError) as error:
        if place is None:
            raise
        raise type(error)(f"{place}: {error}") from error


#: what may change from a run to its continuation: how a loss is computed, not which
MAY_CHANGE = ("compile", "imports")


def differences(trained: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """What a checkpoint was trained with and is not asked for now, parameter by parameter, in words.

    A parameter that an older record does not have had today's default.

    Args:
        trained: the losses as the checkpoint's stamp has them.
        asked: those asked for, see `Spec.as_dict`.

    >>> differences({"box": {"type": "alpha_iou", "alpha": 2.0}}, make_spec("alpha_iou").as_dict())
    ['box.alpha was 2.0, asked for now: 3.0']
    """
    before, now = _flat(trained), _flat(asked)
    others = {
        slot for slot in SLOTS if before.get(f"{slot}.type") != now.get(f"{slot}.type")
    }  # of no common parameters
    keys = [key for key in {**before, **now} if key.rpartition(".")[2] not in MAY_CHANGE]
    keys = [key for key in keys if key.partition(".")[0] not in others or key.endswith(".type")]
    return [
        f"{key} was {before.get(key)!r}, asked for now: {now.get(key)!r}"
        for key in keys
        if before.get(key) != now.get(key)
    ]


def _flat(losses: Mapping[str, Any]) -> dict[str, Any]:
    """One key for each slot's parameter and each setting, with today's defaults where the record has none."""
    found = {key: losses.get(key, "keep") for key in ("gain", "assigner")}
    for slot in SLOTS:
        found.update({f"{slot}.{key}": value for key, value in _completed(losses.get(slot) or {}).items()})
    return found


def _completed(loss: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return _resolved(build_loss(loss, reduction="none")) if loss else loss
    except (ValueError, TypeError):  # a loss or parameter that there is no more
        return loss


def _check_gain(unmatched: Mapping[str, Loss]) -> None:
    if not unmatched:
        return
    asked, keys = " and ".join(f"{key}={loss.entry.name}" for key, loss in unmatched.items()), " and ".join(unmatched)
    came = f"gain='match' is known for boxes and classes, and {asked} was asked for"
    remedy = f"use gain='keep', and set loss_weight of {keys} if the ratio that each epoch logs asks for it"
    raise refusal("ultralytics adapter", came, f"gain='keep' beside {keys}", remedy)


def _check_assigner(box_loss: Loss | None) -> None:
    if box_loss is None:
        came, remedy = "assigner='match' needs a box loss to match", "pass box=... or use assigner='keep'"
        raise refusal("ultralytics adapter", came, "'match' beside a box loss, or 'keep'", remedy)
    allowed = f"'keep' beside {box_loss.entry.name}"
    if box_loss.entry.traits.stateful:
        came = (
            f"assigner='match' does not go with {box_loss.entry.name}: its running statistic would count assignment "
            "candidates"
        )
        raise refusal("ultralytics adapter", came, allowed, "use assigner='keep'")
    if box_loss.entry.traits.units == "image":
        came = f"assigner='match' does not go with {box_loss.entry.name}: an assigner does not know the image's size"
        raise refusal("ultralytics adapter", came, allowed, "use assigner='keep'")


def _module(slot: str, asked: Any, said: str) -> Loss:
    where = f"ultralytics adapter, {slot} loss"
    if isinstance(asked, Loss):
        asked = _resolved(asked)
    elif isinstance(asked, Mapping):
        asked = {key: _named(slot, loss, f"{said}.type") if key == "type" else loss for key, loss in asked.items()}
    asked = filled(_named(slot, asked, said))
    if not isinstance(asked, (str, Mapping)):
        came = f"{said}={shown(asked)}: spec must be a name or a dict with 'type', got {type(asked).__name__}"
        raise refusal(
            where, came, "a name, a dict with 'type', or a module of loss_plugins", f"{said}='...'", TypeError
        )
    if isinstance(asked, Mapping) and "reduction" in asked:
        came = f"{said}={shown(dict(asked))}: reduction is the trainer's (a weighted sum)"
        raise refusal(where, came, "no reduction", "leave it out")
    if isinstance(asked, Mapping) and "type" not in asked:
        came, allowed = f"{said}={shown(dict(asked))} has no 'type'", "a name, or a dict with 'type'"
        near = difflib.get_close_matches("type", map(str, asked), n=1)
        remedy = f"write 'type' for {near[0]!r}" if near else "add the name of a loss"
        raise refusal(where, came, allowed, remedy, TypeError)
    name, argument = (asked, said) if isinstance(asked, str) else (asked["type"], f"{said}.type")
    meaning_of(name, where, argument)
    loss = build_loss(asked, reduction="none")
    for each in loss.modules():  # a mix, and each of its losses
        if isinstance(each, Loss) and each.parameters_given.get("box_format", "xyxy") != "xyxy":
            came = f"{said}={shown(asked)}: box_format={each.parameters_given['box_format']!r}"
            remedy = "leave box_format out: every model hands its boxes over as corners"
            raise refusal(each.entry.name, came, "'xyxy'", remedy)
    reason = trains_nothing(loss)
    if reason:
        raise refusal(
            where, f"{said}={shown(asked)}: {reason}", f"a loss_weight from {RESOLVED:g} on", "leave it out for 1.0"
        )
    return loss


def _named(slot: str, asked: Any, said: str) -> Any:
    """The name of a loss that came as a function; anything else as it is. A class of a loss is refused."""
    where = f"ultralytics adapter, {slot} loss"
    if isinstance(asked, type) and issubclass(asked, Loss):
        came, name = f"{said}={asked.__name__} is a class", getattr(getattr(asked, "entry", None), "name", None)
        remedy = f"pass {asked.__name__}()" + (f" or {name!r}" if name else "")
        raise refusal(where, came, "a name, a dict with 'type', or a module of loss_plugins", remedy, TypeError)
    if not callable(asked) or isinstance(asked, (type, Loss)):
        return asked
    if slot != "box":
        kinds = {"cls": "'classification'", "dfl": "'coordinate' or 'classification'", "keypoint": "'keypoint'"}
        kind = kinds.get(slot, "'region'")
        came, remedy = f"{said}={shown(asked)} is a function", f"enter it: @register_loss(..., kind={kind})"
        raise refusal(where, came, "a name, or a dict with 'type'", remedy, TypeError)
    return own.name_of_own(asked, said)


def _box_module(asked: Any, said: str) -> Loss:
    loss = _module("box", asked, said)
    if loss.entry.kind not in BOX_KINDS:
        came = f"{said}={shown(asked)} is a loss per {loss.entry.kind}; the box slot takes one number per box"
        remedy = "see loss-plugins list --kind box (obb models: --kind rotated_box)"
        raise refusal("ultralytics adapter", came, f"losses of kind {' or '.join(BOX_KINDS)}", remedy)
    odds = units_at_odds(loss)
    if odds:
        came = f"{said}={shown(asked)}: {odds}"
        remedy = "mix losses of one unit, or with those of any scale"
        raise refusal(loss.entry.name, came, "losses of one unit", remedy)
    reason, remedy = own.fault_of(copy.deepcopy(loss).elementwise, columns=5 if loss.entry.kind == "rotated_box" else 4)
    if reason:
        raise refusal(loss.entry.name, reason, own.WANTED, remedy)
    return loss


def _cls_module(asked: Any, said: str) -> Loss:
    loss = _module("cls", asked, said)
    fitting = f"one that works on logits, per anchor and class, with soft targets: {names_of(fits_scores)}"
    if loss.entry.kind != "classification":
        came = f"{said}={shown(asked)} is a loss of kind {loss.entry.kind}"
        raise refusal("ultralytics adapter", came, fitting, "pass one of these")

    def trial() -> str:
        trials = (
            misfit_of_scores(each, classes_of(each) or EXAMPLE_COLUMNS) for each in singles(copy.deepcopy(loss).eval())
        )
        return says_otherwise(loss) or next(filter(None, trials), "")

    require_fit(f"{said}={shown(asked)}", fitting, "logits with soft targets", trial)
    return loss


def _dfl_module(asked: Any, said: str) -> Loss:
    loss = _module("dfl", asked, said)
    require_dfl_loss(loss, f"{said}={shown(asked)}")
    return loss


def _mask_module(asked: Any, said: str) -> Loss:
    loss = _module("mask", asked, said)
    require_mask_loss(loss, f"{said}={shown(asked)}")
    return loss


def _sem_module(asked: Any, said: str) -> Loss:
    loss = _module("sem", asked, said)
    require_sem_loss(loss, f"{said}={shown(asked)}")
    return loss


def _keypoint_module(asked: Any, said: str) -> Loss:
    loss = _module("keypoint", asked, said)
    require_keypoint_loss(loss, f"{said}={shown(asked)}")
    return loss


def _resolved(loss: Loss) -> dict[str, Any]:
    return {key: value for key, value in loss.spec().items() if key != "reduction"}


def _imports(loss: Loss) -> tuple[str, ...]:
    function, module = loss.entry.function, loss.entry.identity.module
    if hasattr(function, "own"):
        return (f"{module}:{function.__qualname__}",)
    return () if module.partition(".")[0] == "loss_plugins" else (module,)
