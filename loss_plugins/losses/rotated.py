"""Rotated boxes (cx, cy, w, h, angle in radians) as Gaussians, and how far apart two of them are.

Everything is written in the frame of the predicted box, so that no matrix is ever inverted: its covariance is diagonal
there, and the target's has the angle between the two.
"""

from __future__ import annotations

import functools
import math
from typing import Annotated, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import Unpack

from ..catalog.conventions import Dialect
from ..catalog.declare import Effect, Source, Traits
from ..catalog.entries import register_loss
from ..catalog.ranges import EPSILON_ABOVE_0, Choice, Interval
from .boxes import LENGTH, angle_between, safe_hypot, squared_norm
from .penalties import ALPHA

#: the shortest side that counts, in the longest of both boxes: long enough for 1 / side, a gradient, to have a bound
SIDE_FLOOR = 3e-4

Eps = Annotated[float, EPSILON_ABOVE_0]
Shape = Annotated[str, Choice("log1p", "sqrt", "none")]
#: of a divergence that is at least eps: the root of that root is no small number
RootedShape = Annotated[str, Choice("log1p", "sqrt", "none"), Effect(zero_at_equality=False, when=Choice("sqrt"))]
Tau = Annotated[
    float,
    Interval(0),
    Effect(range=(0, math.inf), when=Interval(high=1, open_high=True)),
    Effect(zero_at_equality=False, when=Interval(1, open_low=True)),
]
Alpha = Annotated[float, Interval(1e-6)]

KLD = Source(
    "Learning High-Precision Bounding Box for Rotated Object Detection via Kullback-Leibler Divergence",
    2021,
    "https://arxiv.org/abs/2106.01883",
)


class RotatedPair(NamedTuple):
    """Two rotated boxes: their sides, and the target's centre and angle as the prediction sees them."""

    pw: Tensor
    ph: Tensor
    tw: Tensor
    th: Tensor
    x: Tensor
    y: Tensor
    cos: Tensor
    sin: Tensor

    def turned(self) -> RotatedPair:
        """The pair as the target sees it, for what is not symmetric."""
        x, y = self.cos * self.x + self.sin * self.y, self.cos * self.y - self.sin * self.x
        return RotatedPair(self.tw, self.th, self.pw, self.ph, -x, -y, self.cos, -self.sin)


def rotated_pair(pred: Tensor, target: Tensor, floor: float | None = None) -> RotatedPair:
    """Columns of (..., 5) boxes; sides below `floor` count as that long, and have no gradient."""
    px, py, pw, ph, p_angle = pred.unbind(-1)
    tx, ty, tw, th, t_angle = target.unbind(-1)
    if floor is not None:
        pw, ph, tw, th = (side.clamp(floor, 1e7) for side in (pw, ph, tw, th))
    # the clamp and the losses' bounds would hide an infinite box; 0 * inf says what it is
    shown = 0 * (pred - target).detach().sum(-1)
    dx, dy, cos, sin = tx - px + shown, ty - py, p_angle.cos(), p_angle.sin()
    return RotatedPair(
        pw, ph, tw, th, cos * dx + sin * dy, cos * dy - sin * dx, (t_angle - p_angle).cos(), (t_angle - p_angle).sin()
    )


def measured(pair: RotatedPair, in_longest: bool = False) -> RotatedPair:
    """Sides below `SIDE_FLOOR` times the longest of both boxes count as that long, and have no gradient.

    Args:
        pair: two boxes.
        in_longest: give all lengths in that longest side, for losses that do not depend on the unit: their epsilons
            then do not either.
    """
    sides = (pair.pw, pair.ph, pair.tw, pair.th)
    longest = functools.reduce(torch.maximum, (side.detach() for side in sides))
    longest = torch.where(longest < LENGTH, 1.0, longest)  # two points: any unit will do
    least = SIDE_FLOOR * longest
    pw, ph, tw, th = (torch.where(side < least, least, side) for side in sides)
    x, y = pair.x, pair.y
    if in_longest:
        pw, ph, tw, th, x, y = (length / longest for length in (pw, ph, tw, th, x, y))
    return RotatedPair(pw, ph, tw, th, x, y, pair.cos, pair.sin)


