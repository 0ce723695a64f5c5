"""The slots of a model that hold a loss of loss_plugins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

from torch import nn

from loss_plugins.errors import check_type, in_our_words
from loss_plugins.module.loss import Loss

from .keys import argument, config_key
from .modules import PluggedLoss
from .naming import type_name


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
        name = argument(type(self.head), self.slot)
        return self.key.removesuffix(name).removesuffix(".")

    @property
    def name(self) -> str:
        """The type of the loss, as a config writes it."""
        return type_name(getattr(self.loss, "written_as", None) or type(self.loss))

    @property
    def compares_boxes(self) -> bool:
        """Whether the loss compares whole boxes, as opposed to coordinates or classes."""
        return self.loss.entry.compares_boxes

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
