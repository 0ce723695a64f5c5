"""Quadrilaterals by their projections on the edges of both (2504.16443)."""

from __future__ import annotations

import functools
import math
from typing import Annotated, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import relu

from ..catalog.declare import Effect, Traits
from ..catalog.entries import add_alias, register_loss
from ..catalog.ranges import Interval
from .boxes import safe_hypot
from .projections import MGIOU

#: an edge or a hull shorter than so many times the size of both quadrilaterals has no direction, and no length
LEAST = 1e-4


def turned(numbers: Tensor, by: int = 1) -> Tensor:
    """Of four numbers of the corners in turn, those of the next, or of the one after so many."""
    return torch.cat([numbers[..., by:], numbers[..., :by]], -1)


def least(numbers: Tensor) -> Tensor:
    """Of four numbers each."""
    return functools.reduce(torch.minimum, numbers.unbind(-1))


def greatest(numbers: Tensor) -> Tensor:
    """Of four numbers each."""
    return functools.reduce(torch.maximum, numbers.unbind(-1))


class Corner(NamedTuple):
    """One corner of each, and its angle about the mean of the four."""

    angle: Tensor
    x: Tensor
    y: Tensor


class Quad(NamedTuple):
    """Corners: x and y, (..., 4) each."""

    x: Tensor
    y: Tensor

    def after(self) -> Quad:
        """From each corner to the next."""
        return Quad(turned(self.x) - self.x, turned(self.y) - self.y)


def in_turn(one: Corner, other: Corner) -> tuple[Corner, Corner]:
    """Both, the one of the smaller angle first."""
    swap = one.angle > other.angle
    pairs = [(torch.where(swap, b, a), torch.where(swap, a, b)) for a, b in zip(one, other, strict=True)]
    first, second = zip(*pairs, strict=True)
    return Corner(*first), Corner(*second)


def around(boxes: Tensor) -> Quad:
    """The corners in the order of their angles about their mean, so that no two edges cross."""
    x, y = boxes[..., 0::2], boxes[..., 1::2]
    away = (y - y.mean(-1, keepdim=True)).detach(), (x - x.mean(-1, keepdim=True)).detach()
    columns = [each.unbind(-1) for each in (torch.atan2(*away), x, y)]
    a, b, c, d = [Corner(*each) for each in zip(*columns, strict=True)]
    (a, b), (c, d) = in_turn(a, b), in_turn(c, d)
    (a, c), (b, d) = in_turn(a, c), in_turn(b, d)
    b, c = in_turn(b, c)
    return Quad(torch.stack([a.x, b.x, c.x, d.x], -1), torch.stack([a.y, b.y, c.y, d.y], -1))


def measured(pred: Quad, target: Quad) -> tuple[Quad, Quad]:
    """Both in units of the larger of their extents, from the middle of the target, which carry no gradient."""
    sides = [greatest(each) - least(each) for quad in (pred, target) for each in quad]
    size = functools.reduce(torch.maximum, sides).detach().unsqueeze(-1)
    size = torch.where(size > 0, size, torch.ones_like(size))
    x, y = (each.mean(-1, keepdim=True).detach() for each in target)
    return Quad((pred.x - x) / size, (pred.y - y) / size), Quad((target.x - x) / size, (target.y - y) / size)


def normals(quad: Quad) -> Quad:
    """Unit normals of the four edges; of an edge without length the direction of the next, as of a flat rectangle.

    Where that has none either, they are the axes in turn.
    """
    edge = quad.after()
    length = safe_hypot(*edge).detach()
    long, unit = length > LEAST, length.clamp(min=LEAST)
    next_long, next_unit = turned(long), turned(unit)
    odd = torch.arange(4, dtype=unit.dtype, device=unit.device) % 2
    other = Quad(
        torch.where(next_long, turned(edge.x) / next_unit, 1 - odd),
        torch.where(next_long, turned(edge.y) / next_unit, odd),
    )
    return Quad(torch.where(long, -edge.y / unit, other.x), torch.where(long, edge.x / unit, other.y))


def projected_giou(axes: Quad, pred: Quad, target: Quad) -> Tensor:
    """Generalised IoU of the intervals that both cover on each axis; 1 where both are one point."""
    x, y = axes.x.unsqueeze(-1), axes.y.unsqueeze(-1)
    along = [x * quad.x.unsqueeze(-2) + y * quad.y.unsqueeze(-2) for quad in (pred, target)]
    low, low_t, high, high_t = (*map(least, along), *map(greatest, along))
    shared = torch.minimum(high, high_t) - torch.maximum(low, low_t)
    hull = torch.maximum(high, high_t) - torch.minimum(low, low_t)
    return (shared + relu(LEAST - hull)) / hull.clamp(min=LEAST)


def dents(quad: Quad) -> Tensor:
    """How far corners turn the other way than the first does: the mean cross product of the edges at them."""
    after = quad.after()
    cross = turned(after.x, 3) * after.y - turned(after.y, 3) * after.x
    return relu(-cross[..., :1].detach().sign() * cross).mean(-1)


@register_loss(
    "mgiou_quad",
    kind="quad",
    formula=r"\frac{1}{2} \left(1 - \frac{1}{8} \sum_{n} \mathrm{GIoU}(n^T Q, n^T Q_g)\right) + \lambda D",
    source=MGIOU,
    traits=Traits(range=(0, 1), symmetric=True, scale_invariant=True),
    use_when="Objects are predicted by their four corners: text, aerial images, faces of things in perspective.",
    avoid_when="The order of the corners means something: it is not read. Rectangles by centre, size and angle: mgiou.",
)
def mgiou_quad_loss(
    pred: Tensor,
    target: Tensor,
    *,
    convex_weight: Annotated[
        float,
        Interval(0, 1e6),
        Effect(range=(0, math.inf), symmetric=False, scale_invariant=False),
    ] = 0.0,
) -> Tensor:
    """Marginalised generalised IoU of quadrilaterals: the mean GIoU of their projections on the eight edges of both.

    Args:
        convex_weight: of what the prediction's dents cost, in square units of the boxes. The authors' default is 0.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 0, 2, 2, 0, 2]]), torch.tensor([[3.0, 0, 5, 0, 5, 2, 3, 2]])
    >>> mgiou_quad_loss(pred, target)  # a gap of 1 in a hull of 5, and equal in y: (1 - (1 - 0.2) / 2) / 2
    tensor([0.3000])
    """
    quad, pair = around(pred), measured(around(pred), around(target))
    axes = Quad(*(torch.cat(each, -1) for each in zip(*map(normals, pair), strict=True)))
    loss = (1 - projected_giou(axes, *pair).mean(-1)) / 2
    return loss + convex_weight * dents(quad) if convex_weight else loss


add_alias("mgiou_plus", "mgiou_quad")  # the paper's MGIoU+