def target_covariance(pair: RotatedPair) -> tuple[Tensor, Tensor, Tensor]:
    """The target's covariance in the prediction's frame, times 4: the two variances and what they share."""
    w2, h2, c2, s2 = pair.tw**2, pair.th**2, pair.cos**2, pair.sin**2
    return w2 * c2 + h2 * s2, w2 * s2 + h2 * c2, (w2 - h2) * pair.sin * pair.cos


def joint_determinant(pair: RotatedPair) -> Tensor:
    """The determinant of the sum of both covariances, times 16; a sum of squares, so that nothing cancels."""
    xx, yy, _ = target_covariance(pair)
    return (pair.pw * pair.ph) ** 2 + (pair.tw * pair.th) ** 2 + pair.pw**2 * yy + pair.ph**2 * xx


def shaped(distance: Tensor, fun: str, tau: float, floor: float = 1e-7) -> Tensor:
    """The loss of a distance: f(d), or from tau = 1 on 1 - 1 / (tau + f(d))."""
    if fun == "log1p":
        distance = torch.log1p(distance)
    elif fun == "sqrt":
        distance = distance.clamp(min=floor).sqrt()
    return 1 - 1 / (tau + distance) if tau >= 1 else distance


@register_loss(
    "gwd",
    kind="rotated_box",
    formula=r"1 - \frac{1}{\tau + f(d / s)},\quad d^2 = |\Delta|^2 + \alpha^2 "
    r"\mathrm{tr}\left(\Sigma_p + \Sigma_t - 2 (\Sigma_p^{1/2} \Sigma_t \Sigma_p^{1/2})^{1/2}\right),\quad "
    r"s = (w h w_g h_g)^{1/4}",
    source=Source(
        "Rethinking Rotated Object Detection with Gaussian Wasserstein Distance Loss",
        2021,
        "https://arxiv.org/abs/2101.11952",
    ),
    traits=Traits(range=(0, 1), symmetric=True, scale_invariant=True),
    use_when="Rotated boxes of near-square shape, where the angle itself jumps: its loss is smooth in it.",
    avoid_when="normalize is off: the distance is then in pixels, and centres rule over shape and angle.",
)
def gwd_loss(
    pred: Tensor,
    target: Tensor,
    side_floor: float | None = None,
    root_floor: float = 1e-30,
    *,
    fun: Shape = "log1p",
    tau: Tau = 1.0,
    alpha: Alpha = 1.0,
    normalize: Annotated[bool, Choice(False, True), Effect(scale_invariant=False, units="pixels")] = True,
    **_: Unpack[Dialect],
) -> Tensor:
    """Gaussian Wasserstein distance of rotated boxes.

    Boxes that are equal as Gaussians (a square in any rotation) cost 0 up to rounding.

    Args:
        fun: f, applied to the distance d: "log1p" for ln(1 + d), "sqrt" for its root or "none" for d itself.
        tau: from 1 on, the loss is 1 - 1 / (tau + f(d)); below, f(d) itself.
        alpha: weight of shape against position.
        normalize: divide the distance by s, the geometric mean of all sides; off, s is 1.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2, 0]]), torch.tensor([[3.0, 0, 2, 2, 0]])
    >>> gwd_loss(pred, target, fun="none", tau=0.0, normalize=False)  # equal shapes, centres 3 apart
    tensor([3.])
    """
    pair, least = rotated_pair(pred, target, side_floor), 1e-7
    if side_floor is None:
        pair, least = measured(pair, in_longest=normalize), 1e-20 if normalize else 1e-7
    xx, yy = target_covariance(pair)[:2]
    # the root of the product of both determinants
    area = (pair.pw * pair.ph * pair.tw * pair.th / 16).clamp(min=math.sqrt(root_floor))
    traces = (squared_norm(pair.pw, pair.ph) + squared_norm(pair.tw, pair.th)) / 4
    crossed = (pair.pw**2 * xx + pair.ph**2 * yy) / 16 + 2 * area
    apart = traces - 2 * crossed.clamp(min=root_floor).sqrt()
    distance = (squared_norm(pair.x, pair.y) + float(alpha) ** 2 * apart).clamp(min=least).sqrt()
    if normalize:
        distance = distance / (2 * area**0.25)
    return shaped(distance, fun, tau)


