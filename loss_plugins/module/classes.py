"""The module classes, one per catalogued loss; each takes `reduction`, `loss_weight` and its function's keywords."""

from __future__ import annotations

from .. import losses  # noqa: F401 (first: it fills the catalogue)
from .loss import Loss
from .mix import MixLoss as MixLoss


class IoULoss(Loss, name="iou"):
    """`iou_loss` with weight and reduction."""


class GIoULoss(Loss, name="giou"):
    """`giou_loss` with weight and reduction."""


class DIoULoss(Loss, name="diou"):
    """`diou_loss` with weight and reduction."""


class CIoULoss(Loss, name="ciou"):
    """`ciou_loss` with weight and reduction."""


class EIoULoss(Loss, name="eiou"):
    """`eiou_loss` with weight and reduction."""


class FocalEIoULoss(Loss, name="focal_eiou"):
    """`focal_eiou_loss` with weight and reduction."""


class CDIoULoss(Loss, name="cdiou"):
    """`cdiou_loss` with weight and reduction."""


class AlphaIoULoss(Loss, name="alpha_iou"):
    """`alpha_iou_loss` with weight and reduction."""


class AlphaGIoULoss(Loss, name="alpha_giou"):
    """`alpha_giou_loss` with weight and reduction."""


class AlphaDIoULoss(Loss, name="alpha_diou"):
    """`alpha_diou_loss` with weight and reduction."""


class AlphaCIoULoss(Loss, name="alpha_ciou"):
    """`alpha_ciou_loss` with weight and reduction."""


class L1Loss(Loss, name="l1"):
    """`l1_loss` with weight and reduction."""


class MSELoss(Loss, name="mse"):
    """`mse_loss` with weight and reduction."""


class SmoothL1Loss(Loss, name="smooth_l1"):
    """`smooth_l1_loss` with weight and reduction."""


class HuberLoss(Loss, name="huber"):
    """`huber_loss` with weight and reduction."""


class FocalL1Loss(Loss, name="focal_l1"):
    """`focal_l1_loss` with weight and reduction."""


class ExtendedIoULoss(Loss, name="extended_iou"):
    """`extended_iou_loss` with weight and reduction."""


class MPDIoULoss(Loss, name="mpdiou"):
    """`mpdiou_loss` with weight and reduction."""


class NWDLoss(Loss, name="nwd"):
    """`nwd_loss` with weight and reduction."""


class PIoULoss(Loss, name="piou"):
    """`piou_loss` with weight and reduction."""


class ShapeIoULoss(Loss, name="shape_iou"):
    """`shape_iou_loss` with weight and reduction."""


class SIoULoss(Loss, name="siou"):
    """`siou_loss` with weight and reduction."""


class WIoULoss(Loss, name="wiou"):
    """`wiou_loss` with weight and reduction."""


class BalancedL1Loss(Loss, name="balanced_l1"):
    """`balanced_l1_loss` with weight and reduction."""


class BoundedIoULoss(Loss, name="bounded_iou"):
    """`bounded_iou_loss` with weight and reduction."""


class BCELoss(Loss, name="bce"):
    """`bce_loss` with weight and reduction."""


class BCEWithLogitsLoss(Loss, name="bce_with_logits"):
    """`bce_with_logits_loss` with weight and reduction."""


class CrossEntropyLoss(Loss, name="cross_entropy"):
    """`cross_entropy_loss` with weight and reduction."""


class NLLLoss(Loss, name="nll"):
    """`nll_loss` with weight and reduction."""


class KLDivLoss(Loss, name="kl_div"):
    """`kl_div_loss` with weight and reduction."""


class MarginRankingLoss(Loss, name="margin_ranking"):
    """`margin_ranking_loss` with weight and reduction."""


class HingeEmbeddingLoss(Loss, name="hinge_embedding"):
    """`hinge_embedding_loss` with weight and reduction."""


class FocalLoss(Loss, name="focal"):
    """`focal_loss` with weight and reduction."""


class SoftmaxFocalLoss(Loss, name="softmax_focal"):
    """`softmax_focal_loss` with weight and reduction."""


class QualityFocalLoss(Loss, name="quality_focal"):
    """`quality_focal_loss` with weight and reduction."""


class VarifocalLoss(Loss, name="varifocal"):
    """`varifocal_loss` with weight and reduction."""


class DistributionFocalLoss(Loss, name="distribution_focal"):
    """`distribution_focal_loss` with weight and reduction."""


class GHMCLoss(Loss, name="ghm_c"):
    """`ghm_c_loss` with weight and reduction."""


class GaussianFocalLoss(Loss, name="gaussian_focal"):
    """`gaussian_focal_loss` with weight and reduction."""


class PolyCrossEntropyLoss(Loss, name="poly_cross_entropy"):
    """`poly_cross_entropy_loss` with weight and reduction."""


class PolyFocalLoss(Loss, name="poly_focal"):
    """`poly_focal_loss` with weight and reduction."""


class AsymmetricLoss(Loss, name="asymmetric"):
    """`asymmetric_loss` with weight and reduction."""


class AsymmetricSoftmaxLoss(Loss, name="asymmetric_softmax"):
    """`asymmetric_softmax_loss` with weight and reduction."""


class DiceLoss(Loss, name="dice"):
    """`dice_loss` with weight and reduction."""


class TverskyLoss(Loss, name="tversky"):
    """`tversky_loss` with weight and reduction."""


class FocalTverskyLoss(Loss, name="focal_tversky"):
    """`focal_tversky_loss` with weight and reduction."""


class GWDLoss(Loss, name="gwd"):
    """`gwd_loss` with weight and reduction."""


class KLDLoss(Loss, name="kld"):
    """`kld_loss` with weight and reduction."""


class JDLoss(Loss, name="jd"):
    """`jd_loss` with weight and reduction."""


class KFIoULoss(Loss, name="kfiou"):
    """`kfiou_loss` with weight and reduction."""


class ProbIoULoss(Loss, name="prob_iou"):
    """`prob_iou_loss` with weight and reduction."""
