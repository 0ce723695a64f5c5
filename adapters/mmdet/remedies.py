"""What is wrong with a loss in its slot, and the changes of the config that mend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loss_plugins.catalog.entries import get_entry, list_losses
from loss_plugins.module.build import module_class

from .score_modules import uses_sigmoid
from .slots import LossSlot


@dataclass(frozen=True)
class Same:
    """The loss that the config has at another key, moved to the key of the change."""

    key: str


#: config keys to new values; a dict is a loss that replaces the one that was there
Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Fault:
    """What a rule has found.

    Attributes:
        message: what is wrong and what to do, in words.
        changes: what to do, key by key; empty where no change of the config is known to help.
    """

    message: str
    changes: Changes = field(default_factory=dict)

    def of(self, came: str) -> Fault:
        """The fault of which this is the remedy."""
        return Fault(f"{came}: {self.message}", self.changes)


@dataclass(frozen=True)
class Finding:
    """What is wrong with the loss in a slot; message and changes as in `Fault`."""

    slot: LossSlot
    message: str
    changes: Changes = field(default_factory=dict)


def setting(key: str, value: Any) -> Fault:
    """To set one key."""
    return Fault(f"set {key}={value!r}", {key: value})


def putting(key: str, name: str, what: str) -> Fault:
    """To put a loss into a slot, by its class name, with what it is in words: "a coordinate loss"."""
    return Fault(f"put {what} (loss_plugins.{name}) into {key}", {key: loss_called(name)})


def coordinates_at(key: str) -> Fault:
    """To put a loss of coordinates into a slot whose boxes no loss can compare."""
    return putting(key, "SmoothL1Loss", "a coordinate loss")


def masks_at(key: str, of_logits: bool) -> Fault:
    """To put a loss of masks into a slot that gets whole ones, as logits or as probabilities."""
    config = loss_called("DiceLoss") | ({} if of_logits else {"activation": "none"})
    told = "" if of_logits else ", activation='none'"
    return Fault(f"put a loss of masks (loss_plugins.DiceLoss{told}) into {key}", {key: config})


def of_form(form: str, key: str, of_logits: bool) -> Fault:
    """To put the loss into a slot that takes targets of a form that others do not: see `Entry.targets`."""
    if form == "score":
        return putting(key, "DistributionFocalLoss", "a loss of bins")
    config = loss_called("QualityFocalLoss") | ({} if of_logits else {"activated": True})
    told = "" if of_logits else ", activated=True"
    return Fault(f"put a loss of labels and qualities (loss_plugins.QualityFocalLoss{told}) into {key}", {key: config})


def loss_called(name: str) -> dict[str, Any]:
    """The config of a loss by its class name; class losses say what heads read of them."""
    config: dict[str, Any] = {"type": f"loss_plugins.{name}"}
    entry = next(get_entry(loss) for loss in list_losses() if module_class(loss).__name__ == name)
    if entry.kind == "classification":
        config["use_sigmoid"] = uses_sigmoid(entry)
    return config
