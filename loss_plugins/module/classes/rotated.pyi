"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..loss import Loss
from ..reduction import Reduction

class GWDLoss(Loss, name="gwd"):
    """Gaussian Wasserstein distance of rotated boxes.

    Boxes that are equal as Gaussians (a square in any rotation) cost 0 up to rounding.

    Formula:
        1 - 1/(τ + f(d/s))
        d² = |Δ|² + α² tr(Σ_p + Σ_t - 2 (Σ_p^(1/2) Σ_t Σ_p^(1/2))^(1/2))
        s = (w h w_g h_g)^(1/4)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        fun (default 'log1p'; allowed: 'log1p' or 'sqrt' or 'none'): f, applied to the distance d:
            "log1p" for ln(1 + d), "sqrt" for its root or "none" for d itself.
        tau (default 1.0; allowed: [0, inf)): from 1 on, the loss is 1 - 1 / (tau + f(d)); below, f(d)
            itself.
        alpha (default 1.0; allowed: [1e-06, inf)): weight of shape against position.
        normalize (default True; allowed: False or True): divide the distance by s, the geometric mean
            of all sides; off, s is 1.
        dialect (default None; allowed: 'mmrotate'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Rotated boxes of near-square shape, where the angle itself jumps: its loss is smooth in it.

    Avoid it when:
        normalize is off: the distance is then in pixels, and centres rule over shape and angle.

    Source:
        Rethinking Rotated Object Detection with Gaussian Wasserstein Distance Loss (2021) https://arxiv.org/abs/2101.11952
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, fun: str = 'log1p',
        tau: float = 1.0, alpha: float = 1.0, normalize: bool = True, dialect: str | None = None
    ) -> None: ...

class JDLoss(Loss, name="jd"):
    """Jeffreys divergence of rotated boxes: the mean of both Kullback-Leibler divergences.

    Formula:
        1 - 1/(τ + f(√((D_pt + D_tp)/2)))

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        fun (default 'log1p'; allowed: 'log1p' or 'sqrt' or 'none'): f, applied to the distance d:
            "log1p" for ln(1 + d), "sqrt" for its root or "none" for d itself.
        tau (default 1.0; allowed: [0, inf)): from 1 on, the loss is 1 - 1 / (tau + f(d)); below, f(d)
            itself.
        alpha (default 1.0; allowed: [1e-06, inf)): weight of shape against position.
        sqrt (default True; allowed: False or True): take the root of the divergence as d, else the
            divergence.
        dialect (default None; allowed: 'mmrotate'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        As kld, where neither box should be the measure of the other.

    Avoid it when:
        Targets are thin and predictions coarse: both directions are then large and nearly flat.

    Source:
        Learning High-Precision Bounding Box for Rotated Object Detection via Kullback-Leibler Divergence (2021) https://arxiv.org/abs/2106.01883
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, fun: str = 'log1p',
        tau: float = 1.0, alpha: float = 1.0, sqrt: bool = True, dialect: str | None = None
    ) -> None: ...

class KFIoULoss(Loss, name="kfiou"):
    """Kalman-filter IoU of rotated boxes, plus SmoothL1 of the centres.

    Formula:
        ∑_(x,y) SmoothL1_β(d) + 1 - V/(V_p + V_t - V)
        V = 4 √|Σ_p - Σ_p (Σ_p + Σ_t)⁻¹ Σ_p|

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        fun (default 'none'; allowed: 'none' or 'ln' or 'exp'): what is made of the overlap x: "none"
            for 1 - x, "ln" for -ln(x + eps), "exp" for e^(1 - x) - 1.
        beta (default 0.1111111111111111; allowed: (0, inf)): threshold of SmoothL1, in the unit of the
            boxes. The authors use 1/9.
        eps (default 1e-06; allowed: (0, 100]): epsilon of the logarithm of "ln".
        dialect (default None; allowed: 'mmrotate'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        You want the trend of rotated IoU without hyper-parameters, with centres by SmoothL1.

    Avoid it when:
        A loss of 0 at a perfect match is expected: the overlap is at most 1/3, so at least 2/3 remains.

    Source:
        The KFIoU Loss for Rotated Object Detection (2022) https://arxiv.org/abs/2201.12558
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, fun: str = 'none',
        beta: float = 0.1111111111111111, eps: float = 1e-06, dialect: str | None = None
    ) -> None: ...

class KLDLoss(Loss, name="kld"):
    """Kullback-Leibler divergence of rotated boxes.

    Formula:
        1 - 1/(τ + f(√D))
        D = (1/(2 α²)) Δᵀ Σ_p⁻¹ Δ + (1/2) tr(Σ_p⁻¹ Σ_t) + (1/2) ln(|Σ_p|/|Σ_t|) - 1

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        fun (default 'log1p'; allowed: 'log1p' or 'sqrt' or 'none'): f, applied to the distance d:
            "log1p" for ln(1 + d), "sqrt" for its root or "none" for d itself.
        tau (default 1.0; allowed: [0, inf)): from 1 on, the loss is 1 - 1 / (tau + f(d)); below, f(d)
            itself.
        alpha (default 1.0; allowed: [1e-06, inf)): weight of shape against position.
        sqrt (default True; allowed: False or True): take the root of the divergence as d, else the
            divergence.
        symmetric (default None; allowed: 'max' or 'min'): None for the divergence of the prediction
            from the target; "max" or "min" of both directions. See also `jd_loss`.
        dialect (default None; allowed: 'mmrotate'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Long thin rotated boxes, for which a small error of angle must cost a lot.

    Avoid it when:
        Predictions may shrink to nothing: the divergence from a thin box has no bound, whatever f does
        to it.

    Source:
        Learning High-Precision Bounding Box for Rotated Object Detection via Kullback-Leibler Divergence (2021) https://arxiv.org/abs/2106.01883
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, fun: str = 'log1p',
        tau: float = 1.0, alpha: float = 1.0, sqrt: bool = True, symmetric: str | None = None,
        dialect: str | None = None
    ) -> None: ...

