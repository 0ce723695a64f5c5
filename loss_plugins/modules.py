"""The module classes, one per catalogued loss; each takes `reduction`, `loss_weight` and its function's keywords."""

from __future__ import annotations

# the functions first: importing them fills the catalogue
from . import coordinates, iou  # noqa: F401
from .loss import Loss

__all__ = [
    "AlphaCIoULoss",
    "AlphaDIoULoss",
    "AlphaGIoULoss",
    "AlphaIoULoss",
    "CDIoULoss",
    "CIoULoss",
    "DIoULoss",
    "EIoULoss",
    "FocalEIoULoss",
    "FocalL1Loss",
    "GIoULoss",
    "HuberLoss",
    "IoULoss",
    "L1Loss",
    "MSELoss",
    "SmoothL1Loss",
]


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
