"""Every box loss of the package trains a few batches on a real head, pulling otherwise than MMDetection's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from loss_plugins.catalog.entries import shipped
from loss_plugins.module.build import module_class

from .heads import BATCHES, CASES, total

BOX = [entry for entry in shipped() if entry.kind == "box"]
STOCK = {"type": "GIoULoss", "loss_weight": 2.0}


@pytest.fixture(scope="module")
def stock() -> list[Tensor]:
    """The gradients with MMDetection's own loss."""
    return CASES["ATSS"].step(CASES["ATSS"].build(STOCK), BATCHES["gt"])[1]


@pytest.mark.parametrize("name", [entry.name for entry in BOX])
def test_every_box_loss_trains_a_few_batches(name: str, stock: list[Tensor]) -> None:
    case, boxes = CASES["ATSS"], BATCHES["gt"]
    (entry,) = [entry for entry in BOX if entry.name == name]
    heads = case.build({"type": f"loss_plugins.{module_class(name).__name__}", "loss_weight": 2.0, **entry.example})
    optimizer = torch.optim.SGD(heads.parameters(), lr=1e-3)
    parameters = list(heads.parameters())
    for step in range(3):
        losses, gradients = case.step(heads, boxes)
        assert total(losses).isfinite()
        assert all(gradient.isfinite().all() for gradient in gradients)
        if step == 0:
            changed = max(float((a - b).abs().max()) for a, b in zip(gradients, stock, strict=True))
            # our default GIoU has its epsilon elsewhere than MMDetection's, and nothing more
            assert (changed > 1e-4) == (name != "giou")
        for parameter, gradient in zip(parameters, gradients, strict=False):
            parameter.grad = gradient
        optimizer.step()
