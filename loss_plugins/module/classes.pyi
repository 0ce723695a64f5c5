"""Signatures of the module classes. Made by `python -m tools.stubs`; do not edit."""

from collections.abc import Sequence

from torch import Tensor

from .loss import Loss
from .mix import MixLoss as MixLoss
from .reduction import Reduction

class AlphaCIoULoss(Loss, name="alpha_ciou"):
    """Alpha-CIoU loss: CIoU loss with every term raised to the power alpha."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 3.0,
        eps: float | None = None, box_format: str = 'xyxy', inner_ratio: float | None = None,
        focaler: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class AlphaDIoULoss(Loss, name="alpha_diou"):
    """Alpha-DIoU loss: DIoU loss with every term raised to the power alpha."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 3.0,
        eps: float | None = None, box_format: str = 'xyxy', inner_ratio: float | None = None,
        focaler: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class AlphaGIoULoss(Loss, name="alpha_giou"):
    """Alpha-GIoU loss: GIoU loss with every term raised to the power alpha."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 3.0,
        eps: float | None = None, box_format: str = 'xyxy', inner_ratio: float | None = None,
        focaler: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class AlphaIoULoss(Loss, name="alpha_iou"):
    """Alpha-IoU loss: IoU loss with every term raised to the power alpha."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 3.0,
        eps: float | None = None, box_format: str = 'xyxy', inner_ratio: float | None = None,
        focaler: Sequence[float] | None = None, focal_gamma: float = 0.0, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class AsymmetricLoss(Loss, name="asymmetric"):
    """Asymmetric loss: focal loss with its own exponent for negatives, of which easy ones are free."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, gamma_neg: float = 4.0,
        gamma_pos: float = 1.0, clip: float = 0.05, eps: float = 1e-08, detach_focus: bool = True
    ) -> None: ...

class AsymmetricSoftmaxLoss(Loss, name="asymmetric_softmax"):
    """Asymmetric loss of the softmax of logits, with a target that is smoothed after weighing."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, gamma_neg: float = 4.0,
        gamma_pos: float = 0.0, label_smoothing: float = 0.1
    ) -> None: ...

class BCELoss(Loss, name="bce"):
    """Binary cross-entropy of probabilities, at most 100 per score."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        dialect: str | None = None
    ) -> None: ...

class BCEWithLogitsLoss(Loss, name="bce_with_logits"):
    """Binary cross-entropy of logits."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        pos_weight: float | Sequence[float] | Tensor | None = None, dialect: str | None = None
    ) -> None: ...

class BalancedL1Loss(Loss, name="balanced_l1"):
    """L1 whose gradient rises faster near 0, so that accurate boxes count more."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 0.5,
        gamma: float = 1.5, beta: float = 1.0, dialect: str | None = None
    ) -> None: ...

class BoundedIoULoss(Loss, name="bounded_iou"):
    """Bounded IoU loss: for x, y, w and h each, 1 minus the best IoU possible with that error, smooth near 0."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, beta: float = 0.2,
        eps: float = 0.001, dialect: str | None = None
    ) -> None: ...

class CDIoULoss(Loss, name="cdiou"):
    """Control-distance IoU loss: 1 - IoU plus the mean distance of the corners over the enclosing diagonal."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, lam: float = 1.0,
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class CIoULoss(Loss, name="ciou"):
    """Complete IoU loss: DIoU plus a weighted difference in aspect ratio."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class CrossEntropyLoss(Loss, name="cross_entropy"):
    """Cross-entropy of the softmax of logits. "mean" divides by the class weights of the labels met, as torch's."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        class_weight: Sequence[float] | Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100,
        dialect: str | None = None
    ) -> None: ...

class DIoULoss(Loss, name="diou"):
    """Distance IoU loss: 1 - IoU plus the squared centre distance over the squared diagonal of the enclosing box."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class DiceLoss(Loss, name="dice"):
    """Dice loss: 1 minus twice the overlap over the sum of both masses."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, form: str = 'vnet',
        activation: str = 'sigmoid', over: str = 'image', overlap: str = 'product', smooth: float = 0.0,
        eps: float = 0.001, empty: str = 'cost', jaccard: bool = False, log: bool = False, dialect: str | None = None
    ) -> None: ...

class DistributionFocalLoss(Loss, name="distribution_focal"):
    """Distribution focal loss: cross-entropy with the two bins next to the target."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, margin: float = 0.0,
        dialect: str | None = None
    ) -> None: ...

