"""The matched gain: closed forms, the fixed set, running statistics, and losses that cannot be matched."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

import loss_plugins as lp
from loss_plugins.catalog.entries import shipped
from loss_plugins.module import gain

STOCK_BOX = partial(lp.ciou_loss, dialect="ultralytics")
BCE = partial(binary_cross_entropy_with_logits, reduction="none")
#: trained detectors asked for 0.42, 0.93 and 0.99
KNOWN_BOX = {"alpha_ciou": 0.48, "eiou": 0.91, "piou": 0.98}
#: and for 2.7, 6.1, 4.7, 3.2 and 2.1
KNOWN_CLS = {"quality_focal": 2.65, "focal": 6.9, "asymmetric": 4.7, "poly_focal": 3.4, "varifocal": 1.5}


@pytest.mark.parametrize("size", [64.0, 640.0])
def test_the_boxes_are_those_described(size: float) -> None:
    pred, target = gain.boxes_near_targets(size)
    sides = target[:, 2:] - target[:, :2]
    assert pred.shape == target.shape == (440, 4)
    torch.testing.assert_close(sides.prod(-1), torch.full((440,), (size / 10) ** 2, dtype=torch.float64))
    assert sorted({round(float(w / h), 3) for w, h in sides}) == [0.333, 0.5, 1.0, 2.0, 3.0]
    wanted = [0.7 + 0.025 * step for step in range(11) for _ in gain.MOVES] * 5
    torch.testing.assert_close(1 - lp.iou_loss(pred, target), torch.tensor(wanted, dtype=torch.float64))
    assert (pred[:, 2:] > pred[:, :2]).all()


@pytest.mark.parametrize(("name", "factor"), KNOWN_BOX.items())
def test_known_gains_of_boxes(name: str, factor: float) -> None:
    for size in (64.0, 640.0):
        assert gain.box_gain(lp.build_loss(name), STOCK_BOX, size).factor == pytest.approx(factor, abs=0.005)


@pytest.mark.parametrize(("name", "factor"), KNOWN_CLS.items())
def test_known_gains_of_classes(name: str, factor: float) -> None:
    assert gain.class_gain(lp.build_loss(name), BCE).factor == pytest.approx(factor, rel=0.02)


@pytest.mark.parametrize("classes", [1, 3])
def test_sums_of_the_set_say_how_classes_weigh(classes: int) -> None:
    """EQLv2's positives pull twice as hard as its negatives on the set, far above a ratio of 0.8: all weigh 1."""
    for spec in ({}, {"num_classes": classes}):
        found = gain.fair_class_gain(lp.EQLV2Loss(**spec, reduction="none"), BCE, classes)
        assert found.factor == pytest.approx(1.0, rel=1e-5)
        with pytest.raises(ValueError, match=r"gain='match' would be 6\.91"):
            gain.fair_class_gain(lp.EFLLoss(**spec, reduction="none"), BCE, classes)


def test_a_statistic_learns_from_the_set_of_how_many_classes_it_is() -> None:
    twin = gain.settled(lp.SeesawLoss(), torch.zeros(4, 3, dtype=torch.float64), torch.tensor([0, 0, 1, 3]))
    assert twin.statistics["counts"].current.tolist() == [4.0, 2.0, 0.0, 2.0]


def test_what_a_loss_of_the_focal_kind_leaves_of_negatives_by_hand() -> None:
    """A negative costs p^2 ln(1 + e^x) in quality focal loss, and ln(1 + e^x) in cross-entropy, p = sigmoid(x).

    The gradients are 2 p^2 (1 - p) ln(1 + e^x) + p^3, and p.
    """
    x = torch.tensor([-4.0, -3.0, -2.0], dtype=torch.float64)
    p, cost = x.sigmoid(), x.exp().log1p()
    wanted = (2 * p**2 * (1 - p) * cost + p**3).sum() / p.sum()
    loss = lp.build_loss("quality_focal")
    for factor, classes in ((1.0, 1), (2.65, 3)):
        found = gain.negative_ratio(loss, BCE, factor, classes)
        assert found == pytest.approx(factor * float(wanted), rel=1e-6)
    assert gain.negative_ratio(lp.build_loss("bce_with_logits"), BCE) == pytest.approx(1.0)


