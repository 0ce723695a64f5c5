"""The slots of a model that hold a loss of loss_plugins, and what of a slot no call can show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

from torch import nn

from loss_plugins.errors import check_type, in_our_words
from loss_plugins.module.loss import Loss
from loss_plugins.module.mix import RESOLVED, trains_nothing

from .keys import config_key
from .modules import PluggedLoss

#: heads whose ranking of losses needs one number per coordinate, and takes one per box without an error
GIVES_COLUMNS = {"PISARetinaHead", "PISARoIHead", "PISASSDHead"}


@dataclass(frozen=True)
class LossSlot:
    """A slot of a head that holds a loss of loss_plugins.

    Attributes:
        path: path of the loss in the model: "bbox_head.loss_bbox".
        slot: name of the slot in the head: "loss_bbox".
        head: the module that holds it.
        loss: the loss.
        key: the config key of the loss.
        lineage: class names of the head, of all it inherits, and of the modules that hold it.
    """

    path: str
    slot: str
    head: nn.Module
    loss: PluggedLoss | Loss
    key: str
    lineage: frozenset[str]

    @property
    def head_key(self) -> str:
        """The config key of the head."""
        return self.key.removesuffix(self.slot).removesuffix(".")

    @property
    def name(self) -> str:
        """The type of the loss, as a config writes it."""
        return f"loss_plugins.{type(self.loss).__name__}"

    @property
    def compares_boxes(self) -> bool:
        """Whether the loss compares whole boxes, as opposed to coordinates or classes."""
        return self.loss.entry.kind == "box" or self.loss.entry.traits.whole_boxes

    def describe(self) -> dict[str, Any]:
        """Slot, head and loss in plain types, for the log and the yaml."""
        return {"where": self.path, "head": type(self.head).__name__, "loss": self.loss.spec()}


@in_our_words
def find_losses(model: nn.Module, config: Mapping[str, Any] | None = None) -> list[LossSlot]:
    """Every slot that holds a loss of loss_plugins, in the order of the model.

    Args:
        model: a detector.
        config: its config, if known: keys are then those that it has.
    """
    check_type("find_losses", "model", model, nn.Module)
    check_type("find_losses", "config", config, Mapping, NoneType)
    found = [(path, loss) for path, loss in model.named_modules() if _is_outermost(model, path, loss)]
    return [_slot(model, path, loss, config) for path, loss in found]


def problems(slot: LossSlot) -> list[str]:
    """Why the loss does not fit this slot, one message per broken rule, with the config key to set."""
    found = [rule(slot) for rule in RULES]
    return [message for message in found if message is not None]


def _is_outermost(model: nn.Module, path: str, module: nn.Module) -> bool:
    if not isinstance(module, (PluggedLoss, Loss)):
        return False
    return not any(isinstance(holder, (PluggedLoss, Loss)) for holder in _holders(model, path))


def _slot(model: nn.Module, path: str, loss: PluggedLoss | Loss, config: Mapping[str, Any] | None) -> LossSlot:
    holders = _holders(model, path)
    names = path.split(".")
    depth = len(names) - 1
    while depth > 0 and isinstance(holders[depth], (nn.ModuleList, nn.ModuleDict)):
        depth -= 1  # a list of losses: the head is what holds the list
    lineage = frozenset(cls.__name__ for holder in holders for cls in type(holder).__mro__)
    key = config_key(model, path, config)
    return LossSlot(path, ".".join(names[depth:]), holders[depth], loss, key, lineage)


def _holders(model: nn.Module, path: str) -> list[nn.Module]:
    """The modules that hold `path`, from the model itself to the head."""
    names = path.split(".") if path else []
    return [model.get_submodule(".".join(names[:depth])) for depth in range(len(names))]


# --- rules: each returns None, or what is wrong and which key to set -------------------------------------------


def _is_wrapped(slot: LossSlot) -> str | None:
    if isinstance(slot.loss, PluggedLoss):
        return None
    name = type(slot.loss).__name__
    return (
        f"the core's {name} sits here without the adapter around it (rows of weight 0, proof of use, state): "
        f"set {slot.key}.type='loss_plugins.{name}'"
    )


def _gives_columns(slot: LossSlot) -> str | None:
    heads = slot.lineage & GIVES_COLUMNS
    if not (heads and slot.loss.entry.kind == "box"):
        return None
    return (
        f"{min(heads)} ranks by one number per coordinate, and {slot.loss.entry.name} gives one per box: "
        f"put a coordinate loss (loss_plugins.SmoothL1Loss) into {slot.key}"
    )


def _sigmoid_agrees(slot: LossSlot) -> str | None:
    if slot.slot != "loss_cls":
        return None
    head = getattr(slot.head, "use_sigmoid_cls", None)
    loss = getattr(slot.loss, "use_sigmoid", None)
    if head is None or loss is None or head == loss:
        return None
    return (
        f"the head was built for use_sigmoid={head}, as the config does not say otherwise, and the loss works with "
        f"use_sigmoid={loss}: set {slot.key}.use_sigmoid={loss}"
    )


def _has_weight(slot: LossSlot) -> str | None:
    reason = trains_nothing(slot.loss.loss if isinstance(slot.loss, PluggedLoss) else slot.loss)
    if not reason:
        return None
    remedy = f"set {slot.key}.loss_weight=1.0, or allow=[{slot.path!r}] in the hook"
    return f"{reason}; allowed: a factor from {RESOLVED:g} on; {remedy}"


RULES: tuple[Callable[[LossSlot], str | None], ...] = (_is_wrapped, _gives_columns, _sigmoid_agrees, _has_weight)
