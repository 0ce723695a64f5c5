"""MMDetection's own GIoULoss replaced by the `mmdet` dialect in fifteen heads: same losses, same gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_plugins.adapters.mmdet import PluggedLoss

from .heads import BATCHES, CASES, Losses

LOSSES: dict[str, dict[str, Any]] = {
    "built-in": {"type": "GIoULoss", "loss_weight": 2.0},
    "dialect": {"type": "loss_plugins.GIoULoss", "dialect": "mmdet", "loss_weight": 2.0},
    "other": {"type": "loss_plugins.EIoULoss", "loss_weight": 2.0},
}
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


@dataclass(frozen=True)
class Outcome:
    """One iteration of a head: its losses, the gradients that there are, parameters without one, calls of the loss."""

    losses: Losses
    gradients: list[Tensor]
    unused: list[str]
    calls: int


@cache
def outcome(name: str, batch: str, loss: str) -> Outcome:
    case = CASES[name]
    heads = case.build(LOSSES[loss])
    losses, gradients = case.all_gradients(heads, BATCHES[batch])
    return Outcome(
        {key: [part.detach() for part in parts(value)] for key, value in losses.items()},
        [gradient for gradient in gradients.values() if gradient is not None],
        [key for key, _ in heads.named_parameters() if gradients[key] is None],
        sum(module.calls for module in heads.modules() if isinstance(module, PluggedLoss)),
    )


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", CASES)
def test_same_losses_and_gradients(name: str, batch: str, table: list[str]) -> None:
    expected, found = outcome(name, batch, "built-in"), outcome(name, batch, "dialect")
    assert found.losses.keys() == expected.losses.keys()
    of_losses = largest(flat(found.losses), flat(expected.losses))
    of_gradients = largest(found.gradients, expected.gradients)
    of_sum = abs(absolute(found.gradients) / absolute(expected.gradients) - 1)
    table.append(LINE.format(name, batch, found.calls, f"{of_losses:.1e}", f"{of_gradients:.1e}", f"{of_sum:.1e}"))
    assert max(of_losses, of_gradients, of_sum) <= 1e-6
    assert found.calls == CALLS[name][batch == "empty"]


@pytest.mark.parametrize("name", CASES)
def test_another_loss_trains_another_way(name: str) -> None:
    """The parity above is not that of a head that ignores its loss."""
    assert largest(outcome(name, "gt", "dialect").gradients, outcome(name, "gt", "other").gradients) > 1e-3


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", CASES)
def test_no_parameter_loses_its_gradient(name: str, batch: str) -> None:
    """DDP stops at a parameter without gradient, as after an image without boxes."""
    assert outcome(name, batch, "dialect").unused == outcome(name, batch, "built-in").unused


def parts(value: Any) -> list[Tensor]:
    return value if isinstance(value, list) else [value]


def flat(losses: Losses) -> list[Tensor]:
    return [part for value in losses.values() for part in value]


def largest(some: list[Tensor], others: list[Tensor]) -> float:
    """Largest difference, relative to the largest entry of each tensor."""
    pairs = zip(some, others, strict=True)
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-12)) for a, b in pairs if b.numel())


def absolute(gradients: list[Tensor]) -> float:
    return float(torch.stack([gradient.double().abs().sum() for gradient in gradients]).sum())
