"""The `loss_weight` with which a loss pulls as hard as the loss that its head has by default, on a fixed set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from loss_plugins.errors import in_one_line
from loss_plugins.module.gain import IMAGE_SIZE, box_gain, class_gain
from loss_plugins.module.image_size import image_sizes

from .modules import PluggedLoss
from .usual import entry_like, measures


def named(usual: nn.Module) -> str:
    """A loss of MMDetection in words."""
    return f"{type(usual).__name__} with loss_weight={float(weight_of(usual))}"


def weight_of(usual: Any) -> float:
    """The factor of a loss of MMDetection."""
    return float(getattr(usual, "loss_weight", 1.0))


def at_odds(loss: PluggedLoss, usual: nn.Module) -> str:
    """Why a loss cannot be compared with the usual one of its slot; "": it can."""
    ours, theirs = measures(loss.entry), measures(entry_like(type(usual)))
    if ours != theirs:
        return f"{type(usual).__name__}, the usual loss of this slot, measures {theirs}, and {loss.entry.name} {ours}"
    sigmoids = [getattr(each, "use_sigmoid", True) for each in (loss, usual)]
    if sigmoids[0] != sigmoids[1]:
        words = [f"use_sigmoid={sigmoid}" for sigmoid in sigmoids]
        return f"{type(usual).__name__}, the usual loss of this slot, has {words[1]}, and {loss.entry.name} {words[0]}"
    return ""


def matching_weight(loss: PluggedLoss, usual: nn.Module) -> float | str:
    """The `loss_weight` with which a loss pulls as hard as the usual one on the fixed set, or why there is none.

    The sets are those of `loss_plugins.module.gain`: boxes and scores near their targets.

    Args:
        loss: the loss; not changed.
        usual: the loss of MMDetection that measures the same, with its own `loss_weight`.
    """
    stock = per_row(usual)
    if measures(loss.entry) == "boxes" and loss.loss.resolved().get("box_format", "xyxy") == "xyxy":
        return box_gain(loss.loss, stock, side_of(loss)).factor
    if (
        measures(loss.entry) == "scores"
        and loss.entry.traits.scale == "logits"
        and getattr(usual, "use_sigmoid", False)
    ):
        try:
            return class_gain(loss.loss, stock).factor
        except Exception as error:  # a loss of another package raises what it likes
            return f"the fixed set of scores does not fit: {in_one_line(error)}"
    return f"no fixed set is defined for {loss.entry.name}"


def side_of(loss: PluggedLoss) -> float:
    """Side of the image, in the unit in which the loss takes boxes."""
    sizes = image_sizes(loss.loss.spec())
    return IMAGE_SIZE if not sizes else (sum(side**2 for side in sizes[0]) / 2) ** 0.5


def per_row(usual: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """A loss of MMDetection as the fixed sets are measured, times its `loss_weight`."""

    def stock(pred: Tensor, target: Tensor) -> Tensor:
        result: Tensor = usual(pred, target, reduction_override="none")
        return result

    return stock
