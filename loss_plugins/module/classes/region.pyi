"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..loss import Loss
from ..reduction import Reduction

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
        eps (default 0.001; allowed: [0, inf)): added to the denominator.
        empty (default 'cost'; allowed: 'cost' or 'zero' or 'skip'): what an empty target costs: "cost"
            by the formula; "zero" nothing; "skip" nothing, and "mean" leaves it out.
        jaccard (default False; allowed: False or True): whether the shared mass counts once in the
            denominator: overlap over union.
        log (default False; allowed: False or True): -ln of the coefficient instead of 1 minus it, at
            most 100.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        dialect (default None; allowed: 'mmdet' or 'ultralytics' or 'kornia' or 'monai' or 'smp' or
            'transformers' or 'rfdetr'): None: the published formula; or the framework whose built-in to
            equal.

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
        eps: float = 0.001, empty: str = 'cost', jaccard: bool = False, log: bool = False,
        ignore_index: int | Sequence[int] | None = -100, dialect: str | None = None
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
        eps (default 1e-07; allowed: [0, inf)): added to the denominator.
        empty (default 'cost'; allowed: 'cost' or 'zero' or 'skip'): what an empty target costs, see
            `dice_loss`.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
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
        ignore_index: int | Sequence[int] | None = -100, dialect: str | None = None
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
        eps (default 1e-07; allowed: [0, inf)): added to the denominator.
        empty (default 'cost'; allowed: 'cost' or 'zero' or 'skip'): what an empty target costs, see
            `dice_loss`.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
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
        smooth: float = 0.0, eps: float = 1e-07, empty: str = 'cost', ignore_index: int | Sequence[int] | None = -100,
        dialect: str | None = None
    ) -> None: ...
