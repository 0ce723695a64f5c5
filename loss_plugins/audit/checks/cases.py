"""The table of awkward boxes: one row per idea. All are finite; a loss may not answer with anything else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...catalog.declare import Kind
from ...corners import in_form

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class BoxCase:
    """Two corner boxes.

    Attributes:
        ordinary: coordinates are of ordinary size, so the gradient must be too.
    """

    name: str
    group: str
    pred: Box
    target: Box
    ordinary: bool = True

    def tensors(self, kind: Kind, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
        """(1, 4) boxes, (1, 5) with angles for rotated ones, or (1, 8) corners."""
        pred, target = (torch.tensor([box], dtype=torch.float64) for box in (self.pred, self.target))
        pred, target = in_form(kind, pred, 0.3), in_form(kind, target, 0.3)
        return pred.to(dtype), target.to(dtype)

    def fits(self, kind: Kind, dtype: torch.dtype) -> bool:
        """The dtype can hold the boxes at all."""
        return all(bool(boxes.isfinite().all()) for boxes in self.tensors(kind, dtype))


BOX_CASES = (
    BoxCase("equal", "equal", (10, 20, 50, 70), (10, 20, 50, 70)),
    BoxCase("equal, fractions", "equal", (0.125, 0.3, 0.7, 0.9), (0.125, 0.3, 0.7, 0.9)),
    BoxCase("equal, large", "equal", (0, 0, 1e4, 9e3), (0, 0, 1e4, 9e3)),
    BoxCase("equal but for 1e-4 px", "equal", (20, 20, 420.0001, 620), (20, 20, 420, 620)),
    BoxCase("concentric, smaller", "overlap", (20, 20, 40, 30), (10, 10, 50, 40)),
    BoxCase("concentric, larger", "overlap", (10, 10, 50, 40), (20, 20, 40, 30)),
    BoxCase("pred inside", "overlap", (12, 14, 20, 22), (10, 10, 50, 40)),
    BoxCase("target inside", "overlap", (10, 10, 50, 40), (12, 14, 20, 22)),
    BoxCase("cross", "overlap", (0, 20, 60, 24), (28, 0, 31, 50)),
    BoxCase("disjoint, near", "apart", (0, 0, 8, 6), (20, 31, 33, 40)),
    BoxCase("disjoint, far", "apart", (0, 0, 5, 5), (900, 700, 930, 745)),
    BoxCase("touching edges", "apart", (0, 0, 10, 10), (10, 2, 22, 9)),
    BoxCase("touching corners", "apart", (0, 0, 10, 10), (10, 10, 18, 21)),
    BoxCase("pred of zero width", "zero size", (10, 10, 10, 30), (5, 12, 25, 28)),
    BoxCase("pred of zero height", "zero size", (4, 9, 30, 9), (2, 3, 28, 21)),
    BoxCase("pred of zero area", "zero size", (12, 12, 12, 12), (10, 10, 20, 20)),
    BoxCase("pred of zero area, outside", "zero size", (0, 0, 0, 0), (10, 10, 20, 20)),
    BoxCase("target of zero width", "zero size", (5, 12, 25, 28), (10, 10, 10, 30)),
    BoxCase("target of zero area", "zero size", (10, 10, 20, 20), (12, 12, 12, 12)),
    BoxCase("both of zero area", "zero size", (7, 7, 7, 7), (9, 8, 9, 8)),
    BoxCase("both of zero area, equal", "zero size", (7, 7, 7, 7), (7, 7, 7, 7)),
    BoxCase("both of zero width", "zero size", (7, 3, 7, 9), (7, 4, 7, 8)),
    BoxCase("both of zero height", "zero size", (3, 7, 9, 7), (4, 7, 8, 7)),
    BoxCase("pred inverted in x", "inverted", (30, 5, 10, 25), (12, 8, 28, 22)),
    BoxCase("pred inverted in x and y", "inverted", (30, 25, 10, 5), (12, 8, 28, 22)),
    BoxCase("target inverted", "inverted", (12, 8, 28, 22), (30, 25, 10, 5)),
    BoxCase("1e-3 px", "scale", (0.001, 0.001, 0.002, 0.003), (0.0015, 0.0012, 0.0026, 0.0031), ordinary=False),
    BoxCase("normalised", "scale", (0.31, 0.42, 0.36, 0.5), (0.3, 0.4, 0.37, 0.49)),
    BoxCase("1e4 px", "scale", (0, 0, 1e4, 9e3), (1e3, 1e3, 1.1e4, 1e4), ordinary=False),
    BoxCase("1e6 px", "scale", (0, 0, 1e6, 9e5), (1e5, 1e5, 1.1e6, 1e6), ordinary=False),
    BoxCase("extreme aspect", "scale", (0, 49, 5000, 49.5), (249, 0, 249.5, 4800), ordinary=False),
)


def all_cases(kind: Kind, dtype: torch.dtype) -> tuple[tuple[BoxCase, ...], Tensor, Tensor]:
    """Every case that the dtype can hold, as one batch: (cases, pred, target)."""
    cases = tuple(case for case in BOX_CASES if case.fits(kind, dtype))
    pairs = [case.tensors(kind, dtype) for case in cases]
    return cases, torch.cat([pred for pred, _ in pairs]), torch.cat([target for _, target in pairs])
