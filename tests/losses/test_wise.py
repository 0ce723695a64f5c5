"""The running mean of WIoU: when it learns, from what, and what leaves it alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import loss_plugins as lp
from loss_plugins.losses.focusing import wise_momentum, wise_weight

TARGET = torch.tensor([[0.0, 0, 10, 10]]).repeat(4, 1)
#: IoU 1/2, 1/4, 1, 0, so that 1 - IoU is 1/2, 3/4, 0, 1 and its mean 9/16
PRED = torch.tensor([[0.0, 0, 10, 5], [0, 0, 5, 5], [0, 0, 10, 10], [20, 0, 30, 10]])
MEAN = 9 / 16

STATEFUL: list[dict[str, Any]] = [
    {"type": "wiou", "version": 3, "momentum": 0.5},
    {"type": "ciou", "wise": 3},
    {"type": "mix", "losses": [{"type": "wiou", "version": 2}, "giou"]},
]


def state_of(module: lp.Loss) -> list[float]:
    return [float(value) for value in module.state_dict().values()]


def train(module: lp.Loss, pred: Tensor = PRED, target: Tensor = TARGET, weight: Tensor | None = None) -> Tensor:
    return module(pred.clone().requires_grad_(), target, weight)


def wiou(**parameters: Any) -> lp.Loss:
    return lp.WIoULoss(**{"reduction": "none", "version": 2, "momentum": 0.5, **parameters})


def test_one_update_per_call_before_the_mean_is_used() -> None:
    module = wiou()
    loss = train(module)
    mean = 0.5 + 0.5 * MEAN
    assert float(module.mean.value) == pytest.approx(mean, abs=1e-6)
    # the second box: 1 - IoU = 3/4, centres 2.5 apart in x and y, enclosing diagonal^2 200
    assert float(loss[1]) == pytest.approx(math.sqrt(0.75 / mean) * math.exp(12.5 / 200) * 0.75, abs=1e-5)
    train(module)
    assert float(module.mean.value) == pytest.approx(0.5 * mean + 0.5 * MEAN, abs=1e-6)


def test_version_3_by_hand() -> None:
    loss = lp.wiou_loss(PRED, TARGET, version=3, alpha=1.9, delta=3.0, mean=0.25)
    beta = 0.5 / 0.25
    r = beta / (3 * 1.9 ** (beta - 3))
    # the first box: centres 2.5 apart in y, enclosing diagonal^2 200
    assert float(loss[0]) == pytest.approx(r * math.exp(6.25 / 200) * 0.5, abs=1e-5)


def test_the_weight_is_1_at_delta_and_highest_at_1_over_ln_alpha() -> None:
    beta = torch.linspace(0.01, 10, 5000, dtype=torch.float64)
    r = wise_weight(beta, 1.0, 3)
    assert float(wise_weight(torch.tensor(3.0), 1.0, 3)) == pytest.approx(1)
    assert float(beta[r.argmax()]) == pytest.approx(1 / math.log(1.9), abs=2e-3)
    assert float(r.max()) == pytest.approx(1.310, abs=1e-3)


def test_the_paper_s_momentum() -> None:
    momentum = lp.get_entry("wiou").parameters["momentum"].default
    assert wise_momentum(890, 34) == momentum
    mean = (1 - momentum) ** (890 * 34)  # what is left of the beginning after 34 epochs
    assert mean == pytest.approx(0.05)


@pytest.mark.parametrize("spec", STATEFUL, ids=str)
def test_nothing_but_training_with_gradients_moves_the_state(spec: dict[str, Any]) -> None:
    module = lp.build_loss(spec)
    assert module.entry.traits.stateful
    before = state_of(module)
    train(module.eval())
    with torch.no_grad():
        train(module.train())
    with torch.inference_mode():
        module(PRED, TARGET)
    assert state_of(module) == before
    train(module)
    assert state_of(module) != before


@pytest.mark.parametrize("spec", STATEFUL, ids=str)
@pytest.mark.parametrize("poison", ["empty", "nan", "inf"])
def test_no_batch_poisons_the_state(spec: dict[str, Any], poison: str) -> None:
    module = lp.build_loss(spec)
    train(module)
    before = state_of(module)
    pred, target = PRED.clone(), TARGET.clone()
    if poison == "empty":
        pred, target = pred[:0], target[:0]
    else:
        pred[1, 2] = float(poison)
    loss = train(module, pred, target)
    assert bool(loss.isfinite()) == (poison == "empty")
    assert state_of(module) == before
    assert bool(train(module).isfinite())


def test_two_boxes_without_area_do_not_poison_it() -> None:
    point = torch.full((3, 4), 7.0)
    module = wiou()
    assert train(module, point, point).isfinite().all()
    assert 0 < float(module.mean.value) <= 1


@pytest.mark.parametrize("spec", STATEFUL, ids=str)
@pytest.mark.parametrize("sizes", [(4,), (1, 3), (2, 0, 2), (1, 1, 1, 1)], ids=str)
def test_the_calls_of_one_step_are_one_update(spec: dict[str, Any], sizes: tuple[int, ...]) -> None:
    whole, parts = lp.build_loss(spec), lp.build_loss(spec)
    for _ in range(3):
        train(whole)
        parts.begin_step()
        for pred, target in zip(PRED.split(sizes), TARGET.split(sizes), strict=True):
            train(parts, pred, target)
        assert state_of(parts) == pytest.approx(state_of(whole), abs=1e-7)
    alone = lp.build_loss(spec)
    for pred, target in zip(PRED.split(sizes), TARGET.split(sizes), strict=True):
        train(alone, pred, target)
    if len(sizes) > 1:
        assert state_of(alone) != pytest.approx(state_of(whole), abs=1e-9)  # one step per call without begin_step


def test_rows_of_weight_0_do_not_count() -> None:
    for weight in (
        torch.tensor([1.0, 0, 1, 1]),
        torch.tensor([[1.0], [0], [1], [1]]),
        torch.tensor([1.0, 0, 1, 1])[:, None].expand(4, 4),
    ):
        some, all_of_them = wiou(), wiou()
        poisoned = PRED.clone()
        poisoned[1] = torch.nan
        train(some, poisoned, TARGET, weight)
        train(all_of_them, PRED[[0, 2, 3]], TARGET[[0, 2, 3]])
        assert torch.equal(some.mean.value, all_of_them.mean.value)


def test_two_backward_passes_after_two_calls() -> None:
    # a head calls the loss per level and runs backward once: the second update must not disturb the first graph
    module, pred = wiou(version=3, reduction="mean"), PRED.clone().requires_grad_()
    (module(pred, TARGET) + module(pred, TARGET)).backward()
    assert pred.grad is not None


def test_the_wise_keyword_is_the_weight_of_wiou() -> None:
    plain = lp.ciou_loss(PRED, TARGET)
    r = wise_weight(1 - (1 - lp.iou_loss(PRED, TARGET)), 0.4, 3)
    torch.testing.assert_close(lp.ciou_loss(PRED, TARGET, wise=3, wise_mean=0.4), r * plain)
    # WIoU itself is the plain loss under its weight, times the distance factor that version 1 is
    factor = lp.wiou_loss(PRED, TARGET) / lp.iou_loss(PRED, TARGET)
    weighted = lp.iou_loss(PRED, TARGET, wise=2, wise_mean=0.4)
    rows = [0, 1, 3]
    torch.testing.assert_close(lp.wiou_loss(PRED, TARGET, version=2, mean=0.4)[rows], (factor * weighted)[rows])


def test_version_1_of_the_keyword_is_refused() -> None:
    with pytest.raises(ValueError, match="ciou: wise=1 is out of range; allowed: 2 or 3"):
        lp.build_loss("ciou", wise=1)


def test_momentum_belongs_to_the_module_and_the_mean_to_the_function() -> None:
    with pytest.raises(TypeError, match="belongs to the module"):
        lp.wiou_loss(PRED, TARGET, momentum=0.5)
    with pytest.raises(TypeError, match="unknown parameter 'mean'"):
        lp.build_loss("wiou", mean=0.5)
    with pytest.raises(ValueError, match="momentum"):
        lp.build_loss("wiou", momentum=1.5)
