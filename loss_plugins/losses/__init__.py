"""The formulas. Importing this package fills the catalogue."""

from . import classification, coordinates, focal, gaussian, ghm, iou, region, rotated

__all__ = ["classification", "coordinates", "focal", "gaussian", "ghm", "iou", "region", "rotated"]
