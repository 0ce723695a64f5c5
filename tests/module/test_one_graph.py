"""What README promises instead of `torch.jit.script`: a model that holds a loss is one graph, exported and compiled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import loss_plugins as lp
from loss_plugins.catalog.declare import KINDS
from loss_plugins.samples import ordinary

README = Path(__file__).parents[2] / "README.md"
#: a loss of every kind, and of both forms of class targets
LOSSES = ("ciou", "smooth_l1", "prob_iou", "focal", "cross_entropy", "dice", "wing", "oks", "ddf", "mgiou_quad")


class Head(nn.Module):
    """A model that computes its loss."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return self.loss(pred, target)


def test_every_kind_is_tried() -> None:
    assert {lp.get_entry(name).kind for name in LOSSES} == set(KINDS)


@pytest.mark.parametrize("name", LOSSES)
def test_a_model_with_a_loss_is_one_graph_of_export_and_compile(name: str) -> None:
    assert "use `torch.compile` or `torch.export`, which take every loss as one graph" in " ".join(
        README.read_text(encoding="utf-8").split()
    )
    torch.compiler.reset()  # one method of one module is compiled for loss after loss
    entry = lp.get_entry(name)
    pred, target = ordinary(entry.kind, form=entry.targets[0] if entry.targets else "dense")(6, seed=0)
    head = Head(lp.build_loss(name))
    expected = head(pred, target)
    assert torch.equal(torch.export.export(head, (pred, target)).module()(pred, target), expected)
    assert torch.allclose(torch.compile(head, backend="eager", fullgraph=True)(pred, target), expected)
