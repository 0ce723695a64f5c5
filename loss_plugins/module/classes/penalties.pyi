"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..loss import Loss
from ..reduction import Reduction

class ExtendedIoULoss(Loss, name="extended_iou"):
    """Extended IoU loss: 1 - IoU with an intersection that turns negative for disjoint boxes, smooth near 0.

    Formula:
        ⎧ x²/(2 s)   if x < s
        ⎩ x - s/2    otherwise
        x = 1 - I'/(A + A_g - I')

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        smooth_point (default 0.1; allowed: [1e-06, 1]): where the parabola near 0 meets the line; past
            it the loss is smaller than 1 - IoU by half of it.
        eps (default None; allowed: [0, 100]): added to the union, in the unit of the boxes squared, as
            MMDetection does; None: nothing is added.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        dialect (default None; allowed: 'mmdet'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        You want MMDetection's EIoULoss under a name that does not collide with Efficient IoU.

    Avoid it when:
        The value must be comparable with 1 - IoU: past smooth_point it is smaller by half of that.

    Source:
        Extended-IoU (IEEE 9429909) (2021) https://ieeexplore.ieee.org/document/9429909
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        smooth_point: float = 0.1, eps: float | None = None, box_format: str = 'xyxy', dialect: str | None = None
    ) -> None: ...

class GCDLoss(Loss, name="gcd"):
    """Gaussian combined distance: offset and sides, measured by the sides of both boxes.

    Equal boxes cost 0, and have no gradient; beside them the slope is that of a distance, not of its square.

    Formula:
        1 - e^(-√((D + D_g)/2))
        D = d_x²/w² + d_y²/h² + (w - w_g)²/(4 w²) + (h - h_g)²/(4 h²)
        D_g = d_x²/w_g² + d_y²/h_g² + (w - w_g)²/(4 w_g²) + (h - h_g)²/(4 h_g²)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        mode (default 'exp'; allowed: 'exp' or 'sqrt' or 'log' or 'norm_sqrt' or 'w2'): "exp" for 1 -
            e^(-g), g the distance; "sqrt" for g; "log" for ln(1 + g^2); "norm_sqrt" for 1 - 1 / (gamma +
            g); "w2" for g^2. But for "exp" and "norm_sqrt" a thin box far away has no bound.
        gamma (default 1.0; allowed: (0, inf)): added to g in mode "norm_sqrt".
        eps (default None; allowed: [0, 100]): added to every side that is divided by, in the unit of
            the boxes, as the authors do; None: nothing is.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        dialect (default None; allowed: 'gcd'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Objects are small and differ in size, or boxes are normalised: NWD's constant is not needed.

    Avoid it when:
        Predictions start far away: beyond some ten sizes of the box hardly anything pulls.

    Source:
        Gaussian Combined Distance (IEEE GRSL) (2025) https://arxiv.org/abs/2510.27649
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, mode: str = 'exp',
        gamma: float = 1.0, eps: float | None = None, box_format: str = 'xyxy', dialect: str | None = None
    ) -> None: ...