def sided_pair(pred: Tensor, target: Tensor, side_floor: float | None) -> RotatedPair:
    """Boxes whose sides are above 0: by a framework's floor, or measured by themselves."""
    pair = rotated_pair(pred, target, side_floor)
    return measured(pair) if side_floor is None else pair


def divergence(pair: RotatedPair, alpha: float) -> Tensor:
    """KL divergence of the prediction's Gaussian from the target's."""
    xx, yy, _ = target_covariance(pair)
    position = 2 * squared_norm(pair.x / pair.pw, pair.y / pair.ph)
    shape = (xx / pair.pw**2 + yy / pair.ph**2) / 2
    size = (pair.pw / pair.tw).log() + (pair.ph / pair.th).log()
    return position / float(alpha) ** 2 + shape + size - 1


def rooted(divergence: Tensor, sqrt: bool) -> Tensor:
    """Its root, with a bounded slope at 0; or the divergence itself, at least 0."""
    return divergence.clamp(min=1e-7).sqrt() if sqrt else divergence.relu()


@register_loss(
    "kld",
    kind="rotated_box",
    formula=r"1 - \frac{1}{\tau + f(\sqrt{D})},\quad D = \frac{1}{2\alpha^2} \Delta^T \Sigma_p^{-1} \Delta "
    r"+ \frac{1}{2} \mathrm{tr}(\Sigma_p^{-1} \Sigma_t) + \frac{1}{2} \ln \frac{|\Sigma_p|}{|\Sigma_t|} - 1",
    source=KLD,
    traits=Traits(range=(0, 1), scale_invariant=True),
    use_when="Long thin rotated boxes, for which a small error of angle must cost a lot.",
    avoid_when="Predictions may shrink to nothing: the divergence from a thin box has no bound, whatever f does to it.",
)
def kld_loss(
    pred: Tensor,
    target: Tensor,
    side_floor: float | None = None,
    *,
    fun: RootedShape = "log1p",
    tau: Tau = 1.0,
    alpha: Alpha = 1.0,
    sqrt: Annotated[bool, Choice(False, True)] = True,
    symmetric: Annotated[str | None, Choice("max", "min"), Effect(symmetric=True)] = None,
    **_: Unpack[Dialect],
) -> Tensor:
    """Kullback-Leibler divergence of rotated boxes.

    Args:
        fun: f, applied to the distance d: "log1p" for ln(1 + d), "sqrt" for its root or "none" for d itself.
        tau: from 1 on, the loss is 1 - 1 / (tau + f(d)); below, f(d) itself.
        alpha: weight of shape against position.
        sqrt: take the root of the divergence as d, else the divergence.
        symmetric: None for the divergence of the prediction from the target; "max" or "min" of both directions. See
            also `jd_loss`.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2, 0]]), torch.tensor([[2.0, 0, 2, 2, 0]])
    >>> kld_loss(pred, target, fun="none", tau=0.0, sqrt=False)  # equal shapes, variance (2 / 2)^2: 2^2 / 2
    tensor([2.])
    """
    pair = sided_pair(pred, target, side_floor)
    distance = shaped(rooted(divergence(pair, alpha), sqrt), fun, tau)
    if symmetric is None:
        return distance
    other = shaped(rooted(divergence(pair.turned(), alpha), sqrt), fun, tau)
    return torch.maximum(distance, other) if symmetric == "max" else torch.minimum(distance, other)


