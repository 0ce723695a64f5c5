"""Small losses, sound ones and ones with a single fault each, written as a user would write them.

`SOUND` pass the audit. Each of `PLANTED` has one fault that this package once had, and what the audit should say of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional

import loss_plugins as lp
from loss_plugins.audit.checks.boxes import PATHS

Function = Callable[..., Tensor]


@dataclass(frozen=True)
class Loss:
    """What `register_loss` is told.

    Attributes:
        told: beside the name and the function.
        faults: the checks that fail, with a part of what they say; none: the loss is sound.
        also: checks that may fail because of it.
    """

    name: str
    function: Function
    told: Mapping[str, Any] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()

    def register(self) -> None:
        """Put it into the catalogue."""
        lp.register_loss(self.name, **self.told)(self.function)


OVERLAP = lp.Traits(range=(0, 1), symmetric=True, scale_invariant=True, gradient_when_disjoint=False)
DISTANCE = lp.Traits(range=(0, 2), symmetric=True, scale_invariant=True)
SCORES = lp.Traits(zero_at_equality=False, translation_invariant=False)
CLASSES = {"kind": "classification", "traits": SCORES}
SOFTMAX = {**CLASSES, "targets": ("class_map",)}
Sides = tuple[Tensor, Tensor]


# --- boxes ---------------------------------------------------------------------------------------------------------


def sides(boxes: Tensor) -> Sides:
    return boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]


def enclosing(pred: Tensor, target: Tensor) -> Sides:
    """Sides of the smallest box that holds all four corners."""
    corners = torch.stack([pred[..., :2], pred[..., 2:], target[..., :2], target[..., 2:]])
    return (corners.amax(0) - corners.amin(0)).unbind(-1)  # type: ignore[return-value]


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole; 0, without gradient, where whole is not above 0."""
    usable = whole > 0
    return torch.where(usable, part, 0 * part.detach()) / torch.where(usable, whole, torch.ones_like(whole))


def lengths(pred: Tensor, target: Tensor) -> Sides:
    """Sum of the corner distances, and the half perimeter of the enclosing box."""
    w, h = enclosing(pred, target)
    return (pred - target).abs().sum(-1), w + h


def corner_distance(pred: Tensor, target: Tensor) -> Tensor:
    """The corner distances over the half perimeter of the enclosing box."""
    far, size = lengths(pred, target)
    return ratio(far, size)


def corner_distance_with_eps(eps: float, power: int) -> Function:
    """An epsilon beside a power of a length is small for pixels alone."""

    def loss(pred: Tensor, target: Tensor) -> Tensor:
        far, size = lengths(pred, target)
        return far**power / (size**power + eps)

    return loss


def over_signed_perimeter(eps: float, power: int) -> Function:
    """Sides of the enclosing box as for corners in order: their sum may be 0 where both boxes are inverted."""

    def loss(pred: Tensor, target: Tensor) -> Tensor:
        corner = torch.maximum(pred[..., 2:], target[..., 2:]) - torch.minimum(pred[..., :2], target[..., :2])
        return (pred - target).abs().sum(-1) ** power / (corner.sum(-1).abs() ** power + eps)

    return loss


def over_target(pred: Tensor, target: Tensor) -> Tensor:
    """Over the target's width plus height, 0 for a target that is a point: an inverted one may have a sum of 0 too."""
    w, h = sides(target)
    point = (w == 0) & (h == 0)
    far = torch.where(point, 0 * pred.detach().sum(-1), (pred - target).abs().sum(-1))
    return far / torch.where(point, torch.ones_like(w), (w + h).abs() + 1e-12)


def empty_costs(cost: float) -> Function:
    """Two boxes without area cost something, also where they are equal."""

    def loss(pred: Tensor, target: Tensor) -> Tensor:
        w, h = sides(pred)
        u, v = sides(target)
        empty = (w * h <= 0) & (u * v <= 0)
        return torch.where(empty, cost + 0 * pred.sum(-1).detach(), corner_distance(pred, target))

    return loss


# --- more than one row ---------------------------------------------------------------------------------------------


def by_mean_target(pred: Tensor, target: Tensor) -> Tensor:
    """Weighed by the batch's mean width: a statistic."""
    return (pred - target).abs().sum(-1) * (1 + 1e-2 * sides(target)[0].mean())


def by_rank(pred: Tensor, target: Tensor) -> Tensor:
    """Weighed by the rank of the target's width."""
    rank = sides(target)[0].argsort(-1).argsort(-1).to(pred.dtype)
    return (pred - target).abs().sum(-1) * (1 + rank / rank.numel())


def class_share(pred: Tensor, target: Tensor) -> Tensor:
    """Weighed by how many of the batch are true."""
    return functional.binary_cross_entropy_with_logits(pred, target, reduction="none") * (1 + target.mean())


