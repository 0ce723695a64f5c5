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
        smooth (default 0.0; allowed: [0, inf)): added to numerator and denominator; above 0, an empty
            prediction of an empty target costs 0.
        eps (default 0.001; allowed: [0, inf)): added to the denominator.
        jaccard (default False; allowed: False or True): whether the shared mass counts once in the
            denominator: overlap over union.
        log (default False; allowed: False or True): -ln of the coefficient instead of 1 minus it, at
            most 100.
        activation (default 'sigmoid'; allowed: 'sigmoid' or 'softmax' or 'none'): "sigmoid" or
            "softmax" (over axis 1) of pred; "none" if pred holds probabilities.
        over (default 'image'; allowed: 'image' or 'batch' or 'channel' or 'batch_channel'): the region
            that one loss is for: "image" for each image, (n,); "batch" for all of them, (); "channel" for
            each channel of each image, (n, C); "batch_channel" for each channel of the batch, (C,).
        overlap (default 'product'; allowed: 'product' or 'min'): "product" for p t; "min" for min(p,
            t), by which a perfect soft prediction costs 0.
        empty (default 'cost'; allowed: 'cost' or 'zero' or 'skip'): what an empty target costs: "cost"
            by the formula; "zero" nothing; "skip" nothing, and "mean" leaves it out.
        classes (default None; allowed: an integer, or several): the classes that count, one or several;
            None for all. The softmax is over all of them.
        include_background (default True; allowed: True or False): whether class 0 counts.
        class_weight (default None; allowed: a number in [0, inf), or one per class): one number, or one
            per class of pred: weight of the loss of a channel, where "mean" divides by the weights; in
            regions of all classes, of the pixels of a class.
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
        smooth: float = 0.0, eps: float = 0.001, jaccard: bool = False, log: bool = False, activation: str = 'sigmoid',
        over: str = 'image', overlap: str = 'product', empty: str = 'cost', classes: int | Sequence[int] | None = None,
        include_background: bool = True, class_weight: Sequence[float] | Tensor | float | None = None,
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
        smooth (default 0.0; allowed: [0, inf)): added to numerator and denominator.
        eps (default 1e-07; allowed: [0, inf)): added to the denominator.
        activation (default 'sigmoid'; allowed: 'sigmoid' or 'softmax' or 'none'): "sigmoid" or
            "softmax" (over axis 1) of pred; "none" if pred holds probabilities.
        over (default 'image'; allowed: 'image' or 'batch' or 'channel' or 'batch_channel'): the region
            that one loss is for: "image" for each image, (n,); "batch" for all of them, (); "channel" for
            each channel of each image, (n, C); "batch_channel" for each channel of the batch, (C,).
        overlap (default 'product'; allowed: 'product' or 'min'): "product" for p t; "min" for min(p,
            t), by which a perfect soft prediction costs 0.
        empty (default 'cost'; allowed: 'cost' or 'zero' or 'skip'): what an empty target costs: "cost"
            by the formula; "zero" nothing; "skip" nothing, and "mean" leaves it out.
        classes (default None; allowed: an integer, or several): the classes that count, one or several;
            None for all. The softmax is over all of them.
        include_background (default True; allowed: True or False): whether class 0 counts.
        class_weight (default None; allowed: a number in [0, inf), or one per class): one number, or one
            per class of pred: weight of the loss of a channel, where "mean" divides by the weights; in
            regions of all classes, of the pixels of a class.
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
        gamma: float = 1.3333333333333333, alpha: float = 0.3, beta: float = 0.7, smooth: float = 0.0,
        eps: float = 1e-07, activation: str = 'sigmoid', over: str = 'image', overlap: str = 'product',
        empty: str = 'cost', classes: int | Sequence[int] | None = None, include_background: bool = True,
        class_weight: Sequence[float] | Tensor | float | None = None, ignore_index: int | Sequence[int] | None = -100,
        dialect: str | None = None
    ) -> None: ...