class EIoULoss(Loss, name="eiou"):
    """Efficient IoU loss: DIoU plus the squared differences in width and height over the enclosing sides."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class ExtendedIoULoss(Loss, name="extended_iou"):
    """Extended IoU loss: 1 - IoU with an intersection that turns negative for disjoint boxes, smooth near 0."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        smooth_point: float = 0.1, eps: float = 1e-07, box_format: str = 'xyxy', dialect: str | None = None
    ) -> None: ...

class FocalEIoULoss(Loss, name="focal_eiou"):
    """Focal EIoU loss: EIoU weighted by IoU^gamma, so that good boxes count more."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, gamma: float = 0.5,
        normalize: bool = False, eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, wise: int | None = None,
        dialect: str | None = None
    ) -> None: ...

class FocalL1Loss(Loss, name="focal_l1"):
    """L1 whose gradient peaks at an error of 1 / (e beta) and falls off on both sides."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        alpha: float | None = None, beta: float = 0.8
    ) -> None: ...

class FocalLoss(Loss, name="focal"):
    """Sigmoid focal loss: binary cross-entropy with easy scores weighed down."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        alpha: float | None = 0.25, gamma: float = 2.0, activated: bool = False, dialect: str | None = None
    ) -> None: ...

class FocalTverskyLoss(Loss, name="focal_tversky"):
    """Focal Tversky loss: the Tversky loss to the power 1 / gamma."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        gamma: float = 1.3333333333333333, alpha: float = 0.3, beta: float = 0.7, activation: str = 'sigmoid',
        over: str = 'image', overlap: str = 'product', smooth: float = 0.0, eps: float = 1e-07, empty: str = 'cost',
        dialect: str | None = None
    ) -> None: ...

class GHMCLoss(Loss, name="ghm_c"):
    """Gradient-harmonised loss: binary cross-entropy over the density of scores with a gradient of that size."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, bins: int = 10,
        momentum: float = 0.0, dialect: str | None = None
    ) -> None: ...

class GIoULoss(Loss, name="giou"):
    """Generalized IoU loss: 1 - IoU plus the empty share of the enclosing box."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class GWDLoss(Loss, name="gwd"):
    """Gaussian Wasserstein distance of rotated boxes."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, fun: str = 'log1p',
        tau: float = 1.0, alpha: float = 1.0, normalize: bool = True, dialect: str | None = None
    ) -> None: ...

class GaussianFocalLoss(Loss, name="gaussian_focal"):
    """Focal loss of heat maps of probabilities: negatives near a centre count less."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 2.0,
        gamma: float = 4.0, dialect: str | None = None
    ) -> None: ...

class HingeEmbeddingLoss(Loss, name="hinge_embedding"):
    """Distance of pairs that are alike, and what pairs that are not lack to the margin."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, margin: float = 1.0,
        dialect: str | None = None
    ) -> None: ...

class HuberLoss(Loss, name="huber"):
    """Half the square up to delta, then a line of slope delta."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, delta: float = 1.0,
        dialect: str | None = None
    ) -> None: ...

class IoULoss(Loss, name="iou"):
    """IoU loss: 1 - IoU, -ln IoU or 1 - IoU^2."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, mode: str = 'linear',
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class JDLoss(Loss, name="jd"):
    """Jeffreys divergence of rotated boxes: the mean of both Kullback-Leibler divergences."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, fun: str = 'log1p',
        tau: float = 1.0, alpha: float = 1.0, sqrt: bool = True, dialect: str | None = None
    ) -> None: ...

class KFIoULoss(Loss, name="kfiou"):
    """Kalman-filter IoU of rotated boxes, plus SmoothL1 of the centres."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, fun: str = 'none',
        beta: float = 0.1111111111111111, eps: float = 1e-06, dialect: str | None = None
    ) -> None: ...

class KLDLoss(Loss, name="kld"):
    """Kullback-Leibler divergence of rotated boxes."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, fun: str = 'log1p',
        tau: float = 1.0, alpha: float = 1.0, sqrt: bool = True, symmetric: str | None = None,
        dialect: str | None = None
    ) -> None: ...

class KLDivLoss(Loss, name="kl_div"):
    """Terms of the Kullback-Leibler divergence of pred from target. "mean" is torch's "batchmean"."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        log_target: bool = False, dialect: str | None = None
    ) -> None: ...

class L1Loss(Loss, name="l1"):
    """Absolute difference of each coordinate, in its unit."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        dialect: str | None = None
    ) -> None: ...

class MPDIoULoss(Loss, name="mpdiou"):
    """Minimum-point-distance IoU loss: 1 - IoU plus the squared corner distances over the image's squared diagonal."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        image_size: Sequence[float], eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class MSELoss(Loss, name="mse"):
    """Squared difference of each coordinate, without a factor 1/2."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        dialect: str | None = None
    ) -> None: ...

