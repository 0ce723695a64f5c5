"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..loss import Loss
from ..reduction import Reduction

class BalancedL1Loss(Loss, name="balanced_l1"):
    """L1 whose gradient rises faster near 0, so that accurate boxes count more.

    Formula:
        ⎧ (α/b) (b |d| + 1) ln(b |d|/β + 1) - α |d|   if |d| < β
        ⎩ γ |d| + γ/b - α β                           otherwise
        b = e^(γ/α) - 1

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        alpha (default 0.5; allowed: [0.1, 10]): the smaller, the larger the gradient of small errors.
            The paper uses 0.5.
        gamma (default 1.5; allowed: [0.001, 6]): slope of the line. The paper uses 1.5.
        beta (default 1.0; allowed: (0, inf)): where the line begins, in the unit of the input. The
            paper uses 1.
        dialect (default None; allowed: 'mmdet'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Encoded deltas, where accurate boxes should pull harder than under smooth_l1 and outliers no
        harder.

    Avoid it when:
        beta is not 1: in the published formula the slope then jumps at beta and is not 0 at 0.

    Source:
        Libra R-CNN: Towards Balanced Learning for Object Detection (2019) https://arxiv.org/abs/1904.02701
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 0.5,
        gamma: float = 1.5, beta: float = 1.0, dialect: str | None = None
    ) -> None: ...

class BoundedIoULoss(Loss, name="bounded_iou"):
    """Bounded IoU loss: for x, y, w and h each, 1 minus the best IoU possible with that error, smooth near 0.

    Formula:
        SmoothL1_β(1 - b)
        b_x = max(0, (w_g - 2 |d_x|)/(w_g + 2 |d_x|))
        b_w = min(w/w_g, w_g/w)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        beta (default 0.2; allowed: (0, 1]): threshold of SmoothL1.
        eps (default None; allowed: (0, 100]): added to the denominators, in the unit of the boxes, as
            MMDetection does with 1e-3: equal boxes then cost about (eps / side)^2. None: nothing is added.
        dialect (default None; allowed: 'mmdet'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        You want IoU's scale invariance with a smooth minimum, and a loss for each of x, y, w and h.

    Avoid it when:
        Centres may be off by half the target: they get no gradient there. It takes boxes, not encoded
        deltas.

    Source:
        Improving Object Localization with Fitness NMS and Bounded IoU Loss (2017) https://arxiv.org/abs/1711.00164
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, beta: float = 0.2,
        eps: float | None = None, dialect: str | None = None
    ) -> None: ...

class FocalL1Loss(Loss, name="focal_l1"):
    """L1 whose gradient peaks at an error of 1 / (e beta) and falls off on both sides.

    Formula:
        ⎧ -(α x²/4) (2 ln(β x) - 1)        if x ≤ 1
        ⎩ -α x ln β + (α/4) (2 ln β + 1)   if x > 1
        x = |d|

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        alpha (default None; allowed: (0, inf)): height of the gradient; None for e * beta, which makes
            its peak 1 as in the paper.
        beta (default 0.8; allowed: [0.367879, 1]): the larger, the smaller the gradient of outliers;
            for beta = 1 it is 0 beyond an error of 1.

    Use it when:
        Normalised offsets of around 1, where mid-sized errors should pull hardest.

    Avoid it when:
        Coordinates are in pixels: nearly all errors exceed 1 and the loss is a scaled L1.

    Source:
        Focal and Efficient IOU Loss for Accurate Bounding Box Regression (2021) https://arxiv.org/abs/2101.08158
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        alpha: float | None = None, beta: float = 0.8
    ) -> None: ...

class HuberLoss(Loss, name="huber"):
    """Half the square up to delta, then a line of slope delta.

    Formula:
        ⎧ d²/2            if |d| ≤ δ
        ⎩ δ (|d| - δ/2)   otherwise

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        delta (default 1.0; allowed: (0, inf)): where the line begins, in the unit of the input.
        dialect (default None; allowed: 'torch'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        As smooth_l1, with the parabola fixed at 1/2 d^2 whatever delta is.

    Avoid it when:
        delta is tuned: it scales the loss as well (delta times smooth_l1), so gains must follow.

    Source:
        Robust Estimation of a Location Parameter (1964) https://doi.org/10.1214/aoms/1177703732
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, delta: float = 1.0,
        dialect: str | None = None
    ) -> None: ...

class L1Loss(Loss, name="l1"):
    """Absolute difference of each coordinate, in its unit.

    Formula:
        |d|
        d = x̂ - x

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        dialect (default None; allowed: 'mmdet' or 'torch'): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        Some labels are outliers: the minimiser is the median, and every error pulls with the same
        force.

    Avoid it when:
        You need small steps near the optimum: the slope is 1 right up to 0.

    Source:
        Least absolute deviations https://pytorch.org/docs/stable/generated/torch.nn.L1Loss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        dialect: str | None = None
    ) -> None: ...

class MSELoss(Loss, name="mse"):
    """Squared difference of each coordinate, without a factor 1/2.

    Formula:
        d²

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        dialect (default None; allowed: 'mmdet' or 'torch'): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        Errors are small and clean: the minimiser is the mean and the slope fades towards 0.

    Avoid it when:
        There are outliers: the gradient grows with the error, so the worst boxes rule the step.

    Source:
        Least squares https://pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        dialect: str | None = None
    ) -> None: ...

class SmoothL1Loss(Loss, name="smooth_l1"):
    """L1 with a parabola below beta, and slope 1 outside.

    Formula:
        ⎧ d²/(2 β)    if |d| < β
        ⎩ |d| - β/2   otherwise

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        beta (default 1.0; allowed: [0, inf)): width of the parabola, in the unit of the input; 0 is L1.
            The paper uses 1.
        dialect (default None; allowed: 'mmdet' or 'torch'): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        Encoded box deltas in two-stage detectors: L1's robustness with a smooth bottom.

    Avoid it when:
        Coordinates are in pixels and beta is 1: nearly every error is then in the L1 part.

    Source:
        Fast R-CNN (2015) https://arxiv.org/abs/1504.08083
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, beta: float = 1.0,
        dialect: str | None = None
    ) -> None: ...
