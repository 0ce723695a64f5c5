"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from .loss import Loss
from .reduction import Reduction

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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
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
        focaler: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
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
        focaler: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
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
        focaler: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
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
        focaler: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class AsymmetricLoss(Loss, name="asymmetric"):
    """Asymmetric loss: focal loss with its own exponent for negatives, of which easy ones are free.

    The authors sum the scores, where "mean" divides by their number.

    Formula:
        -(1 - p_t)^(γ_t) [y ln p + (1 - y) ln p₋]
        p₋ = min(1 - p + m, 1)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        gamma_neg (default 4.0; allowed: [0, 10]): focusing exponent of negatives. The paper uses 4.
        gamma_pos (default 1.0; allowed: [0, 10]): focusing exponent of positives. The authors' code
            uses 1.
        clip (default 0.05; allowed: [0, 1)): negatives with a probability below it cost nothing. The
            paper uses 0.05.
        eps (default 1e-08; allowed: (0, 0.01]): probabilities are kept above it inside the logarithm.
        detach_focus (default True; allowed: False or True): whether the focusing weight is without
            gradient, as by default in the authors' code.

    Use it when:
        Many labels per image, few of them true, and easy negatives should cost nothing at all.

    Avoid it when:
        Calibrated scores are needed: probabilities below clip are free.

    Source:
        Asymmetric Loss For Multi-Label Classification (2020) https://arxiv.org/abs/2009.14119
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, gamma_neg: float = 4.0,
        gamma_pos: float = 1.0, clip: float = 0.05, eps: float = 1e-08, detach_focus: bool = True
    ) -> None: ...

class AsymmetricSoftmaxLoss(Loss, name="asymmetric_softmax"):
    """Asymmetric loss of the softmax of logits, with a target that is smoothed after weighing.

    Formula:
        -∑_c y_c (1 - p_(t,c))^(γ_c) ln p_c
        p = softmax(x)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        gamma_neg (default 4.0; allowed: [0, 10]): focusing exponent of the other classes. The authors
            use 4.
        gamma_pos (default 0.0; allowed: [0, 10]): focusing exponent of the true class. The authors use
            0.
        label_smoothing (default 0.1; allowed: [0, 1]): share of the target that is spread over all
            classes. The authors use 0.1.

    Use it when:
        Exactly one class is true per row; the single-label form of asymmetric.

    Avoid it when:
        label_smoothing is 0 and gamma_pos is 0: it is then plain cross-entropy.

    Source:
        Asymmetric Loss For Multi-Label Classification (2020) https://arxiv.org/abs/2009.14119
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, gamma_neg: float = 4.0,
        gamma_pos: float = 0.0, label_smoothing: float = 0.1
    ) -> None: ...

