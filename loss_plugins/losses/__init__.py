"""The formulas. Importing this package fills the catalogue."""

from . import (  # fmt: skip
    alpha, classification, coordinates, dynamic, focal, gaussian, ghm, iou, lovasz, overlap, quality, region, rotated,
    slide, wise,
)

__all__ = [
    "alpha", "classification", "coordinates", "dynamic", "focal", "gaussian", "ghm", "iou", "lovasz", "overlap",
    "quality", "region", "rotated", "slide", "wise",
]  # fmt: skip
