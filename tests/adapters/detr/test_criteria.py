"""The table of criteria: equal with the loss that they have, changed with another one, and restored."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from loss_plugins import cxcywh_to_xyxy, eiou_loss
from loss_plugins.adapters.detr import UnsupportedCriterion, plug

from .criteria import KNOWN, Known, batch

EVERY = pytest.mark.parametrize("known", [pytest.param(known, id=name) for name, known in KNOWN.items()])


def returned(criterion: Any, given: Any) -> dict[str, Tensor]:
    found: dict[str, Tensor] = criterion.loss_boxes(*given)
    return found


def gradient(loss: Tensor, leaf: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss, leaf, retain_graph=True)
    return found


def by_hand(given: Any) -> Tensor:
    """EIoU summed over matched pairs, one after the other, over the number of objects."""
    outputs, targets, indices, num_boxes = given
    total = torch.zeros((), dtype=torch.float64)
    for image, (queries, objects) in enumerate(indices):
        for query, wanted in zip(queries.tolist(), objects.tolist(), strict=True):
            pair = outputs["pred_boxes"][image, query], targets[image]["boxes"][wanted]
            total = total + eiou_loss(*map(cxcywh_to_xyxy, pair))
    return total / num_boxes


@EVERY
def test_giou_equals_the_criterion_and_eiou_changes_that_loss_alone(known: Known) -> None:
    criterion = known.build()
    stock_class, keys = type(criterion), list(criterion.state_dict())
    batches = [batch(images, seed=seed) for images, seed in ((3, 0), (1, 1), (5, 2))]
    stocks = [returned(criterion, given) for given in batches]

    with_giou = plug(criterion, box="giou")
    for given, stock in zip(batches, stocks, strict=True):
        same, boxes = returned(criterion, given), given[0]["pred_boxes"]
        assert list(same) == list(stock)
        for name, loss in stock.items():
            torch.testing.assert_close(same[name], loss, rtol=2e-6, atol=0)
            torch.testing.assert_close(gradient(same[name], boxes), gradient(loss, boxes), rtol=1e-4, atol=1e-5)
    assert isinstance(criterion, stock_class)
    assert list(criterion.state_dict()) == keys
    with_giou.unplug()
    assert type(criterion) is stock_class

    with_eiou = plug(criterion, box="eiou")
    for given, stock in zip(batches, stocks, strict=True):
        other, boxes = returned(criterion, given), given[0]["pred_boxes"]
        torch.testing.assert_close(other["loss_giou"], by_hand(given), rtol=1e-9, atol=0)
        assert not torch.allclose(gradient(other["loss_giou"], boxes), gradient(stock["loss_giou"], boxes), rtol=1e-2)
        for name in set(stock) - {"loss_giou"}:
            assert torch.equal(other[name], stock[name])
    with_eiou.unplug()
    for given, stock in zip(batches, stocks, strict=True):
        restored = returned(criterion, given)
        assert all(torch.equal(restored[name], loss) for name, loss in stock.items())


@EVERY
def test_the_class_loss_is_recognised_or_refused(known: Known) -> None:
    criterion = known.build()
    if not known.cls:
        with pytest.raises(UnsupportedCriterion, match=r"sought a class loss equal to .* found"):
            plug(criterion, cls="focal")
        assert not type(criterion).__name__.startswith("Plugged")
        return
    loss = "cross_entropy" if known.cls == "weighted cross-entropy" else "focal"
    made = plug(criterion, cls=loss)
    assert made.report.cls is not None
    assert made.report.cls.stock == known.cls
    assert made.report.cls.probe[0] == pytest.approx(made.report.cls.probe[1], rel=1e-5)
    made.unplug()


@EVERY
def test_copies_and_pickles_compute_the_loss_too(known: Known) -> None:
    criterion = known.build()
    given = batch()
    made = plug(criterion, box="siou")
    loss = returned(criterion, given)["loss_giou"]
    for copied in (copy.deepcopy(criterion), pickle.loads(pickle.dumps(criterion))):
        assert torch.equal(returned(copied, given)["loss_giou"], loss)
    made.unplug()
    assert not torch.equal(returned(criterion, given)["loss_giou"], loss)
