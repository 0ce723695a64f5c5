"""The loss that a head's class has by default for a slot, and what losses of MMDetection measure."""

from __future__ import annotations

import copy
import inspect
from typing import Any, Literal

from torch import nn

from loss_plugins.catalog.entries import Entry
from loss_plugins.module.loss import CLASSES, Loss

from .keys import argument
from .modules import PluggedLoss

Measures = Literal["boxes", "rotated boxes", "quadrilaterals", "coordinates", "scores", "something that is not known"]


def usual_loss(head: nn.Module, slot: str, ours: PluggedLoss | Loss) -> nn.Module | None:
    """The loss that a head's class has by default, which ignores the labels that ours does; None: it names none."""
    config = usual_config(head, slot)
    return None if config is None else built(ignoring_alike(config, ours))


def ignoring_alike(config: dict[str, Any], ours: PluggedLoss | Loss) -> dict[str, Any]:
    """The config of a loss that ignores the labels that ours was told to, which may be those of no class."""
    parameter = ours.entry.parameters.get("ignore_index")
    left_out = ours.spec().get("ignore_index")
    if parameter is None or left_out == parameter.default:
        return config
    return of_the_loss({**config, "ignore_index": left_out})


def usual_config(head: nn.Module, slot: str) -> dict[str, Any] | None:
    """The config of the loss that a head's class has by default, for the classes of this head; None: it names none."""
    config = default_config(type(head), slot)
    return None if config is None else for_classes(config, getattr(head, "num_classes", None))


def for_classes(config: dict[str, Any], classes: int | None) -> dict[str, Any]:
    """The config of a loss with one number per class, and one of the background, if it has such numbers."""
    numbers = config.get("class_weight")
    if not isinstance(numbers, list) or not isinstance(classes, int):
        return config
    return {**config, "class_weight": [numbers[0]] * classes + [numbers[-1]]}


def default_config(head: type, slot: str) -> dict[str, Any] | None:
    """A copy of the config of the loss that a head's class has by default for a slot; None: it names none."""
    name = argument(head, slot)
    for cls in head.__mro__:
        parameter = inspect.signature(cls).parameters.get(name) if cls is not object else None
        if parameter is not None and isinstance(parameter.default, dict):
            return dict(copy.deepcopy(parameter.default)) if "type" in parameter.default else None
    return None


def built(config: dict[str, Any]) -> nn.Module:
    """A loss, from the config that a head's class has."""
    from mmdet.registry import MODELS

    loss: nn.Module = MODELS.build(of_the_loss(config))
    return loss


def of_the_loss(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a loss without keys that only the head reads, as DETR's does, and those derived from it do not."""
    from mmdet.registry import MODELS

    kind = config["type"] if isinstance(config["type"], type) else MODELS.get(config["type"])
    if kind is None:
        return config  # building it says that it is not there
    parameters = inspect.signature(kind).parameters
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    return {key: value for key, value in config.items() if takes_all or key in ("type", *parameters)}


def usually_measured(head: nn.Module, slot: str) -> Measures:
    """What the loss measures that a head's class has by default for a slot."""
    return measures(usual_entry(head, slot))


def usual_entry(head: nn.Module, slot: str) -> Entry | None:
    """The entry of our loss that is like the one that a head's class has by default for a slot."""
    config = default_config(type(head), slot)
    return None if config is None else entry_like(config["type"])


def entry_like(kind: str | type) -> Entry | None:
    """The entry of our loss that is called as one of MMDetection's, by its class or its type; None: none is."""
    name = kind.__name__ if isinstance(kind, type) else kind.rpartition(".")[2]
    cls = CLASSES.get(name)
    return None if cls is None else cls.entry


def measures(entry: Entry | None) -> Measures:
    """What a loss measures."""
    if entry is None:
        return "something that is not known"
    if entry.kind == "rotated_box":
        return "rotated boxes"
    if entry.kind == "quad":
        return "quadrilaterals"
    if entry.compares_boxes:
        return "boxes"
    return "coordinates" if entry.kind == "coordinate" else "scores"
