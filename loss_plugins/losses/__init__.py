"""The formulas. Importing this package fills the catalogue."""

from . import (
    alpha,
    asymmetric,
    bins,
    classification,
    coordinates,
    distillation,
    dynamic,
    focal,
    gaussian,
    ghm,
    iou,
    keypoints,
    longtail,
    lovasz,
    overlap,
    projections,
    quads,
    quality,
    region,
    rotated,
    slide,
    wise,
)

__all__ = [
    "alpha", "asymmetric", "bins", "classification", "coordinates", "distillation", "dynamic", "focal", "gaussian",
    "ghm", "iou", "keypoints", "longtail", "lovasz", "overlap", "projections", "quads", "quality", "region", "rotated",
    "slide", "wise",
]  # fmt: skip
