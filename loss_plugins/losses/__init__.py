"""The formulas. Importing this package fills the catalogue."""

from . import alpha, classification, coordinates, focal, gaussian, ghm, iou, quality, region, rotated, slide, wise

__all__ = [
    "alpha", "classification", "coordinates", "focal", "gaussian", "ghm", "iou", "quality", "region", "rotated",
    "slide", "wise",
]  # fmt: skip
