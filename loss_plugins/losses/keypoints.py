"""Losses of key points: by their similarity, by distances, and by the likelihood of their errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from ..catalog.declare import Effect, Source, Traits
from ..catalog.entries import register_loss
from ..catalog.ranges import Choice, Interval, PerClass
from ..errors import refusal
from ..points import parts_of
from ..tensors import Target, check_device

#: standard deviations of COCO's 17 points, in shares of the instance's size; a tenth of what its evaluation prints
COCO = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089,
    0.089,
)  # fmt: skip
#: an instance of no more area has no size to measure distances by
LEAST_AREA = 1e-16
#: a predicted deviation counts as this at least: one closer to 0, as of a sigmoid that underflows, has no likelihood
LEAST_SIGMA = 1e-4
#: is added to a deviation that divides
BESIDE_SIGMA = 1e-9


# --- similarity ------------------------------------------------------------------------------------------------------


def deviations(pred: Tensor, sigmas: Sequence[float] | Tensor | None) -> Tensor:
    """One standard deviation per key point, (K,): those given, of 17 points COCO's, else 1 / K."""
    number = pred.shape[-2]
    if sigmas is None:
        return usual_deviations(pred, number)
    if isinstance(sigmas, Tensor) and sigmas.is_meta:  # no other device can take it over
        check_device("oks", "sigmas", sigmas, pred)
    tensor: Tensor = sigmas.to(pred) if isinstance(sigmas, Tensor) else pred.new_tensor(sigmas)
    if len(tensor) != number:
        count = f"{len(tensor)} number{'s' * (len(tensor) != 1)}"
        came = f"sigmas has {count}, and pred {tuple(pred.shape)} has K = {number} key points"
        raise refusal("oks", came, "one number per key point", "pass as many as pred has entries along axis -2")
    return tensor


def usual_deviations(pred: Tensor, number: int) -> Tensor:
    """Of 17 points COCO's, else 1 / K; filled in on the device, as it would make the host wait to copy a list there."""
    if number != len(COCO):
        return pred.new_full((number,), 1 / max(number, 1))
    return torch.cat([pred.new_full((len(list(run)),), sigma) for sigma, run in groupby(COCO)])


def is_measured(weight: Tensor, area: Tensor) -> Tensor:
    """Which instances have a visible point, and a size to measure distances by."""
    return (weight.sum(-1) > 0) & ~(area <= LEAST_AREA)


def measured_instances(pred: Tensor, target: Target, **_: Any) -> Tensor:
    """How many instances have a visible point and a size."""
    weight, others = parts_of(pred, target)[1:]
    return is_measured(weight, others[0]).sum().to(pred.dtype)


def size_and_number(weight: Tensor, area: Tensor, added: float, floor: float) -> tuple[Tensor, Tensor]:
    """Area and number of visible points of each instance, as divisors."""
    if added:
        return area + added, (weight != 0).to(weight).sum(-1) + added
    if floor:
        return area.clamp(min=floor**2), weight.sum(-1).clamp(min=floor)
    known = is_measured(weight, area)
    return torch.where(known, area, 1), torch.where(known, weight.sum(-1), 1)


