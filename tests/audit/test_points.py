"""What the audit finds of losses of key points: each fault that was planted, by the check that is for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_plugins import Traits
from loss_plugins.audit import Scores, audit

FORM = Scores("points_visible_area")
TRAITS = Traits(range=(0, 1), symmetric=True, scale_invariant=True)
Target = tuple[Tensor, Tensor, Tensor]


def similarity(pred: Tensor, target: Target) -> Tensor:
    """1 - OKS, guarded as it should be."""
    points, visible, area = target
    seen = visible != 0
    known = seen.any(-1) & (area > 0)
    offset = torch.where(seen[..., None], pred - points, 0)
    size = torch.where(known, area, 1).clamp(min=1e-12)
    missed = -torch.expm1(-offset.square().sum(-1) * 3 / size[..., None])
    mean = (seen * missed).sum(-1) / seen.sum(-1).clamp(min=1)
    return torch.where(known, mean, 0)


def unguarded(pred: Tensor, target: Target) -> Tensor:
    points, visible, area = target
    missed = 1 - (-(pred - points).square().sum(-1) * 3 / area[..., None]).exp()
    return (visible * missed).sum(-1) / visible.sum(-1)


def of_all(pred: Tensor, target: Target) -> Tensor:
    return similarity(pred, (target[0], torch.ones_like(target[1]), target[2]))


def by_flags(pred: Tensor, target: Target) -> Tensor:
    weight = target[1].to(pred.dtype)
    return weight.amax(-1) * similarity(pred, target)


def in_pixels(pred: Tensor, target: Target) -> Tensor:
    return similarity(pred, (target[0], target[1], torch.full_like(target[2], 1000.0) * (target[2] > 0)))


def at_a_place(pred: Tensor, target: Target) -> Tensor:
    return similarity(pred, target) * (target[0][..., 0].amax(-1) > 100)


def one_way(pred: Tensor, target: Target) -> Tensor:
    points = target[0]
    return similarity(torch.maximum(pred, points), target)


def silent(pred: Tensor, target: Target) -> Tensor:
    return similarity(pred.nan_to_num(), target)


def of_the_batch(pred: Tensor, target: Target) -> Tensor:
    loss = similarity(pred, target)
    return loss + 0 * loss.sum()


PLANTED: dict[Callable[..., Tensor], set[str]] = {
    unguarded: {"no visible point: value", "no area, equal: value", "not visible, nan", "nothing visible"},
    of_all: {"not visible, inf", "nothing visible"},
    by_flags: {"flags of visibility"},
    in_pixels: {"scale invariant", "unit of length"},
    at_a_place: {"translation invariant"},
    one_way: {"symmetric"},
    silent: {"NaN coordinate shows"},
    of_the_batch: {"NaN stays in its row"},
}


def failures(function: Callable[..., Any]) -> set[str]:
    report = audit(function, kind="keypoint", traits=TRAITS, scores=FORM)
    return {result.check for result in report.results if result.status == "failed"}


def test_a_guarded_loss_has_no_fault() -> None:
    assert failures(similarity) == set()


@pytest.mark.parametrize("function", PLANTED, ids=lambda function: function.__name__)
def test_each_planted_fault_is_found(function: Callable[..., Tensor]) -> None:
    assert PLANTED[function] <= failures(function)
