"""The model of a config, built without weights; where that fails for a loss of loss_plugins, its key and a remedy."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from loss_plugins.errors import in_one_line, shown
from loss_plugins.module.loss import Loss
from loss_plugins.registry import SCOPE

from .edits import ROOT, Edited
from .modules import PluggedLoss, unknown_parameters
from .naming import class_named, own_names
from .offline import offline, without_weights
from .remedies import Changes, Fault, loss_called
from .score_modules import OTHER_ACTIVATION, ClassLoss, uses_sigmoid
from .usual import default_config, entry_like, for_classes, measures, of_the_loss
from .written import written

#: parameters that the wrapper of a loss takes itself
OF_THE_WRAPPER = ("type", "reduction", "loss_weight", "use_sigmoid", "_scope_")


@dataclass
class Construction:
    """What came of building a model.

    Attributes:
        model: the model, with losses that could not be built mended or replaced; None: it cannot be built.
        config: the config that it was built from.
        faults: config key of a loss with which the model cannot be built, and what is wrong.
        error: what kept the model from being built.
    """

    model: nn.Module | None
    config: Any
    faults: dict[str, Fault] = field(default_factory=dict)
    error: Exception | None = None


def construct(config: Any) -> Construction:
    """Build the model of a config; what is wrong with its losses is named, and mended in a copy to go on.

    Args:
        config: the model's config, which is left as it is.
    """
    edited = Edited(without_weights(config))
    faults: dict[str, Fault] = {}
    while True:
        model, error = _built(edited.config)
        if error is None:
            return Construction(model, edited.config, faults)
        key, fault = _culprit(edited, error)
        if not key or (key in faults and not fault.changes):
            return Construction(None, edited.config, faults, error)
        known = faults.get(key)
        faults[key] = fault if known is None else Fault(known.message, {**known.changes, **fault.changes})
        if not edited.apply(fault.changes or _usual(edited, key)):
            return Construction(None, edited.config, faults, error)


def our_losses(at: Any, key: str = ROOT) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Config key and config of every loss of loss_plugins."""
    if isinstance(at, Mapping):
        if is_ours(at.get("type")):
            yield key, at
            return
        for name, value in at.items():
            yield from our_losses(value, f"{key}.{name}")
    elif isinstance(at, (list, tuple)):
        for index, value in enumerate(at):
            yield from our_losses(value, f"{key}.{index}")


def is_ours(kind: Any) -> bool:
    """Whether a type, by its name or as a class, is of loss_plugins or derived from one of ours."""
    if isinstance(kind, str):
        if kind.startswith(f"{SCOPE}."):
            return True
        kind = class_named(kind)  # one that is derived from ours, perhaps
    return isinstance(kind, type) and issubclass(kind, (PluggedLoss, Loss))


def _built(config: Any) -> tuple[nn.Module | None, Exception | None]:
    from mmdet.registry import MODELS

    try:
        with offline():
            return MODELS.build(copy.deepcopy(config)), None
    except Exception as error:  # any class of the config may raise anything
        return None, error


def _culprit(edited: Edited, error: Exception) -> tuple[str, Fault]:
    """The config key of the loss for which a model cannot be built, and what is wrong; "": none of ours."""
    losses = list(our_losses(edited.config))
    for key, loss in losses:
        alone = _built(loss)[1]
        if alone is not None and _bare(alone) in _bare(error):
            return key, Fault(f"cannot be built: {in_one_line(alone)}", _mended(key, loss))
    for key, loss in losses:
        fault = _wanted_by_its_head(edited, key, loss, error)
        if fault is not None:
            return key, fault
    return "", Fault("")


def _bare(error: Exception) -> str:
    """The message without quotes, which errors in errors escape."""
    return re.sub(r"[\\'\"]", "", str(error))


# --- a loss that cannot be built by itself ----------------------------------------------------------------------


