"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..loss import Loss
from ..reduction import Reduction

class CDIoULoss(Loss, name="cdiou"):
    """Control-distance IoU loss: 1 - IoU plus the mean distance of the corners over the enclosing diagonal.

    Formula:
        1 - IoU + λ (|AE| + |BF| + |CG| + |DH|)/(4 c)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        lam (default 1.0; allowed: [0, 100]): weight of the corner term.
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
        dialect (default None; allowed: nothing (leave it out)): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        All four corners should be pulled at once, also for boxes inside each other.

    Avoid it when:
        You want the authors' numbers: their code uses a quarter of this term, without gradient.

    Source:
        Control Distance IoU and Control Distance IoU Loss (2021) https://arxiv.org/abs/2103.11696
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, lam: float = 1.0,
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, interp: float | None = None,
        d_interp: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class CIoULoss(Loss, name="ciou"):
    """Complete IoU loss: DIoU plus a weighted difference in aspect ratio.

    The weight alpha carries no gradient, the difference v does.

    Formula:
        1 - IoU + ρ²/c² + α v
        v = (4/π²) (arctan(w_g/h_g) - arctan(w/h))²
        α = sg(v/(1 - IoU + v))

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
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
        dialect (default None; allowed: 'torchvision' or 'mmdet' or 'ultralytics' or 'mmyolo' or
            'yolov6' or 'wise_iou'): None: the published formula; or the framework whose built-in to equal.

    Use it when:
        You want the default of today's YOLO models: overlap, distance and aspect in one loss.

    Avoid it when:
        Width and height are wrong by one factor: the aspect term is 0 and EIoU says more.

    Source:
        Distance-IoU Loss (2019) https://arxiv.org/abs/1911.08287
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, interp: float | None = None,
        d_interp: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class DIoULoss(Loss, name="diou"):
    """Distance IoU loss: 1 - IoU plus the squared centre distance over the squared diagonal of the enclosing box.

    Formula:
        1 - IoU + ρ²/c²

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
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
        dialect (default None; allowed: 'torchvision' or 'mmdet' or 'ultralytics' or 'yolov6'): None:
            the published formula; or the framework whose built-in to equal.

    Use it when:
        Centres matter more than shape, for instance with NMS by distance or crowded scenes.

    Avoid it when:
        Concentric boxes of wrong size are common: the distance term is then 0.

    Source:
        Distance-IoU Loss (2019) https://arxiv.org/abs/1911.08287
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, interp: float | None = None,
        d_interp: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class EIoULoss(Loss, name="eiou"):
    """Efficient IoU loss: DIoU plus the squared differences in width and height over the enclosing sides.

    Formula:
        1 - IoU + ρ²/c² + (w - w_g)²/c_w² + (h - h_g)²/c_h²

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
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
        dialect (default None; allowed: 'objdet' or 'alchemy'): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        Width and height should each be corrected directly, for instance for objects of many shapes.

    Avoid it when:
        You compare with MMDetection's EIoULoss: that is Extended IoU, another paper.

    Source:
        Focal and Efficient IOU Loss for Accurate Bounding Box Regression (2021) https://arxiv.org/abs/2101.08158
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, interp: float | None = None,
        d_interp: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class FocalEIoULoss(Loss, name="focal_eiou"):
    """Focal EIoU loss: EIoU weighted by IoU^gamma, so that good boxes count more.

    The weight carries no gradient; a box whose IoU is 0 costs 0 and has no gradient at all.

    Formula:
        sg(IoU)^γ L_EIoU

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        gamma (default 0.5; allowed: [0, 10]): exponent of the weight; 0 is EIoU. The paper uses 0.5.
        normalize (default False; allowed: False or True): divide the weights by their mean over the
            batch, so that the mean of the result is sum(W L) / sum(W), the paper's first form; boxes then
            depend on each other.
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
        wise (default None; allowed: 2 or 3): 2 or 3 for WIoU's focusing weight of that version, with
            the paper's constants.
        dialect (default None; allowed: 'objdet'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Most predictions already overlap their targets and the last pixels decide.

    Avoid it when:
        Boxes may be disjoint or touch: their weight is 0, so they get no gradient at all.

    Source:
        Focal and Efficient IOU Loss for Accurate Bounding Box Regression (2021) https://arxiv.org/abs/2101.08158
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, gamma: float = 0.5,
        normalize: bool = False, eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, interp: float | None = None,
        d_interp: Sequence[float] | None = None, wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class GIoULoss(Loss, name="giou"):
    """Generalized IoU loss: 1 - IoU plus the empty share of the enclosing box.

    Formula:
        1 - IoU + (C - U)/C

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
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
        dialect (default None; allowed: 'torchvision' or 'mmdet' or 'ultralytics' or 'mmyolo' or
            'transformers' or 'rfdetr'): None: the published formula; or the framework whose built-in to
            equal.

    Use it when:
        Boxes may be disjoint and you want the most widely used loss that still pulls them together.

    Avoid it when:
        One box often lies inside the other: it is then IoU loss, blind to where the inner box sits.

    Source:
        Generalized Intersection over Union (2019) https://arxiv.org/abs/1902.09630
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, interp: float | None = None,
        d_interp: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class IoULoss(Loss, name="iou"):
    """IoU loss: 1 - IoU, -ln IoU or 1 - IoU^2.

    Formula:
        ⎧ 1 - IoU    if mode = linear
        ⎨ -ln IoU    if mode = log
        ⎩ 1 - IoU²   if mode = square

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        mode (default 'linear'; allowed: 'linear' or 'log' or 'square'): "linear" for 1 - IoU; "log" for
            -ln IoU, the paper's, at most -ln eps; "square" for 1 - IoU^2.
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
        dialect (default None; allowed: 'mmdet' or 'ultralytics'): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        Predictions overlap their targets from the start, and you want the metric itself as the loss.

    Avoid it when:
        Boxes may be disjoint: the loss is then constant and has no gradient.

    Source:
        UnitBox: An Advanced Object Detection Network (2016) https://arxiv.org/abs/1608.01471
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, mode: str = 'linear',
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, interp: float | None = None,
        d_interp: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...
