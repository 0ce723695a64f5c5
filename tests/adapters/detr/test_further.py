"""Losses that a criterion returns beside those replaced, and only sometimes, as from a later epoch on: they stay."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from loss_plugins import build_loss, cxcywh_to_xyxy
from loss_plugins.adapters.detr import plug
from tests.adapters.detr import own

from .criteria import batch


class Later(own.Criterion):
    """From its second epoch on it has a loss of sizes, and tells how many classes are right."""

    epoch = 1

    def loss_boxes(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:
        found = super().loss_boxes(outputs, targets, indices, num_boxes)
        if self.epoch > 1:
            pred, target = own.pairs(outputs, targets, indices)
            found["loss_size"] = (pred - target)[:, 2:].abs().sum() / num_boxes
        return found

    def loss_labels(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:
        found = super().loss_labels(outputs, targets, indices, num_boxes)
        return found if self.epoch == 1 else {**found, "class_error": outputs["pred_logits"].mean()}


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_loss_that_comes_only_sometimes_stays(epoch: int) -> None:
    criterion, stock, given = Later(), Later(), batch()
    plug(criterion, box="eiou", cls="quality_focal")
    criterion.epoch = stock.epoch = epoch
    found, wanted = criterion.loss_boxes(*given), stock.loss_boxes(*given)
    assert (
        found.keys()
        == wanted.keys()
        == {"loss_bbox", "loss_giou", "loss_size"} - ({"loss_size"} if epoch == 1 else set())
    )
    for name in wanted.keys() - {"loss_giou"}:
        gradients = [torch.autograd.grad(each[name], given[0]["pred_boxes"])[0] for each in (found, wanted)]
        assert torch.equal(*gradients)
    pred, target = map(cxcywh_to_xyxy, own.pairs(*given[:3]))
    torch.testing.assert_close(found["loss_giou"], build_loss("eiou").elementwise(pred, target).sum() / given[3])
    assert criterion.loss_labels(*given).keys() == stock.loss_labels(*given).keys()


def test_a_criterion_whose_code_cannot_be_read_is_served() -> None:
    scope: dict[str, Any] = {"Criterion": own.Criterion}
    exec(  # code of which no file has a line
        "class Typed(Criterion):\n"
        "    def loss_boxes(self, outputs, targets, indices, num_boxes):\n"
        "        return Criterion.loss_boxes(self, outputs, targets, indices, num_boxes)\n",
        scope,
    )
    criterion, given = scope["Typed"](), batch()
    with plug(criterion, box="eiou"):
        criterion.loss_boxes(*given)["loss_giou"].backward()
