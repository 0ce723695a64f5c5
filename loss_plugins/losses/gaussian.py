"""Axis-aligned boxes as Gaussians."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor

from ..catalog.declare import Effect, Source, Traits
from ..catalog.entries import register_loss
from ..catalog.ranges import EPSILON, Choice, Interval
from .boxes import LENGTH, beside, center_offset, corners, cxcywh_to_xyxy, safe_root, squared_norm

Mode = Annotated[str, Choice("exp", "sqrt", "log", "norm_sqrt", "w2"), Effect(range=(0, math.inf))]
Gamma = Annotated[float, Interval(0, open_low=True)]


def of_distance(square: Tensor, mode: str, gamma: float, constant: float, eps: float | None) -> Tensor:
    """The loss of a squared distance: itself, its root or logarithm, or between 0 and 1."""
    if mode == "w2":
        return square
    if mode == "log":
        return torch.log1p(square)
    distance = square.sqrt() if eps else safe_root(square)
    if mode == "sqrt":
        return distance
    # exp, not expm1: that one's slope is computed as value + 1, in which the small pull on a far box is lost
    return 1 - (-distance / constant).exp() if mode == "exp" else 1 - 1 / (gamma + distance)


@register_loss(
    "nwd",
    formula=r"1 - e^{-W / C},\quad W^2 = d_x^2 + d_y^2 + \frac{(w - w_g)^2 + (h - h_g)^2}{4}",
    source=Source(
        "A Normalized Gaussian Wasserstein Distance for Tiny Object Detection", 2021, "https://arxiv.org/abs/2110.13389"
    ),
    traits=Traits(range=(0, 1), symmetric=True, units="pixels"),
    use_when="Objects are tiny, so that a shift of some pixels takes IoU to 0; constant is their mean size in pixels.",
    avoid_when="Boxes are not in pixels, or objects differ much in size: a shift costs large and small ones alike.",
)
def nwd_loss(
    pred: Tensor,
    target: Tensor,
    *,
    constant: Annotated[float, Interval(1e-6)] = 12.8,
    mode: Mode = "exp",
    gamma: Gamma = 1.0,
    eps: Annotated[float | None, EPSILON] = None,
    box_format: Annotated[str, Choice("xyxy", "cxcywh")] = "xyxy",
) -> Tensor:
    """Normalised Gaussian Wasserstein distance: boxes as Gaussians, at a distance W.

    Boxes without area are welcome. Equal boxes cost 0, and have no gradient; beside them the slope of W is 1.

    Args:
        constant: C, in pixels: the mean size of the objects. The paper's 12.8 is that of AI-TOD.
        mode: "exp" for 1 - e^(-W/C); "sqrt" for W; "log" for ln(1 + W^2); "norm_sqrt" for 1 - 1 / (gamma + W); "w2"
            for W^2.
        gamma: added to W in mode "norm_sqrt".
        eps: added to W^2, as the authors do; None: nothing is.
        box_format: "xyxy" for corners or "cxcywh" for centre and size, of both boxes.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[3.0, 4, 5, 6]])
    >>> nwd_loss(pred, target, mode="sqrt")  # equal sizes, centres (3, 4) apart
    tensor([5.])
    >>> nwd_loss(pred, target, constant=5.0)  # 1 - 1/e
    tensor([0.6321])
    """
    if box_format == "cxcywh":
        pred, target = cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target)
    p, t = corners(pred), corners(target)
    sides = squared_norm(p.w - t.w, p.h - t.h)
    # modes end in a bound, which would hide an infinite distance
    distance2 = squared_norm(*center_offset(p, t)) + sides / 4 + 0 * sides.detach()
    if eps is not None:
        distance2 = distance2 + eps
    return of_distance(distance2, mode, gamma, constant, eps)


def divisible(side: Tensor, eps: float | None) -> Tensor:
    """A side to divide by: by itself, or with an epsilon."""
    if eps is None:
        side = side.abs()
        return side + beside(side)
    side = side + eps
    return side.masked_fill(side.abs() < LENGTH, LENGTH)


@register_loss(
    "gcd",
    formula=r"1 - e^{-\sqrt{(D + D_g) / 2}},\quad "
    r"D = \frac{d_x^2}{w^2} + \frac{d_y^2}{h^2} + \frac{(w - w_g)^2}{4 w^2} + \frac{(h - h_g)^2}{4 h^2},\quad "
    r"D_g = \frac{d_x^2}{w_g^2} + \frac{d_y^2}{h_g^2} + \frac{(w - w_g)^2}{4 w_g^2} + \frac{(h - h_g)^2}{4 h_g^2}",
    source=Source("Gaussian Combined Distance (IEEE GRSL)", 2025, "https://arxiv.org/abs/2510.27649"),
    traits=Traits(range=(0, 1), symmetric=True, scale_invariant=True),
    use_when="Objects are small and differ in size, or boxes are normalised: NWD's constant is not needed.",
    avoid_when="Predictions start far away: beyond some ten sizes of the box hardly anything pulls.",
)
def gcd_loss(
    pred: Tensor,
    target: Tensor,
    *,
    mode: Mode = "exp",
    gamma: Gamma = 1.0,
    eps: Annotated[float | None, EPSILON] = None,
    box_format: Annotated[str, Choice("xyxy", "cxcywh")] = "xyxy",
) -> Tensor:
    """Gaussian combined distance: offset and sides, measured by the sides of both boxes.

    Equal boxes cost 0, and have no gradient; beside them the slope is that of a distance, not of its square.

    Args:
        mode: "exp" for 1 - e^(-g), g the distance; "sqrt" for g; "log" for ln(1 + g^2); "norm_sqrt" for
            1 - 1 / (gamma + g); "w2" for g^2. But for "exp" and "norm_sqrt" a thin box far away has no bound.
        gamma: added to g in mode "norm_sqrt".
        eps: added to every side that is divided by, in the unit of the boxes, as the authors do; None: nothing is.
        box_format: "xyxy" for corners or "cxcywh" for centre and size, of both boxes.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[6.0, 8, 8, 10]])
    >>> gcd_loss(pred, target, mode="sqrt")  # equal sizes, centres (6, 8) apart: 3 and 4 sides
    tensor([5.])
    """
    if box_format == "cxcywh":
        pred, target = cxcywh_to_xyxy(pred), cxcywh_to_xyxy(target)
    p, t = corners(pred), corners(target)
    offset, sides = center_offset(p, t), (p.w - t.w, p.h - t.h)
    square = 0 * (pred - target).detach().sum(-1)  # modes end in a bound, which would hide an infinite box
    for box in (p, t):
        by = divisible(box.w, eps), divisible(box.h, eps)
        square = square + squared_norm(offset[0] / by[0], offset[1] / by[1]) / 2
        square = square + squared_norm(sides[0] / by[0], sides[1] / by[1]) / 8
    return of_distance(square, mode, gamma, 1.0, None)