class MPDIoULoss(Loss, name="mpdiou"):
    """Minimum-point-distance IoU loss: 1 - IoU plus the squared corner distances over the image's squared diagonal.

    Formula:
        1 - IoU + (d₁² + d₂²)/(W² + H²)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        image_size (required; allowed: 2 numbers in [1e-06, inf)): (height, width) of the network's
            input in the unit of the boxes: pixels, or (1, 1) if normalised.
        eps (default None; allowed: [0, 100]): epsilon of numbers without unit, as alpha of CIoU, the
            power and the logarithm; with a dialect of every denominator. None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1], 0.001 apart at least): Focaler-IoU's
            (d, u): the IoU stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
        interp (default None; allowed: [0, 1)): InterpIoU's weight of the target: 1 minus the IoU of the
            target and a box between it and the prediction is added to the finished loss, which pulls boxes
            that are apart. The paper's code has 0.98.
        d_interp (default None; allowed: 2 rising numbers in [0, 1]): D-InterpIoU's (low, high):
            likewise, by the weight 1 - IoU within these bounds, without gradient. The paper's code has
            (0.6, 0.99). Boxes that just touch then cost less than some that overlap.
        focal_gamma (default 0.0; allowed: [0, 10]): weight IoU^gamma, without gradient: attention to
            good boxes, none to disjoint ones.
        wise (default None; allowed: 2 or 3): 2 or 3 for WIoU's focusing weight of that version, with
            the paper's constants.
        dialect (default None; allowed: 'mpdiou_port'): None: the published formula; or the framework
            whose built-in to equal.

    Use it when:
        You want one penalty that vanishes only when both corners agree, and you know the image size.

    Avoid it when:
        Boxes are not in pixels of that image: other units change the penalty by the square of their
        scale.

    Source:
        MPDIoU: A Loss for Efficient and Accurate Bounding Box Regression (2023) https://arxiv.org/abs/2307.07662
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        image_size: Sequence[float], eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, interp: float | None = None,
        d_interp: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class NWDLoss(Loss, name="nwd"):
    """Normalised Gaussian Wasserstein distance: boxes as Gaussians, at a distance W.

    Boxes without area are welcome. Equal boxes cost 0, and have no gradient; beside them the slope of W is 1.

    Formula:
        1 - e^(-W/C)
        W² = d_x² + d_y² + ((w - w_g)² + (h - h_g)²)/4

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        constant (default 12.8; allowed: [1e-06, inf)): C, in pixels: the mean size of the objects. The
            paper's 12.8 is that of AI-TOD.
        mode (default 'exp'; allowed: 'exp' or 'sqrt' or 'log' or 'norm_sqrt' or 'w2'): "exp" for 1 -
            e^(-W/C); "sqrt" for W; "log" for ln(1 + W^2); "norm_sqrt" for 1 - 1 / (gamma + W); "w2" for
            W^2.
        gamma (default 1.0; allowed: (0, inf)): added to W in mode "norm_sqrt".
        eps (default None; allowed: [0, 100]): added to W^2, as the authors do; None: nothing is.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        dialect (default None; allowed: 'nwd'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Objects are tiny, so that a shift of some pixels takes IoU to 0; constant is their mean size in
        pixels.

    Avoid it when:
        Boxes are not in pixels, or objects differ much in size: a shift costs large and small ones
        alike.

    Source:
        A Normalized Gaussian Wasserstein Distance for Tiny Object Detection (2021) https://arxiv.org/abs/2110.13389
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, constant: float = 12.8,
        mode: str = 'exp', gamma: float = 1.0, eps: float | None = None, box_format: str = 'xyxy',
        dialect: str | None = None
    ) -> None: ...

