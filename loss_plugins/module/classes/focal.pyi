"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..loss import Loss
from ..reduction import Reduction

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
        gamma_neg (default 4.0; allowed: [0, inf)): focusing exponent of negatives. The paper uses 4.
        gamma_pos (default 1.0; allowed: [0, inf)): focusing exponent of positives. The authors' code
            uses 1.
        clip (default 0.05; allowed: [0, 1)): negatives with a probability below it cost nothing. The
            paper uses 0.05.
        eps (default 1e-08; allowed: (0, 0.01]): probabilities are kept above it inside the logarithm.
        detach_focus (default True; allowed: False or True): whether the focusing weight is without
            gradient, as by default in the authors' code.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
        label_smoothing (default 0.0; allowed: [0, 1]): share s of the target that is spread over yes
            and no: a target y becomes (1 - s) y + s / 2.

    Use it when:
        Many labels per image, few of them true, and easy negatives should cost nothing at all.

    Avoid it when:
        Calibrated scores are needed: probabilities below clip are free. Or a detector is trained from
        scratch for few epochs: docs/gains.md has what it lost there.

    Source:
        Asymmetric Loss For Multi-Label Classification (2020) https://arxiv.org/abs/2009.14119
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, gamma_neg: float = 4.0,
        gamma_pos: float = 1.0, clip: float = 0.05, eps: float = 1e-08, detach_focus: bool = True,
        ignore_index: int | Sequence[int] | None = -100, class_weight: Sequence[float] | Tensor | float | None = None,
        label_smoothing: float = 0.0
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
        gamma_neg (default 4.0; allowed: [0, inf)): focusing exponent of the other classes. The authors
            use 4.
        gamma_pos (default 0.0; allowed: [0, inf)): focusing exponent of the true class. The authors use
            0.
        label_smoothing (default 0.1; allowed: [0, 1]): share of the target that is spread over all
            classes. The authors use 0.1.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.

    Use it when:
        Exactly one class is true per row; the single-label form of asymmetric.

    Avoid it when:
        label_smoothing is 0 and gamma_pos is 0: it is then plain cross-entropy.

    Source:
        Asymmetric Loss For Multi-Label Classification (2020) https://arxiv.org/abs/2009.14119
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, gamma_neg: float = 4.0,
        gamma_pos: float = 0.0, label_smoothing: float = 0.1, ignore_index: int | Sequence[int] | None = -100,
        class_weight: Sequence[float] | Tensor | float | None = None
    ) -> None: ...

