"""The updates that the published figure of DIoU's experiment was made with (1911.08287): no gradients of the losses.

They were derived by hand, and differ from the derivatives in some conventions, each of which can be switched on alone.
With none of them they are the derivatives. All are directions of ascent of the metric, of boxes (cx, cy, w, h) as
columns: (2, n) lengths are those in x and in y.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from ..errors import refusal
from ..losses.boxes import squared_norm
from .named import unknown_among

#: added to the denominator of CIoU's alpha, as by `ciou` itself
ALPHA_EPS = 1e-7


@dataclass(frozen=True)
class Conventions:
    """In what the published updates differ from the derivatives.

    Attributes:
        ties: where two edges coincide the slope is 0, not the mean of both sides.
        doubled_sides: the change of a side is the difference of the changes of its edges, twice the derivative.
        signed_union: GIoU's union takes the overlap as a product of signed lengths, also where boxes are apart.
        opposed_shift: the enclosing box's change with the centre enters DIoU with the opposite sign.
        summed_sides: that change is multiplied by the sum of both enclosing sides, not by the one of its axis.
        shrinking: where a box is larger than the target on both sides, the enclosing box counts as growing by -1.
        bare_aspect: CIoU's aspect term lacks the factor 1 / (w^2 + h^2) of the arctangent's derivative.
    """

    ties: bool = True
    doubled_sides: bool = True
    signed_union: bool = True
    opposed_shift: bool = True
    summed_sides: bool = True
    shrinking: bool = True
    bare_aspect: bool = True


OF_DIOU = ("ties", "doubled_sides", "opposed_shift", "summed_sides", "shrinking")
#: by loss, the conventions that its published update follows
FOLLOWED: dict[str, tuple[str, ...]] = {
    "iou": ("ties", "doubled_sides"),
    "giou": ("ties", "doubled_sides", "signed_union"),
    "diou": OF_DIOU,
    "ciou": (*OF_DIOU, "bare_aspect"),
}


def conventions_of(losses: Iterable[str], only: Iterable[str]) -> Conventions:
    """All conventions, or only these, written with "-" or "_".

    Args:
        losses: names of those that are computed.
        only: names of conventions; none: all.
    """
    names = [name.replace("-", "_") for name in only]
    known = [field.name for field in fields(Conventions)]
    for name in names:
        if name not in known:
            raise unknown_among(name, known, "--convention", "simulate")
        for loss in losses:
            if name not in FOLLOWED[loss]:
                allowed = ", ".join(FOLLOWED[loss])
                came = f"--convention={name}: the published update of {loss} does not follow it"
                raise refusal("simulate", came, allowed, f"leave {loss} out, or the convention")
    return Conventions(**{name: name in names for name in known}) if names else Conventions()


def ascent(loss: str, boxes: Tensor, targets: Tensor, conventions: Conventions) -> Tensor:
    """The direction in which a box is moved.

    Args:
        loss: iou, giou, diou or ciou.
        boxes: (4, n) rows cx, cy, w, h.
        targets: (4, n) likewise.
        conventions: that are followed.

    Returns:
        (4, n), in the same rows.

    >>> box, target = torch.tensor([[10.0], [10], [2], [2]]), torch.tensor([[10.0], [10], [1], [1]])
    >>> ascent("iou", box, target, Conventions()).t()  # IoU is 1 / w^2 of the side w: twice -1 / w^3 times h
    tensor([[ 0.0000,  0.0000, -0.2500, -0.2500]])
    """
    pair = _Pair(boxes, targets, conventions)
    low, high = pair.slope_of_iou()
    if loss == "giou":
        low, high = (a + b for a, b in zip((low, high), pair.slope_of_fill(), strict=True))
    stretch = high - low if conventions.doubled_sides else (high - low) / 2
    direction = torch.cat((low + high, stretch))
    if loss in ("diou", "ciou"):
        direction += pair.slope_of_distance()
    if loss == "ciou":
        direction[2:] += pair.slope_of_aspect()
    return direction


class _Pair:
    """Boxes and targets, with what all updates need: (2, n) lengths, in x and in y."""

    def __init__(self, boxes: Tensor, targets: Tensor, conventions: Conventions) -> None:
        self.says = conventions
        self.offset = targets[:2] - boxes[:2]
        self.size, self.target_size = boxes[2:], targets[2:]
        low, high = boxes[:2] - self.size / 2, boxes[:2] + self.size / 2
        target_low, target_high = targets[:2] - self.target_size / 2, targets[:2] + self.target_size / 2
        self.overlap = torch.minimum(high, target_high) - torch.maximum(low, target_low)
        self.enclosing = torch.maximum(high, target_high) - torch.minimum(low, target_low)
        inside = self.overlap.relu()
        self.intersection = inside[0] * inside[1]
        self.overlaps = (self.intersection > 0).to(boxes.dtype)
        #: whether an edge bounds the overlap (inside), or the enclosing box (outside)
        self.low_inside, self.high_inside = self._above(low, target_low), self._above(target_high, high)
        self.low_outside, self.high_outside = self._above(target_low, low), self._above(high, target_high)
        self.areas = _area(self.size) + _area(self.target_size)
        self.union = self.areas - self.intersection

    def _above(self, one: Tensor, other: Tensor) -> Tensor:
        """1 where one is larger, 0 where it is smaller, and at a tie 0 or, as the mean of both sides, 1/2."""
        above = (one > other).to(one.dtype)
        return above if self.says.ties else above + (one == other) / 2

    def slope_of_iou(self) -> tuple[Tensor, Tensor]:
        """IoU by the low and by the high edges; 0 unless the boxes overlap."""
        beside = self.overlap.flip(0) * self.overlaps
        area = self.size.flip(0)
        by_overlap = (self.union + self.intersection) / self.union**2 * beside
        by_area = self.intersection / self.union**2 * area
        return by_area - self.low_inside * by_overlap, self.high_inside * by_overlap - by_area

    def slope_of_fill(self) -> tuple[Tensor, Tensor]:
        """The union over the enclosing area, by the low and by the high edges."""
        signed = self.says.signed_union
        beside = self.overlap.flip(0) if signed else self.overlap.flip(0) * self.overlaps
        union = self.areas - _area(self.overlap) if signed else self.union
        enclosing, along = _area(self.enclosing), self.enclosing.flip(0)
        area = self.size.flip(0)
        by_enclosing = union / enclosing**2 * along
        low = (self.low_inside * beside - area) / enclosing + self.low_outside * by_enclosing
        high = (area - self.high_inside * beside) / enclosing - self.high_outside * by_enclosing
        return low, high

    def slope_of_distance(self) -> Tensor:
        """Minus the squared distance over the squared enclosing diagonal, by centre and size."""
        distance, diagonal = (squared_norm(*each) for each in (self.offset, self.enclosing))
        moved = self.high_outside - self.low_outside
        grown = (self.high_outside + self.low_outside) / 2
        along = self.enclosing[0] + self.enclosing[1] if self.says.summed_sides else self.enclosing
        sign = -1 if self.says.opposed_shift else 1
        if self.says.shrinking:
            grown = torch.where(grown == 1, -1.0, grown)
        falling = 2 * distance / diagonal**2
        shift = self.offset * (2 / diagonal) + moved * (sign * along * falling)
        return torch.cat((shift, self.enclosing * grown * falling))

    def slope_of_aspect(self) -> Tensor:
        """Minus CIoU's alpha v, by width and height; alpha is held."""
        width, height = self.size
        delta = (self.target_size[0] / self.target_size[1]).atan() - (width / height).atan()
        v = 4 * delta**2 / math.pi**2
        denominator = 1 - self.intersection / self.union + v + ALPHA_EPS
        factor = v / denominator * (8 / math.pi**2) * delta
        if not self.says.bare_aspect:
            factor = factor / (width**2 + height**2)
        return torch.stack((factor * height, -factor * width))


def _area(sides: Tensor) -> Tensor:
    return sides[0] * sides[1]


def told(conventions: Conventions, loss: str) -> list[str]:
    """The names of those that are followed, of those that the loss has."""
    followed: dict[str, Any] = vars(conventions)
    return [name for name in FOLLOWED[loss] if followed[name]]
