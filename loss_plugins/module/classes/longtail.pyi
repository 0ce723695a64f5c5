"""The module classes as editors read them. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from ..loss import Loss
from ..reduction import Reduction

class EFLLoss(Loss, name="efl"):
    """Equalized focal loss: focal loss whose exponent is larger for classes that negatives pull at more than positives.

    The module keeps `gradients`, the sums of both pulls, and learns them in the backward pass of training, from the
    gradient that reaches its prediction: with weights, reduction and gradient scaling in it.

    Formula:
        -α_t (f/γ) (1 - p_t)^f ln p_t
        f = γ + s (1 - min(1, g))
        g = (∑ y |L'|)/(∑ (1 - y) |L'|)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        num_classes (default None; allowed: a whole number in [1, 1e+06]): number of classes, without
            background; None: as many as pred has, from the first call on, which
            `torch.compile(fullgraph=True)` cannot trace.
        gamma (default 2.0; allowed: (0, inf)): exponent of balanced classes. The paper uses 2.
        alpha (default 0.25; allowed: a number in [0, 1], or one per class): weight of positives, 1 -
            alpha for negatives, one number or one per class; None for no weight. The paper uses 0.25.
        scale (default 8.0; allowed: [0, inf)): how much larger the exponent of a class is that has no
            positives. The paper uses 8.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
        label_smoothing (default 0.0; allowed: [0, 1]): share s of the target that is spread over yes
            and no: a target y becomes (1 - s) y + s / 2.

    Use it when:
        A dense head with focal loss has classes of which some are met a hundred times as often as
        others.

    Avoid it when:
        No gradient reaches the logits by autograd, or its scale changes from step to step: take eqlv2.

    Source:
        Equalized Focal Loss for Dense Long-Tailed Object Detection (2022) https://arxiv.org/abs/2201.02593
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        num_classes: int | None = None, gamma: float = 2.0, alpha: float | Sequence[float] | Tensor | None = 0.25,
        scale: float = 8.0, ignore_index: int | Sequence[int] | None = -100,
        class_weight: Sequence[float] | Tensor | float | None = None, label_smoothing: float = 0.0
    ) -> None: ...

class EQLV2Loss(Loss, name="eqlv2"):
    """Equalization loss v2: cross-entropy that weighs a class by the ratio of what its positives and negatives pull.

    The module keeps `gradients`, the sums of both; they learn in training with gradients on, after use: a step is
    weighed by the steps before it. Classes that have met none weigh 1.

    Formula:
        [(1 + α (1 - n)) y + n (1 - y)] BCE(x, y)
        n = 1/(1 + e^(-γ (g - μ)))
        g = (∑ y |p - y|)/(∑ (1 - y) |p - y|)

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        num_classes (default None; allowed: a whole number in [1, 1e+06]): number of classes, without
            background; None: as many as pred has, from the first call on.
        mu (default 0.8; allowed: [0, inf)): the ratio at which negatives weigh half.
        gamma (default 12.0; allowed: [0, inf)): how steep the weight rises with the ratio.
        alpha (default 4.0; allowed: [0, inf)): how much more positives weigh at most.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
        label_smoothing (default 0.0; allowed: [0, 1]): share s of the target that is spread over yes
            and no: a target y becomes (1 - s) y + s / 2.
        dialect (default None; allowed: 'mmdet'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        A sigmoid head has classes of which some are met a hundred times as often as others.

    Avoid it when:
        Data are few: the ratio of gradients swings. For focal heads of one stage there is efl.

    Source:
        Equalization Loss v2: A New Gradient Balance Approach for Long-tailed Object Detection (2021) https://arxiv.org/abs/2012.08548
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        num_classes: int | None = None, mu: float = 0.8, gamma: float = 12.0, alpha: float = 4.0,
        ignore_index: int | Sequence[int] | None = -100, class_weight: Sequence[float] | Tensor | float | None = None,
        label_smoothing: float = 0.0, dialect: str | None = None
    ) -> None: ...

class SeesawLoss(Loss, name="seesaw"):
    """Seesaw loss: cross-entropy of a softmax in which rows of frequent classes press less on rare ones.

    The module keeps `counts`, the number of rows of each class, which learn before use in training with gradients on.
    Rows of background cost 0, and "mean" divides by the number of the others: whether there is an object is scored
    apart, as MMDetection's heads do with two more channels.

    Formula:
        ln(∑_j S_j e^(x_j)) - x_y
        S_j = m_j^p c_j^q
        m_j = min(1, N_j/N_y)
        c_j = max(1, s_j/max(s_y, ε))
        s = sg(softmax(x))

    Args:
        reduction (default 'mean'; allowed: 'none' or 'mean' or 'sum'): "none", "mean" or "sum".
        loss_weight (default 1.0; allowed: (-inf, inf)): factor on the result, applied last.
        compile (default False; allowed: False or True): turn value and gradient into machine code, by
            torch's compiler; the first call takes the time for it.
        num_classes (default None; allowed: a whole number in [1, 1e+06]): number of classes, without
            background; None: as many as pred has, from the first call on.
        p (default 0.8; allowed: [0, inf)): how much less rare classes are pressed on (mitigation). The
            paper uses 0.8.
        q (default 2.0; allowed: [0, inf)): how much more classes are pressed on that score above the
            true one (compensation). The paper uses 2.
        eps (default 0.01; allowed: (0, 1]): a score of the true class below it counts as this much. The
            authors use 0.01.
        ignore_index (default -100; allowed: an integer, or several): label of rows that cost 0, have no
            gradient and do not count in "mean"; one number or several.
        class_weight (default None; allowed: a number in [0, inf), or one per class): factor on the
            scores of a class, or on the rows that are labelled so: one number, or one per class.
        dialect (default None; allowed: 'mmdet'): None: the published formula; or the framework whose
            built-in to equal.

    Use it when:
        A softmax head has classes of which some are met a hundred times as often as others.

    Avoid it when:
        Classes are balanced: then it adds noise alone. Or a training goes on without the counts of its
        start.

    Source:
        Seesaw Loss for Long-Tailed Instance Segmentation (2021) https://arxiv.org/abs/2008.10032
    """
    def __init__(
        self, reduction: Reduction = 'mean', loss_weight: float = 1.0, compile: bool = False, *,
        num_classes: int | None = None, p: float = 0.8, q: float = 2.0, eps: float = 0.01,
        ignore_index: int | Sequence[int] | None = -100, class_weight: Sequence[float] | Tensor | float | None = None,
        dialect: str | None = None
    ) -> None: ...