class GeneralizedDiceLoss(Loss, name="generalized_dice"):
    """Generalised Dice loss: the overlap of all classes over their masses, each class weighted by its inverse size.

    Formula:
        1 - (2 ∑_c w_c ∑ p t + s)/(∑_c w_c (∑ p + ∑ t) + s)
        w_c = 1/(∑ t)²

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        weighting (default 'square'; allowed: 'square' or 'simple' or 'uniform'): the weight of a class:
            "square" for 1 over its squared size in the target, the paper's; "simple" for 1 over its size;
            "uniform" for 1. A class that is not there weighs what the smallest does.
        over (default 'image'; allowed: 'image' or 'batch'): the region that one loss is for: "image"
            for each image, (n,); "batch" for all of them, ().
        smooth (default 0.0; allowed: [0, inf)): added to numerator and denominator.
        eps (default 0.0; allowed: [0, inf)): added to the denominator.
        activation (default 'sigmoid'; allowed: 'sigmoid' or 'softmax' or 'none'): "sigmoid" or
            "softmax" (over axis 1) of pred; "none" if pred holds probabilities.
        overlap (default 'product'; allowed: 'product' or 'min'): "product" for p t; "min" for min(p,
            t), by which a perfect soft prediction costs 0.
        empty (default 'cost'; allowed: 'cost' or 'zero' or 'skip'): what an empty target costs: "cost"
            by the formula; "zero" nothing; "skip" nothing, and "mean" leaves it out.
        classes (default None; allowed: an integer, or several): the classes that count, one or several;
            None for all. The softmax is over all of them.
        include_background (default True; allowed: True or False): whether class 0 counts.
        class_weight (default None; allowed: a number in [0, inf), or one per class): one number, or one
            per class of pred: weight of the loss of a channel, where "mean" divides by the weights; in
            regions of all classes, of the pixels of a class.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        dialect (default None; allowed: 'monai'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Classes differ much in size, and small ones should count as much as large ones.

    Avoid it when:
        Some classes are only a few pixels of noise: they weigh most.

    Source:
        Generalised Dice overlap as a deep learning loss function for highly unbalanced segmentations (2017) https://arxiv.org/abs/1707.03237
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        weighting: str = 'square', over: str = 'image', smooth: float = 0.0, eps: float = 0.0,
        activation: str = 'sigmoid', overlap: str = 'product', empty: str = 'cost',
        classes: int | Sequence[int] | None = None, include_background: bool = True,
        class_weight: Sequence[float] | Tensor | float | None = None, ignore_index: int | Sequence[int] | None = -100,
        dialect: str | None = None
    ) -> None: ...

class JaccardLoss(Loss, name="jaccard"):
    """Jaccard loss, soft IoU of masks: 1 minus the overlap over the union.

    Formula:
        1 - (∑ p t + s)/(∑ p + ∑ t - ∑ p t + s)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        smooth (default 0.0; allowed: [0, inf)): added to numerator and denominator.
        eps (default 1e-07; allowed: [0, inf)): added to the denominator.
        log (default False; allowed: False or True): -ln of the index instead of 1 minus it, at most
            100.
        activation (default 'sigmoid'; allowed: 'sigmoid' or 'softmax' or 'none'): "sigmoid" or
            "softmax" (over axis 1) of pred; "none" if pred holds probabilities.
        over (default 'image'; allowed: 'image' or 'batch' or 'channel' or 'batch_channel'): the region
            that one loss is for: "image" for each image, (n,); "batch" for all of them, (); "channel" for
            each channel of each image, (n, C); "batch_channel" for each channel of the batch, (C,).
        overlap (default 'product'; allowed: 'product' or 'min'): "product" for p t; "min" for min(p,
            t), by which a perfect soft prediction costs 0.
        empty (default 'cost'; allowed: 'cost' or 'zero' or 'skip'): what an empty target costs: "cost"
            by the formula; "zero" nothing; "skip" nothing, and "mean" leaves it out.
        classes (default None; allowed: an integer, or several): the classes that count, one or several;
            None for all. The softmax is over all of them.
        include_background (default True; allowed: True or False): whether class 0 counts.
        class_weight (default None; allowed: a number in [0, inf), or one per class): one number, or one
            per class of pred: weight of the loss of a channel, where "mean" divides by the weights; in
            regions of all classes, of the pixels of a class.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        dialect (default None; allowed: 'smp' or 'monai'): None: the published formula; or the framework
            whose built-in to equal.

    Use it when:
        The IoU of masks is what is measured, classes are few, and each is there.

    Avoid it when:
        Masks are tiny or empty, or it is the only loss from the start: add cross-entropy.

    Source:
        Optimizing Intersection-Over-Union in Deep Neural Networks for Image Segmentation (2016) https://doi.org/10.1007/978-3-319-50835-1_22
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, smooth: float = 0.0,
        eps: float = 1e-07, log: bool = False, activation: str = 'sigmoid', over: str = 'image',
        overlap: str = 'product', empty: str = 'cost', classes: int | Sequence[int] | None = None,
        include_background: bool = True, class_weight: Sequence[float] | Tensor | float | None = None,
        ignore_index: int | Sequence[int] | None = -100, dialect: str | None = None
    ) -> None: ...