class BCELoss(Loss, name="bce"):
    """Binary cross-entropy of probabilities, at most 100 per score.

    Ours has a slope of at most 5e3. That of torch reaches 1e12, and is 0 for a probability that has rounded to 0.

    Formula:
        -[y ln p + (1 - y) ln(1 - p)]

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        dialect (default None; allowed: 'torch'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Scores are probabilities already, because another part of the model must see them so.

    Avoid it when:
        You have logits: bce_with_logits is exact where probabilities round to 0 or 1.

    Source:
        Binary cross-entropy https://pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        dialect: str | None = None
    ) -> None: ...

class BCEWithLogitsLoss(Loss, name="bce_with_logits"):
    """Binary cross-entropy of logits.

    Formula:
        (1 - y) x + (1 + (w₊ - 1) y) ln(1 + e^(-x))

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        pos_weight (default None; allowed: a number in [0, inf), or one per class): factor on the part
            of the positives: one number, or one per class.
        dialect (default None; allowed: 'torch' or 'ultralytics' or 'mmdet'): None: the published
            formula; or the framework whose built-in to equal.

    Use it when:
        Several classes may be true at once, or targets are soft: the default of today's YOLO models.

    Avoid it when:
        Negatives outnumber positives a thousandfold and nothing balances them: see focal or
        quality_focal.

    Source:
        Binary cross-entropy on logits https://pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        pos_weight: float | Sequence[float] | Tensor | None = None, dialect: str | None = None
    ) -> None: ...

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
        gamma (default 1.5; allowed: (0, 6]): slope of the line. The paper uses 1.5.
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

    Equal boxes cost about (eps / side)^2.

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
        eps (default 0.001; allowed: (0, 0.01]): added to the denominators, in the unit of the boxes.
        dialect (default None; allowed: 'mmdet'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        You want IoU's near scale invariance with a smooth minimum, and a loss for each of x, y, w and
        h.

    Avoid it when:
        Centres may be off by half the target: they get no gradient there. It takes boxes, not encoded
        deltas.

    Source:
        Improving Object Localization with Fitness NMS and Bounded IoU Loss (2017) https://arxiv.org/abs/1711.00164
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, beta: float = 0.2,
        eps: float = 0.001, dialect: str | None = None
    ) -> None: ...

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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
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
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
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
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class CrossEntropyLoss(Loss, name="cross_entropy"):
    """Cross-entropy of the softmax of logits. "mean" divides by the class weights of the labels met, as torch's.

    Formula:
        -w_y ln softmax(x)_y

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        class_weight (default None; allowed: one number in [0, inf) per class): one weight per class.
        label_smoothing (default 0.0; allowed: [0, 1]): share of the target that is spread over all
            classes.
        ignore_index (default -100): rows with this label cost 0 and do not count.
        dialect (default None; allowed: 'torch' or 'mmdet'): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        Exactly one class is true per row, background being one of them.

    Avoid it when:
        pred has been through softmax already: a second one flattens it; and not for several true
        classes.

    Source:
        Cross-entropy https://pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        class_weight: Sequence[float] | Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100,
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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
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
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class DiceLoss(Loss, name="dice"):
    """Dice loss: 1 minus twice the overlap over the sum of both masses.

    Formula:
        ⎧ 1 - (2 ∑ p t + s)/(∑ p² + ∑ t² + s)   if form = vnet
        ⎩ 1 - (2 ∑ p t + s)/(∑ p + ∑ t + s)     if form = naive

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        form (default 'vnet'; allowed: 'vnet' or 'naive'): "vnet" for squared masses in the denominator,
            as in the paper; "naive" for the masses themselves.
        activation (default 'sigmoid'; allowed: 'sigmoid' or 'softmax' or 'none'): "sigmoid" or
            "softmax" (over axis 1) of pred; "none" if pred holds probabilities.
        over (default 'image'; allowed: 'image' or 'batch' or 'channel' or 'batch_channel'): the region
            that one loss is for: "image" for each image, (n,); "batch" for all of them, (); "channel" for
            each channel of each image, (n, C); "batch_channel" for each channel of the batch, (C,).
        overlap (default 'product'; allowed: 'product' or 'min'): "product" for p t; "min" for min(p,
            t), by which a perfect soft prediction costs 0.
        smooth (default 0.0; allowed: [0, inf)): added to numerator and denominator; above 0, an empty
            prediction of an empty target costs 0.
        eps (default 0.001; allowed: (0, 1]): added to the denominator.
        empty (default 'cost'; allowed: 'cost' or 'zero' or 'skip'): what an empty target costs: "cost"
            by the formula; "zero" nothing; "skip" nothing, and "mean" leaves it out.
        jaccard (default False; allowed: False or True): whether the shared mass counts once in the
            denominator: overlap over union.
        log (default False; allowed: False or True): -ln of the coefficient instead of 1 minus it, at
            most 100.
        dialect (default None; allowed: 'mmdet' or 'ultralytics' or 'kornia' or 'monai' or 'smp'): None:
            the published formula; or the framework whose built-in to equal.

    Use it when:
        Objects cover a small part of the mask, so that pixel-wise losses are ruled by background.

    Avoid it when:
        Masks may be empty and `empty` is left at 'cost': without smooth, any prediction then costs 1.

    Source:
        V-Net: Fully Convolutional Neural Networks (2016) https://arxiv.org/abs/1606.04797
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, form: str = 'vnet',
        activation: str = 'sigmoid', over: str = 'image', overlap: str = 'product', smooth: float = 0.0,
        eps: float = 0.001, empty: str = 'cost', jaccard: bool = False, log: bool = False, dialect: str | None = None
    ) -> None: ...

