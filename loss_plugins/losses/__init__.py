"""The formulas. Importing this package fills the catalogue."""

from . import alpha, classification, coordinates, focal, gaussian, ghm, iou, quality, region, rotated, wise

__all__ = [
    "alpha", "classification", "coordinates", "focal", "gaussian", "ghm", "iou", "quality", "region", "rotated", "wise",
]  # fmt: skip
