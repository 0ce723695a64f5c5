"""Class and region losses on scores of every shape, in every dialect and reduction: a number, or an error of ours."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.dialects import dialects_of
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.fusion import by_autograd
from loss_plugins.peers.contract import Contract
from loss_plugins.peers.contracts import CONTRACTS
from loss_plugins.samples import as_scale
from loss_plugins.tensors import Target, class_axis, without_class_axis

SHAPES = [
    *[(3,), (1,), (0,), (3, 1), (3, 4), (0, 4), (2, 0)],
    *[(2, 3, 3), (2, 4, 3, 3), (2, 1, 3, 3), (0, 4, 3, 3), (2, 0, 3, 3)],
]
REDUCTIONS = ("none", "mean", "sum")
#: four, beside three reductions: in turn they meet in every pair
WEIGHTS = ("none", "per row", "column", "per score")
SCORES = [entry for entry in shipped() if entry.kind in ("classification", "region")]
SPOKEN = [(entry, dialect) for entry in SCORES for dialect in (None, *dialects_of(entry.name))]


def scores(entry: Entry, shape: tuple[int, ...], scale: str = "") -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return as_scale(torch.randn(shape, generator=generator, dtype=torch.float64), scale or entry.traits.scale)


def targets(entry: Entry, pred: Tensor) -> dict[str, Target]:
    """One target of each form that the loss takes."""
    generator = torch.Generator().manual_seed(1)
    hard = (torch.rand(pred.shape, generator=generator) > 0.5).to(pred.dtype)
    dense = 2 * hard - 1 if entry.holds == "signs" else hard
    labels = torch.zeros(without_class_axis(pred), dtype=torch.int64)
    made: dict[str, Target] = {
        "dense": dense,
        "labels": labels,
        "class_map": labels,
        "mask": labels.to(pred.dtype),
        "score": torch.full(pred.shape[:-1], 0.5, dtype=pred.dtype),
        "offset": torch.full(pred.shape[:-1], 0.5, dtype=pred.dtype),
        "label_score": (labels, labels + pred.new_tensor(0.5)),
        "label_score_rank": (labels, labels + pred.new_tensor(0.5), labels),
        "target_iou": (dense, torch.full(labels.shape, 0.5, dtype=pred.dtype)),
        "input_sign": (pred.flip(0), dense),
    }
    return {form: target for form, target in made.items() if form in entry.forms}


def weight_of(kind: str, shape: tuple[int, ...]) -> Tensor | None:
    sizes = {"per row": shape[:1], "column": (*shape[:1], 1), "per score": shape}
    return torch.ones(sizes[kind]) if kind in sizes else None


def or_refusal(loss: lp.Loss, *call: Any) -> Tensor | str:
    """The value, or the text of an error for bad input; any other error fails the test."""
    try:
        return loss(*call)
    except (ValueError, TypeError) as error:
        return str(error)


def build(entry: Entry, dialect: str | None, reduction: str) -> lp.Loss:
    said = {} if dialect is None else {"dialect": dialect}
    return lp.build_loss(entry.name, **entry.example, **said, reduction=reduction)


@pytest.fixture
def plain_autograd() -> Iterator[None]:
    """No program is recorded for each shape, which takes longer than the calls."""
    with by_autograd():
        yield


@pytest.mark.usefixtures("plain_autograd")
@pytest.mark.parametrize(("entry", "dialect"), SPOKEN, ids=lambda each: getattr(each, "name", str(each)))
def test_scores_of_any_shape_cost_a_finite_number_or_are_refused(entry: Entry, dialect: str | None) -> None:
    losses = {reduction: build(entry, dialect, reduction) for reduction in REDUCTIONS}
    kinds, counted = itertools.cycle(WEIGHTS), 0
    for shape, reduction in itertools.product(SHAPES, REDUCTIONS):
        pred = scores(entry, shape).requires_grad_()
        for form, target in targets(entry, pred).items():
            kind = next(kinds)
            where = f"{shape}, {form}, {reduction}, weight {kind}"
            value = or_refusal(losses[reduction], pred, target, weight_of(kind, shape))
            if isinstance(value, str):
                assert value.startswith(f"{entry.name}: "), where
                assert "; allowed: " in value, where
                continue
            (gradient,) = torch.autograd.grad(value.sum(), pred)
            assert value.isfinite().all(), where
            assert gradient.isfinite().all(), where
            assert reduction == "none" or value.shape == (), where
            counted += math.prod(shape) > 0
    assert counted
    for loss in losses.values():
        with pytest.raises(ValueError, match=rf"^{entry.name}: pred has no dimension, its shape is \(\); allowed: "):
            loss(scores(entry, ()), torch.zeros(()))


#: built-ins of scores; bins are on the last axis, and those of theirs are rows
BUILT_IN = [
    each
    for each in CONTRACTS
    if lp.get_entry(each.loss) in SCORES and each.loss not in ("distribution_focal", "fgl") and not each.missing()
]
#: what ours refuses and theirs takes: regions of rows, the softmax of one channel, and to leave out the only class
REFUSED = ("needs pred of shape", "activation='softmax' of one channel", "include_background=False of pred")


def as_theirs(contract: Contract, entry: Entry, pred: Tensor) -> Target:
    """Labels, or a dense target, as the contract has it."""
    found, first = targets(entry, pred), contract.inputs[0]
    if "labels and qualities" in first:
        return found["dense"], 0.5 * found["dense"]  # type: ignore[operator, return-value]
    if first == "labels and scores" and pred.shape[class_axis(pred)] > 1:  # labels of one class may be a mask
        return found["label_score"]
    if "labels" in first or first.startswith(("class ma", "log-")):
        return found.get("labels", found.get("class_map"))  # type: ignore[return-value]
    return found.get("dense", found.get("input_sign"))  # type: ignore[return-value]


def in_a_batch(target: Target) -> Target:
    return tuple(each[None] for each in target) if isinstance(target, tuple) else target[None]


def value_of_theirs(contract: Contract, reduction: str, pred: Tensor, target: Target) -> Tensor | None:
    """What theirs gives; of one row without its axis, where it takes none, what it gives for the row; else nothing."""
    for one, other in ((pred, target), *([(pred[None], in_a_batch(target))] if pred.ndim == 1 else [])):
        try:
            return contract.theirs(contract.given, reduction, one)(one, other)
        except Exception:  # whatever theirs raises
            continue
    return None


@pytest.mark.parametrize("contract", BUILT_IN, ids=lambda each: f"{each.framework}-{each.title}")
def test_a_shape_that_the_framework_takes_costs_what_it_costs_there(contract: Contract) -> None:
    entry, said = lp.get_entry(contract.loss), {"dialect": contract.framework, **contract.given}
    rows = compared = 0
    for shape, reduction in itertools.product(SHAPES, contract.reductions):
        if not math.prod(shape) or reduction not in REDUCTIONS or (reduction == "none" and contract.remark):
            continue
        loss = lp.build_loss(contract.loss, reduction=reduction, **said)
        pred = scores(entry, shape, loss.entry.traits.scale)
        pred = pred.float() if contract.single else pred
        target = as_theirs(contract, entry, pred)
        expected = value_of_theirs(contract, reduction, pred, target)
        if expected is None:
            continue
        found = or_refusal(loss, pred, target)
        if isinstance(found, str):
            assert entry.kind == "region", (shape, reduction)
            assert any(each in found for each in REFUSED), (shape, reduction)
            continue
        rows, compared = rows + (pred.ndim == 1), compared + 1
        torch.testing.assert_close(found, expected.view(found.shape), rtol=1e-6, atol=1e-6)
    assert compared
    assert rows or entry.kind == "region"
