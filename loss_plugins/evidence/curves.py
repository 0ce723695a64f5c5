"""Value and gradient of losses along sweeps, and of box losses over a plane of positions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..catalog.declare import Kind
from ..errors import in_one_line, refusal, shown
from ..tensors import Target
from .named import Named
from .sweeps import SIDE, Sweep, pair_of_boxes

#: sides of the box whose position changes: the target's area in another shape
SIDES = (SIDE * 2**0.5, SIDE / 2**0.5)
REACH = 64.0  # of its centre from the target's, in pixels
KIND = "say by --kind and --form what it takes"
POINTS = 60  # a side of the plane; even, so that none is the target's centre


@dataclass(frozen=True)
class Curve:
    """One loss along one sweep: places, values, and the derivatives that autograd gives, (n,) each."""

    label: str
    sweep: Sweep
    places: Tensor
    value: Tensor
    gradient: Tensor

    @property
    def plain_places(self) -> Tensor:
        """The places as the axis shows them: the factor itself, where the path is one of factors."""
        return 2**self.places if self.sweep.doublings else self.places


@dataclass(frozen=True)
class Surface:
    """One box loss over positions: offsets (n,) of both axes, values (n, n) and gradients (n, n, 2), y first."""

    label: str
    offsets: Tensor
    value: Tensor
    gradient: Tensor


def per_row(named: Named, pred: Tensor, target: Target) -> Tensor:
    """The loss of each row, numbers of its elements added."""
    if named.entry is not None:
        return named.loss(pred, target).reshape(len(pred), -1).sum(1)
    takes = f"a prediction {tuple(pred.shape)} and its target, and gives {len(pred)} numbers that depend on it"
    try:
        found = named.loss(pred, target)
    except Exception as error:
        raise refusal("plot", f"{named.label}: {in_one_line(error)}", takes, KIND) from error
    if not isinstance(found, Tensor) or found.shape[:1] != (len(pred),) or not found.requires_grad:
        came = f"{named.label} gives {tuple(found.shape) if isinstance(found, Tensor) else shown(found)}"
        raise refusal("plot", came, takes, f"take its reduction out; {KIND}")
    return found.reshape(len(pred), -1).sum(1)


def curve(named: Named, sweep: Sweep) -> Curve:
    """Value and gradient of a loss along a sweep."""
    places = sweep.places().requires_grad_()
    value = per_row(named, *sweep.at(places))
    (gradient,) = torch.autograd.grad(value.sum(), places)
    return Curve(named.label, sweep, places.detach(), value.detach(), gradient)


def surface(named: Named, kind: Kind) -> Surface:
    """A box loss while the centre of a box of the target's area, twice as wide as high, lies anywhere around it."""
    offsets = torch.linspace(-REACH, REACH, POINTS, dtype=torch.float64)
    y, x = (each.reshape(-1).requires_grad_() for each in torch.meshgrid(offsets, offsets, indexing="ij"))
    width, height = (torch.full_like(x, side) for side in SIDES)
    value = per_row(named, *pair_of_boxes(kind, x=x, y=y, width=width, height=height))
    slopes = torch.stack(torch.autograd.grad(value.sum(), (x, y)), dim=-1)
    return Surface(named.label, offsets, value.detach().reshape(POINTS, POINTS), slopes.reshape(POINTS, POINTS, 2))
