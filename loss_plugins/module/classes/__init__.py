"""The module classes, one per catalogued loss. The entry writes the docstring and the signature of each.

Editors and type checkers, which run nothing, read the `.pyi` beside each file: `python -m tools.stubs` makes them.
"""

from __future__ import annotations

from ... import losses  # noqa: F401 (first: it fills the catalogue)
from .alpha import AlphaCIoULoss as AlphaCIoULoss
from .alpha import AlphaDIoULoss as AlphaDIoULoss
from .alpha import AlphaGIoULoss as AlphaGIoULoss
from .alpha import AlphaIoULoss as AlphaIoULoss
from .classification import BCELoss as BCELoss
from .classification import BCEWithLogitsLoss as BCEWithLogitsLoss
from .classification import CrossEntropyLoss as CrossEntropyLoss
from .classification import HingeEmbeddingLoss as HingeEmbeddingLoss
from .classification import KLDivLoss as KLDivLoss
from .classification import MarginRankingLoss as MarginRankingLoss
from .classification import NLLLoss as NLLLoss
from .coordinates import BalancedL1Loss as BalancedL1Loss
from .coordinates import BoundedIoULoss as BoundedIoULoss
from .coordinates import FocalL1Loss as FocalL1Loss
from .coordinates import HuberLoss as HuberLoss
from .coordinates import L1Loss as L1Loss
from .coordinates import MSELoss as MSELoss
from .coordinates import SmoothL1Loss as SmoothL1Loss
from .focal import AsymmetricLoss as AsymmetricLoss
from .focal import AsymmetricSoftmaxLoss as AsymmetricSoftmaxLoss
from .focal import DDFLoss as DDFLoss
from .focal import DistributionFocalLoss as DistributionFocalLoss
from .focal import FGLLoss as FGLLoss
from .focal import FocalLoss as FocalLoss
from .focal import GaussianFocalLoss as GaussianFocalLoss
from .focal import GHMCLoss as GHMCLoss
from .focal import PolyCrossEntropyLoss as PolyCrossEntropyLoss
from .focal import PolyFocalLoss as PolyFocalLoss
from .focal import QualityFocalLoss as QualityFocalLoss
from .focal import SoftmaxFocalLoss as SoftmaxFocalLoss
from .focal import VarifocalLoss as VarifocalLoss
from .iou import CDIoULoss as CDIoULoss
from .iou import CIoULoss as CIoULoss
from .iou import DIoULoss as DIoULoss
from .iou import EIoULoss as EIoULoss
from .iou import FocalEIoULoss as FocalEIoULoss
from .iou import GIoULoss as GIoULoss
from .iou import IoULoss as IoULoss
from .keypoints import OKSLoss as OKSLoss
from .keypoints import RLELoss as RLELoss
from .keypoints import WingLoss as WingLoss
from .longtail import EFLLoss as EFLLoss
from .longtail import EQLV2Loss as EQLV2Loss
from .longtail import SeesawLoss as SeesawLoss
from .mix import MixLoss as MixLoss
from .penalties import ExtendedIoULoss as ExtendedIoULoss
from .penalties import GCDLoss as GCDLoss
from .penalties import MPDIoULoss as MPDIoULoss
from .penalties import NWDLoss as NWDLoss
from .penalties import PIoULoss as PIoULoss
from .penalties import SDIoULoss as SDIoULoss
from .penalties import ShapeIoULoss as ShapeIoULoss
from .penalties import SIoULoss as SIoULoss
from .penalties import UIoULoss as UIoULoss
from .penalties import WIoULoss as WIoULoss
from .quality import EMASlideLoss as EMASlideLoss
from .quality import IABCELoss as IABCELoss
from .quality import MatchabilityLoss as MatchabilityLoss
from .quality import SlideLoss as SlideLoss
from .region import DiceLoss as DiceLoss
from .region import FocalTverskyLoss as FocalTverskyLoss
from .region import GeneralizedDiceLoss as GeneralizedDiceLoss
from .region import JaccardLoss as JaccardLoss
from .region import LogCoshDiceLoss as LogCoshDiceLoss
from .region import LovaszHingeLoss as LovaszHingeLoss
from .region import LovaszSoftmaxLoss as LovaszSoftmaxLoss
from .region import TverskyLoss as TverskyLoss
from .rotated import GWDLoss as GWDLoss
from .rotated import JDLoss as JDLoss
from .rotated import KFIoULoss as KFIoULoss
from .rotated import KLDLoss as KLDLoss
from .rotated import MGIoULoss as MGIoULoss
from .rotated import MGIoUQuadLoss as MGIoUQuadLoss
from .rotated import ProbIoULoss as ProbIoULoss