class LogCoshDiceLoss(Loss, name="log_cosh_dice"):
    """Log-cosh Dice loss: the logarithm of the hyperbolic cosine of Dice loss.

    Formula:
        ln(cosh(1 - (2 ∑ p t + s)/(∑ p + ∑ t + s)))

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        smooth (default 1.0; allowed: [0, inf)): added to numerator and denominator. The authors' code
            has 1.
        activation (default 'sigmoid'; allowed: 'sigmoid' or 'softmax' or 'none'): "sigmoid" or
            "softmax" (over axis 1) of pred; "none" if pred holds probabilities.
        over (default 'image'; allowed: 'image' or 'batch' or 'channel' or 'batch_channel'): the region
            that one loss is for: "image" for each image, (n,); "batch" for all of them, (); "channel" for
            each channel of each image, (n, C); "batch_channel" for each channel of the batch, (C,).
        overlap (default 'product'; allowed: 'product' or 'min'): "product" for p t; "min" for min(p,
            t), by which a perfect soft prediction costs 0.
        empty (default 'cost'; allowed: 'cost' or 'zero' or 'skip'): what an empty target costs: "cost"
            by the formula; "zero" nothing; "skip" nothing, and "mean" leaves it out.
        classes (default None; allowed: an integer, or several): the classes that count, one or several;
            None for all. The softmax is over all of them.
        include_background (default True; allowed: True or False): whether class 0 counts.
        class_weight (default None; allowed: a number in [0, inf), or one per class): one number, or one
            per class of pred: weight of the loss of a channel, where "mean" divides by the weights; in
            regions of all classes, of the pixels of a class.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.

    Use it when:
        Masks are noisy, and the last percents of Dice should not rule: near 0 it is half its square.

    Avoid it when:
        You hope for faster training: every gradient is smaller than that of Dice.

    Source:
        A survey of loss functions for semantic segmentation (2020) https://arxiv.org/abs/2006.14822
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, smooth: float = 1.0,
        activation: str = 'sigmoid', over: str = 'image', overlap: str = 'product', empty: str = 'cost',
        classes: int | Sequence[int] | None = None, include_background: bool = True,
        class_weight: Sequence[float] | Tensor | float | None = None, ignore_index: int | Sequence[int] | None = -100
    ) -> None: ...

class LovaszHingeLoss(Loss, name="lovasz_hinge"):
    """Lovasz hinge loss: the hinge errors of logits, weighted by what each pixel adds to the Jaccard loss.

    Right pixels cost 0 from a margin of 1 on. Where the target is empty only the worst pixel counts.

    Formula:
        ∑_k max(m_k, 0) (J_k - J_(k-1))
        J_k = 1 - (G - ∑_(i≤k) t_i)/(G + ∑_(i≤k) (1 - t_i))
        m_k = 1 - x_k (2 t_k - 1)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        over (default 'image'; allowed: 'image' or 'batch' or 'channel' or 'batch_channel'): the region
            that one loss is for, see `dice_loss`. Weights of classes are for regions of one channel.
        classes (default None; allowed: an integer, or several): the classes that count, one or several;
            None for all. The softmax is over all of them.
        include_background (default True; allowed: True or False): whether class 0 counts.
        class_weight (default None; allowed: a number in [0, inf), or one per class): one number, or one
            per class of pred: weight of the loss of a channel, where "mean" divides by the weights; in
            regions of all classes, of the pixels of a class.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        dialect (default None; allowed: 'smp' or 'kornia'): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        You fine-tune one mask per object or class towards its IoU, after cross-entropy.

    Avoid it when:
        It is the only loss from the start, or pred holds probabilities: it wants logits.

    Source:
        The Lovasz-Softmax loss: A tractable surrogate for the optimization of the intersection-over-union measure (2017) https://arxiv.org/abs/1705.08790
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, over: str = 'image',
        classes: int | Sequence[int] | None = None, include_background: bool = True,
        class_weight: Sequence[float] | Tensor | float | None = None, ignore_index: int | Sequence[int] | None = -100,
        dialect: str | None = None
    ) -> None: ...