@register_loss(
    "oks",
    kind="keypoint",
    formula=r"1 - \sum_k \frac{m_k}{\sum_j m_j} e^{-d_k^2 / (8 \sigma_k^2 A)}",
    source=Source(
        "YOLO-Pose: Enhancing YOLO for Multi Person Pose Estimation Using Object Keypoint Similarity Loss",
        2022,
        "https://arxiv.org/abs/2204.06806",
    ),
    traits=Traits(range=(0, 1), symmetric=True, scale_invariant=True),
    targets=("points_visible_area",),
    denominator=measured_instances,
    use_when="Key points are judged by object keypoint similarity, and boxes are good already.",
    avoid_when="Training starts from scratch with this loss alone: far points have no gradient, so add wing or rle.",
)
def oks_loss(
    pred: Tensor,
    target: tuple[Tensor, Tensor, Tensor],
    added: float = 0.0,
    floor: float = 0.0,
    *,
    sigmas: Annotated[Sequence[float] | Tensor | None, PerClass(Interval(2**-10, 10), of="key point")] = None,
    mode: Annotated[
        Literal["linear", "square", "log"],
        Choice("linear", "square", "log"),
        Effect(range=(0.0, math.inf), when=Choice("log")),
    ] = "linear",
    over: Annotated[
        Literal["visible", "all"], Choice("visible", "all"), Effect(zero_at_equality=False, when=Choice("all"))
    ] = "visible",
) -> Tensor:
    """Object keypoint similarity loss: 1 minus the mean of e^(-d^2 / (8 sigma^2 area)) of the visible points.

    Args:
        target: a tuple (points, visible, area): points of pred's shape; visible (..., K), True or False, COCO's 0, 1
            or 2, or weights; the area of each instance (...), in the square of the points' unit. An instance without a
            visible point, or without area, costs 0 and does not count in "mean".
        sigmas: standard deviation of each key point, as a share of the square root of the area; None: of 17 points
            COCO's (0.026 to 0.107), of others 1 / K.
        mode: 1 - oks, 1 - oks^2 or -ln(oks).
        over: what the similarity is the mean over: of all points, those that are not visible cost as much as missed.

    Returns:
        (...) one loss per instance, from 0 to 1 with the default parameters, in float32 at least.

    >>> pred, points = torch.zeros(1, 2, 2), torch.tensor([[[0.0, 0.0], [3.0, 4.0]]])
    >>> oks_loss(pred, (points, torch.ones(1, 2), torch.tensor([12.5])))  # sigma 1/2: (0 + 1 - e^(-25 / 25)) / 2
    tensor([0.3161])
    """
    offset, weight, (area,) = parts_of(pred, target)
    size, number = size_and_number(weight, area, added, floor)
    error = (offset**2).sum(-1) / (8 * deviations(pred, sigmas) ** 2 * size[..., None])
    total = weight.sum(-1)
    share = weight / (weight.shape[-1] if over == "all" else number[..., None])
    if mode == "log":
        seen = total > 0
        loss = torch.where(seen, -torch.logsumexp(torch.where(seen[..., None], share.log(), 0) - error, -1), 0)
    else:
        absent = 1 - total / max(weight.shape[-1], 1) if over == "all" else (total == 0) * (1 if floor else 0)
        missed = (share * -torch.expm1(-error)).sum(-1) + absent
        loss = missed if mode == "linear" else missed * (2 - missed)
    return loss if added or floor else torch.where(is_measured(weight, area), loss, 0)


# --- distances -------------------------------------------------------------------------------------------------------


def visible_coordinates(pred: Tensor, target: Target, **_: Any) -> Tensor:
    """How many coordinates are of visible points."""
    return 2 * visible_points(pred, target)


@register_loss(
    "wing",
    kind="keypoint",
    formula=r"\begin{cases} w \ln\left(1 + \frac{|d|}{c}\right) & |d| < w \\"
    r" |d| - w + w \ln\left(1 + \frac{w}{c}\right) & \text{else} \end{cases}",
    source=Source(
        "Wing Loss for Robust Facial Landmark Localisation with Convolutional Neural Networks",
        2018,
        "https://arxiv.org/abs/1711.06753",
    ),
    traits=Traits(symmetric=True, units="pixels"),
    targets=("dense", "points_visible", "points_visible_area"),
    denominator=visible_coordinates,
    use_when="Landmarks are near already, and small errors should be squeezed.",
    avoid_when="Coordinates are normalised: with the defaults all errors lie in the steep part, which is L1 times 5.",
)
def wing_loss(
    pred: Tensor,
    target: Tensor | tuple[Tensor, ...],
    *,
    width: Annotated[float, Interval(1e-6, 1e6)] = 10.0,
    curvature: Annotated[float, Interval(1e-3, 1e6)] = 2.0,
) -> Tensor:
    """Wing loss: the logarithm of small distances, and large ones as they are, for each coordinate.

    Args:
        target: points of pred's shape; or a tuple (points, visible), visible (..., K) True or False, COCO's 0, 1 or 2,
            or weights. A point that is not visible costs 0 and does not count in "mean". An area may stand behind them,
            which is not read, so that this loss can be mixed with oks.
        width: below this distance, in the unit of the points, it is a logarithm. The paper takes 10 pixels.
        curvature: how sharp the logarithm bends, in the same unit: the slope at 0 is width / curvature. The paper: 2.

    Returns:
        (..., K, 2) one loss per coordinate, from 0 on, in float32 at least.

    >>> wing_loss(torch.tensor([[[2.0, 20.0]]]), torch.zeros(1, 1, 2))  # 10 ln 2, and 20 - 10 + 10 ln 6
    tensor([[[ 6.9315, 27.9176]]])
    """
    offset, weight = (pred - target, None) if isinstance(target, Tensor) else parts_of(pred, target)[:2]
    distance = offset.abs()
    shift = width * math.log1p(width / curvature) - width
    loss = torch.where(distance < width, width * torch.log1p(distance / curvature), distance + shift)
    return loss if weight is None else weight[..., None] * loss


