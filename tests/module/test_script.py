"""What README says of `torch.jit.script`, and of what to use instead."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped
from loss_plugins.samples import ordinary

README = Path(__file__).parents[2] / "README.md"
NAMES = [entry.name for entry in shipped()]


class Head(nn.Module):
    """A model that computes its loss."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        return self.loss(pred, target)


def test_the_readme_says_so() -> None:
    text = " ".join(README.read_text(encoding="utf-8").split())
    assert "`torch.jit.script` takes neither the modules nor the functions" in text
    assert "use `torch.compile` or `torch.export`" in text


@pytest.mark.parametrize("name", NAMES)
def test_no_loss_is_scripted(name: str) -> None:
    """The day that one is, the sentence is out of date."""
    entry = lp.get_entry(name)
    with pytest.raises((ValueError, RuntimeError)):
        torch.jit.script(Head(lp.build_loss(name, **entry.example)))


@pytest.mark.parametrize("name", ["ciou", "cross_entropy"])
def test_what_is_to_be_used_instead_takes_it(name: str) -> None:
    entry = lp.get_entry(name)
    pred, target = ordinary(entry.kind, form=entry.targets[0] if entry.targets else "dense")(6, seed=0)
    head = Head(lp.build_loss(name))
    expected = head(pred, target)
    assert torch.equal(torch.export.export(head, (pred, target)).module()(pred, target), expected)
    assert torch.allclose(torch.compile(head, backend="eager", fullgraph=True)(pred, target), expected)
