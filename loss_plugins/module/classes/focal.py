"""Scores of classes, weighted by how hard they are: the module classes."""

from __future__ import annotations

from ..loss import Loss


class FocalLoss(Loss, name="focal"): ...


class SoftmaxFocalLoss(Loss, name="softmax_focal"): ...


class QualityFocalLoss(Loss, name="quality_focal"): ...


class VarifocalLoss(Loss, name="varifocal"): ...


class DistributionFocalLoss(Loss, name="distribution_focal"): ...


class DDFLoss(Loss, name="ddf"): ...


class FGLLoss(Loss, name="fgl"): ...


class GHMCLoss(Loss, name="ghm_c"): ...


class GaussianFocalLoss(Loss, name="gaussian_focal"): ...


class PolyCrossEntropyLoss(Loss, name="poly_cross_entropy"): ...


class PolyFocalLoss(Loss, name="poly_focal"): ...


class AsymmetricLoss(Loss, name="asymmetric"): ...


class AsymmetricSoftmaxLoss(Loss, name="asymmetric_softmax"): ...