class MGIoULoss(Loss, name="mgiou"):
    """Marginalised generalised IoU of rotated boxes: the mean GIoU of their projections on the four edges of both.

    Angles are free of jumps: half a turn more, or sides swapped at a quarter of a turn, change nothing.

    Formula:
        (1/2) (1 - (1/4) ∑_n GIoU(nᵀ B, nᵀ B_g))

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.

    Use it when:
        Rotated boxes may be square, for which losses of Gaussians see no angle, or far from their
        targets.

    Avoid it when:
        The value must be that of rotated IoU: a box inside another overlaps it by more than its share.

    Source:
        Marginalized Generalized IoU (MGIoU): A Unified Objective Function for Optimizing Any Convex Parametric Shapes (2025) https://arxiv.org/abs/2504.16443
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False
    ) -> None: ...

class MGIoUQuadLoss(Loss, name="mgiou_quad"):
    """Marginalised generalised IoU of quadrilaterals: the mean GIoU of their projections on the eight edges of both.

    Formula:
        (1/2) (1 - (1/8) ∑_n GIoU(nᵀ Q, nᵀ Q_g)) + λ D

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        convex_weight (default 0.0; allowed: [0, 1e+06]): of what the prediction's dents cost, in square
            units of the boxes. The authors' default is 0.

    Use it when:
        Objects are predicted by their four corners: text, aerial images, faces of things in
        perspective.

    Avoid it when:
        The order of the corners means something: it is not read. Rectangles by centre, size and angle:
        mgiou.

    Source:
        Marginalized Generalized IoU (MGIoU): A Unified Objective Function for Optimizing Any Convex Parametric Shapes (2025) https://arxiv.org/abs/2504.16443
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        convex_weight: float = 0.0
    ) -> None: ...

class ProbIoULoss(Loss, name="prob_iou"):
    """Probabilistic IoU of rotated boxes: the Hellinger distance of their Gaussians.

    Equal boxes cost sqrt(2 eps).

    Formula:
        √(1 - e^(-B))
        B = (1/4) Δᵀ (Σ_p + Σ_t)⁻¹ Δ + (1/2) ln(|Σ_p + Σ_t|/(4 √(|Σ_p| |Σ_t|)))

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        aspect (default False; allowed: False or True): add CIoU's term for the aspect ratio.
        floor (default 0.0; allowed: [0, inf)): added to the variances, in the unit of the boxes
            squared. Ultralytics trains with 0.01.
        eps (default 1e-07; allowed: (0, 100]): the least B, and added in the logarithm and the root; in
            Ultralytics' dialect to denominators as well.
        dialect (default None; allowed: 'ultralytics'): None: the published formula; or the framework
            whose built-in to equal.

    Use it when:
        Rotated boxes in YOLO models: it is the loss that Ultralytics trains OBB with.

    Avoid it when:
        Boxes are far apart: it is flat there (B is cut off at 100), and squares have no angle.

    Source:
        Gaussian Bounding Boxes and Probabilistic Intersection-over-Union for Object Detection (2021) https://arxiv.org/abs/2106.06072
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, aspect: bool = False,
        floor: float = 0.0, eps: float = 1e-07, dialect: str | None = None
    ) -> None: ...
