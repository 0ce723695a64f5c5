"""Rows that fill targets up to one length: whether they count for the class loss is what its own probe shows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from loss_plugins.adapters.detr import UnsupportedCriterion, plug
from tests.adapters.detr import own

from .criteria import CLASSES, batch, padded


def real(targets: Any, indices: Any) -> list[tuple[Tensor, Tensor]]:
    """The pairs whose object is valid."""
    kept = [
        target["valid"][objects] if "valid" in target else slice(None)
        for target, (_, objects) in zip(targets, indices, strict=True)
    ]
    return [(queries[valid], objects[valid]) for valid, (queries, objects) in zip(kept, indices, strict=True)]


class Scores(own.Criterion):
    """Leaves them out of its class loss alone."""

    def loss_labels(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:
        return super().loss_labels(outputs, targets, real(targets, indices), num_boxes)


class Boxes(own.Criterion):
    """Leaves them out of its box loss alone."""

    def loss_boxes(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:
        return super().loss_boxes(outputs, targets, real(targets, indices), num_boxes)


class Rows(Scores):
    """A softmax, which leaves them out."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("empty_weight", torch.cat([torch.ones(CLASSES), torch.tensor([0.1])]).double())

    def loss_labels(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:
        logits = outputs["pred_logits"]
        classes = torch.full(logits.shape[:2], CLASSES)
        for image, (queries, objects) in enumerate(real(targets, indices)):
            classes[image, queries] = targets[image]["labels"][objects]
        return {"loss_ce": functional.cross_entropy(logits.transpose(1, 2), classes, self.empty_weight)}


class Halving(own.Criterion):
    """Rows that are not valid count half."""

    def loss_labels(self, outputs: Any, targets: Any, indices: Any, num_boxes: Any) -> dict[str, Tensor]:
        given = outputs, targets, indices, num_boxes
        if not any("valid" in target for target in targets):
            return super().loss_labels(*given)
        without = super().loss_labels(outputs, targets, real(targets, indices), num_boxes)
        return {name: (loss + without[name]) / 2 for name, loss in super().loss_labels(*given).items()}


@pytest.mark.parametrize(
    ("kind", "loss", "left_out"),
    [
        (Scores, "quality_focal", True),
        (Boxes, "quality_focal", False),
        (own.Criterion, "quality_focal", False),
        (Rows, "poly_cross_entropy", True),
    ],
    ids=["class loss", "box loss", "neither", "softmax"],
)
def test_the_class_loss_counts_the_rows_that_its_stock_counts(kind: type, loss: str, left_out: bool) -> None:
    criterion: Any = kind()
    outputs, targets, indices, num_boxes = batch(channels=CLASSES + (kind is Rows))
    given = {"plain": (targets, indices), "filled": padded(targets, indices, 7, 4)}
    stock = {name: criterion.loss_labels(outputs, *each, num_boxes)["loss_ce"] for name, each in given.items()}
    plug(criterion, cls=loss)
    new = {name: criterion.loss_labels(outputs, *each, num_boxes)["loss_ce"] for name, each in given.items()}
    assert torch.allclose(stock["filled"], stock["plain"]) is left_out
    assert torch.allclose(new["filled"], new["plain"]) is left_out
    assert not torch.allclose(new["plain"], stock["plain"])
    assert new["filled"].isfinite()


def test_a_class_loss_that_counts_them_otherwise_is_refused() -> None:
    said = r"class loss with padded targets is .*without these rows and .* with"
    with pytest.raises(UnsupportedCriterion, match=said):
        plug(Halving(), cls="focal")
    plug(Halving(), box="eiou").unplug()