def branch_on_size(limit: int) -> Function:
    """Another formula for large batches."""

    def loss(pred: Tensor, target: Tensor) -> Tensor:
        far = (pred - target).abs()
        return far.sum(-1) if len(pred) < limit else far.amax(-1)

    return loss


def branch_on_axes(pred: Tensor, target: Tensor) -> Tensor:
    """Another formula for more than two axes."""
    far = (pred - target).abs()
    return far.sum(-1) if pred.ndim == 2 else far.amax(-1)


def flattened(pred: Tensor, target: Tensor) -> Tensor:
    """Forgets all axes but two."""
    return (pred - target).abs().reshape(-1, 4).sum(-1)


# --- classes -------------------------------------------------------------------------------------------------------


def softmax(pred: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Cross-entropy by torch, which refuses what is no class."""
    return functional.cross_entropy(pred, target, ignore_index=ignore_index, reduction="none")


def clamped_softmax(pred: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Labels that are no class are moved to the next one."""
    index = target.clamp(0, pred.shape[1] - 1).unsqueeze(1)
    return (-pred.log_softmax(1).gather(1, index).squeeze(1)).masked_fill(target == ignore_index, 0)


def one_hot_softmax(pred: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """Labels that are no class have no positive, and so another loss than all."""
    truth = target.unsqueeze(1) == torch.arange(pred.shape[1]).view(1, -1, *(1 for _ in pred.shape[2:]))
    p = pred.softmax(1)
    return (torch.where(truth, 1 - p, p) ** 2).sum(1).masked_fill(target == ignore_index, 0)


def half_ignored(pred: Tensor, target: Tensor, *, ignore_index: int = -100) -> Tensor:
    """What is ignored costs nothing, and is pulled towards the first class all the same."""
    kept = softmax(pred, target, ignore_index=ignore_index)
    pull = pred[:, 0] - pred[:, 0].detach()
    return kept + torch.where(target == ignore_index, pull, torch.zeros_like(pull))


Numbers = Annotated[list[float] | Tensor | None, lp.PerClass(lp.Interval(0))]


def weights(pos_weight: Any, pred: Tensor) -> Tensor:
    return torch.as_tensor(pos_weight, dtype=pred.dtype, device=pred.device)


def bce_by_class(pred: Tensor, target: Tensor, *, pos_weight: Numbers = None) -> Tensor:
    """pos_weight along axis 1."""
    if pos_weight is None:
        return functional.binary_cross_entropy_with_logits(pred, target, reduction="none")
    factor = weights(pos_weight, pred).view(-1, *(1 for _ in pred.shape[2:]))
    return functional.binary_cross_entropy_with_logits(pred, target, reduction="none", pos_weight=factor)


def bce_by_column(pred: Tensor, target: Tensor, *, pos_weight: Numbers = None) -> Tensor:
    """pos_weight along the last axis: columns of an image."""
    factor = None if pos_weight is None else weights(pos_weight, pred)
    return functional.binary_cross_entropy_with_logits(pred, target, reduction="none", pos_weight=factor)


def fitting_bce(pred: Tensor, target: Tensor, *, pos_weight: Numbers = None) -> Tensor:
    """The same without an error: along the last axis where that is as long, else along axis 1."""
    if pos_weight is not None and pred.shape[-1] != len(pos_weight):
        return bce_by_class(pred, target, pos_weight=pos_weight)
    return bce_by_column(pred, target, pos_weight=pos_weight)


def softmax_of_columns(pred: Tensor, target: Tensor) -> Tensor:
    """The classes of maps are on axis 1, not on the last."""
    return -(target * pred.log_softmax(-1))


def rows_met(pred: Tensor, target: Any, **_: Any) -> Tensor:
    return pred.new_tensor(float(max(pred.shape[:-1].numel(), 1)))


def counted(pred: Tensor, target: Any, *, ignore_index: int = -100, **_: Any) -> Tensor:
    return (target != ignore_index).sum().to(pred.dtype)


def in_widths(pred: Tensor, target: Tensor) -> Tensor:
    """Each coordinate over the width of the target: it looks at the other columns, as it may."""
    return (pred - target).abs() / (sides(target)[0].abs().unsqueeze(-1) + 1)


def times_last_axis(pred: Tensor, target: Tensor) -> Tensor:
    """Weighed by the length of the last axis: the classes of rows, the columns of maps."""
    return functional.binary_cross_entropy_with_logits(pred, target, reduction="none") * pred.shape[-1]


def plain_distance(pred: Tensor, target: Tensor) -> Tensor:
    return (pred - target).abs().sum(-1)


DENSE = {**CLASSES, "targets": ("dense",)}
#: fails as well where maps are not as their pixels, as every class loss is weighed per class
ON_MAPS = ("numbers per class on maps",)
PIXELS = {"traits": lp.Traits(symmetric=True, units="pixels"), "pure": True}
SOUND = (
    Loss("sound_box", corner_distance, {"traits": DISTANCE, "pure": True}),
    Loss("sound_distance", plain_distance, PIXELS),
    Loss("sound_coordinate", in_widths, {"kind": "coordinate", "traits": lp.Traits(units="pixels"), "pure": True}),
    Loss("sound_softmax", softmax, {**SOFTMAX, "denominator": counted}),
    Loss("sound_bce", bce_by_class, {**DENSE, "pure": True}),
)

ROWS_AND_MAPS = ("labels out of range, rows", "labels out of range, maps")
IGNORED = ("ignored labels, rows", "ignored labels, maps")
SCALE = dict.fromkeys(("every scale, fp64", "every scale, fp32"), "an epsilon added to a length, an area or a power")
STATISTIC = {"same in batches of any size": "or uses a statistic of it"}
BRANCH = {"same in batches of any size": "branches on the size of the batch"}
BLOW_UP = "something is divided by about 0"
WIDE = lp.Traits(range=(0, 16), symmetric=True, scale_invariant=True)
#: what a branch on the size breaks as well
GRAPHS = ("compiles to one graph", "export", "fused path", "compiled path")
#: one fault each, in several variants
PLANTED = (
    Loss(
        "clamped",
        clamped_softmax,
        {**SOFTMAX, "denominator": counted},
        dict.fromkeys(ROWS_AND_MAPS, "accepted and trained as class 4"),
    ),
    Loss(
        "one_hot",
        one_hot_softmax,
        {**SOFTMAX, "denominator": counted},
        dict.fromkeys(ROWS_AND_MAPS, "trained as if no class were true"),
    ),
    Loss("mean_of_all", softmax, SOFTMAX, dict.fromkeys(IGNORED, "the mean is")),
    Loss(
        "half_ignored",
        half_ignored,
        {**SOFTMAX, "denominator": counted},
        dict.fromkeys(IGNORED, "the gradient is up to 1"),
    ),
    Loss("columns", bce_by_column, DENSE, {"numbers per class on maps": "pos_weight[0] on maps of shape (2, 5, 3, 4)"}),
    Loss("fitting", fitting_bce, DENSE, {"numbers per class on maps": "weighs columns or rows, not class 0"}),
    Loss(
        "last_axis", softmax_of_columns, DENSE, {"maps as their pixels": "more or less than their pixels"}, also=ON_MAPS
    ),
    Loss(
        "times_axis",
        times_last_axis,
        {**DENSE, "pure": True},
        {"maps as their pixels": "than their pixels"},
        ("compiled path", *ON_MAPS),
    ),
    Loss("row_mean", bce_by_class, {**DENSE, "denominator": rows_met}, {"maps as their pixels": "the mean is"}),
    Loss("eps_length", corner_distance_with_eps(1e-5, 1), {"traits": WIDE}, SCALE),
    Loss("eps_area", corner_distance_with_eps(1e-7, 2), {"traits": WIDE}, SCALE),
    Loss("eps_fourth", corner_distance_with_eps(1e-7, 4), {"traits": WIDE}, SCALE),
    Loss("perimeter", over_signed_perimeter(1e-12, 1), {"traits": WIDE}, {"many inverted: both": BLOW_UP}),
    Loss("perimeter_2", over_signed_perimeter(1e-18, 2), {"traits": WIDE}, {"many inverted: both": BLOW_UP}),
    Loss(
        "over_target",
        over_target,
        {"traits": lp.Traits(scale_invariant=True)},
        dict.fromkeys(("many inverted: target", "many inverted: both"), BLOW_UP),
    ),
    Loss("empty_costs_1", empty_costs(1.0), {"traits": DISTANCE}, {"equal boxes without area": "cost 1; promised"}),
    Loss(
        "empty_costs_less", empty_costs(0.4), {"traits": DISTANCE}, {"equal boxes without area": "cost 0.4; promised"}
    ),
    Loss("by_mean", by_mean_target, PIXELS, STATISTIC, ("one row", "symmetric", "vmap")),
    Loss("by_rank", by_rank, PIXELS, STATISTIC, (*PATHS, "symmetric", "vmap", "more axes than rows")),
    Loss("by_share", class_share, {**DENSE, "pure": True}, STATISTIC, ("fused path",)),
    Loss("branch_at_10", branch_on_size(10), PIXELS, BRANCH, GRAPHS),
    Loss("branch_at_5000", branch_on_size(5000), PIXELS, BRANCH, GRAPHS),
    Loss("branch_on_axes", branch_on_axes, PIXELS, {"more axes than rows": "difference to the same boxes in rows"}),
    Loss(
        "flattened",
        flattened,
        PIXELS,
        {"more axes than rows": "returned shape (6,) for 6 boxes; allowed: a floating-point tensor of shape (2, 3)"},
    ),
)
