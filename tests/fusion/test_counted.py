"""Positions that a loss counts are classes only where labels, which have no class axis, are compared with them."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from .own import built, is_fused, long, registered, same_by_both

Function = Callable[[Tensor, Tensor], Tensor]


def counted(x: Tensor, axis: int = -1) -> Tensor:
    """0, 1, 2, ... along an axis of x."""
    shape = [1] * x.ndim
    shape[axis] = -1
    return torch.arange(x.shape[axis], device=x.device).view(shape)


#: dense targets, or predictions, compared with positions
COMPARED: dict[str, Function] = {
    "hard": lambda pred, target: (pred - (target == counted(pred)).to(pred)).abs(),
    "dense": lambda pred, target: (pred - ((target - 100).round() == counted(pred)).to(pred)).abs(),
    "differing": lambda pred, target: (pred - (target.round() != counted(pred)).to(pred)).abs(),
    "along axis 1": lambda pred, target: (pred - (target.round() == counted(pred, 1)).to(pred)).abs(),
    "along axis 0": lambda pred, target: (pred - (target.round() == counted(pred, 0)).to(pred)).abs(),
    "of pred": lambda pred, target: (pred - target).abs() * (1 + (pred.detach().round() == counted(pred)).to(pred)),
}


@pytest.mark.parametrize("what", COMPARED)
def test_a_target_with_a_class_axis_has_numbers_of_its_own_for_each(what: str) -> None:
    def own(pred: Tensor, target: Tensor) -> Tensor:
        return long(COMPARED[what](pred, target))

    with registered(own, "classification") as name, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that it is not fused
        for compiled in (False, True):
            module = built(name, compiled)
            for shape in ((30, 4), (6, 6), (2, 4, 5)):
                if module is None or (compiled and len(shape) > 2):
                    continue
                generator = torch.Generator().manual_seed(0)
                pred, target = 4 * torch.rand(2, *shape, generator=generator)
                same_by_both(module, pred, target.round() + (100 if what == "dense" else 0))
                assert not is_fused(module, pred, target)