class LovaszSoftmaxLoss(Loss, name="lovasz_softmax"):
    """Lovasz softmax loss: per class the errors of its probability, weighted by what each adds to the Jaccard loss.

    Formula:
        (1/C) ∑_c ∑_k max(m_k, 0) (J_k - J_(k-1))
        J_k = 1 - (G - ∑_(i≤k) t_i)/(G + ∑_(i≤k) (1 - t_i))
        m_k = |t_kc - p_kc|

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        classes (default 'present'; allowed: 'present' or 'all'): the classes of which the mean is
            taken: "present" in the region, or "all", where one that is not there costs its largest
            probability.
        activation (default 'softmax'; allowed: 'softmax' or 'sigmoid' or 'none'): of pred, see
            `dice_loss`.
        over (default 'image'; allowed: 'image' or 'batch'): the region that one loss is for: "image"
            for each image, (n,); "batch" for all of them, ().
        include_background (default True; allowed: True or False): whether class 0 counts.
        class_weight (default None; allowed: a number in [0, inf), or one per class): one number, or one
            per class of pred: weight of the loss of a channel, where "mean" divides by the weights; in
            regions of all classes, of the pixels of a class.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        dialect (default None; allowed: 'smp' or 'kornia'): None: the published formula; or the
            framework whose built-in to equal.

    Use it when:
        You fine-tune a segmentation of classes towards its mean IoU, after cross-entropy.

    Avoid it when:
        It is the only loss from the start, or a batch holds few of the classes.

    Source:
        The Lovasz-Softmax loss: A tractable surrogate for the optimization of the intersection-over-union measure (2017) https://arxiv.org/abs/1705.08790
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        classes: str = 'present', activation: str = 'softmax', over: str = 'image', include_background: bool = True,
        class_weight: Sequence[float] | Tensor | float | None = None, ignore_index: int | Sequence[int] | None = -100,
        dialect: str | None = None
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
        smooth (default 0.0; allowed: [0, inf)): added to numerator and denominator.
        eps (default 1e-07; allowed: [0, inf)): added to the denominator.
        activation (default 'sigmoid'; allowed: 'sigmoid' or 'softmax' or 'none'): "sigmoid" or
            "softmax" (over axis 1) of pred; "none" if pred holds probabilities.
        over (default 'image'; allowed: 'image' or 'batch' or 'channel' or 'batch_channel'): the region
            that one loss is for: "image" for each image, (n,); "batch" for all of them, (); "channel" for
            each channel of each image, (n, C); "batch_channel" for each channel of the batch, (C,).
        overlap (default 'product'; allowed: 'product' or 'min'): "product" for p t; "min" for min(p,
            t), by which a perfect soft prediction costs 0.
        empty (default 'cost'; allowed: 'cost' or 'zero' or 'skip'): what an empty target costs: "cost"
            by the formula; "zero" nothing; "skip" nothing, and "mean" leaves it out.
        classes (default None; allowed: an integer, or several): the classes that count, one or several;
            None for all. The softmax is over all of them.
        include_background (default True; allowed: True or False): whether class 0 counts.
        class_weight (default None; allowed: a number in [0, inf), or one per class): one number, or one
            per class of pred: weight of the loss of a channel, where "mean" divides by the weights; in
            regions of all classes, of the pixels of a class.
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
        beta: float = 0.7, smooth: float = 0.0, eps: float = 1e-07, activation: str = 'sigmoid', over: str = 'image',
        overlap: str = 'product', empty: str = 'cost', classes: int | Sequence[int] | None = None,
        include_background: bool = True, class_weight: Sequence[float] | Tensor | float | None = None,
        ignore_index: int | Sequence[int] | None = -100, dialect: str | None = None
    ) -> None: ...