@register_loss(
    "jd",
    kind="rotated_box",
    formula=r"1 - \frac{1}{\tau + f(\sqrt{(D_{pt} + D_{tp}) / 2})}",
    source=KLD,
    traits=Traits(range=(0, 1), symmetric=True, scale_invariant=True),
    use_when="As kld, where neither box should be the measure of the other.",
    avoid_when="Targets are thin and predictions coarse: both directions are then large and nearly flat.",
)
def jd_loss(
    pred: Tensor,
    target: Tensor,
    side_floor: float | None = None,
    *,
    fun: RootedShape = "log1p",
    tau: Tau = 1.0,
    alpha: Alpha = 1.0,
    sqrt: Annotated[bool, Choice(False, True)] = True,
    **_: Unpack[Dialect],
) -> Tensor:
    """Jeffreys divergence of rotated boxes: the mean of both Kullback-Leibler divergences.

    Args:
        fun: f, applied to the distance d: "log1p" for ln(1 + d), "sqrt" for its root or "none" for d itself.
        tau: from 1 on, the loss is 1 - 1 / (tau + f(d)); below, f(d) itself.
        alpha: weight of shape against position.
        sqrt: take the root of the divergence as d, else the divergence.

    >>> pred, target = torch.tensor([[0.0, 0, 2, 2, 0]]), torch.tensor([[2.0, 0, 2, 2, 0]])
    >>> jd_loss(pred, target, fun="none", tau=0.0, sqrt=False)  # equal shapes, so both directions are 2^2 / 2
    tensor([2.])
    """
    pair = sided_pair(pred, target, side_floor)
    both = (divergence(pair, alpha) + divergence(pair.turned(), alpha)) / 2
    return shaped(rooted(both, sqrt), fun, tau)


@register_loss(
    "kfiou",
    kind="rotated_box",
    formula=r"\sum_{x,y} \mathrm{SmoothL1}_\beta(d) + 1 - \frac{V}{V_p + V_t - V},\quad "
    r"V = 4 \sqrt{\left|\Sigma_p - \Sigma_p (\Sigma_p + \Sigma_t)^{-1} \Sigma_p\right|}",
    source=Source("The KFIoU Loss for Rotated Object Detection", 2022, "https://arxiv.org/abs/2201.12558"),
    traits=Traits(range=(2 / 3, math.inf), zero_at_equality=False, symmetric=True, units="pixels"),
    use_when="You want the trend of rotated IoU without hyper-parameters, with centres by SmoothL1.",
    avoid_when="A loss of 0 at a perfect match is expected: the overlap is at most 1/3, so at least 2/3 remains.",
)
def kfiou_loss(
    pred: Tensor,
    target: Tensor,
    side_floor: float | None = None,
    *,
    fun: Annotated[str, Choice("none", "ln", "exp"), Effect(range=(0, math.inf))] = "none",
    beta: Annotated[float, Interval(0, open_low=True)] = 1 / 9,
    eps: Eps = 1e-6,
    **_: Unpack[Dialect],
) -> Tensor:
    """Kalman-filter IoU of rotated boxes, plus SmoothL1 of the centres.

    Args:
        fun: what is made of the overlap x: "none" for 1 - x, "ln" for -ln(x + eps), "exp" for e^(1 - x) - 1.
        beta: threshold of SmoothL1, in the unit of the boxes. The authors use 1/9.
        eps: epsilon of the logarithm of "ln".

    >>> kfiou_loss(torch.tensor([[0.0, 0, 2, 2, 0]]), torch.tensor([[0.0, 0, 2, 2, 0]]))  # the overlap is 1/3 at most
    tensor([0.6667])
    """
    pair = sided_pair(pred, target, side_floor)
    p_area, t_area = pair.pw * pair.ph, pair.tw * pair.th
    joint = joint_determinant(pair)
    shared = p_area * t_area / joint.clamp(min=torch.finfo(pred.dtype).tiny).sqrt()
    overlap = shared / (p_area + t_area - shared + (0.0 if side_floor is None else 1e-6))
    both = zip(pred.unbind(-1)[:2], target.unbind(-1)[:2], strict=True)
    along = [functional.smooth_l1_loss(p, t, reduction="none", beta=beta) for p, t in both]
    centers = along[0] + along[1] + 0 * pair.x.detach()  # which shows an infinite side
    if fun == "ln":
        return centers - (overlap + eps).log()
    return centers + (torch.expm1(1 - overlap) if fun == "exp" else 1 - overlap)


