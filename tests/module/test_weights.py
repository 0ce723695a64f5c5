"""Weights of class losses in every form that users of the frameworks pass: per row, per pixel, per element."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.catalog.entries import Entry, shipped
from loss_plugins.samples import as_scale

CLASSIFICATION = [
    entry
    for entry in shipped()
    if entry.kind == "classification" and {"dense", "class_map"}.intersection(entry.targets)
]
#: of maps the sizes of some axes are equal, so that shape alone does not tell which axis a weight lacks
SHAPES = [(5, 3), (3, 1), (3, 3, 3, 3), (2, 4, 4), (2, 1, 1, 3), (2, 3, 4, 5)]
#: shapes that fit no loss of maps (2, 3, 4, 5)
WRONG = [(), (1,), (3,), (5,), (4, 5), (3, 4, 5), (2, 5)]


def sample(entry: Entry, shape: tuple[int, ...]) -> tuple[Tensor, Any]:
    generator = torch.Generator().manual_seed(0)
    pred = as_scale(torch.randn(shape, generator=generator, dtype=torch.float64), entry.traits.scale)
    hard = (torch.rand(shape, generator=generator) > 0.5).double()
    if "dense" in entry.targets:
        return pred.requires_grad_(), 2 * hard - 1 if entry.holds == "signs" else hard
    return pred.requires_grad_(), torch.zeros(shape[:1] + shape[2:], dtype=torch.int64)


def forms(shape: tuple[int, ...]) -> dict[str, tuple[Tensor, Tensor]]:
    """Weights as users pass them, and what each means for every score."""
    generator = torch.Generator().manual_seed(1)
    rows, each = torch.rand(shape[0], generator=generator).double(), torch.rand(shape, generator=generator).double()
    pixels = torch.rand(shape[:1] + shape[2:], generator=generator).double()
    spread = rows.view(-1, *(1 for _ in shape[1:])).expand(shape)
    one_image = pixels[:1].unsqueeze(1)
    return {
        "per row": (rows, spread),
        "per row, with an axis": (rows.view(-1, *(1 for _ in shape[1:])), spread),
        "per pixel": (pixels, pixels.unsqueeze(1).expand(shape)),
        "per pixel, with an axis": (pixels.unsqueeze(1), pixels.unsqueeze(1).expand(shape)),
        "per element": (each, each),
        **({"one for all images": (one_image, one_image.expand(shape))} if len(shape) > 2 else {}),
    }


def results(module: lp.Loss, pred: Tensor, target: Any, weight: Tensor, **call: Any) -> tuple[Tensor, Tensor]:
    loss = module(pred, target, weight, **call)
    return loss, torch.autograd.grad(loss.sum(), pred)[0]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("entry", CLASSIFICATION, ids=lambda entry: entry.name)
def test_every_form_of_weight_means_what_it_says(entry: Entry, shape: tuple[int, ...]) -> None:
    """Beside one weight per score, written out; a loss per row or pixel takes the mean of those of its scores."""
    pred, target = sample(entry, shape)
    plain = lp.build_loss(entry.name, reduction="none")(pred, target).detach()
    for name, (weight, written_out) in forms(shape).items():
        if plain.ndim < len(shape) and name == "one for all images":
            continue
        for reduction, call in (("none", {}), ("mean", {}), ("mean", {"avg_factor": 3.0})):
            module = lp.build_loss(entry.name, reduction=reduction).eval()
            found = results(module, pred, target, weight, **call)
            torch.testing.assert_close(found, results(module, pred, target, written_out, **call), msg=name)
        if entry.name != "ghm_c":  # which counts by the weight
            meant = written_out if plain.ndim == len(shape) else written_out.mean(1)
            found = results(lp.build_loss(entry.name, reduction="sum"), pred, target, weight)
            torch.testing.assert_close(found[0], (plain * meant).sum())


@pytest.mark.parametrize("entry", CLASSIFICATION, ids=lambda entry: entry.name)
def test_other_shapes_are_refused_by_name(entry: Entry) -> None:
    pred, target = sample(entry, (2, 3, 4, 5))
    for shape in (*WRONG, (2, 5, 4), (2, 3, 5, 4), (2, 2, 4, 5), (2, 3, 4, 5, 1)):
        with pytest.raises(ValueError, match=rf"{entry.name}: weight has shape .*one per pixel"):
            lp.build_loss(entry.name)(pred, target, torch.ones(shape))
