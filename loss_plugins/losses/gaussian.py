"""Axis-aligned boxes as Gaussians."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor

from ..catalog.declare import Effect, Source, Traits
from ..catalog.entries import register_loss
from ..catalog.ranges import EPSILON, Choice, Interval
from .boxes import center_offset, corners, cxcywh_to_xyxy, safe_root, squared_norm


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
    mode: Annotated[str, Choice("exp", "sqrt", "log", "norm_sqrt", "w2"), Effect(range=(0, math.inf))] = "exp",
    gamma: Annotated[float, Interval(0, open_low=True)] = 1.0,
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
        eps: added to W^2, as the authors do; None: nothing is added.
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
    if mode == "w2":
        return distance2
    if mode == "log":
        return torch.log1p(distance2)
    distance = distance2.sqrt() if eps else safe_root(distance2)
    if mode == "sqrt":
        return distance
    # exp, not expm1: that one's slope is computed as value + 1, in which the small pull on a far box is lost
    return 1 - (-distance / constant).exp() if mode == "exp" else 1 - 1 / (gamma + distance)