class PIoULoss(Loss, name="piou"):
    """Powerful-IoU loss: 1 - IoU plus a penalty on the distances of the edges over the sides of the target.

    Formula:
        L₁ = 2 - IoU - e^(-P²)
        P = (1/4) ((d_l + d_r)/w_g + (d_t + d_b)/h_g)
        L₂ = 3 λ q e^(-(λ q)²) L₁
        q = e^(-P)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        version (default 1; allowed: 1 or 2): 1, or 2 with a weight that prefers boxes of medium
            quality.
        lam (default 1.3; allowed: (0, 10]): lambda of version 2's weight. The paper uses 1.3.
        detach_weight (default False; allowed: False or True): compute version 2's weight without
            gradient, so that far boxes stay attracted; the authors' weight has one.
        eps (default None; allowed: [0, 100]): epsilon of numbers without unit, as alpha of CIoU, the
            power and the logarithm; with a dialect of every denominator. None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1], 0.001 apart at least): Focaler-IoU's
            (d, u): the IoU stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
        interp (default None; allowed: [0, 1)): InterpIoU's weight of the target: 1 minus the IoU of the
            target and a box between it and the prediction is added to the finished loss, which pulls boxes
            that are apart. The paper's code has 0.98.
        d_interp (default None; allowed: 2 rising numbers in [0, 1]): D-InterpIoU's (low, high):
            likewise, by the weight 1 - IoU within these bounds, without gradient. The paper's code has
            (0.6, 0.99). Boxes that just touch then cost less than some that overlap.
        focal_gamma (default 0.0; allowed: [0, 10]): weight IoU^gamma, without gradient: attention to
            good boxes, none to disjoint ones.
        wise (default None; allowed: 2 or 3): 2 or 3 for WIoU's focusing weight of that version, with
            the paper's constants.
        dialect (default None; allowed: 'powerful_iou'): None: the published formula; or the framework
            whose built-in to equal.

    Use it when:
        Predictions tend to grow to meet targets: no enclosing box, so a larger prediction is never
        cheaper.

    Avoid it when:
        Boxes may be far off and version is 2: past P = 0.94 its gradient flips, unless detach_weight is
        set.

    Source:
        Powerful-IoU (Neural Networks 170) (2024) https://doi.org/10.1016/j.neunet.2023.11.041
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, version: int = 1,
        lam: float = 1.3, detach_weight: bool = False, eps: float | None = None, box_format: str = 'xyxy',
        power: float | None = None, inner_ratio: float | None = None, focaler: Sequence[float] | None = None,
        interp: float | None = None, d_interp: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class SDIoULoss(Loss, name="sdiou"):
    """Scale-based dynamic IoU loss: CIoU in which small targets weigh the distance more than the overlap.

    Formula:
        (1 - g)(1 - IoU + α v) + (1 + g) ρ²/c²
        g = δ max(0, 1 - w_g h_g/a)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        delta (default 0.5; allowed: [0, 1]): the weight that a target without area moves from overlap
            and aspect to distance. The paper uses 0.5.
        area (default 81.0; allowed: (0, inf)): from this area of the target on, in pixels, it is CIoU.
            The paper's 81 is that of 9 x 9 pixels; the authors' code counts in cells of the grid, so in
            pixels it is 81 times the squared stride.
        eps (default None; allowed: [0, 100]): epsilon of numbers without unit, as alpha of CIoU, the
            power and the logarithm; with a dialect of every denominator. None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1], 0.001 apart at least): Focaler-IoU's
            (d, u): the IoU stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
        interp (default None; allowed: [0, 1)): InterpIoU's weight of the target: 1 minus the IoU of the
            target and a box between it and the prediction is added to the finished loss, which pulls boxes
            that are apart. The paper's code has 0.98.
        d_interp (default None; allowed: 2 rising numbers in [0, 1]): D-InterpIoU's (low, high):
            likewise, by the weight 1 - IoU within these bounds, without gradient. The paper's code has
            (0.6, 0.99). Boxes that just touch then cost less than some that overlap.
        focal_gamma (default 0.0; allowed: [0, 10]): weight IoU^gamma, without gradient: attention to
            good boxes, none to disjoint ones.
        wise (default None; allowed: 2 or 3): 2 or 3 for WIoU's focusing weight of that version, with
            the paper's constants.
        dialect (default None; allowed: 'sdiou'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Targets are smaller than some 9 pixels, as in infrared or drone images: their IoU says little.

    Avoid it when:
        Objects are of ordinary size: it is CIoU for them, to the last digit.

    Source:
        Pinwheel-shaped Convolution and Scale-based Dynamic Loss (2024) https://arxiv.org/abs/2412.16986
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, delta: float = 0.5,
        area: float = 81.0, eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, interp: float | None = None,
        d_interp: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class ShapeIoULoss(Loss, name="shape_iou"):
    """Shape-IoU loss: 1 - IoU plus distance and shape costs, weighted by the shape of the target.

    The shape weights carry no gradient.

    Formula:
        1 - IoU + (hh d_x² + ww d_y²)/c² + (1/2) ∑_(t=w,h) (1 - e^(-ω_t))⁴
        ww = 2 w_g^s/(w_g^s + h_g^s)
        hh = 2 h_g^s/(w_g^s + h_g^s)
        ω_w = hh |w - w_g|/max(w, w_g)
        ω_h = ww |h - h_g|/max(h, h_g)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        scale (default 0.0; allowed: [0, 10]): exponent of the target's sides in the weights; 0 weighs
            both axes alike. The paper sets it by the sizes of a data set's objects.
        eps (default None; allowed: [0, 100]): epsilon of numbers without unit, as alpha of CIoU, the
            power and the logarithm; with a dialect of every denominator. None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1], 0.001 apart at least): Focaler-IoU's
            (d, u): the IoU stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
        interp (default None; allowed: [0, 1)): InterpIoU's weight of the target: 1 minus the IoU of the
            target and a box between it and the prediction is added to the finished loss, which pulls boxes
            that are apart. The paper's code has 0.98.
        d_interp (default None; allowed: 2 rising numbers in [0, 1]): D-InterpIoU's (low, high):
            likewise, by the weight 1 - IoU within these bounds, without gradient. The paper's code has
            (0.6, 0.99). Boxes that just touch then cost less than some that overlap.
        focal_gamma (default 0.0; allowed: [0, 10]): weight IoU^gamma, without gradient: attention to
            good boxes, none to disjoint ones.
        wise (default None; allowed: 2 or 3): 2 or 3 for WIoU's focusing weight of that version, with
            the paper's constants.
        dialect (default None; allowed: 'shape_iou'): None: the published formula; or the framework
            whose built-in to equal.

    Use it when:
        Targets are long and thin, and an error across them should cost more than one along them.

    Avoid it when:
        scale is left at 0: both shape weights are then 1, and it is DIoU plus SIoU's shape cost.

    Source:
        Shape-IoU: More Accurate Metric considering Bounding Box Shape and Scale (2023) https://arxiv.org/abs/2312.17663
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, scale: float = 0.0,
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, interp: float | None = None,
        d_interp: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class SIoULoss(Loss, name="siou"):
    """SCYLLA IoU loss: 1 - IoU plus half the distance cost, weighted by its angle, plus half the shape cost.

    Formula:
        1 - IoU + (Δ + Ω)/2
        Δ = ∑_(t=x,y) (1 - e^(-(2 - Λ) (d_t/c_t)²))
        Λ = 2 |d_x d_y|/ρ²
        Ω = ∑_(t=w,h) (1 - e^(-|t - t_g|/max(t, t_g)))^θ

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        theta (default 4.0; allowed: [1, 10]): exponent of the shape cost. The paper tries 2 to 6 and
            uses 4.
        eps (default None; allowed: [0, 100]): epsilon of numbers without unit, as alpha of CIoU, the
            power and the logarithm; with a dialect of every denominator. None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1], 0.001 apart at least): Focaler-IoU's
            (d, u): the IoU stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
        interp (default None; allowed: [0, 1)): InterpIoU's weight of the target: 1 minus the IoU of the
            target and a box between it and the prediction is added to the finished loss, which pulls boxes
            that are apart. The paper's code has 0.98.
        d_interp (default None; allowed: 2 rising numbers in [0, 1]): D-InterpIoU's (low, high):
            likewise, by the weight 1 - IoU within these bounds, without gradient. The paper's code has
            (0.6, 0.99). Boxes that just touch then cost less than some that overlap.
        focal_gamma (default 0.0; allowed: [0, 10]): weight IoU^gamma, without gradient: attention to
            good boxes, none to disjoint ones.
        wise (default None; allowed: 2 or 3): 2 or 3 for WIoU's focusing weight of that version, with
            the paper's constants.
        dialect (default None; allowed: 'mmdet' or 'mmyolo' or 'yolov6'): None: the published formula;
            or the framework whose built-in to equal.

    Use it when:
        Boxes should first slide onto an axis of the target and then in; YOLOv6 trains with it.

    Avoid it when:
        You compare with MMDetection's SIoULoss as it comes: its distance has the wrong sign.

    Source:
        SIoU Loss: More Powerful Learning for Bounding Box Regression (2022) https://arxiv.org/abs/2205.12740
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, theta: float = 4.0,
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, interp: float | None = None,
        d_interp: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class UIoULoss(Loss, name="uiou"):
    """Unified IoU loss: CIoU of both boxes scaled about their centres, by less and less in the course of the training.

    Boxes of twice their size overlap sooner, and of half their size later, so training goes from coarse to fine. The
    module keeps the `progress` of the training, from 0 to 1, which the adapters of Ultralytics, MMDetection,
    transformers and LibreYOLO tell it, and a loop of one's own by `set_progress` of the loss or of its plug. The loss
    of the same boxes rises meanwhile.

    Formula:
        L_CIoU(k B, k B_g)
        k = ⎧ 2 - 3 t/2            if schedule = linear
        ⎨ (3 cos(π t) + 5)/4   if schedule = cosine
        ⎩ 2/(3 t + 1)          if schedule = fraction

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        schedule (default 'linear'; allowed: 'linear' or 'cosine' or 'fraction'): how the scale k falls
            from 2 to 0.5: "linear", "cosine" or "fraction"; None: it is `ratio`.
        ratio (default 1.0; allowed: [0.1, 10]): the scale without a schedule, and as long as nobody has
            told the progress.
        gamma (default None; allowed: (0, 10]): weight 1 - IoU^gamma of the scaled boxes, without
            gradient: attention to poor boxes. The paper's focal form has 0.5; None: no weight.
        eps (default None; allowed: [0, 100]): epsilon of numbers without unit, as alpha of CIoU, the
            power and the logarithm; with a dialect of every denominator. None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1], 0.001 apart at least): Focaler-IoU's
            (d, u): the IoU stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
        interp (default None; allowed: [0, 1)): InterpIoU's weight of the target: 1 minus the IoU of the
            target and a box between it and the prediction is added to the finished loss, which pulls boxes
            that are apart. The paper's code has 0.98.
        d_interp (default None; allowed: 2 rising numbers in [0, 1]): D-InterpIoU's (low, high):
            likewise, by the weight 1 - IoU within these bounds, without gradient. The paper's code has
            (0.6, 0.99). Boxes that just touch then cost less than some that overlap.
        focal_gamma (default 0.0; allowed: [0, 10]): weight IoU^gamma, without gradient: attention to
            good boxes, none to disjoint ones.
        wise (default None; allowed: 2 or 3): 2 or 3 for WIoU's focusing weight of that version, with
            the paper's constants.
        dialect (default None; allowed: 'uiou'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Exact boxes matter more than the number found (AP75 more than AP50), and the number of epochs is
        known.

    Avoid it when:
        Training stops early or its length is not known: the schedule is then never over.

    Source:
        Unified-IoU: For High-Quality Object Detection (2024) https://arxiv.org/abs/2408.06636
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        schedule: str | None = 'linear', ratio: float = 1.0, gamma: float | None = None, eps: float | None = None,
        box_format: str = 'xyxy', power: float | None = None, inner_ratio: float | None = None,
        focaler: Sequence[float] | None = None, interp: float | None = None, d_interp: Sequence[float] | None = None,
        focal_gamma: float = 0.0, wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class WIoULoss(Loss, name="wiou"):
    """Wise-IoU loss: 1 - IoU times a distance factor, and from version 2 on times a weight by how unusual the box is.

    The module keeps the running `mean` of 1 - IoU, which starts at 1, and updates it before use: once per call (or per
    `begin_step`), in training with gradients on, by m := (1 - momentum) m + momentum * mean(1 - IoU). Batches that are
    empty or not finite leave it alone, and processes each keep their own without `Loss.sync`. The loss of
    version 1 lies in [0, e); that of versions 2 and 3 has no upper bound.

    Formula:
        L₁ = e^(ρ²/sg(c²)) (1 - IoU)
        L₂ = √β L₁
        L₃ = β L₁/(δ α^(β - δ))
        β = sg((1 - IoU)/mean(1 - IoU))

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        version (default 1; allowed: 1 or 2 or 3): 1 without weight, 2 with sqrt(beta), 3 with beta /
            (delta alpha^(beta - delta)), where beta is 1 - IoU over its running mean.
        alpha (default 1.9; allowed: [1, 10]): how fast outliers lose weight in version 3. The paper
            uses 1.9.
        delta (default 3.0; allowed: (0, 100]): the beta whose weight is 1 in version 3. The paper uses
            3.
        eps (default None; allowed: [0, 100]): epsilon of numbers without unit, as alpha of CIoU, the
            power and the logarithm; with a dialect of every denominator. None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1], 0.001 apart at least): Focaler-IoU's
            (d, u): the IoU stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
        interp (default None; allowed: [0, 1)): InterpIoU's weight of the target: 1 minus the IoU of the
            target and a box between it and the prediction is added to the finished loss, which pulls boxes
            that are apart. The paper's code has 0.98.
        d_interp (default None; allowed: 2 rising numbers in [0, 1]): D-InterpIoU's (low, high):
            likewise, by the weight 1 - IoU within these bounds, without gradient. The paper's code has
            (0.6, 0.99). Boxes that just touch then cost less than some that overlap.
        focal_gamma (default 0.0; allowed: [0, 10]): weight IoU^gamma, without gradient: attention to
            good boxes, none to disjoint ones.
        momentum (default 9.899484435171857e-05; allowed: [0, 1]): k, the share of the batch; for k = 1
            - 0.05^(1 / n) the mean comes 95 % of its way in n batches. The paper's code uses n = 890 * 34.
        dialect (default None; allowed: 'wise_iou'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Labels are of mixed quality: version 3 takes gradient away from outliers and from good boxes.

    Avoid it when:
        Runs are short: the running mean starts at 1 and, as in the paper, needs 10000 steps to settle.

    Source:
        Wise-IoU: Bounding Box Regression Loss with Dynamic Focusing Mechanism (2023) https://arxiv.org/abs/2301.10051
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, version: int = 1,
        alpha: float = 1.9, delta: float = 3.0, eps: float | None = None, box_format: str = 'xyxy',
        power: float | None = None, inner_ratio: float | None = None, focaler: Sequence[float] | None = None,
        interp: float | None = None, d_interp: Sequence[float] | None = None, focal_gamma: float = 0.0,
        momentum: float = 9.899484435171857e-05, dialect: str | None = None
    ) -> None: ...
