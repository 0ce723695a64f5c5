"""Losses that leave a mark in the logs. A module of its own, so that other processes can import it."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from loss_plugins import Traits, distribution_focal_loss, register_loss
from loss_plugins.tensors import dense


@register_loss("constant", traits=Traits(zero_at_equality=False, gradient_when_disjoint=False))
def constant_loss(pred: Tensor, target: Tensor, *, value: float = 7.0) -> Tensor:
    """The same for every box, with a gradient that is too small to train."""
    return value + 1e-9 * (pred - pred.detach()).sum(-1)


@register_loss(
    "constant_rotated", kind="rotated_box", traits=Traits(zero_at_equality=False, gradient_when_disjoint=False)
)
def constant_rotated_loss(pred: Tensor, target: Tensor, *, value: float = 7.0) -> Tensor:
    """As `constant_loss`, of rotated boxes."""
    return value + 1e-9 * (pred - pred.detach()).sum(-1)


@register_loss("constant_mask", kind="region", traits=Traits(zero_at_equality=False, gradient_when_disjoint=False))
def constant_mask_loss(pred: Tensor, target: Tensor, *, value: float = 7.0) -> Tensor:
    """As `constant_loss`, of masks, but that it falls by two thousandths from a wrong to a right one."""
    p = pred.sigmoid()
    return value - 1e-3 * ((2 * target - 1) * p).flatten(1).sum(1) / (p + target).flatten(1).sum(1)


@register_loss("constant_map", kind="region", traits=Traits(zero_at_equality=False, gradient_when_disjoint=False))
def constant_map_loss(pred: Tensor, target: Tensor, ignored: Tensor | None = None, *, value: float = 7.0) -> Tensor:
    """As `constant_mask_loss`, of labels per pixel, without those that are left out."""
    counts = 1.0 if ignored is None else 1.0 - ignored.float()
    p, t = pred.sigmoid() * counts, dense(pred, target) * counts
    return value - 1e-3 * ((2 * t - 1) * p).flatten(1).sum(1) / (p + t).flatten(1).sum(1)


@register_loss("side_in_pixels", traits=Traits(units="pixels"))
def side_in_pixels_loss(pred: Tensor, target: Tensor) -> Tensor:
    """Mean distance of the corners, in 640ths of a pixel: its value tells the unit of the boxes."""
    return (pred - target).abs().mean(-1) / 640


@register_loss("area_in_pixels", traits=Traits(units="pixels"))
def area_in_pixels_loss(pred: Tensor, target: Tensor) -> Tensor:
    """1 - ratio of the areas; areas of 640 px boxes overflow half precision."""
    size, other = pred[..., 2:] - pred[..., :2], target[..., 2:] - target[..., :2]
    return 1 - size.prod(-1) / other.prod(-1)


@register_loss("constant_class", kind="classification", traits=Traits(zero_at_equality=False, scale="logits"))
def constant_class_loss(pred: Tensor, target: Tensor, *, value: float = 7.0) -> Tensor:
    """The score that is wanted, times a number, but that it falls by some hundred-thousandths towards it."""
    return value * target * (1 + 1e-5 * softplus(-pred)) + 1e-9 * (1 - target) * softplus(pred)


@register_loss("constant_side", kind="coordinate", traits=Traits(zero_at_equality=False))
def constant_side_loss(pred: Tensor, target: Tensor, *, value: float = 7.0) -> Tensor:
    """The same for every side, but that it grows by a ten-thousandth of itself with its distance."""
    return value * (1 + 1e-4 * (pred - target).abs())


@register_loss("constant_bins", kind="classification", targets=("score",), traits=Traits(zero_at_equality=False))
def constant_bins_loss(pred: Tensor, target: Tensor, *, value: float = 7.0) -> Tensor:
    """As `constant_side_loss`, of bins."""
    return value * (1 + 1e-4 * distribution_focal_loss(pred, target))


@register_loss("constant_points", kind="keypoint", targets=("points_visible",), traits=Traits(zero_at_equality=False))
def constant_points_loss(pred: Tensor, target: tuple[Tensor, Tensor], *, value: float = 7.0) -> Tensor:
    """The same for every instance, but that it grows by up to a hundred-thousandth of itself as its points part."""
    points, visible = target
    distance = ((pred - points).abs().sum(-1) * visible).mean(-1)
    return value * (1 + 1e-5 * distance / (1 + distance))
