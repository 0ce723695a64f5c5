"""Dense targets: which numbers each loss takes, in any type, and that others are refused where they can be read."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.dialects import dialects_of
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.samples import as_scale

from .taken import taken

SCORES = [entry for entry in shipped() if entry.kind in ("classification", "region")]
DENSE = [entry for entry in SCORES if {"dense", "input_sign", "label_score"}.intersection(entry.targets)]
SHAPES = [(5, 3), (2, 3, 4), (2, 3, 4, 5), (4, 1)]
#: numbers that are no share of a class, and that are no sign
WRONG = {"shares": (-100, 255, 2, -1), "signs": (0, 2, -100, 0.5)}
#: what dialects leave out of dense targets as their framework does
LEFT_OUT = {
    ("bce_with_logits", "mmdet"): (-100, -1),
    ("bce_with_logits", "smp"): (-100,),
    ("focal", "kornia"): (-100,),
}


def spoken() -> list[Any]:
    """Every loss that takes dense targets, in our form and in each dialect."""
    return [
        pytest.param(entry, dialect, id=f"{entry.name}-{dialect}")
        for entry in DENSE
        for dialect in (None, *dialects_of(entry.name))
    ]


def build(entry: Entry, dialect: str | None = None, **parameters: Any) -> lp.Loss:
    said = parameters if dialect is None else {**parameters, "dialect": dialect}
    return lp.build_loss(entry.name, **(said | (taken(entry, activation="sigmoid") if entry.kind == "region" else {})))


def sample(entry: Entry, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    pred = as_scale(torch.randn(shape, generator=generator), entry.traits.scale)
    target = (torch.rand(shape, generator=generator) > 0.5).float()
    return pred, 2 * target - 1 if entry.holds == "signs" else target


def with_number(target: Tensor, number: float) -> Tensor:
    """The number in the last place, in an integer type if it is whole."""
    changed = target.clone()
    changed.view(-1)[-1] = number
    return changed.long() if number == int(number) else changed


def shapes_of(entry: Entry) -> list[tuple[int, ...]]:
    return [shape for shape in SHAPES if entry.kind != "region" or len(shape) > 2]


def test_every_loss_of_dense_targets_says_which_numbers_they_have() -> None:
    assert {entry.name for entry in DENSE if entry.holds is None} == set()
    assert {entry.name for entry in DENSE if entry.holds == "signs"} == {"hinge_embedding", "margin_ranking"}


@pytest.mark.parametrize(("entry", "dialect"), spoken())
def test_other_numbers_are_refused_with_their_place(entry: Entry, dialect: str | None) -> None:
    module = build(entry, dialect)
    for shape in shapes_of(entry):
        pred, target = sample(entry, shape)
        place = ", ".join(str(size - 1) for size in shape)
        for number in WRONG[entry.holds or ""]:
            if number in LEFT_OUT.get((entry.name, dialect or ""), ()):
                continue
            wrong = with_number(target, number)
            given, part = ((pred, wrong), r"\[1\]") if "input_sign" in entry.targets else (wrong, "")
            with pytest.raises(ValueError, match=rf"{entry.name}: target{part}\[{place}\] is {number:g}; allowed"):
                module(pred, given)


@pytest.mark.parametrize("entry", DENSE, ids=lambda entry: entry.name)
def test_functions_and_mixes_refuse_them_too(entry: Entry) -> None:
    pred, target = sample(entry, (2, 3, 4))
    wrong: Any = with_number(target, WRONG[entry.holds or ""][0])
    wrong = (pred, wrong) if "input_sign" in entry.targets else wrong
    mix = lp.build_loss("mix", losses=[entry.name, entry.name])
    for call in (getattr(lp, f"{entry.name}_loss"), mix):
        with pytest.raises(ValueError, match=r"target.* is (-100|0); allowed"):
            call(pred, wrong)


@pytest.mark.parametrize("entry", [entry for entry in DENSE if entry.holds == "shares"], ids=lambda entry: entry.name)
def test_rounding_and_what_is_not_finite_pass(entry: Entry) -> None:
    pred, target = sample(entry, (2, 3, 4))
    for number in (-1e-3, 1 + 1e-3, 0.5, math.nan, math.inf, -math.inf):
        changed = target.clone()
        changed[0, 0, 0] = number
        build(entry)(pred, changed)


def test_log_probabilities_are_no_shares() -> None:
    pred = torch.randn(4, 3).log_softmax(1)
    assert float(lp.build_loss("kl_div", log_target=True)(pred, pred)) == 0
    assert torch.equal(lp.kl_div_loss(pred, pred, log_target=True), torch.zeros(4, 3))


def test_numbers_are_not_read_where_the_host_would_wait_or_a_graph_break() -> None:
    module, pred, wrong = build(lp.get_entry("bce_with_logits")), torch.zeros(4, 3), torch.full((4, 3), 2.0)
    torch.func.vmap(lambda p, t: module(p, t))(pred, wrong)
    module(pred.to("meta"), wrong.to("meta"))
    torch.compile(module, backend="eager", fullgraph=True)(pred, wrong)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int16, torch.int64, torch.float16])
@pytest.mark.parametrize("entry", [entry for entry in DENSE if entry.holds == "shares"], ids=lambda entry: entry.name)
def test_masks_may_be_of_any_type(entry: Entry, dtype: torch.dtype) -> None:
    for shape in shapes_of(entry):
        pred, target = sample(entry, shape)
        pred = pred.double().requires_grad_()
        for reduction in ("mean", "sum", "none"):
            module = build(entry, reduction=reduction).eval()
            found, wanted = module(pred, target.to(dtype)), module(pred, target.double())
            torch.testing.assert_close(found, wanted)
            gradients = [torch.autograd.grad(loss.sum(), pred)[0] for loss in (found, wanted)]
            torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("entry", [e for e in shipped() if "labels" in e.targets], ids=lambda entry: entry.name)
def test_the_mean_is_that_of_the_rows_that_are_not_ignored(entry: Entry, classes: int) -> None:
    """As if the others had not come: labels and dense targets, of one class and of several."""
    pred, dense = sample(entry, (8, classes))
    pred = pred.double()
    labels = torch.arange(8) % (classes + 1)
    kept = torch.tensor([True, False, True, True, False, True, True, False])
    module = build(entry, ignore_index=255).eval()
    for target in (labels, *([dense.long()] if "dense" in entry.targets else [])):
        found = module(pred, target.masked_fill(~kept if target.ndim == 1 else ~kept.unsqueeze(1), 255))
        torch.testing.assert_close(found, module(pred[kept], target[kept]))