class DDFLoss(Loss, name="ddf"):
    """Decoupled distillation focal loss (DDF): divergence from a teacher, matched queries and the others apart.

    The rows add up to the loss of the batch, which is the result of "mean" and of "sum": the mean over the n1 sides of
    matched queries and the mean over the n2 others, weighted by the roots of n1 and n2; n is the count of a row's own.

    Formula:
        (T²/(√n (√n₁ + √n₂))) ∑_i p_i ln(p_i/q_i)
        p = softmax(t/T)
        q = softmax(x/T)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        temperature (default 5.0; allowed: [0.1, 100]): T. D-FINE's is 5.

    Use it when:
        Layers of a decoder that predict sides of boxes as distributions learn from its last, as in
        D-FINE.

    Avoid it when:
        The last layer is no better than the others yet, unless the loss weighs little.

    Source:
        D-FINE: Redefine Regression Task in DETRs as Fine-grained Distribution Refinement (2024) https://arxiv.org/abs/2410.13842
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        temperature: float = 5.0
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
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
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
        ignore_index: int | Sequence[int] | None = -100, dialect: str | None = None
    ) -> None: ...

class FGLLoss(Loss, name="fgl"):
    """Fine-grained localisation loss (FGL): cross-entropy with the two bins next to the target, of bins not uniform.

    Bins lie as far below 0 as above.

    Formula:
        (1 - r) CE(x, l) + r CE(x, l + 1)
        r = (t - W_l)/(W_(l+1) - W_l)
        W_(n/2+k) = (a c + 1)^(2 k/(n - 2)) - 1

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        reg_max (default None; allowed: an even number in [2, inf)): n, even, which is checked; None:
            whatever pred has. D-FINE's is 32.
        reg_scale (default 4.0; allowed: [0.001, 1000]): c, how dense bins are around 0. D-FINE's is 4.
        up (default 0.5; allowed: [0.001, 1000]): a: the last bins but one lie at a c, the last at twice
            that. D-FINE's is 0.5.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        dialect (default None; allowed: 'transformers'): None: the published formula; or the framework
            whose built-in to equal.

    Use it when:
        Sides of boxes are refined layer by layer as distributions over bins that are not uniform, as in
        D-FINE.

    Avoid it when:
        Bins are uniform, as in YOLOv8: take distribution_focal. Or boxes have no other loss beside it.

    Source:
        D-FINE: Redefine Regression Task in DETRs as Fine-grained Distribution Refinement (2024) https://arxiv.org/abs/2410.13842
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        reg_max: int | None = None, reg_scale: float = 4.0, up: float = 0.5,
        ignore_index: int | Sequence[int] | None = -100, dialect: str | None = None
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
        alpha (default 0.25; allowed: a number in [0, 1], or one per class): weight of positives, 1 -
            alpha for negatives, one number or one per class; None for no weight. The paper uses 0.25.
        gamma (default 2.0; allowed: [0, inf)): how fast easy scores lose weight; 0 for not at all. The
            paper uses 2.
        pos_weight (default None; allowed: a number in [0, inf), or one per class): factor on the part
            of the positives: one number, or one per class.
        activated (default False; allowed: False or True): whether pred holds probabilities.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
        label_smoothing (default 0.0; allowed: [0, 1]): share s of the target that is spread over yes
            and no: a target y becomes (1 - s) y + s / 2.
        dialect (default None; allowed: 'torchvision' or 'mmdet' or 'ultralytics' or 'kornia' or 'monai'
            or 'smp' or 'transformers' or 'rfdetr'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Dense heads with hard labels, in which easy background outnumbers objects a thousandfold.

    Avoid it when:
        Targets are soft: it is not proper there (for a target of 0.8 the best score is 0.95), and
        scores lose calibration; take quality_focal or varifocal. Or a detector is trained from scratch
        for few epochs: docs/gains.md has what it lost there.

    Source:
        Focal Loss for Dense Object Detection (2017) https://arxiv.org/abs/1708.02002
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        alpha: float | Sequence[float] | Tensor | None = 0.25, gamma: float = 2.0,
        pos_weight: float | Sequence[float] | Tensor | None = None, activated: bool = False,
        ignore_index: int | Sequence[int] | None = -100, class_weight: Sequence[float] | Tensor | float | None = None,
        label_smoothing: float = 0.0, dialect: str | None = None
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
        alpha (default 2.0; allowed: [0, inf)): focusing exponent. The paper uses 2.
        gamma (default 4.0; allowed: [0, inf)): exponent of the discount near centres. The paper uses 4.
        pos_weight (default 1.0; allowed: a number in [0, inf), or one per class): factor at centres,
            one number or one per class.
        neg_weight (default 1.0; allowed: a number in [0, inf), or one per class): factor elsewhere,
            likewise.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
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
        gamma: float = 4.0, pos_weight: float | Sequence[float] | Tensor = 1.0,
        neg_weight: float | Sequence[float] | Tensor = 1.0, ignore_index: int | Sequence[int] | None = -100,
        class_weight: Sequence[float] | Tensor | float | None = None, dialect: str | None = None
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
        bins (default 10; allowed: a whole number in [1, 1000]): number of bins of |p - y|. The paper
            uses 10 to 30.
        momentum (default 0.0; allowed: [0, 1)): share of the running count that stays; 0 for the counts
            of the batch alone.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
        label_smoothing (default 0.0; allowed: [0, 1]): share s of the target that is spread over yes
            and no: a target y becomes (1 - s) y + s / 2.
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
        momentum: float = 0.0, ignore_index: int | Sequence[int] | None = -100,
        class_weight: Sequence[float] | Tensor | float | None = None, label_smoothing: float = 0.0,
        dialect: str | None = None
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
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.

    Use it when:
        Cross-entropy works and a slightly stronger pull on unsure rows is wanted, for one parameter.

    Avoid it when:
        epsilon is not tuned: its best value, even its sign, differs between data sets.

    Source:
        PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions (2022) https://arxiv.org/abs/2204.12511
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, epsilon: float = 1.0,
        ignore_index: int | Sequence[int] | None = -100, class_weight: Sequence[float] | Tensor | float | None = None
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
        alpha (default 0.25; allowed: a number in [0, 1], or one per class): weight of positives, 1 -
            alpha for negatives, one number or one per class; None for no weight. The added term carries
            none.
        gamma (default 2.0; allowed: [0, inf)): how fast easy scores lose weight. The paper uses 2.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
        label_smoothing (default 0.0; allowed: [0, 1]): share s of the target that is spread over yes
            and no: a target y becomes (1 - s) y + s / 2.

    Use it when:
        As focal, with more pull on unsure scores.

    Avoid it when:
        Negatives dominate: the added term carries no alpha, so it weighs them as much as positives.

    Source:
        PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions (2022) https://arxiv.org/abs/2204.12511
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, epsilon: float = 1.0,
        alpha: float | Sequence[float] | Tensor | None = 0.25, gamma: float = 2.0,
        ignore_index: int | Sequence[int] | None = -100, class_weight: Sequence[float] | Tensor | float | None = None,
        label_smoothing: float = 0.0
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
        beta (default 2.0; allowed: [0, inf)): exponent of the distance. The paper uses 2.
        activated (default False; allowed: False or True): whether pred holds probabilities.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
        dialect (default None; allowed: 'mmdet'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        Targets are soft (IoU of the box, or an assigner's score): the best score is the target itself.

    Avoid it when:
        Targets are hard and confidence should not follow box quality: focal does that. Or a detector is
        trained from scratch for few epochs: docs/gains.md has what it lost there.

    Source:
        Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes for Dense Object Detection (2020) https://arxiv.org/abs/2006.04388
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *, beta: float = 2.0,
        activated: bool = False, ignore_index: int | Sequence[int] | None = -100,
        class_weight: Sequence[float] | Tensor | float | None = None, dialect: str | None = None
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
        alpha (default None; allowed: a number in [0, 1], or one per class): weight of every class but
            the first, 1 - alpha for class 0 (background); or one weight per class; None for no weight.
        gamma (default 2.0; allowed: [0, inf)): how fast easy rows lose weight. The paper uses 2.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
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
        alpha: float | Sequence[float] | Tensor | None = None, gamma: float = 2.0,
        ignore_index: int | Sequence[int] | None = -100, class_weight: Sequence[float] | Tensor | float | None = None,
        dialect: str | None = None
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
        alpha (default 0.75; allowed: a number in [0, 10], or one per class): weight of negatives, one
            number or one per class. The paper uses 0.75.
        gamma (default 2.0; allowed: [0, inf)): exponent for negatives. The paper uses 2.
        iou_weighted (default True; allowed: False or True): whether positives weigh their quality, else
            1.
        detach_weight (default False; allowed: False or True): whether the weight of negatives is
            without gradient, as in RT-DETR, D-FINE and DEIM.
        activated (default False; allowed: False or True): whether pred holds probabilities.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
        dialect (default None; allowed: 'mmdet' or 'ultralytics' or 'transformers' or 'rfdetr'): None:
            the published formula; or the framework whose built-in to equal.

    Use it when:
        Targets are box qualities and the best boxes should lead: positives weigh as much as their
        quality.

    Avoid it when:
        Qualities start near 0, as early in training: positives then weigh next to nothing. Or a
        detector is trained from scratch for few epochs: docs/gains.md has what it lost there.

    Source:
        VarifocalNet: An IoU-aware Dense Object Detector (2020) https://arxiv.org/abs/2008.13367
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        alpha: float | Sequence[float] | Tensor = 0.75, gamma: float = 2.0, iou_weighted: bool = True,
        detach_weight: bool = False, activated: bool = False, ignore_index: int | Sequence[int] | None = -100,
        class_weight: Sequence[float] | Tensor | float | None = None, dialect: str | None = None
    ) -> None: ...
