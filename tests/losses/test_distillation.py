"""Decoupled distillation: two means weighted by the roots of their counts, temperature, a teacher without gradient."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.samples import ordinary

DOUBLE = torch.float64


def drawn(rows: int = 9) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    pred, target = ordinary("distribution")(rows, seed=4, dtype=DOUBLE)
    assert isinstance(target, tuple)
    return pred, (target[0], target[1])


def divergences(pred: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    wanted, found = (logits / temperature for logits in (teacher, pred))
    each = torch.nn.functional.kl_div(found.log_softmax(1), wanted.softmax(1), reduction="none").sum(1)
    return temperature**2 * each


@pytest.mark.parametrize("temperature", [0.5, 1.0, 5.0])
def test_both_means_are_weighted_by_the_roots_of_their_counts(temperature: float) -> None:
    pred, (teacher, matched) = drawn()
    each = divergences(pred, teacher, temperature)
    wanted = (math.sqrt(3) * each[matched].mean() + math.sqrt(6) * each[~matched].mean()) / (
        math.sqrt(3) + math.sqrt(6)
    )
    for reduction in ("mean", "sum"):
        loss = lp.build_loss("ddf", temperature=temperature, reduction=reduction)
        torch.testing.assert_close(loss(pred, (teacher, matched)), wanted)


@pytest.mark.parametrize("matched", [True, False])
def test_a_group_that_is_missing_counts_nothing(matched: bool) -> None:
    pred, (teacher, groups) = drawn()
    found = lp.DDFLoss()(pred, (teacher, torch.full_like(groups, matched)))
    torch.testing.assert_close(found, divergences(pred, teacher, 5.0).mean())


def test_a_student_that_equals_its_teacher_costs_0_with_a_graph() -> None:
    _, target = drawn()
    pred = target[0].clone().requires_grad_()
    loss = lp.DDFLoss()(pred, target)
    (gradient,) = torch.autograd.grad(loss, pred)
    assert loss.item() == 0
    assert gradient.abs().max() < 1e-15


def test_no_rows_cost_0_with_a_graph() -> None:
    pred = torch.zeros(0, 5, requires_grad=True)
    loss = lp.DDFLoss()(pred, (torch.zeros(0, 5), torch.zeros(0, dtype=torch.bool)))
    (gradient,) = torch.autograd.grad(loss, pred)
    assert loss.item() == 0
    assert gradient.shape == (0, 5)


def test_the_teacher_gets_no_gradient() -> None:
    pred, (teacher, matched) = drawn()
    teacher.requires_grad_()
    assert not lp.ddf_loss(pred, (teacher, matched)).requires_grad
    loss = lp.ddf_loss(pred.requires_grad_(), (teacher, matched)).sum()
    assert torch.autograd.grad(loss, teacher, allow_unused=True) == (None,)


def test_a_weight_multiplies_its_row_and_changes_no_count() -> None:
    pred, target = drawn()
    weight = torch.linspace(0, 1, 9, dtype=DOUBLE)
    torch.testing.assert_close(lp.DDFLoss()(pred, target, weight), (weight * lp.ddf_loss(pred, target)).sum())


def test_the_gradient_is_that_of_finite_differences() -> None:
    pred, target = drawn()
    assert torch.autograd.gradcheck(lambda pred: lp.ddf_loss(pred, target), pred.requires_grad_())


def test_a_bin_that_the_teacher_rules_out_costs_nothing() -> None:
    pred, (teacher, matched) = drawn()
    none = torch.full((9, 1), -math.inf, dtype=DOUBLE)
    more = torch.cat([pred, none], 1).requires_grad_()
    loss = lp.ddf_loss(more, (torch.cat([teacher, none], 1), matched))
    (gradient,) = torch.autograd.grad(loss.sum(), more)
    torch.testing.assert_close(loss, lp.ddf_loss(pred, (teacher, matched)))
    assert gradient.isfinite().all()


def test_boxes_of_four_sides_are_rows_with_more_axes() -> None:
    pred, (teacher, matched) = drawn(12)
    found = lp.ddf_loss(pred.view(3, 4, 5), (teacher.view(3, 4, 5), matched.view(3, 4)))
    torch.testing.assert_close(found.flatten(), lp.ddf_loss(pred, (teacher, matched)))


@pytest.mark.parametrize(
    "target",
    [
        torch.zeros(3, 5),
        (torch.zeros(3, 5), torch.zeros(3)),
        (torch.zeros(3, 5), torch.zeros(3, 5, dtype=torch.bool)),
        (torch.zeros(3, 4), torch.zeros(3, dtype=torch.bool)),
    ],
)
def test_other_targets_are_refused(target: Any) -> None:
    with pytest.raises(ValueError, match=r"ddf: target .*allowed: a tuple \(teacher's logits, matched\)"):
        lp.DDFLoss()(torch.zeros(3, 5), target)