# --- likelihood ------------------------------------------------------------------------------------------------------


def visible_points(pred: Tensor, target: Target, **_: Any) -> Tensor:
    """How many points are visible."""
    return (parts_of(pred, target)[1] > 0).sum().to(pred.dtype)


@register_loss(
    "rle",
    kind="keypoint",
    formula=r"\sum_{t=x,y} \left(\ln \sigma_t - \ln f(z) + \ln(2 \sigma_t) + |z_t|\right),"
    r"\quad z_t = \frac{t - t_g}{\sigma_t}",
    source=Source(
        "Human Pose Regression with Residual Log-likelihood Estimation", 2021, "https://arxiv.org/abs/2107.11291"
    ),
    traits=Traits(range=(-math.inf, math.inf), zero_at_equality=False, symmetric=True),
    targets=("points_visible_flow",),
    denominator=visible_points,
    use_when="The head predicts a deviation of each coordinate, and a flow the density of errors.",
    avoid_when="There is no trained flow, or the value is to be read: it may be negative.",
)
def rle_loss(
    pred: Tensor,
    target: tuple[Tensor, Tensor, Tensor, Tensor],
    floor: float = LEAST_SIGMA,
    *,
    residual: bool = True,
) -> Tensor:
    """Residual log-likelihood estimation: how unlikely the errors of key points are, by predicted deviations.

    Args:
        target: a tuple (points, visible, sigma, log density): points of pred's shape; visible (..., K), True or False,
            COCO's 0, 1 or 2, or weights; sigma, the predicted deviation of each coordinate, of pred's shape, in the
            unit of the points, from 0 to 1 after its sigmoid; and the flow's log density ln f(z) at z = (pred - points)
            / (sigma + 1e-9), (..., K). The gradient flows through sigma and density too, if they want one. A sigma
            above 1 is taken as it is; below 1e-4 it counts as 1e-4, with the gradient of that (in Ultralytics' dialect
            below 1e-9); below 0 it is an error where that can be seen without waiting, on the CPU. A point that is
            not visible costs 0 and does not count in "mean".
        residual: add the density of a Laplace distribution, so that the flow has to learn only the rest.

    Returns:
        (..., K) one loss per key point, of either sign, in float32 at least.

    >>> pred, half = torch.ones(1, 1, 2), torch.full((1, 1, 2), 0.5)
    >>> rle_loss(pred, (0 * pred, torch.ones(1, 1), half, torch.zeros(1, 1)))  # 2 (ln(1/2) + ln(1) + 2)
    tensor([[2.6137]])
    """
    offset, weight, (sigma, log_density) = parts_of(pred, target)
    seen = weight > 0
    sigma = torch.where(sigma <= floor, floor + (sigma - sigma.detach()), sigma)
    sigma = torch.where(seen[..., None], sigma, 1)
    error = (offset / (sigma + BESIDE_SIGMA)).abs()
    laplace = (2 * sigma).log() + error if residual else 0 * offset
    unlikely = sigma.log() - torch.where(seen, log_density, 0)[..., None] + laplace
    return weight * unlikely.sum(-1)
