"""One channel: what 0 and 1 mean in a target without class axis, in every loss that takes labels, and as smp has it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import segmentation_models_pytorch.losses as smp
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.declare import LABELS
from loss_plugins.catalog.dialects import dialects_of
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.samples import as_scale

from .taken import taken

LABELLED = [entry for entry in shipped() if LABELS.intersection(entry.targets)]
MAPS = [(3, 1, 4, 5), (1, 1, 1, 1), (2, 1, 6), (2, 1, 2, 3, 2)]
ROWS = (6, 1)
#: to whose class losses rows of labels of one class are known
KNOW_ROWS = (None, "mmdet")


def spoken(kind: str | None = None) -> list[Any]:
    """Every loss that takes labels, in our form and in each dialect."""
    return [
        pytest.param(entry, dialect, id=f"{entry.name}-{dialect}")
        for entry in LABELLED
        if kind in (None, entry.kind)
        for dialect in (None, *dialects_of(entry.name))
    ]


def in_dialect(dialect: Any) -> dict[str, Any]:
    """The keyword of a dialect; our form has none."""
    return {} if dialect is None else {"dialect": dialect}


def draw(entry: Entry, shape: tuple[int, ...], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Scores, and a mask without class axis in which both values occur if there is room."""
    generator = torch.Generator().manual_seed(seed)
    pred = as_scale(torch.randn(shape, generator=generator, dtype=torch.float64) * 2, entry.traits.scale)
    mask = (torch.rand(shape[0], *shape[2:], generator=generator) > 0.6).long()
    mask.view(-1)[:1] = 1
    return pred.requires_grad_(), mask


def both(loss: Tensor, pred: Tensor) -> tuple[Tensor, Tensor]:
    return loss, torch.autograd.grad(loss.sum(), pred)[0]


def outcome(module: Any, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor] | str:
    try:
        return both(module(pred, target), pred)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("shape", [*MAPS, ROWS], ids=str)
@pytest.mark.parametrize(("entry", "dialect"), spoken())
def test_a_mask_without_class_axis_is_the_mask_or_refused(entry: Entry, dialect: Any, shape: tuple[int, ...]) -> None:
    """Never its inverse in silence: but for rows of labels, which heads of one class hand over."""
    pred, mask = draw(entry, shape)
    for reduction in ("mean", "sum", "none"):
        activation = taken(entry, activation="sigmoid") if entry.kind == "region" else {}
        if len(shape) == 2 and entry.kind == "region":
            activation["over"] = "image"
        build = partial(lp.build_loss, entry.name, reduction=reduction, **in_dialect(dialect), **activation)
        found = outcome(build(), pred, mask)
        if isinstance(found, str):
            assert entry.kind == "classification", found
            assert "unsqueeze(1).float()" in found or "softmax of one class is always 1" in found
            assert dialect not in KNOW_ROWS or len(shape) > 2 or "softmax" in found
            continue
        if "dense" not in entry.targets:
            assert "labels" in entry.targets
            assert dialect in KNOW_ROWS
            continue
        as_label = entry.kind == "classification" and dialect in KNOW_ROWS and len(shape) == 2
        wanted = both(build()(pred, (mask == 0 if as_label else mask).unsqueeze(1).double()), pred)
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("shape", MAPS, ids=str)
@pytest.mark.parametrize(("entry", "dialect"), spoken("region"))
def test_a_region_of_one_channel_takes_its_mask_in_any_type(entry: Entry, dialect: Any, shape: tuple[int, ...]) -> None:
    pred, mask = draw(entry, shape)
    module = lp.build_loss(entry.name, ignore_index=255, **taken(entry, activation="sigmoid"), **in_dialect(dialect))
    wanted = module(pred, mask.unsqueeze(1).double())
    for dtype in (torch.uint8, torch.int32, torch.int64, torch.bool, torch.float16, torch.float32, torch.float64):
        torch.testing.assert_close(module(pred, mask.to(dtype)), wanted)
        torch.testing.assert_close(module(pred, mask.to(dtype), avg_factor=1.0), module(pred, mask, avg_factor=1.0))


@pytest.mark.parametrize("entry", [entry for entry in LABELLED if entry.kind == "region"], ids=lambda e: e.name)
def test_pixels_of_a_mask_are_ignored_and_other_numbers_refused(entry: Entry) -> None:
    pred, mask = draw(entry, (2, 1, 4, 5))
    ignored = torch.zeros(4, 5, dtype=torch.bool)
    ignored[1] = ignored[3, 2] = True
    module = lp.build_loss(entry.name, ignore_index=255, **taken(entry, activation="sigmoid"))
    found, gradient = both(module(pred, mask.masked_fill(ignored, 255)), pred)
    torch.testing.assert_close(found, module(pred[..., ~ignored], mask[..., ~ignored]))
    assert torch.equal(gradient[..., ignored], torch.zeros_like(gradient[..., ignored]))
    for wrong in (255, 2, -1):
        with pytest.raises(ValueError, match=f"label {wrong}.*0 for background and 1 for the object"):
            lp.build_loss(entry.name, **taken(entry, activation="sigmoid"))(pred, mask.masked_fill(ignored, wrong))


def test_a_perfect_prediction_costs_nothing() -> None:
    pred, mask = torch.full((1, 1, 2, 2), 20.0), torch.ones(1, 2, 2).long()
    for name in ("dice", "tversky", "focal_tversky"):
        for dialect in (None, *(each for each in dialects_of(name) if each != "kornia")):
            loss = lp.build_loss(name, activation="sigmoid", **in_dialect(dialect))
            assert float(loss(pred, mask)) == pytest.approx(0, abs=2e-3)
    assert float(lp.build_loss("focal", dialect="smp")(pred, mask)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("name", "theirs"), [("dice", smp.DiceLoss), ("focal_tversky", smp.TverskyLoss)])
def test_regions_are_those_of_smp_s_binary_mode(name: str, theirs: Any) -> None:
    for shape in MAPS[:3]:
        pred, mask = draw(lp.get_entry(name), shape)
        ours = lp.build_loss(name, dialect="smp", mode="binary")
        for target in (mask, mask.float()):
            found, wanted = both(ours(pred, target), pred), both(theirs("binary")(pred, target), pred)
            torch.testing.assert_close(found, wanted, check_dtype=False)


@pytest.mark.parametrize("shape", [*MAPS, ROWS], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_focal_is_that_of_smp_s_binary_mode(shape: tuple[int, ...], reduction: str) -> None:
    pred, mask = draw(lp.get_entry("focal"), shape)
    ours = lp.build_loss("focal", dialect="smp", reduction=reduction)
    found, wanted = both(ours(pred, mask), pred), both(smp.FocalLoss("binary", reduction=reduction)(pred, mask), pred)
    torch.testing.assert_close(found, wanted)
