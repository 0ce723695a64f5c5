"""Which targets of the predictions' shape a softmax fits: those that have one class along axis 1, where they count."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional

from loss_plugins.adapters.mmdet.inspection import inspect

SOFTMAX = {"type": "loss_plugins.CrossEntropyLoss", "use_sigmoid": False}
BACKGROUND = 30


class DenseHead(nn.Module):
    """Objects with one class of three, and background without any; what has a weight can be chosen."""

    num_classes = 3

    def __init__(self, loss_cls: dict[str, Any], weighted: str) -> None:
        super().__init__()
        self.loss_cls, self.weighted = MODELS.build(loss_cls), weighted
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, labels: Tensor) -> Tensor:
        target = functional.one_hot(labels, 3).float()
        target = torch.cat([target, torch.zeros(BACKGROUND, 3)])
        pred = self.scale * torch.linspace(-3, 3, target.numel()).view(target.shape)
        objects = (torch.arange(len(target)) < len(labels)).float()
        if self.weighted == "places on axis 1":
            pred, target, weight = pred[None], target[None], None
        else:
            weight = {
                "rows of objects": objects,
                "all of rows of objects": objects[:, None].expand_as(target),
                "one of each row of objects": target,
                "all rows": None,
            }[self.weighted]
        found: Tensor = self.loss_cls(pred, target, weight, avg_factor=len(labels))
        return found


class Dense(nn.Module):
    def __init__(self, weighted: str) -> None:
        super().__init__()
        self.head = DenseHead(SOFTMAX, weighted)

    def loss(self, images: Tensor, samples: list[Any]) -> dict[str, Tensor]:
        return {"loss_cls": self.head(torch.cat([sample.gt_instances.labels for sample in samples]))}


@pytest.mark.parametrize(
    ("weighted", "fits"),
    [
        ("rows of objects", True),
        ("all of rows of objects", True),
        ("one of each row of objects", True),
        ("all rows", False),
        ("places on axis 1", False),
    ],
)
def test_a_softmax_fits_what_has_one_class_where_it_counts(weighted: str, fits: bool) -> None:
    found = inspect(Dense(weighted))
    assert not found.untried
    assert [("have one class" in each.message) for each in found.findings] == ([] if fits else [True])
