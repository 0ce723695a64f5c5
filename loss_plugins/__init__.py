"""Detection losses for PyTorch, written once and catalogued, usable in MMDetection and Ultralytics."""

from __future__ import annotations

from typing import TYPE_CHECKING as _TYPE_CHECKING

from .catalog.declare import Effect as Effect
from .catalog.declare import Parameter as Parameter
from .catalog.declare import Source as Source
from .catalog.declare import State as State
from .catalog.declare import Traits as Traits
from .catalog.entries import Entry as Entry
from .catalog.entries import get_entry as get_entry
from .catalog.entries import list_losses as list_losses
from .catalog.entries import register_loss as register_loss
from .catalog.entries import unregister_loss as unregister_loss
from .catalog.ranges import Choice as Choice
from .catalog.ranges import Interval as Interval
from .catalog.ranges import PerClass as PerClass
from .catalog.ranges import Series as Series
from .losses.alpha import alpha_ciou_loss as alpha_ciou_loss
from .losses.alpha import alpha_diou_loss as alpha_diou_loss
from .losses.alpha import alpha_giou_loss as alpha_giou_loss
from .losses.alpha import alpha_iou_loss as alpha_iou_loss
from .losses.asymmetric import asymmetric_loss as asymmetric_loss
from .losses.asymmetric import asymmetric_softmax_loss as asymmetric_softmax_loss
from .losses.bins import distribution_focal_loss as distribution_focal_loss
from .losses.bins import fgl_loss as fgl_loss
from .losses.boxes import cxcywh_to_xyxy as cxcywh_to_xyxy
from .losses.classification import bce_loss as bce_loss
from .losses.classification import bce_with_logits_loss as bce_with_logits_loss
from .losses.classification import cross_entropy_loss as cross_entropy_loss
from .losses.classification import hinge_embedding_loss as hinge_embedding_loss
from .losses.classification import kl_div_loss as kl_div_loss
from .losses.classification import margin_ranking_loss as margin_ranking_loss
from .losses.classification import nll_loss as nll_loss
from .losses.coordinates import balanced_l1_loss as balanced_l1_loss
from .losses.coordinates import bounded_iou_loss as bounded_iou_loss
from .losses.coordinates import focal_l1_loss as focal_l1_loss
from .losses.coordinates import huber_loss as huber_loss
from .losses.coordinates import l1_loss as l1_loss
from .losses.coordinates import mse_loss as mse_loss
from .losses.coordinates import smooth_l1_loss as smooth_l1_loss
from .losses.distillation import ddf_loss as ddf_loss
from .losses.dynamic import sdiou_loss as sdiou_loss
from .losses.dynamic import uiou_loss as uiou_loss
from .losses.focal import focal_loss as focal_loss
from .losses.focal import gaussian_focal_loss as gaussian_focal_loss
from .losses.focal import poly_cross_entropy_loss as poly_cross_entropy_loss
from .losses.focal import poly_focal_loss as poly_focal_loss
from .losses.focal import quality_focal_loss as quality_focal_loss
from .losses.focal import softmax_focal_loss as softmax_focal_loss
from .losses.focal import varifocal_loss as varifocal_loss
from .losses.gaussian import gcd_loss as gcd_loss
from .losses.gaussian import nwd_loss as nwd_loss
from .losses.ghm import ghm_c_loss as ghm_c_loss
from .losses.iou import cdiou_loss as cdiou_loss
from .losses.iou import ciou_loss as ciou_loss
from .losses.iou import diou_loss as diou_loss
from .losses.iou import eiou_loss as eiou_loss
from .losses.iou import extended_iou_loss as extended_iou_loss
from .losses.iou import focal_eiou_loss as focal_eiou_loss
from .losses.iou import giou_loss as giou_loss
from .losses.iou import iou_loss as iou_loss
from .losses.iou import mpdiou_loss as mpdiou_loss
from .losses.iou import piou_loss as piou_loss
from .losses.iou import shape_iou_loss as shape_iou_loss
from .losses.iou import siou_loss as siou_loss
from .losses.keypoints import oks_loss as oks_loss
from .losses.keypoints import rle_loss as rle_loss
from .losses.keypoints import wing_loss as wing_loss
from .losses.longtail import efl_loss as efl_loss
from .losses.longtail import eqlv2_loss as eqlv2_loss
from .losses.longtail import seesaw_loss as seesaw_loss
from .losses.lovasz import lovasz_hinge_loss as lovasz_hinge_loss
from .losses.lovasz import lovasz_softmax_loss as lovasz_softmax_loss
from .losses.overlap import generalized_dice_loss as generalized_dice_loss
from .losses.overlap import jaccard_loss as jaccard_loss
from .losses.overlap import log_cosh_dice_loss as log_cosh_dice_loss
from .losses.projections import mgiou_loss as mgiou_loss
from .losses.quads import mgiou_quad_loss as mgiou_quad_loss
from .losses.quality import ia_bce_loss as ia_bce_loss
from .losses.quality import matchability_loss as matchability_loss
from .losses.region import dice_loss as dice_loss
from .losses.region import focal_tversky_loss as focal_tversky_loss
from .losses.region import tversky_loss as tversky_loss
from .losses.rotated import gwd_loss as gwd_loss
from .losses.rotated import jd_loss as jd_loss
from .losses.rotated import kfiou_loss as kfiou_loss
from .losses.rotated import kld_loss as kld_loss
from .losses.rotated import prob_iou_loss as prob_iou_loss
from .losses.slide import ema_slide_loss as ema_slide_loss
from .losses.slide import slide_loss as slide_loss
from .losses.wise import wiou_loss as wiou_loss
from .module.build import build_loss as build_loss
from .module.classes import AlphaCIoULoss as AlphaCIoULoss
from .module.classes import AlphaDIoULoss as AlphaDIoULoss
from .module.classes import AlphaGIoULoss as AlphaGIoULoss
from .module.classes import AlphaIoULoss as AlphaIoULoss
from .module.classes import AsymmetricLoss as AsymmetricLoss
from .module.classes import AsymmetricSoftmaxLoss as AsymmetricSoftmaxLoss
from .module.classes import BalancedL1Loss as BalancedL1Loss
from .module.classes import BCELoss as BCELoss
from .module.classes import BCEWithLogitsLoss as BCEWithLogitsLoss
from .module.classes import BoundedIoULoss as BoundedIoULoss
from .module.classes import CDIoULoss as CDIoULoss
from .module.classes import CIoULoss as CIoULoss
from .module.classes import CrossEntropyLoss as CrossEntropyLoss
from .module.classes import DDFLoss as DDFLoss
from .module.classes import DiceLoss as DiceLoss
from .module.classes import DIoULoss as DIoULoss
from .module.classes import DistributionFocalLoss as DistributionFocalLoss
from .module.classes import EFLLoss as EFLLoss
from .module.classes import EIoULoss as EIoULoss
from .module.classes import EMASlideLoss as EMASlideLoss
from .module.classes import EQLV2Loss as EQLV2Loss
from .module.classes import ExtendedIoULoss as ExtendedIoULoss
from .module.classes import FGLLoss as FGLLoss
from .module.classes import FocalEIoULoss as FocalEIoULoss
from .module.classes import FocalL1Loss as FocalL1Loss
from .module.classes import FocalLoss as FocalLoss
from .module.classes import FocalTverskyLoss as FocalTverskyLoss
from .module.classes import GaussianFocalLoss as GaussianFocalLoss
from .module.classes import GCDLoss as GCDLoss
from .module.classes import GeneralizedDiceLoss as GeneralizedDiceLoss
from .module.classes import GHMCLoss as GHMCLoss
from .module.classes import GIoULoss as GIoULoss
from .module.classes import GWDLoss as GWDLoss
from .module.classes import HingeEmbeddingLoss as HingeEmbeddingLoss
from .module.classes import HuberLoss as HuberLoss
from .module.classes import IABCELoss as IABCELoss
from .module.classes import IoULoss as IoULoss
from .module.classes import JaccardLoss as JaccardLoss
from .module.classes import JDLoss as JDLoss
from .module.classes import KFIoULoss as KFIoULoss
from .module.classes import KLDivLoss as KLDivLoss
from .module.classes import KLDLoss as KLDLoss
from .module.classes import L1Loss as L1Loss
from .module.classes import LogCoshDiceLoss as LogCoshDiceLoss
from .module.classes import LovaszHingeLoss as LovaszHingeLoss
from .module.classes import LovaszSoftmaxLoss as LovaszSoftmaxLoss
from .module.classes import MarginRankingLoss as MarginRankingLoss
from .module.classes import MatchabilityLoss as MatchabilityLoss
from .module.classes import MGIoULoss as MGIoULoss
from .module.classes import MGIoUQuadLoss as MGIoUQuadLoss
from .module.classes import MixLoss as MixLoss
from .module.classes import MPDIoULoss as MPDIoULoss
from .module.classes import MSELoss as MSELoss
from .module.classes import NLLLoss as NLLLoss
from .module.classes import NWDLoss as NWDLoss
from .module.classes import OKSLoss as OKSLoss
from .module.classes import PIoULoss as PIoULoss
from .module.classes import PolyCrossEntropyLoss as PolyCrossEntropyLoss
from .module.classes import PolyFocalLoss as PolyFocalLoss
from .module.classes import ProbIoULoss as ProbIoULoss
from .module.classes import QualityFocalLoss as QualityFocalLoss
from .module.classes import RLELoss as RLELoss
from .module.classes import SDIoULoss as SDIoULoss
from .module.classes import SeesawLoss as SeesawLoss
from .module.classes import ShapeIoULoss as ShapeIoULoss
from .module.classes import SIoULoss as SIoULoss
from .module.classes import SlideLoss as SlideLoss
from .module.classes import SmoothL1Loss as SmoothL1Loss
from .module.classes import SoftmaxFocalLoss as SoftmaxFocalLoss
from .module.classes import TverskyLoss as TverskyLoss
from .module.classes import UIoULoss as UIoULoss
from .module.classes import VarifocalLoss as VarifocalLoss
from .module.classes import WingLoss as WingLoss
from .module.classes import WIoULoss as WIoULoss
from .module.loss import Loss as Loss
from .module.mix import mix_loss as mix_loss
from .version import __version__ as __version__

#: what `from loss_plugins import *` brings: the names above, but no module
__all__ = [name for name, value in tuple(globals().items()) if getattr(value, "__module__", "").startswith(__name__)]
__all__ += ["__version__"]

if not _TYPE_CHECKING:  # a type checker takes each name for known where there is such a function

    def __getattr__(name: str) -> object:
        """Raise, with the names that are like the one that is not there."""
        from .errors import closest

        near = "" if name.startswith("_") else closest(name, __all__)
        remedy = f"; {near}" if near.startswith("did you mean") else ""
        # with a name of its own, Python adds no second "Did you mean" to a traceback
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{remedy}", name=name)
