"""The slots of a model that hold a loss of loss_plugins, and whether the loss fits what its head passes there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from loss_plugins.errors import check_type, in_our_words
from loss_plugins.module.loss import Loss
from loss_plugins.module.mix import RESOLVED, trains_nothing

from .modules import PluggedLoss

ROWS_TO_COLUMNS = {"FreeAnchorRetinaHead", "PISARetinaHead", "PISARoIHead", "PISASSDHead", "MultiInstanceBBoxHead"}
ENCODED = {"FoveaHead", "SABLHead", "SABLRetinaHead"}
GRID_UNITS = {"GFLHead", "TOODHead"}  # and what inherits them, LDHead for one


@dataclass(frozen=True)
class LossSlot:
    """A slot of a head that holds a loss of loss_plugins.

    Attributes:
        path: path of the loss in the model: "bbox_head.loss_bbox".
        slot: name of the slot in the head: "loss_bbox".
        head: the module that holds it.
        loss: the loss.
        lineage: class names of the head, of all it inherits, and of the modules that hold it.
    """

    path: str
    slot: str
    head: nn.Module
    loss: PluggedLoss | Loss
    lineage: frozenset[str]

    @property
    def key(self) -> str:
        """The config key of the loss."""
        return f"model.{self.path}"

    @property
    def head_key(self) -> str:
        """The config key of the head."""
        return f"model.{self.path.removesuffix(self.slot).removesuffix('.')}"

    @property
    def name(self) -> str:
        """The type of the loss, as a config writes it."""
        return f"loss_plugins.{type(self.loss).__name__}"

    @property
    def is_box_loss(self) -> bool:
        """Whether the loss takes whole boxes, as opposed to coordinates or classes."""
        return self.loss.entry.kind == "box"

    def describe(self) -> dict[str, Any]:
        """Slot, head and loss in plain types, for the log and the yaml."""
        return {"where": self.path, "head": type(self.head).__name__, "loss": self.loss.spec()}


@in_our_words
def find_losses(model: nn.Module) -> list[LossSlot]:
    """Every slot that holds a loss of loss_plugins, in the order of the model."""
    check_type("find_losses", "model", model, nn.Module)
    return [_slot(model, path, loss) for path, loss in model.named_modules() if _is_outermost(model, path, loss)]


def problems(slot: LossSlot) -> list[str]:
    """Why the loss does not fit this slot, one message per broken rule, with the config key to set."""
    found = [rule(slot) for rule in RULES]
    return [message for message in found if message is not None]


def _is_outermost(model: nn.Module, path: str, module: nn.Module) -> bool:
    if not isinstance(module, (PluggedLoss, Loss)):
        return False
    return not any(isinstance(holder, (PluggedLoss, Loss)) for holder in _holders(model, path))


def _slot(model: nn.Module, path: str, loss: PluggedLoss | Loss) -> LossSlot:
    holders = _holders(model, path)
    names = path.split(".")
    depth = len(names) - 1
    while depth > 0 and isinstance(holders[depth], (nn.ModuleList, nn.ModuleDict)):
        depth -= 1  # a list of losses: the head is what holds the list
    lineage = frozenset(cls.__name__ for holder in holders for cls in type(holder).__mro__)
    return LossSlot(path, ".".join(names[depth:]), holders[depth], loss, lineage)


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


def _gets_boxes(slot: LossSlot) -> str | None:
    if not (slot.is_box_loss and _reads(slot.head, slot.slot, "reg_decoded_bbox")):
        return None
    if slot.head.reg_decoded_bbox:
        return None
    return (
        "this head hands over encoded offsets, and the IoU of offsets means nothing: "
        f"set {slot.head_key}.reg_decoded_bbox=True"
    )


def _gets_corners(slot: LossSlot) -> str | None:
    if not (slot.is_box_loss and slot.slot == "loss_bbox" and "DETRHead" in slot.lineage):
        return None
    if slot.loss.spec().get("box_format") == "cxcywh":
        return None
    return (
        "loss_bbox of the DETR family gets normalised (cx, cy, w, h), not corners: "
        f"put this loss into {slot.head_key}.loss_iou, and an L1 (loss_plugins.L1Loss) here"
    )


def _is_not_l1(slot: LossSlot) -> str | None:
    if not (slot.is_box_loss and slot.slot == "loss_l1"):
        return None
    return f"loss_l1 gets encoded offsets: put this loss into {slot.head_key}.loss_bbox"


def _is_decoded_at_all(slot: LossSlot) -> str | None:
    encoded = slot.lineage & ENCODED
    if not (slot.is_box_loss and encoded):
        return None
    return f"{min(encoded)} never decodes its boxes: put a coordinate loss (loss_plugins.SmoothL1Loss) into {slot.key}"


def _may_be_per_row(slot: LossSlot) -> str | None:
    heads = slot.lineage & ROWS_TO_COLUMNS
    if not (slot.is_box_loss and heads):
        return None
    return (
        f"{min(heads)} needs one number per coordinate and an IoU loss gives one per box: "
        f"put a coordinate loss (loss_plugins.SmoothL1Loss) into {slot.key}"
    )


def _is_not_coordinates(slot: LossSlot) -> str | None:
    if slot.loss.entry.kind != "coordinate" or slot.slot != "loss_iou":
        return None
    return f"loss_iou gets corners in pixels, where an L1 is hundreds: put this loss into {slot.head_key}.loss_bbox"


def _sums_for_yolox(slot: LossSlot) -> str | None:
    if "YOLOXHead" not in slot.lineage or slot.loss.reduction == "sum":
        return None
    return (
        f"YOLOX divides by the number of samples itself, reduction={slot.loss.reduction!r} would do it twice: "
        f"set {slot.key}.reduction='sum'"
    )


def _units_fit(slot: LossSlot) -> str | None:
    units = slot.loss.entry.traits.units
    heads = slot.lineage & GRID_UNITS
    if not (slot.is_box_loss and units != "any" and heads):
        return None
    return (
        f"{min(heads)} measures boxes in cells of each level, and {slot.loss.entry.name} needs pixels: "
        f"put a scale-free loss (loss_plugins.CIoULoss) into {slot.key}"
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


RULES: tuple[Callable[[LossSlot], str | None], ...] = (
    _is_wrapped,
    _gets_boxes,
    _gets_corners,
    _is_not_l1,
    _is_decoded_at_all,
    _may_be_per_row,
    _is_not_coordinates,
    _sums_for_yolox,
    _units_fit,
    _sigmoid_agrees,
    _has_weight,
)


def _reads(head: nn.Module, slot: str, flag: str) -> bool:
    """Whether a method of this head that uses the loss also reads `flag`: heads that always decode do not read it."""
    methods = [getattr(type(head), name) for name in dir(type(head)) if not name.startswith("__")]
    codes = [method.__code__ for method in methods if hasattr(method, "__code__")]
    return any(slot in code.co_names and flag in code.co_names for code in codes)