@pytest.mark.parametrize("times", [0.25, 1.0, 40.0])
def test_a_multiple_of_the_stock_loss_gets_its_inverse(times: float) -> None:
    def scaled(pred: Tensor, target: Tensor) -> Tensor:
        return times * STOCK_BOX(pred, target)

    with registered(scaled):
        found = gain.box_gain(lp.build_loss("test_gain"), STOCK_BOX)
    assert found.factor == pytest.approx(1 / times)
    assert found.new == pytest.approx(times * found.stock)


def test_a_power_of_the_iou_by_hand() -> None:
    """1 - IoU^3 has 3 IoU^2 times the gradient of 1 - IoU: on boxes all alike the gain is 1 / (3 IoU^2)."""
    found = gain.box_gain(lp.build_loss("alpha_iou", alpha=3.0), lp.iou_loss)
    pred, target = gain.boxes_near_targets(640.0)
    norms = torch.tensor(
        [gain.mean_gradient_norm(lp.iou_loss, p[None], t[None]) for p, t in zip(pred, target, strict=True)]
    )
    iou = 1 - lp.iou_loss(pred, target)
    assert found.factor == pytest.approx(float(norms.sum() / (3 * iou**2 * norms).sum()), rel=1e-5)


@pytest.mark.parametrize("momentum", [1e-4, 0.1, 1.0])
@pytest.mark.parametrize("version", [2, 3])
def test_a_running_mean_is_that_of_the_set(version: int, momentum: float) -> None:
    """mean(1 - IoU) of the set is 1 - 0.825, whatever the momentum and however far the loss has learnt."""
    loss = lp.build_loss("wiou", version=version, momentum=momentum)
    fresh = gain.box_gain(loss, STOCK_BOX)
    loss(torch.tensor([[0.0, 0, 2, 2]], requires_grad=True), torch.tensor([[1.0, 1, 3, 3]]))
    state = copy.deepcopy(loss.state_dict())
    assert gain.box_gain(loss, STOCK_BOX) == pytest.approx(fresh)
    loss.begin_step()
    assert gain.box_gain(loss, STOCK_BOX) == pytest.approx(fresh), "also in the middle of a step"
    assert loss.training
    assert all(torch.equal(value, state[key]) for key, value in loss.state_dict().items())

    def settled(pred: Tensor, target: Tensor) -> Tensor:
        return lp.wiou_loss(pred, target, version=version, mean=0.175)

    wanted = gain.mean_gradient_norm(settled, *gain.boxes_near_targets(640.0))
    assert fresh.new == pytest.approx(wanted, rel=1e-7)


@pytest.mark.parametrize("name", ["eqlv2", "efl"])
def test_a_statistic_of_unknown_size_takes_that_of_the_set(name: str) -> None:
    loss = lp.build_loss(name)
    for classes in (1, 3):
        wanted = gain.class_gain(lp.build_loss(name, num_classes=classes), BCE, classes)
        assert gain.class_gain(loss, BCE, classes) == wanted
    assert not loss.state_dict()["gradients.value"].numel(), "the loss itself learns nothing"


def test_every_box_loss_has_a_gain() -> None:
    for entry in shipped():
        if entry.kind == "box":
            found = gain.box_gain(lp.build_loss(entry.name, **entry.example), STOCK_BOX)
            assert 0.05 < found.factor < 20, entry.name


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_a_loss_without_a_gradient_is_refused_with_both_numbers(value: float) -> None:
    def flat(pred: Tensor, target: Tensor) -> Tensor:
        return (pred - target).sum(-1) * value

    with registered(flat), pytest.raises(ValueError, match=rf"test_gain: mean gradient {value:.4g} .* is 0\.0258"):
        gain.box_gain(lp.build_loss("test_gain"), STOCK_BOX)


class registered:
    """A loss of a test, for the time of a block."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __enter__(self) -> None:
        lp.register_loss("test_gain")(self.function)

    def __exit__(self, *_: object) -> None:
        lp.unregister_loss("test_gain")
