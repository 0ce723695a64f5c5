"""What a mix is made of, and what a call divides and weighs by: one style of refusal, and results of one shape."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped

from ..house.wrong_values import refused

SCORES = [entry for entry in shipped() if entry.kind in ("classification", "region")]


def test_a_mix_takes_predictions_of_one_sort() -> None:
    """Every pair of class and region losses that have a target in common."""
    counted = {True: 0, False: 0}
    for one, other in itertools.combinations(SCORES, 2):
        if one.kind == other.kind and not set(one.targets) & set(other.targets):
            continue
        specs = [{"type": entry.name, **entry.example} for entry in (one, other)]
        same = one.traits.scale == other.traits.scale
        counted[same] += 1
        if same or not set(one.targets) & set(other.targets):
            continue
        parts = refused(lambda s=specs: lp.build_loss("mix", losses=s), "mix", one.name, other.traits.scale)  # type: ignore[misc]
        assert parts["came"].startswith("losses of different predictions: ")
    assert min(counted.values()) > 20
    lp.build_loss("mix", losses=["bce", {"type": "focal", "activated": True}, {"type": "dice", "activation": "none"}])
    nested = {"type": "mix", "losses": ["bce"]}
    refused(lambda: lp.build_loss("mix", losses=["focal", nested]), "mix", "mix (probabilities)", "focal (logits)")


def one_row() -> list[tuple[str, Tensor, Tensor]]:
    return [
        ("ciou", torch.tensor([0.0, 0, 4, 4]), torch.tensor([1.0, 0, 4, 6])),
        ("prob_iou", torch.tensor([5.0, 5, 4, 4, 0.1]), torch.tensor([6.0, 5, 4, 6, 0])),
        ("cross_entropy", torch.tensor([0.5, 1.0, -2.0]), torch.tensor(1)),
    ]


@pytest.mark.parametrize("shape", [(), (1,)])
def test_one_row_without_its_axis_has_one_weight(shape: tuple[int, ...]) -> None:
    for name, pred, target in one_row():
        loss = lp.build_loss(name, reduction="none")
        weighted = loss(pred, target, weight=torch.full(shape, 2.0))
        assert weighted.shape == ()
        torch.testing.assert_close(weighted, 2 * loss(pred, target))


#: what is no number to divide by, and the type of its refusal
DIVISORS: list[tuple[Any, type[Exception]]] = [
    (1 + 2j, TypeError), (torch.tensor(1 + 2j), TypeError), (torch.tensor(True), TypeError), ("3", TypeError),
    ([1.0, 2.0], TypeError), ({}, TypeError), (torch.ones(2), ValueError), (torch.ones(0), ValueError),
    (-1.0, ValueError), (float("nan"), ValueError), (torch.tensor(-1.0), ValueError),
]  # fmt: skip


@pytest.mark.parametrize(("divisor", "error"), DIVISORS, ids=str)
def test_an_avg_factor_that_is_no_number_is_refused_in_one_style(divisor: Any, error: type[Exception]) -> None:
    pair = torch.rand(3, 4), torch.rand(3, 4)
    for name in ("ciou", "focal", "mix"):
        loss = lp.build_loss(name, **lp.get_entry(name).example)
        parts = refused(lambda loss=loss: loss(*pair, avg_factor=divisor), name, "avg_factor=", "")  # type: ignore[misc]
        assert parts["allowed"] == "one number from 0 on"
        with pytest.raises(error):
            loss(*pair, avg_factor=divisor)


@pytest.mark.parametrize("made", [torch.tensor(1 + 2j), torch.ones(3, dtype=torch.complex64)], ids=["one", "rows"])
def test_a_denominator_of_complex_numbers_is_refused(made: Tensor) -> None:
    lp.register_loss("test_divided", denominator=lambda pred, target: made)(
        lambda pred, target: (pred - target).sum(-1)
    )
    try:
        loss = lp.build_loss("test_divided")
        refused(lambda: loss(torch.rand(3, 4), torch.rand(3, 4)), "test_divided", "denominator returned", "complex64")
    finally:
        lp.unregister_loss("test_divided")
