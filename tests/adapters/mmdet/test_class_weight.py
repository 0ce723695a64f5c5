"""`class_weight`, which some heads read from the config of their class loss, for every class loss."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.registry import MODELS

from loss_plugins.catalog.entries import shipped

NUMBERS = [1.0, 2.0, 0.5, 0.1]
CLASS_LOSSES = sorted(each.name for each in shipped() if each.kind == "classification")


def built(name: str, **parameters: Any) -> Any:
    return MODELS.build({"type": f"loss_plugins.{name}", **parameters})


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_every_class_loss_takes_it(name: str) -> None:
    assert built(name, class_weight=NUMBERS).spec()["class_weight"] == pytest.approx(NUMBERS)


@pytest.mark.parametrize("name", ["FocalLoss", "SoftmaxFocalLoss", "BCEWithLogitsLoss"])
def test_rows_weigh_what_their_labels_do(name: str) -> None:
    """With the head's denominator, the sum of the weights of all labels, equal costs cost what they do without it."""
    torch.manual_seed(0)
    pred, labels = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 3, 1])
    plain, weighted = built(name, reduction="sum"), built(name, class_weight=NUMBERS, reduction="sum")
    numbers = torch.tensor(NUMBERS)
    each = [numbers[label] * plain(row[None], label[None]) for row, label in zip(pred, labels, strict=True)]
    torch.testing.assert_close(weighted(pred, labels), torch.stack(each).sum())
    ones = torch.ones(6)
    ones[2] = 0
    torch.testing.assert_close(weighted(pred, labels, ones), torch.stack(each).sum() - each[2])
    torch.testing.assert_close(weighted(pred, labels, ones[:, None].expand(6, 4)), torch.stack(each).sum() - each[2])
    assert weighted.spec()["class_weight"] == pytest.approx(NUMBERS)


def test_a_label_beyond_the_numbers_weighs_one() -> None:
    """Background of sigmoid losses is the label after the last class."""
    pred, labels = torch.zeros(2, 3), torch.tensor([0, 3])
    loss, plain = built("FocalLoss", class_weight=[0.0, 1, 0.5], reduction="sum"), built("FocalLoss", reduction="sum")
    torch.testing.assert_close(loss(pred, labels), plain(pred[1:], labels[1:]))


def test_quality_losses_have_labels_among_their_targets() -> None:
    pred, target = torch.zeros(2, 3), (torch.tensor([0, 1]), torch.tensor([0.5, 0.7]))
    loss, plain = (built("QualityFocalLoss", reduction="sum", **more) for more in ({"class_weight": [2.0, 2, 2]}, {}))
    torch.testing.assert_close(loss(pred, target), 2 * plain(pred, target))


def test_what_is_no_number_per_class_is_refused() -> None:
    with pytest.raises(ValueError, match="write a list with a number per class"):
        built("FocalLoss", class_weight=1.0)
    with pytest.raises(TypeError, match="take class_weight out"):
        built("FocalLoss", class_weight=NUMBERS)(torch.zeros(2, 4), torch.zeros(2, 4))


@pytest.mark.parametrize("name", ["FocalLoss", "SoftmaxFocalLoss", "CrossEntropyLoss", "QualityFocalLoss"])
@pytest.mark.parametrize("count", [2, 6])
def test_another_count_is_refused_with_both_lengths(name: str, count: int) -> None:
    loss, labels = built(name, class_weight=[1.0] * count), torch.tensor([0, 1])
    with pytest.raises(ValueError, match=rf": class_weight has {count} numbers, and pred \(2, 4\) has C = 4 classes"):
        loss(torch.zeros(2, 4), labels)


def test_a_loss_that_has_the_parameter_keeps_it() -> None:
    loss = built("CrossEntropyLoss", class_weight=NUMBERS)
    assert loss.label_weight is None
    assert loss.loss.spec()["class_weight"] == pytest.approx(NUMBERS)