@register_loss(
    "prob_iou",
    kind="rotated_box",
    formula=r"\sqrt{1 - e^{-B}},\quad B = \frac{1}{4} \Delta^T (\Sigma_p + \Sigma_t)^{-1} \Delta "
    r"+ \frac{1}{2} \ln \frac{|\Sigma_p + \Sigma_t|}{4 \sqrt{|\Sigma_p| |\Sigma_t|}}",
    source=Source(
        "Gaussian Bounding Boxes and Probabilistic Intersection-over-Union for Object Detection",
        2021,
        "https://arxiv.org/abs/2106.06072",
    ),
    traits=Traits(range=(0, 1), symmetric=True, scale_invariant=True),
    use_when="Rotated boxes in YOLO models: it is the loss that Ultralytics trains OBB with.",
    avoid_when="Boxes are far apart: it is flat there (B is cut off at 100), and squares have no angle.",
)
def prob_iou_loss(
    pred: Tensor,
    target: Tensor,
    by_epsilon: bool = False,
    *,
    aspect: Annotated[bool, Choice(False, True), Effect(range=(0, 2), detached=ALPHA)] = False,
    floor: Annotated[float, Interval(0), Effect(scale_invariant=False, units="pixels")] = 0.0,
    eps: Eps = 1e-7,
    **_: Unpack[Dialect],
) -> Tensor:
    """Probabilistic IoU of rotated boxes: the Hellinger distance of their Gaussians.

    Equal boxes cost sqrt(2 eps).

    Args:
        aspect: add CIoU's term for the aspect ratio.
        floor: added to the variances, in the unit of the boxes squared. Ultralytics trains with 0.01.
        eps: the least B, and added in the logarithm and the root; in Ultralytics' dialect to denominators as well.

    >>> pred, target = torch.tensor([[0.0, 0, 6, 6, 0]]), torch.tensor([[6.0, 0, 6, 6, 0]])
    >>> prob_iou_loss(pred, target)  # B = 36 / 6 / 4: (1 - e^-1.5)^0.5
    tensor([0.8814])
    """
    pair = rotated_pair(pred, target)
    # standard deviations of uniform boxes: side / sqrt(12)
    pw, ph, tw, th = (safe_hypot(side / math.sqrt(12), torch.full_like(side, math.sqrt(floor))) for side in pair[:4])
    spread = RotatedPair(pw, ph, tw, th, *pair[4:])
    if not by_epsilon:
        spread = measured(spread, in_longest=True)
    distance = hellinger(spread, eps, eps if by_epsilon else 0.0)
    return distance + aspect_cost(pair, 1 - distance, eps) if aspect else distance


def hellinger(pair: RotatedPair, eps: float, denominator_eps: float) -> Tensor:
    """The Hellinger distance of two Gaussians whose standard deviations are the sides."""
    xx, yy, xy = target_covariance(pair)
    xx, yy, joint = xx + pair.pw**2, yy + pair.ph**2, joint_determinant(pair)
    position = (xx * pair.y**2 + yy * pair.x**2 - 2 * xy * pair.x * pair.y) / (4 * (joint + denominator_eps))
    alone = 4 * pair.pw * pair.ph * pair.tw * pair.th
    shape = (joint / (alone + denominator_eps) + eps).log() / 2
    coefficient = (position + shape).clamp(eps, 100)
    return (one_minus_exp(coefficient) + eps).sqrt()


def one_minus_exp(x: Tensor) -> Tensor:
    """1 - e^-x for x >= 0: by expm1 where that is the more exact value, above 1 by exp, whose slope is exact there."""
    # expm1's derivative is computed from its value, as value + 1, in which a small e^-x is lost
    return torch.where(x < 1, -torch.expm1(-x), 1 - (-x).exp())


def aspect_cost(pair: RotatedPair, iou: Tensor, eps: float) -> Tensor:
    """CIoU's alpha * v, on the sides of rotated boxes."""
    v = (4 / math.pi**2) * angle_between(pair.pw, pair.ph, pair.tw, pair.th) ** 2
    return v * (v / (v - iou + (1 + eps))).detach()
