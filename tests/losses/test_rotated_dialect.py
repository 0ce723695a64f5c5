"""The dialect "mmrotate": the distances themselves, as its GDLoss has tau 0 where nothing is given."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import loss_plugins as lp

# centres (3, 4) apart, no rotation: variances (w/2)^2 and (h/2)^2 are 4 and 1 of the prediction, 16 and 9 of the target
PRED = torch.tensor([[0.0, 0, 4, 2, 0], [10, 20, 4, 2, 0]], dtype=torch.float64)
TARGET = PRED + torch.tensor([3.0, 4, 4, 4, 0], dtype=torch.float64)


def gwd() -> Tensor:
    # W^2 of centres and half sides, over 2 (det S_p det S_t)^(1/8), then ln(1 + d)
    squared = torch.tensor(9.0 + 16 + 4 + 4, dtype=torch.float64)
    scale = 2 * torch.tensor(4.0 * 1 * 16 * 9, dtype=torch.float64) ** 0.125
    return torch.log1p(squared.sqrt() / scale)


def divergence(p: tuple[float, float], t: tuple[float, float]) -> Tensor:
    # offsets over the variances of p, plus the trace and the logarithm of the determinants, less 2; all halved
    (px, py), (tx, ty) = p, t
    determinants = torch.tensor(px * py / (tx * ty), dtype=torch.float64)
    return (9 / px + 16 / py + tx / px + ty / py + determinants.log() - 2) / 2


def kld() -> Tensor:
    return torch.log1p(divergence((4, 1), (16, 9)).sqrt())


def jd() -> Tensor:
    mean = (divergence((4, 1), (16, 9)) + divergence((16, 9), (4, 1))) / 2
    return torch.log1p(mean.sqrt())


@pytest.mark.parametrize(("name", "closed"), [("gwd", gwd), ("kld", kld), ("jd", jd)])
def test_mmrotate_returns_the_distance_where_nothing_is_given(name: str, closed: Callable[[], Tensor]) -> None:
    loss = lp.build_loss(name, dialect="mmrotate", reduction="none")
    expected = closed().expand(2)
    torch.testing.assert_close(loss(PRED, TARGET), expected, rtol=1e-12, atol=0)
    ranked = lp.build_loss(name, dialect="mmrotate", reduction="none", tau=1.0)
    torch.testing.assert_close(ranked(PRED, TARGET), 1 - 1 / (1 + expected), rtol=1e-12, atol=0)
