"""Losses per coordinate: (..., 4) in, (..., 4) out."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from .catalog import Source, Traits, register_loss
from .checks import Interval

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
    """Absolute difference of each coordinate.

    Args:
        pred: (..., 4) predicted boxes or offsets; the loss has their unit.
        target: (..., 4) values to meet.

    Returns:
        (..., 4) loss per coordinate, float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4.
        TypeError: integer input.

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

    Args:
        pred: (..., 4) predicted boxes or offsets; the loss has their unit squared.
        target: (..., 4) values to meet.

    Returns:
        (..., 4) loss per coordinate, float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4.
        TypeError: integer input.

    >>> mse_loss(torch.zeros(1, 4), torch.tensor([[1.0, -2.0, 0.5, 0.0]]))
    tensor([[1.0000, 4.0000, 0.2500, 0.0000]])
    """
    return functional.mse_loss(pred, target, reduction="none")


@register_loss(
    "smooth_l1",
    kind="coordinate",
    formula=r"\begin{cases} d^2 / 2\beta & |d| < \beta \\ |d| - \beta/2 & \text{else} \end{cases}",
    source=FAST_RCNN,
    traits=Traits(symmetric=True, units="pixels"),
    use_when="Encoded box deltas in two-stage detectors: L1's robustness with a smooth bottom.",
    avoid_when="Coordinates are in pixels and beta is 1: nearly every error is then in the L1 part.",
)
def smooth_l1_loss(pred: Tensor, target: Tensor, *, beta: Annotated[float, Interval(0)] = 1.0) -> Tensor:
    """L1 with a parabola below beta; slope 1 outside.

    Args:
        pred: (..., 4) predicted boxes or offsets.
        target: (..., 4) values to meet.
        beta: width of the parabola, at least 0, in the unit of the input; 0 is L1.

    Returns:
        (..., 4) loss per coordinate, float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; beta below 0.
        TypeError: integer input.

    >>> smooth_l1_loss(torch.zeros(1, 4), torch.tensor([[1.0, -2.0, 0.5, 0.0]]))
    tensor([[0.5000, 1.5000, 0.1250, 0.0000]])
    """
    return functional.smooth_l1_loss(pred, target, reduction="none", beta=beta)


@register_loss(
    "huber",
    kind="coordinate",
    formula=r"\begin{cases} d^2 / 2 & |d| \le \delta \\ \delta(|d| - \delta/2) & \text{else} \end{cases}",
    source=Source("Robust Estimation of a Location Parameter", 1964, "https://doi.org/10.1214/aoms/1177703732"),
    traits=Traits(symmetric=True, units="pixels"),
    use_when="As smooth_l1, with the parabola fixed at 1/2 d^2 whatever delta is.",
    avoid_when="delta is tuned: it scales the loss as well (delta times smooth_l1), so gains must follow.",
)
def huber_loss(pred: Tensor, target: Tensor, *, delta: Annotated[float, Interval(0, open_low=True)] = 1.0) -> Tensor:
    """Half the square up to delta, then a line of slope delta.

    Args:
        pred: (..., 4) predicted boxes or offsets.
        target: (..., 4) values to meet.
        delta: where the line begins, above 0, in the unit of the input.

    Returns:
        (..., 4) loss per coordinate, float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; delta not above 0.
        TypeError: integer input.

    >>> huber_loss(torch.zeros(1, 4), torch.tensor([[1.0, -4.0, 0.5, 0.0]]), delta=2.0)
    tensor([[0.5000, 6.0000, 0.1250, 0.0000]])
    """
    return functional.huber_loss(pred, target, reduction="none", delta=delta)


@register_loss(
    "focal_l1",
    kind="coordinate",
    formula=r"\begin{cases} -\frac{\alpha x^2}{4}(2\ln\beta x - 1) & x \le 1 \\"
    r" -\alpha x\ln\beta + \frac{\alpha}{4}(2\ln\beta + 1) & x > 1 \end{cases},\quad x = |d|",
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
        pred: (..., 4) predicted offsets, normalised (errors of order 1).
        target: (..., 4) values to meet.
        alpha: height, above 0; None: e * beta, which puts the gradient's peak at 1 as the paper does.
        beta: in [1/e, 1]; the larger, the smaller the gradient of outliers (0 beyond 1 for beta = 1).

    Returns:
        (..., 4) loss per coordinate, float32 at least.

    Raises:
        ValueError: shapes that differ or do not end in 4; a parameter out of range.
        TypeError: integer input.

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
