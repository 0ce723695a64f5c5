"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..loss import Loss
from ..reduction import Reduction

class AlphaCIoULoss(Loss, name="alpha_ciou"):
    """Alpha-CIoU loss: CIoU loss with every term raised to the power alpha.

    Formula:
        1 - IoU^α + (ρ²/c²)^α + (β v)^α

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        alpha (default 3.0; allowed: (0, 10]): exponent; 1 is the CIoU loss, and the larger it is, the
            more good boxes count. The paper uses 3.
        eps (default None; allowed: [0, 100]): epsilon of numbers without unit, as alpha of CIoU, the
            power and the logarithm; with a dialect of every denominator. None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
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
        dialect (default None; allowed: 'alpha_iou'): None: the published formula; or the framework
            whose built-in to equal.

    Use it when:
        You train with CIoU and care for AP at high IoU.

    Avoid it when:
        Labels are noisy or training is short: gradients of poor boxes are smaller than under CIoU.

    Source:
        Alpha-IoU: A Family of Power Intersection over Union Losses (2021) https://arxiv.org/abs/2110.13675
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 3.0,
        eps: float | None = None, box_format: str = 'xyxy', inner_ratio: float | None = None,
        focaler: Sequence[float] | None = None, interp: float | None = None, d_interp: Sequence[float] | None = None,
        focal_gamma: float = 0.0, wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class AlphaDIoULoss(Loss, name="alpha_diou"):
    """Alpha-DIoU loss: DIoU loss with every term raised to the power alpha.

    Formula:
        1 - IoU^α + (ρ²/c²)^α

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        alpha (default 3.0; allowed: (0, 10]): exponent; 1 is the DIoU loss, and the larger it is, the
            more good boxes count. The paper uses 3.
        eps (default None; allowed: [0, 100]): epsilon of numbers without unit, as alpha of CIoU, the
            power and the logarithm; with a dialect of every denominator. None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
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
        dialect (default None; allowed: 'alpha_iou'): None: the published formula; or the framework
            whose built-in to equal.

    Use it when:
        As alpha_iou, with a pull of the centres for disjoint boxes.

    Avoid it when:
        Centres are nearly right already: the powered distance has almost no gradient there.

    Source:
        Alpha-IoU: A Family of Power Intersection over Union Losses (2021) https://arxiv.org/abs/2110.13675
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 3.0,
        eps: float | None = None, box_format: str = 'xyxy', inner_ratio: float | None = None,
        focaler: Sequence[float] | None = None, interp: float | None = None, d_interp: Sequence[float] | None = None,
        focal_gamma: float = 0.0, wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class AlphaGIoULoss(Loss, name="alpha_giou"):
    """Alpha-GIoU loss: GIoU loss with every term raised to the power alpha.

    Formula:
        1 - IoU^α + ((C - U)/C)^α

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        alpha (default 3.0; allowed: (0, 10]): exponent; 1 is the GIoU loss, and the larger it is, the
            more good boxes count. The paper uses 3.
        eps (default None; allowed: [0, 100]): epsilon of numbers without unit, as alpha of CIoU, the
            power and the logarithm; with a dialect of every denominator. None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
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
        dialect (default None; allowed: 'alpha_iou'): None: the published formula; or the framework
            whose built-in to equal.

    Use it when:
        As alpha_iou, where boxes may be disjoint.

    Avoid it when:
        Many boxes are far off: the powered penalty is small in the middle of its range, so they move
        slowly.

    Source:
        Alpha-IoU: A Family of Power Intersection over Union Losses (2021) https://arxiv.org/abs/2110.13675
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 3.0,
        eps: float | None = None, box_format: str = 'xyxy', inner_ratio: float | None = None,
        focaler: Sequence[float] | None = None, interp: float | None = None, d_interp: Sequence[float] | None = None,
        focal_gamma: float = 0.0, wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class AlphaIoULoss(Loss, name="alpha_iou"):
    """Alpha-IoU loss: IoU loss with every term raised to the power alpha.

    Formula:
        1 - IoU^α

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        alpha (default 3.0; allowed: (0, 10]): exponent; 1 is the IoU loss, and the larger it is, the
            more good boxes count. The paper uses 3.
        eps (default None; allowed: [0, 100]): epsilon of numbers without unit, as alpha of CIoU, the
            power and the logarithm; with a dialect of every denominator. None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
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
        dialect (default None; allowed: 'alpha_iou'): None: the published formula; or the framework
            whose built-in to equal.

    Use it when:
        Boxes overlap and localisation at high IoU matters: alpha > 1 raises the weight of good boxes.

    Avoid it when:
        Boxes may be disjoint: as with IoU there is then no gradient.

    Source:
        Alpha-IoU: A Family of Power Intersection over Union Losses (2021) https://arxiv.org/abs/2110.13675
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 3.0,
        eps: float | None = None, box_format: str = 'xyxy', inner_ratio: float | None = None,
        focaler: Sequence[float] | None = None, interp: float | None = None, d_interp: Sequence[float] | None = None,
        focal_gamma: float = 0.0, wise: int | None = None, dialect: str | None = None
    ) -> None: ...