class DistributionFocalLoss(Loss, name="distribution_focal"):
    """Distribution focal loss: cross-entropy with the two bins next to the target.

    Formula:
        (l + 1 - t) CE(x, l) + (t - l) CE(x, l + 1)
        l = ⌊t⌋

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        margin (default 0.0; allowed: [0, 1]): cut off at n - 1 - margin instead; Ultralytics' is 0.01.
        dialect (default None; allowed: 'mmdet' or 'ultralytics'): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        Box sides are predicted as distributions over bins, as in YOLOv8 and GFL heads.

    Avoid it when:
        Targets may lie beyond the last bin: they are cut off there, so the object is too large for its
        level.

    Source:
        Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes for Dense Object Detection (2020) https://arxiv.org/abs/2006.04388
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, margin: float = 0.0,
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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
        focal_gamma (default 0.0; allowed: [0, 10]): weight IoU^gamma, without gradient: attention to
            good boxes, none to disjoint ones.
        wise (default None; allowed: 2 or 3): 2 or 3 for WIoU's focusing weight of that version, with
            the paper's constants.
        dialect (default None; allowed: 'objdet'): None: the published formula; or the framework whose
            built-in to equal.

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
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
    ) -> None: ...

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
        smooth_point (default 0.1; allowed: (0, 1]): where the parabola near 0 meets the line; past it
            the loss is smaller than 1 - IoU by half of it.
        eps (default 1e-07; allowed: (0, 0.01]): added to the union.
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
        smooth_point: float = 0.1, eps: float = 1e-07, box_format: str = 'xyxy', dialect: str | None = None
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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
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
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, wise: int | None = None,
        dialect: str | None = None
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

class FocalLoss(Loss, name="focal"):
    """Sigmoid focal loss: binary cross-entropy with easy scores weighed down.

    Formula:
        -α_t (1 - p_t)^γ ln p_t

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        alpha (default 0.25; allowed: [0, 1]): weight of positives, 1 - alpha for negatives; None for no
            weight. The paper uses 0.25.
        gamma (default 2.0; allowed: [0, 10]): how fast easy scores lose weight; 0 for not at all. The
            paper uses 2.
        activated (default False; allowed: False or True): whether pred holds probabilities.
        dialect (default None; allowed: 'torchvision' or 'mmdet' or 'ultralytics' or 'kornia' or 'monai'
            or 'smp'): None: the published formula; or the framework whose built-in to equal.

    Use it when:
        Dense heads with hard labels, in which easy background outnumbers objects a thousandfold.

    Avoid it when:
        Targets are soft: it is not proper there (for a target of 0.8 the best score is 0.95), and
        scores lose calibration; take quality_focal or varifocal.

    Source:
        Focal Loss for Dense Object Detection (2017) https://arxiv.org/abs/1708.02002
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        alpha: float | None = 0.25, gamma: float = 2.0, activated: bool = False, dialect: str | None = None
    ) -> None: ...

