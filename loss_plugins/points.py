"""What a loss of key points takes: predictions, targets with what is visible, ordinary random ones.

A target is the points alone, where all are visible, or a tuple: the points, which of them are visible, and what else
the loss needs of each instance or point.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .errors import refusal
from .tensors import Target, check_float, check_forms, check_tensor, number_in, readable

#: key points of an ordinary instance
POINTS = 5
VISIBLE = "True or False, COCO's 0, 1 or 2, or weights from 0 on"


def check_points(where: str, pred: Tensor, target: Target, forms: tuple[str, ...]) -> str:
    """The form that the target has; raise unless pred is (..., K, 2), and the target of one of these forms."""
    check_tensor(where, "pred", pred, "shape (..., K, 2)")
    check_float(where, "pred", pred, "points")
    if pred.ndim < 2 or pred.shape[-1] != 2:
        came, remedy = f"pred has shape {tuple(pred.shape)}", "pass x and y alone, pred[..., :2], of K points a row"
        raise refusal(where, came, "(..., K, 2), x and y of K key points", remedy)
    form = check_forms(where, pred, target, forms)
    if isinstance(target, tuple):
        _check_visible(where, target[1])
    if form == "points_visible_flow":
        _check_sigma(where, *target[1:3])
    return form


def _check_visible(where: str, visible: Tensor) -> None:
    """Raise for weights that are none, where they may be read."""
    if not visible.is_floating_point() or not visible.numel() or not readable(visible):
        return
    wrong = [end for end in map(number_in, visible.detach().aminmax()) if end is not None and not 0 <= end < math.inf]
    if wrong:
        remedy = "pass 1 for a point that is visible, 0 for one that is not"
        raise refusal(where, f"visible of target holds {wrong[0]}", VISIBLE, remedy)


def _check_sigma(where: str, visible: Tensor, sigma: Tensor) -> None:
    """Raise for a deviation below 0 of a visible point, where it may be read; NaN stays, as in every prediction."""
    if not sigma.numel() or not readable(visible, sigma):
        return
    least = number_in(torch.where((visible > 0)[..., None], sigma.detach(), 1).amin())
    if least is not None and least < 0:
        allowed = "deviations from 0 on, in the unit of the points; below 1 after a sigmoid"
        remedy = "pass head_output.sigmoid(), or .exp() of a logarithm"
        raise refusal(where, f"sigma of target holds {least:g}", allowed, remedy)


def weights_of(visible: Tensor, pred: Tensor) -> Tensor:
    """How much each point counts: booleans and integers say whether it does, floats how much.

    >>> weights_of(torch.tensor([0, 1, 2]), torch.zeros(3, 2))
    tensor([0., 1., 1.])
    """
    return visible.to(pred.dtype) if visible.is_floating_point() else (visible != 0).to(pred.dtype)


def parts_of(pred: Tensor, target: Target) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Offsets of the points, 0 where nothing is visible, the weight of each point, and what else the target holds.

    What is not visible may be anything, NaN too, and has no gradient.
    """
    points, visible, *others = target if isinstance(target, tuple) else (target, pred.new_ones(pred.shape[:-1]))
    weight = weights_of(visible, pred)
    return torch.where((weight > 0)[..., None], pred - points, 0), weight, tuple(others)


def drawn_points(n: int, generator: torch.Generator, form: str) -> tuple[Tensor, Target]:
    """Random instances of five key points: a fifth of the points is not visible, of every sixth instance none.

    Args:
        n: how many instances.
        generator: of the numbers.
        form: of the target, see `tensors.FORMS`.
    """

    def uniform(*shape: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator, dtype=torch.float64)

    corner, size = uniform(1, 2, low=0, high=200), uniform(1, 2, low=8, high=120)
    points = corner + size * uniform(POINTS, 2, low=0, high=1)
    pred = points + size * uniform(POINTS, 2, low=-0.3, high=0.3)
    visible = uniform(POINTS, low=0, high=1) < 0.8
    visible[5::6] = False
    sigma, log_density = uniform(POINTS, 2, low=0.2, high=0.9), uniform(POINTS, low=-3, high=1)
    others = {"points_visible_area": (size[:, 0].prod(1),), "points_visible_flow": (sigma, log_density)}
    return pred, points if form == "dense" else (points, visible, *others.get(form, ()))
