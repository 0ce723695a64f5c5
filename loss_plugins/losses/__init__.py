"""The formulas. Importing this package fills the catalogue."""

from . import alpha, classification, coordinates, focal, gaussian, ghm, iou, region, rotated, wise

__all__ = ["alpha", "classification", "coordinates", "focal", "gaussian", "ghm", "iou", "region", "rotated", "wise"]
