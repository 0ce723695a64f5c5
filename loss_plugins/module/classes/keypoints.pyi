"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..loss import Loss
from ..reduction import Reduction

class OKSLoss(Loss, name="oks"):
    """Object keypoint similarity loss: 1 minus the mean of e^(-d^2 / (8 sigma^2 area)) of the visible points.

    Formula:
        1 - ∑_k (m_k/(∑_j m_j)) e^(-d_k²/(8 σ_k² A))

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        sigmas (default None; allowed: one number in [0.000976562, 10] per key point): standard
            deviation of each key point, as a share of the square root of the area; None: of 17 points
            COCO's (0.026 to 0.107), of others 1 / K.
        mode (default 'linear'; allowed: 'linear' or 'square' or 'log'): 1 - oks, 1 - oks^2 or -ln(oks).
        over (default 'visible'; allowed: 'visible' or 'all'): what the similarity is the mean over: of
            all points, those that are not visible cost as much as missed.
        dialect (default None; allowed: 'ultralytics' or 'mmpose'): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        Key points are judged by object keypoint similarity, and boxes are good already.

    Avoid it when:
        Training starts from scratch with this loss alone: far points have no gradient, so add wing or
        rle.

    Source:
        YOLO-Pose: Enhancing YOLO for Multi Person Pose Estimation Using Object Keypoint Similarity Loss (2022) https://arxiv.org/abs/2204.06806
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        sigmas: Sequence[float] | Tensor | None = None, mode: Literal['linear', 'square', 'log'] = 'linear',
        over: Literal['visible', 'all'] = 'visible', dialect: str | None = None
    ) -> None: ...

class RLELoss(Loss, name="rle"):
    """Residual log-likelihood estimation: how unlikely the errors of key points are, by predicted deviations.

    Formula:
        ∑_(t=x,y) (ln σ_t - ln f(z) + ln(2 σ_t) + |z_t|)
        z_t = (t - t_g)/σ_t

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        residual (default True; allowed: False or True): add the density of a Laplace distribution, so
            that the flow has to learn only the rest.
        dialect (default None; allowed: 'ultralytics'): None: the published formula; or the framework
            whose built-in to equal.

    Use it when:
        The head predicts a deviation of each coordinate, and a flow the density of errors.

    Avoid it when:
        There is no trained flow, or the value is to be read: it may be negative.

    Source:
        Human Pose Regression with Residual Log-likelihood Estimation (2021) https://arxiv.org/abs/2107.11291
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, residual: bool = True,
        dialect: str | None = None
    ) -> None: ...

class WingLoss(Loss, name="wing"):
    """Wing loss: the logarithm of small distances, and large ones as they are, for each coordinate.

    Formula:
        ⎧ w ln(1 + |d|/c)           if |d| < w
        ⎩ |d| - w + w ln(1 + w/c)   otherwise

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        width (default 10.0; allowed: [1e-06, 1e+06]): below this distance, in the unit of the points,
            it is a logarithm. The paper takes 10 pixels.
        curvature (default 2.0; allowed: [0.001, 1e+06]): how sharp the logarithm bends, in the same
            unit: the slope at 0 is width / curvature. The paper: 2.
        dialect (default None; allowed: 'smp' or 'mmpose'): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        Landmarks are near already, and small errors should be squeezed.

    Avoid it when:
        Coordinates are normalised: with the defaults all errors lie in the steep part, which is L1
        times 5.

    Source:
        Wing Loss for Robust Facial Landmark Localisation with Convolutional Neural Networks (2018) https://arxiv.org/abs/1711.06753
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, width: float = 10.0,
        curvature: float = 2.0, dialect: str | None = None
    ) -> None: ...