class MarginRankingLoss(Loss, name="margin_ranking"):
    """Cost of two scores in the wrong order: by how much, plus the margin."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, margin: float = 0.0,
        dialect: str | None = None
    ) -> None: ...

class NLLLoss(Loss, name="nll"):
    """Negative log-likelihood of log-probabilities. "mean" divides by the class weights of the labels met, as torch's."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        class_weight: Sequence[float] | Tensor | None = None, ignore_index: int = -100, dialect: str | None = None
    ) -> None: ...

class NWDLoss(Loss, name="nwd"):
    """Normalised Gaussian Wasserstein distance: boxes as Gaussians, at a distance W."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, constant: float = 12.8,
        mode: str = 'exp', gamma: float = 1.0, eps: float = 1e-07, box_format: str = 'xyxy'
    ) -> None: ...

class PIoULoss(Loss, name="piou"):
    """Powerful-IoU loss: 1 - IoU plus a penalty on the distances of the edges over the sides of the target."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, version: int = 1,
        lam: float = 1.3, detach_weight: bool = False, eps: float | None = None, box_format: str = 'xyxy',
        power: float | None = None, inner_ratio: float | None = None, focaler: Sequence[float] | None = None,
        focal_gamma: float = 0.0, wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class PolyCrossEntropyLoss(Loss, name="poly_cross_entropy"):
    """Poly-1 cross-entropy: the first term of its expansion weighed up by epsilon."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, epsilon: float = 1.0
    ) -> None: ...

class PolyFocalLoss(Loss, name="poly_focal"):
    """Poly-1 focal loss: focal loss plus epsilon times the next power."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, epsilon: float = 1.0,
        alpha: float | None = 0.25, gamma: float = 2.0
    ) -> None: ...

class ProbIoULoss(Loss, name="prob_iou"):
    """Probabilistic IoU of rotated boxes: the Hellinger distance of their Gaussians."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, aspect: bool = False,
        floor: float = 0.0, eps: float = 1e-07, dialect: str | None = None
    ) -> None: ...

class QualityFocalLoss(Loss, name="quality_focal"):
    """Quality focal loss: binary cross-entropy against box quality, weighed by the distance to it."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, beta: float = 2.0,
        activated: bool = False, dialect: str | None = None
    ) -> None: ...

class SIoULoss(Loss, name="siou"):
    """SCYLLA IoU loss: 1 - IoU plus half the distance cost, weighted by its angle, plus half the shape cost."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, theta: float = 4.0,
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class ShapeIoULoss(Loss, name="shape_iou"):
    """Shape-IoU loss: 1 - IoU plus distance and shape costs, weighted by the shape of the target."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, scale: float = 0.0,
        eps: float | None = None, box_format: str = 'xyxy', power: float | None = None,
        inner_ratio: float | None = None, focaler: Sequence[float] | None = None, focal_gamma: float = 0.0,
        wise: int | None = None, dialect: str | None = None
    ) -> None: ...

class SmoothL1Loss(Loss, name="smooth_l1"):
    """L1 with a parabola below beta, and slope 1 outside."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, beta: float = 1.0,
        dialect: str | None = None
    ) -> None: ...

class SoftmaxFocalLoss(Loss, name="softmax_focal"):
    """Focal loss of the softmax of logits."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *,
        alpha: float | None = None, gamma: float = 2.0, dialect: str | None = None
    ) -> None: ...

class TverskyLoss(Loss, name="tversky"):
    """Tversky loss: overlap against false positives and false negatives, each with its own weight."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 0.3,
        beta: float = 0.7, activation: str = 'sigmoid', over: str = 'image', overlap: str = 'product',
        smooth: float = 0.0, eps: float = 1e-07, empty: str = 'cost', dialect: str | None = None
    ) -> None: ...

class VarifocalLoss(Loss, name="varifocal"):
    """Varifocal loss: positives weighed by their quality, negatives as in focal loss."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, alpha: float = 0.75,
        gamma: float = 2.0, iou_weighted: bool = True, activated: bool = False, dialect: str | None = None
    ) -> None: ...

class WIoULoss(Loss, name="wiou"):
    """Wise-IoU loss: 1 - IoU times a distance factor, and from version 2 on times a weight by how unusual the box is."""
    def __init__(
        self, reduction: Reduction = "mean", loss_weight: float = 1.0, compile: bool = False, *, version: int = 1,
        alpha: float = 1.9, delta: float = 3.0, eps: float | None = None, box_format: str = 'xyxy',
        power: float | None = None, inner_ratio: float | None = None, focaler: Sequence[float] | None = None,
        focal_gamma: float = 0.0, momentum: float = 9.899484435171857e-05, dialect: str | None = None
    ) -> None: ...
