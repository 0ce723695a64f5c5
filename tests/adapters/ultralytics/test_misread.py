"""What docs/misread.md says of Ultralytics: a schedule of two weights, and a rule of the assigner."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ultralytics.utils.loss import E2ELoss
from ultralytics.utils.tal import TaskAlignedAssigner

EPOCHS = 8


class OfOneValue:
    """A criterion of one branch, whose loss is a constant."""

    hyp = SimpleNamespace(epochs=EPOCHS)

    def __init__(self, model: Any, tal_topk: int, tal_topk2: int | None = None) -> None:
        self.value = 1.0 if tal_topk2 is None else 0.0  # of the branch with many anchors, and of that with one

    def parse_output(self, preds: Any) -> Any:
        return preds

    def loss(self, preds: Any, batch: Any) -> tuple[Any, dict[str, Any]]:
        return torch.tensor(self.value), {}


def test_progloss_is_a_weight_that_falls_from_epoch_to_epoch() -> None:
    criterion = E2ELoss(None, loss_fn=OfOneValue)
    for epoch in range(EPOCHS + 2):
        total, _ = criterion({"one2many": None, "one2one": None}, {})
        assert total.item() == pytest.approx(0.1 + 0.7 * max(0.0, 1 - epoch / (EPOCHS - 1)), abs=1e-6)
        criterion.update()


@pytest.mark.parametrize(("side", "held"), [(4.0, 4), (15.0, 4), (16.0, 4), (32.0, 16)])
def test_stal_gives_tiny_objects_the_anchors_of_a_square_of_one_stride(side: float, held: int) -> None:
    at = torch.arange(4.0, 64, 8)  # centres of the cells of stride 8; the object lies between four of them
    anchors = torch.stack(torch.meshgrid(at, at, indexing="xy"), dim=-1).flatten(0, 1)
    centre = torch.tensor([32.0, 32.0])
    box = torch.cat((centre - side / 2, centre + side / 2)).view(1, 1, 4)
    assigner = TaskAlignedAssigner(stride=[8, 16, 32])
    inside = assigner.select_candidates_in_gts(anchors, box, torch.ones(1, 1, 1))
    assert int(inside.sum()) == held
    assert int(((anchors - centre).abs() < side / 2).all(-1).sum()) == (0 if side == 4 else held)