def _mended(key: str, loss: Mapping[str, Any]) -> Changes:
    """What makes a loss buildable: parameters that it has, and the type that does what use_sigmoid says."""
    from mmdet.registry import MODELS

    try:
        kind: Any = loss["type"] if isinstance(loss["type"], type) else MODELS.get(loss["type"])
    except KeyError:  # a name that is none: the message proposes the closest
        return {}
    entry = kind.entry
    given = {name: value for name, value in loss.items() if name not in OF_THE_WRAPPER}
    own = own_names(kind)
    unknown = [name for name in given if name not in own and unknown_parameters(entry, {name: given[name]})]
    kept = {name: value for name, value in loss.items() if name not in unknown and name != "_scope_"}
    sigmoid = uses_sigmoid(entry)
    if not issubclass(kind, ClassLoss):
        kept.pop("use_sigmoid", None)
    elif kept.get("use_sigmoid") not in (None, sigmoid):
        other = OTHER_ACTIVATION.get(entry.name)
        kept |= {"use_sigmoid": sigmoid} if other is None else {"type": f"{SCOPE}.{other}"}
    return {key: kept} if _built(kept)[1] is None else {}


# --- a loss that its head cannot be built with ------------------------------------------------------------------


def _wanted_by_its_head(edited: Edited, key: str, loss: Mapping[str, Any], error: Exception) -> Fault | None:
    """What the head reads from the config of its loss; None: the error has another cause."""
    usual = _usual(edited, key).get(key)
    if usual is None:
        return None
    for name, value in usual.items():
        if name in OF_THE_WRAPPER or type(loss.get(name)) is type(value):
            continue
        if _helps(edited, {f"{key}.{name}": value}, error):
            came = f"{shown(loss[name])} came" if name in loss else "it is missing"
            return Fault(
                f"its head reads {name} from the config of this loss, and {came} ({in_one_line(error)}): "
                f"set {key}.{name}={written(value)}",
                {f"{key}.{name}": value},
            )
    if not _helps(edited, {key: usual}, error):
        return None
    came = f"its head cannot be built with this loss ({in_one_line(error)})"
    ours = is_ours(usual["type"])
    words = f"put {usual['type']} into {key}" if ours else f"put the loss back that the head has by default into {key}"
    return Fault(f"{came}: {words}", {key: usual})


def _helps(edited: Edited, changes: Changes, error: Exception) -> bool:
    """Whether the model can be built after changes, or fails elsewhere than in the losses that were changed."""
    tried = Edited(edited.config)
    tried.apply(changes)
    after = _built(tried.config)[1]
    if after is None:
        return True
    alone = [_built(loss)[1] for key, loss in our_losses(tried.config) if any(each.startswith(key) for each in changes)]
    return _bare(after) != _bare(error) and all(each is None for each in alone)


def _usual(edited: Edited, key: str) -> dict[str, Any]:
    """The change that puts the loss into a slot that its head has by default; empty: it has none."""
    from mmdet.registry import MODELS

    holder, _, slot = key.rpartition(".")
    head = edited.get(holder)
    kind = head.get("type") if isinstance(head, Mapping) else None
    cls = kind if isinstance(kind, type) else MODELS.get(kind) if isinstance(kind, str) else None
    usual = default_config(cls, slot) if isinstance(cls, type) else None
    if usual is None:
        return {}
    usual = for_classes(usual, _classes(head))
    if _is_taken(edited, key, usual):
        return {key: usual}
    scores = measures(entry_like(usual["type"])) == "scores"
    return {key: loss_called("BCEWithLogitsLoss") if scores else of_the_loss(usual)}


def _is_taken(edited: Edited, key: str, usual: dict[str, Any]) -> bool:
    """Whether a default can be used: one may have keys that DETR's own head reads, and those derived from it do not."""
    alone = _built(usual)[1]
    if alone is None:
        return True
    tried = Edited(edited.config)
    tried.set(key, usual)
    within = _built(tried.config)[1]
    return within is None or _bare(alone) not in _bare(within)


def _classes(head: Mapping[str, Any]) -> int | None:
    """How many classes a head is told to have; None: its config does not say."""
    parts = ("num_things_classes", "num_stuff_classes")
    counted: list[Any] = [head.get(name) for name in (parts if parts[0] in head else ("num_classes",))]
    return sum(counted) if all(isinstance(each, int) for each in counted) else None