class FocalTverskyLoss(Loss, name="focal_tversky"):
    """Focal Tversky loss: the Tversky loss to the power 1 / gamma.

    Formula:
        (1 - TP/(TP + α FP + β FN))^(1/γ)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        gamma (default 1.3333333333333333; allowed: [0.1, 10]): the inverse of the exponent. The paper
            uses 4/3, out of 1 to 3.
        alpha (default 0.3; allowed: [0, 10]): weight of false positives. The paper uses 0.3.
        beta (default 0.7; allowed: [0, 10]): weight of false negatives. The paper uses 0.7.
        activation (default 'sigmoid'; allowed: 'sigmoid' or 'softmax' or 'none'): of pred, see
            `dice_loss`.
        over (default 'image'; allowed: 'image' or 'batch' or 'channel' or 'batch_channel'): the region
            that one loss is for, see `dice_loss`.
        overlap (default 'product'; allowed: 'product' or 'min'): "product" or "min", see `dice_loss`.
        smooth (default 0.0; allowed: [0, inf)): added to numerator and denominator.
        eps (default 1e-07; allowed: (0, 1]): added to the denominator.
        empty (default 'cost'; allowed: 'cost' or 'zero' or 'skip'): what an empty target costs, see
            `dice_loss`.
        dialect (default None; allowed: 'smp'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Regions that are nearly right should keep a strong gradient: gamma above 1 raises it near the
        optimum.

    Avoid it when:
        You took gamma from a framework where it is the exponent: here, as in the paper, that is 1 /
        gamma.

    Source:
        A Novel Focal Tversky Loss Function with Improved Attention U-Net (2018) https://arxiv.org/abs/1810.07842
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        gamma: float = 1.3333333333333333, alpha: float = 0.3, beta: float = 0.7, activation: str = 'sigmoid',
        over: str = 'image', overlap: str = 'product', smooth: float = 0.0, eps: float = 1e-07, empty: str = 'cost',
        dialect: str | None = None
    ) -> None: ...

class GHMCLoss(Loss, name="ghm_c"):
    """Gradient-harmonised loss: binary cross-entropy over the density of scores with a gradient of that size.

    The module keeps `counts`, updated before use in training with gradients on:
    S := momentum S + (1 - momentum) N for bins that were met; with momentum 0, the default, it is the batch's own.
    In evaluation, bins never met take the batch's own count. The mean over the scores is the authors' loss.

    Formula:
        N BCE(x, y)/(m S_(b(g)))
        g = |p - y|

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        bins (default 10; allowed: [1, 1000]): number of bins of |p - y|. The paper uses 10 to 30.
        momentum (default 0.0; allowed: [0, 1)): share of the running count that stays; 0 for the counts
            of the batch alone.
        dialect (default None; allowed: 'mmdet'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Both the easy mass and a crowd of outliers (wrong labels) should lose weight.

    Avoid it when:
        Batches are small: the density of ten bins is then noise. Its weights make boxes depend on each
        other.

    Source:
        Gradient Harmonized Single-stage Detector (2018) https://arxiv.org/abs/1811.05181
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, bins: int = 10,
        momentum: float = 0.0, dialect: str | None = None
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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
        focal_gamma (default 0.0; allowed: [0, 10]): weight IoU^gamma, without gradient: attention to
            good boxes, none to disjoint ones.
        wise (default None; allowed: 2 or 3): 2 or 3 for WIoU's focusing weight of that version, with
            the paper's constants.
        dialect (default None; allowed: 'torchvision' or 'mmdet' or 'ultralytics' or 'mmyolo'): None:
            the published formula; or the framework whose built-in to equal.

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
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class GWDLoss(Loss, name="gwd"):
    """Gaussian Wasserstein distance of rotated boxes.

    Boxes that are equal as Gaussians (a square in any rotation) cost about 3e-4 / side.

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
        alpha (default 1.0; allowed: (0, inf)): weight of shape against position.
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

class GaussianFocalLoss(Loss, name="gaussian_focal"):
    """Focal loss of heat maps of probabilities: negatives near a centre count less.

    Formula:
        ⎧ -(1 - p)^α ln p            if y = 1
        ⎩ -(1 - y)^γ p^α ln(1 - p)   otherwise

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        alpha (default 2.0; allowed: [0, 10]): focusing exponent. The paper uses 2.
        gamma (default 4.0; allowed: [0, 10]): exponent of the discount near centres. The paper uses 4.
        dialect (default None; allowed: 'mmdet'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Targets are heat maps with a Gaussian around each centre, as in CenterNet.

    Avoid it when:
        No target is exactly 1: then nothing is positive.

    Source:
        CornerNet: Detecting Objects as Paired Keypoints (2018) https://arxiv.org/abs/1808.01244
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 2.0,
        gamma: float = 4.0, dialect: str | None = None
    ) -> None: ...

class HingeEmbeddingLoss(Loss, name="hinge_embedding"):
    """Distance of pairs that are alike, and what pairs that are not lack to the margin.

    Formula:
        ⎧ x               if y = 1
        ⎩ max(0, m - x)   if y = -1

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        margin (default 1.0; allowed: (-inf, inf)): distance from which pairs that are not alike cost
            nothing.
        dialect (default None; allowed: 'torch'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        x is a distance between two embeddings that are alike (y = 1) or not (y = -1).

    Avoid it when:
        x is a score: more of it is punished where y is 1.

    Source:
        Hinge embedding https://pytorch.org/docs/stable/generated/torch.nn.HingeEmbeddingLoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, margin: float = 1.0,
        dialect: str | None = None
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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
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
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
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
        alpha (default 1.0; allowed: (0, inf)): weight of shape against position.
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
        eps (default 1e-06; allowed: (0, 0.01]): epsilon of the logarithm of "ln".
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
        alpha (default 1.0; allowed: (0, inf)): weight of shape against position.
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

class KLDivLoss(Loss, name="kl_div"):
    """Terms of the Kullback-Leibler divergence of pred from target. "mean" is torch's "batchmean".

    The sum of the terms over the classes is the divergence of the row; a term alone may be negative.

    Formula:
        p (ln p - ℓ)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        log_target (default False; allowed: False or True): whether the target holds log-probabilities.
        dialect (default None; allowed: 'torch'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        A teacher's distribution should be matched, as in distillation.

    Avoid it when:
        You need torch's 'mean': that divides by all elements, ours by rows, which is the divergence
        itself.

    Source:
        On Information and Sufficiency (1951) https://pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        log_target: bool = False, dialect: str | None = None
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

class MPDIoULoss(Loss, name="mpdiou"):
    """Minimum-point-distance IoU loss: 1 - IoU plus the squared corner distances over the image's squared diagonal.

    Formula:
        1 - IoU + (d₁² + d₂²)/(W² + H²)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        image_size (required; allowed: 2 numbers in (0, inf)): (height, width) of the network's input in
            the unit of the boxes: pixels, or (1, 1) if normalised.
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
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
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
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

class MarginRankingLoss(Loss, name="margin_ranking"):
    """Cost of two scores in the wrong order: by how much, plus the margin.

    Formula:
        max(0, -y (x₁ - x₂) + m)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        margin (default 0.0; allowed: (-inf, inf)): by how much it should be larger.
        dialect (default None; allowed: 'torch'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Only the order of two scores matters, for instance of a good and a poor box of one object.

    Avoid it when:
        Scores are read as probabilities: nothing fixes their level.

    Source:
        Margin ranking https://pytorch.org/docs/stable/generated/torch.nn.MarginRankingLoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, margin: float = 0.0,
        dialect: str | None = None
    ) -> None: ...

class MixLoss(Loss, name="mix"):
    """Weighted sum of catalogued losses of one kind.

    The module keeps the running statistics of its losses; the function takes their initial values.

    Formula:
        ∑_i λ_i L_i

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False): belongs to the losses of the mix, each by itself:
            {'type': 'ciou', 'compile': True}.
        losses (required; allowed: a list of losses, each a name or a dict with 'type'): names or dicts
            with `type`, parameters and `loss_weight` (1 if not given), but no `reduction`.

    Use it when:
        One loss has what another lacks, for instance NWD for tiny boxes beside CIoU.

    Avoid it when:
        You compare with either of them: neither its values nor its gradient norm are kept.
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: Literal[False] = False, *,
        losses: Sequence[str | Mapping[str, Any]]
    ) -> None: ...

class NLLLoss(Loss, name="nll"):
    """Negative log-likelihood of log-probabilities. "mean" divides by the class weights of the labels met, as torch's.

    Formula:
        -w_y ℓ_y

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        class_weight (default None; allowed: one number in [0, inf) per class): one weight per class.
        ignore_index (default -100): rows with this label cost 0 and do not count.
        dialect (default None; allowed: 'torch'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        pred is log-probabilities already, for instance an average over models.

    Avoid it when:
        pred is logits or probabilities: nothing is normalised here.

    Source:
        Negative log-likelihood https://pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        class_weight: Sequence[float] | Tensor | None = None, ignore_index: int = -100, dialect: str | None = None
    ) -> None: ...

class NWDLoss(Loss, name="nwd"):
    """Normalised Gaussian Wasserstein distance: boxes as Gaussians, at a distance W.

    Boxes without area are welcome. Equal boxes cost sqrt(eps) / C in mode "exp".

    Formula:
        1 - e^(-W/C)
        W² = d_x² + d_y² + ((w - w_g)² + (h - h_g)²)/4

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        constant (default 12.8; allowed: (0, inf)): C, in pixels: the mean size of the objects. The
            paper's 12.8 is that of AI-TOD.
        mode (default 'exp'; allowed: 'exp' or 'sqrt' or 'log' or 'norm_sqrt' or 'w2'): "exp" for 1 -
            e^(-W/C); "sqrt" for W; "log" for ln(1 + W^2); "norm_sqrt" for 1 - 1 / (gamma + W); "w2" for
            W^2.
        gamma (default 1.0; allowed: (0, inf)): added to W in mode "norm_sqrt".
        eps (default 1e-07; allowed: (0, 0.01]): added to W^2, so that the gradient of W is finite at 0.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.

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
        mode: str = 'exp', gamma: float = 1.0, eps: float = 1e-07, box_format: str = 'xyxy'
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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
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
        focal_gamma: float = 0.0, wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class PolyCrossEntropyLoss(Loss, name="poly_cross_entropy"):
    """Poly-1 cross-entropy: the first term of its expansion weighed up by epsilon.

    Formula:
        -ln p_y + ε (1 - p_y)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        epsilon (default 1.0; allowed: [-1, inf)): weight of 1 - p; 0 is cross-entropy. The paper uses 2
            on ImageNet, -1 to 8 elsewhere.

    Use it when:
        Cross-entropy works and a slightly stronger pull on unsure rows is wanted, for one parameter.

    Avoid it when:
        epsilon is not tuned: its best value, even its sign, differs between data sets.

    Source:
        PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions (2022) https://arxiv.org/abs/2204.12511
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, epsilon: float = 1.0
    ) -> None: ...

class PolyFocalLoss(Loss, name="poly_focal"):
    """Poly-1 focal loss: focal loss plus epsilon times the next power.

    Formula:
        -α_t (1 - p_t)^γ ln p_t + ε (1 - p_t)^(γ + 1)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        epsilon (default 1.0; allowed: [-1, inf)): weight of (1 - p)^(gamma + 1); 0 is focal loss. The
            paper uses -1 for RetinaNet.
        alpha (default 0.25; allowed: [0, 1]): weight of positives, 1 - alpha for negatives; None for no
            weight. The added term carries none.
        gamma (default 2.0; allowed: [0, 10]): how fast easy scores lose weight. The paper uses 2.

    Use it when:
        As focal, with more pull on unsure scores.

    Avoid it when:
        Negatives dominate: the added term carries no alpha, so it weighs them as much as positives.

    Source:
        PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions (2022) https://arxiv.org/abs/2204.12511
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, epsilon: float = 1.0,
        alpha: float | None = 0.25, gamma: float = 2.0
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
        eps (default 1e-07; allowed: (0, 0.01]): epsilon of every denominator and logarithm.
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

class QualityFocalLoss(Loss, name="quality_focal"):
    """Quality focal loss: binary cross-entropy against box quality, weighed by the distance to it.

    "mean" divides by rows, not by scores: it is the mean of the sum over classes, as that of the authors.

    Formula:
        |q - p|^β BCE(x, q)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        beta (default 2.0; allowed: [0, 10]): exponent of the distance. The paper uses 2.
        activated (default False; allowed: False or True): whether pred holds probabilities.
        dialect (default None; allowed: 'mmdet'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Targets are soft (IoU of the box, or an assigner's score): the best score is the target itself.

    Avoid it when:
        Targets are hard and confidence should not follow box quality: focal does that.

    Source:
        Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes for Dense Object Detection (2020) https://arxiv.org/abs/2006.04388
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, beta: float = 2.0,
        activated: bool = False, dialect: str | None = None
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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
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
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
        focal_gamma (default 0.0; allowed: [0, 10]): weight IoU^gamma, without gradient: attention to
            good boxes, none to disjoint ones.
        wise (default None; allowed: 2 or 3): 2 or 3 for WIoU's focusing weight of that version, with
            the paper's constants.
        dialect (default None; allowed: nothing (leave it out)): None: the published formula; or the
            framework whose built-in to equal.

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
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
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

class SoftmaxFocalLoss(Loss, name="softmax_focal"):
    """Focal loss of the softmax of logits.

    Formula:
        -α_y (1 - p_y)^γ ln p_y
        p = softmax(x)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        alpha (default None; allowed: [0, 1]): weight of every class but the first, 1 - alpha for class
            0 (background); None for no weight.
        gamma (default 2.0; allowed: [0, 10]): how fast easy rows lose weight. The paper uses 2.
        dialect (default None; allowed: 'kornia' or 'smp'): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        Exactly one class is true per row and most rows are easy.

    Avoid it when:
        Background is told by low scores everywhere: softmax needs a class for it.

    Source:
        Focal Loss for Dense Object Detection (2017) https://arxiv.org/abs/1708.02002
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        alpha: float | None = None, gamma: float = 2.0, dialect: str | None = None
    ) -> None: ...

class TverskyLoss(Loss, name="tversky"):
    """Tversky loss: overlap against false positives and false negatives, each with its own weight.

    Formula:
        1 - TP/(TP + α FP + β FN)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        alpha (default 0.3; allowed: [0, 10]): weight of false positives. The paper's best is 0.3.
        beta (default 0.7; allowed: [0, 10]): weight of false negatives. The paper's best is 0.7.
        activation (default 'sigmoid'; allowed: 'sigmoid' or 'softmax' or 'none'): of pred, see
            `dice_loss`.
        over (default 'image'; allowed: 'image' or 'batch' or 'channel' or 'batch_channel'): the region
            that one loss is for, see `dice_loss`.
        overlap (default 'product'; allowed: 'product' or 'min'): "product" or "min", see `dice_loss`.
        smooth (default 0.0; allowed: [0, inf)): added to numerator and denominator.
        eps (default 1e-07; allowed: (0, 1]): added to the denominator.
        empty (default 'cost'; allowed: 'cost' or 'zero' or 'skip'): what an empty target costs, see
            `dice_loss`.
        dialect (default None; allowed: 'kornia' or 'monai'): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        Misses should cost more than false alarms (beta above alpha), or the other way round.

    Avoid it when:
        alpha and beta are both 0.5: it is then Dice; both 1: Jaccard.

    Source:
        Tversky loss function for image segmentation using 3D fully convolutional deep networks (2017) https://arxiv.org/abs/1706.05721
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 0.3,
        beta: float = 0.7, activation: str = 'sigmoid', over: str = 'image', overlap: str = 'product',
        smooth: float = 0.0, eps: float = 1e-07, empty: str = 'cost', dialect: str | None = None
    ) -> None: ...

class VarifocalLoss(Loss, name="varifocal"):
    """Varifocal loss: positives weighed by their quality, negatives as in focal loss.

    Formula:
        ⎧ q BCE(x, q)       if q > 0
        ⎩ α p^γ BCE(x, 0)   if q = 0

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        alpha (default 0.75; allowed: [0, 10]): weight of negatives. The paper uses 0.75.
        gamma (default 2.0; allowed: [0, 10]): exponent for negatives. The paper uses 2.
        iou_weighted (default True; allowed: False or True): whether positives weigh their quality, else
            1.
        activated (default False; allowed: False or True): whether pred holds probabilities.
        dialect (default None; allowed: 'mmdet' or 'ultralytics'): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        Targets are box qualities and the best boxes should lead: positives weigh as much as their
        quality.

    Avoid it when:
        Qualities start near 0, as early in training: positives then weigh next to nothing.

    Source:
        VarifocalNet: An IoU-aware Dense Object Detector (2020) https://arxiv.org/abs/2008.13367
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 0.75,
        gamma: float = 2.0, iou_weighted: bool = True, activated: bool = False, dialect: str | None = None
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
        eps (default None; allowed: (0, 0.01]): epsilon of every denominator; None: 1e-7, or that of the
            dialect.
        box_format (default 'xyxy'; allowed: 'xyxy' or 'cxcywh'): "xyxy" for corners or "cxcywh" for
            centre and size, of both boxes.
        power (default None; allowed: (0, 10]): Alpha-IoU's exponent, on IoU and on each penalty term.
        inner_ratio (default None; allowed: (0, 3]): Inner-IoU: the IoU of both boxes scaled by this
            ratio about their centres; the penalty keeps the boxes as they are. The paper uses 0.5 to 1.5,
            below 1 for boxes that are nearly right.
        focaler (default None; allowed: 2 rising numbers in [0, 1]): Focaler-IoU's (d, u): the IoU
            stretched so that d counts as 0 and u as 1. The paper uses (0, 0.95).
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
        focal_gamma: float = 0.0, momentum: float = 9.899484435171857e-05, dialect: str | None = None
    ) -> None: ...
