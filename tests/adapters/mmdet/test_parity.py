"""MMDetection's own GIoULoss swapped for ours in fifteen heads: same losses, same gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_plugins.adapters.mmdet import PluggedLoss

from .heads import BATCHES, CASES, Losses

THEIRS: dict[str, Any] = {"type": "GIoULoss", "loss_weight": 2.0}
OURS: dict[str, Any] = {"type": "loss_plugins.GIoULoss", "dialect": "mmdet", "loss_weight": 2.0}
OTHER: dict[str, Any] = {"type": "loss_plugins.EIoULoss", "loss_weight": 2.0}
CALLS = {  # (with boxes, without): counted with the stock loss; a head that stops calling would pass any parity test
    "RetinaNet": (5, 5),
    "RPN": (5, 5),
    "Faster R-CNN": (6, 5),
    "Cascade R-CNN": (8, 5),
    "ATSS": (1, 0),
    "VFNet": (2, 0),
    "FCOS": (1, 0),
    "GFL": (1, 0),
    "TOOD": (4, 0),
    "RTMDet": (2, 0),
    "YOLOX": (1, 0),
    "DETR": (6, 6),
    "DINO": (13, 13),
    "PAA": (3, 0),
    "AutoAssign": (2, 2),
}
LINE = "{:<15}{:<7}{:>6}{:>14}{:>14}{:>16}"


@pytest.fixture(scope="module")
def table() -> Iterator[list[str]]:
    rows = [LINE.format("head", "batch", "calls", "losses", "gradients", "sum of |grad|")]
    yield rows
    print("\n" + "\n".join(rows))  # pytest -s shows it


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", CASES)
def test_same_losses_and_gradients(name: str, batch: str, table: list[str]) -> None:
    case, boxes = CASES[name], BATCHES[batch]
    theirs, ours = case.build(THEIRS), case.build(OURS)
    expected, expected_gradients = case.step(theirs, boxes)
    losses, gradients = case.step(ours, boxes)
    assert losses.keys() == expected.keys()
    of_losses = largest(flat(losses), flat(expected))
    of_gradients = largest(gradients, expected_gradients)
    of_sum = abs(absolute(gradients) / absolute(expected_gradients) - 1)
    calls = sum(module.calls for module in ours.modules() if isinstance(module, PluggedLoss))
    table.append(LINE.format(name, batch, calls, f"{of_losses:.1e}", f"{of_gradients:.1e}", f"{of_sum:.1e}"))
    assert max(of_losses, of_gradients, of_sum) <= 1e-6
    assert calls == CALLS[name][batch == "empty"]


@pytest.mark.parametrize("name", CASES)
def test_another_loss_trains_another_way(name: str) -> None:
    """The parity above is not that of a head that ignores its loss."""
    case = CASES[name]
    _, gradients = case.step(case.build(OURS), BATCHES["gt"])
    _, other = case.step(case.build(OTHER), BATCHES["gt"])
    assert largest(gradients, other) > 1e-3


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", CASES)
def test_no_parameter_loses_its_gradient(name: str, batch: str) -> None:
    """DDP stops at a parameter without gradient, as after an image without boxes."""
    case = CASES[name]
    stock = case.unused(case.build(THEIRS), BATCHES[batch])
    assert case.unused(case.build(OURS), BATCHES[batch]) == stock


def flat(losses: Losses) -> list[Tensor]:
    return [part.detach() for value in losses.values() for part in (value if isinstance(value, list) else [value])]


def largest(some: list[Tensor], others: list[Tensor]) -> float:
    """Largest difference, relative to the largest entry of each tensor."""
    pairs = zip(some, others, strict=True)
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)) for a, b in pairs if b.numel())


def absolute(gradients: list[Tensor]) -> float:
    return float(torch.stack([gradient.double().abs().sum() for gradient in gradients]).sum())
