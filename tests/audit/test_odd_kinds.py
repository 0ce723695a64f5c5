"""The checks of quadrilaterals and of distributions find what is wrong with plain formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_plugins.audit import audit_subject, catalogued, subject_of
from loss_plugins.audit.checks import distributions, quads


def corner_by_corner(pred: Tensor, target: Tensor) -> Tensor:
    return (pred - target).abs().mean(-1)


def by_first_edge(pred: Tensor, target: Tensor) -> Tensor:
    edge = (pred[:, 2:4] - pred[:, :2]).norm(dim=-1)
    return (pred - target).square().sum(-1) / edge


def plain_divergence(pred: Tensor, target: Any) -> Tensor:
    teacher, _ = target
    wanted, found = teacher.log_softmax(-1), pred.log_softmax(-1)
    return (wanted.exp() * (wanted - found)).sum(-1)


def from_the_wrong_side(pred: Tensor, target: Any) -> Tensor:
    return -plain_divergence(pred, target).nan_to_num(0)


def failed(function: Callable[[Tensor, Any], Tensor], kind: Any, checks: Any) -> list[str]:
    return [each.check for each in audit_subject(subject_of(function, kind=kind), checks).failed]


@pytest.mark.parametrize(
    ("function", "kind", "checks", "found"),
    [
        (corner_by_corner, "quad", quads.CHECKS, "corners in any order"),
        (by_first_edge, "quad", quads.CHECKS, "point, and others"),
        (by_first_edge, "quad", quads.CHECKS, "line with corners twice, and others"),
        (plain_divergence, "distribution", distributions.CHECKS, "bin of logit -inf"),
        (from_the_wrong_side, "distribution", distributions.CHECKS, "least at the teacher"),
        (from_the_wrong_side, "distribution", distributions.CHECKS, "NaN logit shows, and stays in its row"),
    ],
)
def test_what_a_plain_formula_does_wrong_is_found(
    function: Callable[[Tensor, Any], Tensor], kind: str, checks: Any, found: str
) -> None:
    names = failed(function, kind, checks)
    assert found in names, names


@pytest.mark.parametrize(("name", "checks"), [("mgiou_quad", quads.CHECKS), ("ddf", distributions.CHECKS)])
def test_the_losses_here_pass_them(name: str, checks: Any) -> None:
    assert audit_subject(catalogued(name), checks).failed == ()


def test_odd_pairs_hold_every_pair_of_odd_quadrilaterals() -> None:
    pred, target = quads.odd_pairs("point")
    assert len(pred) == len(target) == 2 * (len(quads.ODD) + 1) + 1
    assert (pred == torch.tensor(quads.ODD["point"])).all(-1).sum() > len(quads.ODD)
