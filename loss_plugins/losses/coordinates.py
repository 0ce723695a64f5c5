"""Losses per coordinate: (..., 4) in, (..., 4) out."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from ..catalog.declare import Effect, Source, Traits
from ..catalog.entries import register_loss
from ..catalog.ranges import EPSILON_ABOVE_0, Interval
from .boxes import beside, center_offset, corners

FAST_RCNN = Source("Fast R-CNN", 2015, "https://arxiv.org/abs/1504.08083")


@register_loss(
    "l1",
    kind="coordinate",
    formula=r"|d|,\quad d = \hat{x} - x",
    source=Source("Least absolute deviations", None, "https://pytorch.org/docs/stable/generated/torch.nn.L1Loss.html"),
    traits=Traits(symmetric=True, units="pixels"),
    use_when="Some labels are outliers: the minimiser is the median, and every error pulls with the same force.",
    avoid_when="You need small steps near the optimum: the slope is 1 right up to 0.",
)
def l1_loss(pred: Tensor, target: Tensor) -> Tensor:
    """Absolute difference of each coordinate, in its unit.

    >>> l1_loss(torch.zeros(1, 4), torch.tensor([[1.0, -2.0, 0.5, 0.0]]))
    tensor([[1.0000, 2.0000, 0.5000, 0.0000]])
    """
    return functional.l1_loss(pred, target, reduction="none")


@register_loss(
    "mse",
    kind="coordinate",
    formula=r"d^2",
    source=Source("Least squares", None, "https://pytorch.org/docs/stable/generated/torch.nn.MSELoss.html"),
    traits=Traits(symmetric=True, units="pixels"),
    use_when="Errors are small and clean: the minimiser is the mean and the slope fades towards 0.",
    avoid_when="There are outliers: the gradient grows with the error, so the worst boxes rule the step.",
)
def mse_loss(pred: Tensor, target: Tensor) -> Tensor:
    """Squared difference of each coordinate, without a factor 1/2.

    >>> mse_loss(torch.zeros(1, 4), torch.tensor([[1.0, -2.0, 0.5, 0.0]]))
    tensor([[1.0000, 4.0000, 0.2500, 0.0000]])
    """
    return functional.mse_loss(pred, target, reduction="none")


@register_loss(
    "smooth_l1",
    kind="coordinate",
    formula=r"\begin{cases} \frac{d^2}{2\beta} & |d| < \beta \\ |d| - \frac{\beta}{2} & \text{else} \end{cases}",
    source=FAST_RCNN,
    traits=Traits(symmetric=True, units="pixels"),
    use_when="Encoded box deltas in two-stage detectors: L1's robustness with a smooth bottom.",
    avoid_when="Coordinates are in pixels and beta is 1: nearly every error is then in the L1 part.",
)
def smooth_l1_loss(pred: Tensor, target: Tensor, *, beta: Annotated[float, Interval(0)] = 1.0) -> Tensor:
    """L1 with a parabola below beta, and slope 1 outside.

    Args:
        beta: width of the parabola, in the unit of the input; 0 is L1. The paper uses 1.

    >>> smooth_l1_loss(torch.zeros(1, 4), torch.tensor([[1.0, -2.0, 0.5, 0.0]]))  # 1/2, 2 - 1/2, (1/2)^2 / 2
    tensor([[0.5000, 1.5000, 0.1250, 0.0000]])
    """
    return functional.smooth_l1_loss(pred, target, reduction="none", beta=beta)


@register_loss(
    "huber",
    kind="coordinate",
    formula=r"\begin{cases} \frac{d^2}{2} & |d| \le \delta \\"
    r" \delta (|d| - \frac{\delta}{2}) & \text{else} \end{cases}",
    source=Source("Robust Estimation of a Location Parameter", 1964, "https://doi.org/10.1214/aoms/1177703732"),
    traits=Traits(symmetric=True, units="pixels"),
    use_when="As smooth_l1, with the parabola fixed at 1/2 d^2 whatever delta is.",
    avoid_when="delta is tuned: it scales the loss as well (delta times smooth_l1), so gains must follow.",
)
def huber_loss(pred: Tensor, target: Tensor, *, delta: Annotated[float, Interval(0, open_low=True)] = 1.0) -> Tensor:
    """Half the square up to delta, then a line of slope delta.

    Args:
        delta: where the line begins, in the unit of the input.

    >>> huber_loss(torch.zeros(1, 4), torch.tensor([[1.0, -4.0, 0.5, 0.0]]), delta=2.0)  # 1/2, 2 (4 - 2/2), (1/2)^2 / 2
    tensor([[0.5000, 6.0000, 0.1250, 0.0000]])
    """
    return functional.huber_loss(pred, target, reduction="none", delta=delta)


@register_loss(
    "focal_l1",
    kind="coordinate",
    formula=r"\begin{cases} -\frac{\alpha x^2}{4} (2 \ln(\beta x) - 1) & x \le 1 \\"
    r" -\alpha x \ln\beta + \frac{\alpha}{4} (2 \ln\beta + 1) & x > 1 \end{cases},\quad x = |d|",
    source=Source(
        "Focal and Efficient IOU Loss for Accurate Bounding Box Regression",
        2021,
        "https://arxiv.org/abs/2101.08158",
    ),
    traits=Traits(symmetric=True, units="pixels"),
    use_when="Normalised offsets of around 1, where mid-sized errors should pull hardest.",
    avoid_when="Coordinates are in pixels: nearly all errors exceed 1 and the loss is a scaled L1.",
)
def focal_l1_loss(
    pred: Tensor,
    target: Tensor,
    *,
    alpha: Annotated[float | None, Interval(0, open_low=True)] = None,
    beta: Annotated[float, Interval(1 / math.e, 1)] = 0.8,
) -> Tensor:
    """L1 whose gradient peaks at an error of 1 / (e beta) and falls off on both sides.

    Args:
        alpha: height of the gradient; None for e * beta, which makes its peak 1 as in the paper.
        beta: the larger, the smaller the gradient of outliers; for beta = 1 it is 0 beyond an error of 1.

    >>> # up to 1: -x^2 (2 ln x - 1) / 4; flat beyond
    >>> focal_l1_loss(torch.zeros(1, 4), torch.tensor([[1.0, -1.0, 2.0, 0.0]]), alpha=1.0, beta=1.0)
    tensor([[0.2500, 0.2500, 0.2500, 0.0000]])
    """
    alpha = math.e * beta if alpha is None else alpha
    log_beta = math.log(beta)
    x = (pred - target).abs()
    inside = x.clamp(max=1)
    # ln 0 never meets the gradient: its factor x^2 is 0 there
    log_term = torch.where(inside > 0, inside, torch.ones_like(inside)).log() + log_beta
    bowl = -alpha * inside**2 * (2 * log_term - 1) / 4
    return bowl - alpha * log_beta * (x - inside)


@register_loss(
    "balanced_l1",
    kind="coordinate",
    formula=r"\begin{cases} \frac{\alpha}{b}(b|d| + 1)\ln(b|d|/\beta + 1) - \alpha|d| & |d| < \beta \\"
    r" \gamma|d| + \gamma/b - \alpha\beta & \text{else} \end{cases},\quad b = e^{\gamma/\alpha} - 1",
    source=Source(
        "Libra R-CNN: Towards Balanced Learning for Object Detection", 2019, "https://arxiv.org/abs/1904.02701"
    ),
    traits=Traits(symmetric=True, units="pixels"),
    use_when="Encoded deltas, where accurate boxes should pull harder than under smooth_l1 and outliers no harder.",
    avoid_when="beta is not 1: in the published formula the slope then jumps at beta and is not 0 at 0.",
)
def balanced_l1_loss(
    pred: Tensor,
    target: Tensor,
    *,
    alpha: Annotated[float, Interval(0.1, 10)] = 0.5,
    gamma: Annotated[float, Interval(1e-3, 6)] = 1.5,
    beta: Annotated[
        float, Interval(0, open_low=True), Effect(range=(-math.inf, math.inf), when=Interval(1, open_low=True))
    ] = 1.0,
) -> Tensor:
    """L1 whose gradient rises faster near 0, so that accurate boxes count more.

    Args:
        alpha: the smaller, the larger the gradient of small errors. The paper uses 0.5.
        gamma: slope of the line. The paper uses 1.5.
        beta: where the line begins, in the unit of the input. The paper uses 1.

    >>> # beyond 1: 1.5 |d| + 1.5 / (e^3 - 1) - 0.5
    >>> balanced_l1_loss(torch.zeros(1, 4), torch.tensor([[0.0, 2.0, 3.0, -3.0]]))
    tensor([[0.0000, 2.5786, 4.0786, 4.0786]])
    """
    b = math.expm1(gamma / alpha)
    x = (pred - target).abs()
    inside = x.clamp(max=beta)
    bowl = alpha / b * (b * inside + 1) * torch.log1p(b * inside / beta) - alpha * x
    return torch.where(x < beta, bowl, gamma * x + gamma / b - alpha * beta)


@register_loss(
    "bounded_iou",
    kind="coordinate",
    formula=r"\mathrm{SmoothL1}_\beta(1 - b),\quad b_x = \max\left(0, \frac{w_g - 2|d_x|}{w_g + 2|d_x|}\right),\quad "
    r"b_w = \min\left(\frac{w}{w_g}, \frac{w_g}{w}\right)",
    source=Source(
        "Improving Object Localization with Fitness NMS and Bounded IoU Loss", 2017, "https://arxiv.org/abs/1711.00164"
    ),
    traits=Traits(range=(0, 0.9), scale_invariant=True, whole_boxes=True),
    use_when="You want IoU's scale invariance with a smooth minimum, and a loss for each of x, y, w and h.",
    avoid_when="Centres may be off by half the target: they get no gradient there. It takes boxes, not encoded deltas.",
)
def bounded_iou_loss(
    pred: Tensor,
    target: Tensor,
    *,
    beta: Annotated[float, Interval(0, 1, open_low=True), Effect(range=(0, 1))] = 0.2,
    eps: Annotated[float | None, EPSILON_ABOVE_0, Effect(scale_invariant=False)] = None,
) -> Tensor:
    """Bounded IoU loss: for x, y, w and h each, 1 minus the best IoU possible with that error, smooth near 0.

    Args:
        pred: (..., 4) predicted boxes, corners (x1, y1, x2, y2).
        target: the boxes to meet, valid ones (x1 <= x2, y1 <= y2); they carry no gradient.
        beta: threshold of SmoothL1.
        eps: added to the denominators, in the unit of the boxes, as MMDetection does with 1e-3: equal boxes then cost
            about (eps / side)^2. None: nothing is added.

    Returns:
        (..., 4) losses for dx, dy, dw and dh, not for coordinates, in float32 at least.

    >>> # half as high as its target and 2 above: 1 - 4 / 12 - 0.1 for dy, 1 - 1/2 - 0.1 for dh
    >>> bounded_iou_loss(torch.tensor([[0.0, 0, 4, 4]]), torch.tensor([[0.0, 0, 4, 8]]))
    tensor([[0.0000, 0.5667, 0.0000, 0.4000]])
    """
    p, t = corners(pred), corners(target.detach())
    axes = ((center_offset(p, t)[0], p.w, t.w.relu()), (center_offset(p, t)[1], p.h, t.h.relu()))
    offsets = [1 - _moved(offset.abs(), side, eps) for offset, _, side in axes]
    sizes = [1 - _resized(own, side, eps) for _, own, side in axes]
    loss = torch.stack([*offsets, *sizes], dim=-1)
    return functional.smooth_l1_loss(loss, torch.zeros_like(loss), reduction="none", beta=beta)


def _moved(offset: Tensor, target: Tensor, eps: float | None) -> Tensor:
    """The best IoU along one axis with centres apart by `offset`."""
    if eps is None:
        iou = 1 - 4 * offset / (target + 2 * offset + beside(target))
    else:
        iou = (target - 2 * offset) / (target + 2 * offset + eps)
    return torch.maximum(iou, torch.zeros_like(iou))


def _resized(side: Tensor, target: Tensor, eps: float | None) -> Tensor:
    """The IoU along one axis of sides with one centre; below 0 for an inverted box."""
    if eps is None:  # the smaller over the larger; of two boxes without a side it is 1
        larger, smaller = torch.maximum(side.abs(), target), torch.minimum(side, target)
        return 1 - (larger - smaller) / (larger + beside(larger))
    return torch.minimum(_shrunk(side, target, eps), side / (target + eps))


def _shrunk(side: Tensor, target: Tensor, eps: float) -> Tensor:
    """target / side; of an inverted box any number above 0, since side / target is the worse of the two."""
    return target / (side.masked_fill(side < 0, 1.0) + eps)
